"""Runs Schemathesis, all phases and all checks, against the real binary; then with documents that say
something untrue, which it must notice.

usage: fuzz.py BINARY DOCUMENT EXAMPLES
"""
import contextlib
import copy
import io
import json
import os
import sys
import tempfile
import time
from pathlib import Path

from schemathesis.cli import schemathesis

import hooks
from stock import Stock, service

HERE = Path(__file__).resolve().parent
OUTPUT = HERE.parents[1] / "target" / "contract"


def operation(document, path):
    return document["paths"][f"/v1/{path}"]["post"]


def field(document, schema, name):
    return document["components"]["schemas"][schema]["properties"][name]


def hide_a_status(document):
    del operation(document, "session")["responses"]["400"]


def hide_a_code(document):
    response = operation(document, "email-change/activate")["responses"]["400"]
    del response["content"]["application/problem+json"]["examples"]["malformed_request"]


def change_a_type(document):
    field(document, "MailSent", "expires_at").update(type="integer")


def invent_a_field(document):
    schema = document["components"]["schemas"]["LinkToken"]
    schema["properties"]["page"] = {"type": "string"}
    schema["required"].append("page")


def require_a_token(document):
    operation(document, "email-change/cancel")["security"] = [{"accessToken": []}]


# The untruth, the operation that shows it, and what must be said of it.
UNTRUE = [
    (hide_a_status, "signIn", "Undocumented status code"),
    (hide_a_code, "activateEmailChange", "code_is_documented"),
    (change_a_type, "requestEmailChange", "Response violates schema"),
    (invent_a_field, "inspectLink", "malformed_is_what_the_document_forbids"),
    (require_a_token, "cancelEmailChange", "API accepts requests without authentication"),
]


def run(document, url, examples, *options):
    """Whether Schemathesis finds nothing."""
    command = ["--config-file", str(HERE / "schemathesis.toml"), "run", str(document), "--url", url]
    try:
        return not schemathesis.main([*command, "--max-examples", str(examples), *options], standalone_mode=False)
    except SystemExit as end:
        return not end.code


def is_noticed(untruth, shown_by, said, document, url, directory):
    untrue = copy.deepcopy(document)
    untruth(untrue)
    path = Path(directory, "untrue.json")
    path.write_text(json.dumps(untrue))
    output = io.StringIO()
    hooks.sent.clear()
    with contextlib.redirect_stdout(output):
        clean = run(path, url, 1, "--phases", "coverage", "--include-operation-id", shown_by)
    noticed = not clean and said in output.getvalue()
    print(f"  {untruth.__name__}: " + ("noticed" if noticed else f"NOT NOTICED\n{output.getvalue()}"))
    return noticed


def show(answers):
    OUTPUT.mkdir(parents=True, exist_ok=True)
    (OUTPUT / "answers.json").write_text(json.dumps(answers, indent=2, sort_keys=True))
    for name, counts in sorted(answers.items()):
        print(f"  {name}: " + ", ".join(f"{answer} ({count})" for answer, count in sorted(counts.items())))


def main(binary, path, examples):
    document = json.loads(Path(path).read_text())
    every = {method["operationId"] for item in document["paths"].values() for method in item.values()}
    with tempfile.TemporaryDirectory() as directory, open(Path(directory, "service.log"), "w+") as log:
        # Schemathesis keeps things beside itself.
        os.chdir(directory)
        with service(binary, directory, log) as (url, mailbox):
            hooks.stock = Stock(url, mailbox)
            begun = time.monotonic()
            clean = run(path, url, examples)
            print(f"{examples} examples an operation, {time.monotonic() - begun:.0f} s. Answers:")
            show(hooks.answers)
            clean = clean and hooks.answers.keys() == every
            print("Untrue documents:")
            noticed = [is_noticed(*untruth, document, url, directory) for untruth in UNTRUE]
        log.seek(0)
        clean = clean and "ERROR" not in log.read()
    return 0 if clean and all(noticed) else 1


if __name__ == "__main__":
    sys.exit(main(str(Path(sys.argv[1]).resolve()), str(Path(sys.argv[2]).resolve()), int(sys.argv[3])))
