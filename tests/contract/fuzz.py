"""Runs schemathesis against the real binary: SQLite, a real SMTP conversation, limits off.

usage: fuzz.py BINARY EXAMPLES [more options of `schemathesis run`]
"""
import os
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parent / "walks"))
from support import free_port, running  # noqa: E402

PASSWORD = "correct horse battery staple"


def main(binary, examples, *options):
    document = HERE.parents[1] / "openapi" / "readdress.json"
    if options and not options[0].startswith("-"):
        document, *options = options
    service, smtp_port = f"http://127.0.0.1:{free_port()}", free_port()
    with tempfile.TemporaryDirectory() as data:
        environment = {
            "READDRESS_LISTEN": service.removeprefix("http://"),
            "READDRESS_APP_URL": service,
            "READDRESS_DATABASE_URL": f"sqlite://{data}/users.db",
            "READDRESS_SMTP_URL": f"smtp://127.0.0.1:{smtp_port}?tls=none",
            "READDRESS_MAIL_FROM": "accounts@example.com",
            "READDRESS_SECRET_KEYS": subprocess.check_output([binary, "keygen"], text=True).strip(),
            # The run is longer than a token lives by default.
            "READDRESS_ACCESS_TTL": "2h",
            "RUST_LOG": "error",
            **{f"READDRESS_LIMIT_{name}": "off" for name in ("PASSWORDS", "RECIPIENT", "RECIPIENT_ALL", "CLIENT")},
        }
        subprocess.check_call([binary, "migrate", "up"], env=environment, stdout=subprocess.DEVNULL)
        subprocess.run([binary, "user", "add", "ann@example.com"], env=environment, input=PASSWORD, text=True, check=True)
        with running([binary, "serve"], service + "/healthz", env=environment):
            command = [
                str(Path(sys.executable).with_name("schemathesis")), "--config-file", str(HERE / "schemathesis.toml"),
                "run", str(document), "--url", service, "--max-examples", examples, *options,
            ]
            run = {**os.environ, "URL": service, "PASSWORD": PASSWORD, "SMTP_PORT": str(smtp_port), "SCHEMATHESIS_HOOKS": str(HERE / "hooks.py")}
            return subprocess.call(command, env=run, cwd=data)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
