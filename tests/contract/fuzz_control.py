"""A check of the checker: a document that says something untrue must not pass.

usage: fuzz_control.py BINARY
"""
import json
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent


def main(binary):
    document = json.loads((HERE.parents[1] / "openapi" / "readdress.json").read_text())
    document["components"]["schemas"]["MailSent"]["properties"]["sent_to"] = {"type": "integer"}
    with tempfile.NamedTemporaryFile("w", suffix=".json") as untrue:
        json.dump(document, untrue)
        untrue.flush()
        command = [
            sys.executable, HERE / "fuzz.py", binary, "1", untrue.name,
            "--phases", "examples", "--include-operation-id", "requestEmailChange",
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "Response violates schema" in done.stdout, done.stdout + done.stderr
    print("an untrue document was caught")


if __name__ == "__main__":
    main(sys.argv[1])
