"""Compares the OpenAPI document with the baseline, and first tries the judges: edits that break callers
must be caught, edits that add must pass.

The judges are specshift, and `lost`, for what generated clients are made of and specshift lets go.

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
    missing = lost(old, new)
    return done.returncode == 1 or bool(missing), "\n".join([done.stdout, *(f"lost: {name}" for name in missing)])


def lost(old, new):
    """What callers have by name, and would have no more."""
    return sorted(names(old) - names(new))


def names(document):
    found = set()
    for path, item in document["paths"].items():
        for method, operation in item.items():
            found.add(f"the operation {operation['operationId']} at {method} {path}")
            for status, response in operation["responses"].items():
                place = f"of {operation['operationId']} {status}"
                found.update(f"the header {header} {place}" for header in response.get("headers", {}))
                for content in response.get("content", {}).values():
                    found.update(f"the code {code} {place}" for code in content.get("examples", {}))
    for name, schema in document["components"]["schemas"].items():
        found.update(f"the value {value} of {name}" for value in schema.get("enum", []))
    return found


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


def remove_code(_, schemas):
    schemas["Code"]["enum"].remove("link_used")


def rename_operation(document, _):
    document["paths"]["/v1/email-change/undo"]["post"]["operationId"] = "revert"


def remove_header(document, _):
    del document["paths"]["/v1/email-change/confirm"]["post"]["responses"]["429"]["headers"]["Retry-After"]


def ask_for_a_token(document, _):
    document["paths"]["/v1/email-change/cancel"]["post"]["security"] = [{"accessToken": []}]


def narrow_a_field(_, schemas):
    schemas["LinkToken"]["properties"]["token"]["pattern"] = "^[a-z]*$"


def add_operation(document, _):
    document["paths"]["/v1/new"] = {"get": {"operationId": "new", "responses": {"200": {"description": "New."}}}}


def add_answered_field(_, schemas):
    schemas["MailSent"]["properties"]["language"] = {"type": "string"}


def add_optional_field(_, schemas):
    schemas["RequestEmailChange"]["properties"]["language"] = {"type": "string"}


def add_code(_, schemas):
    schemas["Code"]["enum"].append("brand_new")


BREAKING = [
    remove_operation,
    remove_answered_field,
    require_another_field,
    change_a_type,
    remove_success,
    remove_code,
    rename_operation,
    remove_header,
    ask_for_a_token,
    narrow_a_field,
]
ADDING = [add_operation, add_answered_field, add_optional_field, add_code]


def main(baseline_path, document_path):
    baseline, document = (json.loads(Path(path).read_text()) for path in (baseline_path, document_path))
    for edit in BREAKING:
        caught, said = breaks(document, edited(document, edit))
        assert caught, f"not caught: {edit.__name__}\n{said}"
    for edit in ADDING:
        broken, said = breaks(document, edited(document, edit))
        assert not broken, f"a false alarm: {edit.__name__}\n{said}"
    broken, said = breaks(baseline, document)
    if broken:
        print(said)
        print("Callers of the released API would break. If that is meant, copy the document over the baseline.")
        return 1
    print(f"Compatible with the baseline; {len(BREAKING)} breaking edits were caught, {len(ADDING)} adding ones passed.")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
