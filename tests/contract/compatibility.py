"""Compares the OpenAPI document with the baseline, and first the judge with itself: edits that break
callers must be caught, one that does not must pass.

usage: compatibility.py BASELINE DOCUMENT
"""
import copy
import json
import subprocess
import sys
import tempfile
from pathlib import Path

SPECSHIFT = Path(sys.executable).with_name("specshift")


def breaks(old, new):
    """Whether callers of `old` are broken by `new`, and what was said."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder, name) for name in ("old.json", "new.json")]
        for path, document in zip(paths, (old, new)):
            path.write_text(json.dumps(document))
        done = subprocess.run(
            [SPECSHIFT, "diff", "--fail-on", "breaking", *paths], capture_output=True, text=True, check=False
        )
    assert done.returncode in (0, 1), done.stderr
    return done.returncode == 1, done.stdout


def edited(document, edit):
    other = copy.deepcopy(document)
    edit(other, other["components"]["schemas"])
    return other


def remove_operation(document, _):
    del document["paths"]["/v1/email-change/cancel"]


def remove_answered_field(_, schemas):
    del schemas["MailSent"]["properties"]["sent_to"]
    schemas["MailSent"]["required"].remove("sent_to")


def require_another_field(_, schemas):
    schemas["RequestEmailChange"]["properties"]["reason"] = {"type": "string"}
    schemas["RequestEmailChange"]["required"].append("reason")


def change_a_type(_, schemas):
    schemas["MailSent"]["properties"]["expires_at"] = {"type": "integer"}


def remove_success(document, _):
    responses = document["paths"]["/v1/email-change/activate"]["post"]["responses"]
    responses["204"] = {"description": "Done."}
    del responses["200"]


def add_operation(document, _):
    document["paths"]["/v1/new"] = {"get": {"operationId": "new", "responses": {"200": {"description": "New."}}}}


BREAKING = [remove_operation, remove_answered_field, require_another_field, change_a_type, remove_success]


def main(baseline_path, document_path):
    baseline, document = (json.loads(Path(path).read_text()) for path in (baseline_path, document_path))
    for edit in BREAKING:
        caught, said = breaks(document, edited(document, edit))
        assert caught, f"not caught: {edit.__name__}\n{said}"
    broken, said = breaks(document, edited(document, add_operation))
    assert not broken, f"a false alarm:\n{said}"
    broken, said = breaks(baseline, document)
    if broken:
        print(said)
        print("Callers of the released API would break. If that is meant, copy the document over the baseline.")
        return 1
    print(f"compatible with the baseline; {len(BREAKING)} breaking edits were caught")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
