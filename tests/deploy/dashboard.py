"""Turns what a Grafana dashboard asks into recording rules, so that promtool can check each of them.

    dashboard.py DASHBOARD.json > RULES.json
"""

import json
import sys


def expressions(panels):
    for panel in panels:
        yield from expressions(panel.get("panels", []))
        for target in panel.get("targets", []):
            yield target["expr"]


def as_prometheus_gets_it(expression):
    return expression.replace("$__rate_interval", "5m").replace("$__range", "1h").replace("$instance", ".*")


def main(path):
    with open(path, encoding="utf-8") as file:
        dashboard = json.load(file)
    asked = list(expressions(dashboard["panels"]))
    assert asked, f"{path}: no panel asks anything"
    asked += [annotation["expr"] for annotation in dashboard["annotations"]["list"]]
    asked = [as_prometheus_gets_it(expression) for expression in asked]
    rules = [{"record": f"dashboard:{at}", "expr": expression} for at, expression in enumerate(asked)]
    # JSON is YAML.
    json.dump({"groups": [{"name": "dashboard", "rules": rules}]}, sys.stdout)


main(sys.argv[1])
