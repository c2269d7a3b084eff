"""Changes an address beside Devise and beside Laravel: each makes its own table, registers a user and,
after the change, signs that user in under the new address. Real PostgreSQL, the real binary, a real
SMTP conversation; what each framework does is in frameworks/.

scripts/frameworks-test calls it with the binary, the URL of a PostgreSQL and the frameworks that are
there.
"""
import os
import secrets
import subprocess
import sys
import tempfile
import uuid
from pathlib import Path
from urllib.parse import urlsplit

import psycopg

from support import Mailbox, free_port, post, running

PROGRAMS = Path(__file__).resolve().parent / "frameworks"
PASSWORD = "correct horse battery staple"
OLD, NEW, LAST = "ann@example.com", "ann@new.example", "ann@last.example"
PEPPER = secrets.token_hex(64)

# For each: how it is run, what it does before it makes its table, and what its page of the
# documentation tells to set.
FRAMEWORKS = {
    "devise": {
        "command": ["/usr/bin/ruby", str(PROGRAMS / "devise.rb")],
        "before": [["generate"]],
        "settings": {
            "READDRESS_USERS_PRESET": "devise",
            "READDRESS_PASSWORD_FORMAT": "bcrypt:12",
            "READDRESS_PASSWORD_PEPPER": PEPPER,
        },
    },
    "laravel": {
        "command": ["/usr/bin/php", str(PROGRAMS / "laravel.php")],
        "before": [],
        "settings": {"READDRESS_USERS_PRESET": "laravel", "READDRESS_PASSWORD_FORMAT": "bcrypt:10"},
    },
}


class Framework:
    """A framework's application, in a folder and a database of its own."""

    def __init__(self, name, folder, database_url):
        where = urlsplit(database_url)
        self.command, self.folder = FRAMEWORKS[name]["command"], folder
        self.environment = {
            "PATH": os.environ["PATH"], "HOME": folder, "LANG": "C.UTF-8",
            "DATABASE_URL": database_url, "PEPPER": PEPPER,
            "PGHOST": where.hostname, "PGPORT": str(where.port or 5432), "PGDATABASE": where.path[1:],
            "PGUSER": where.username or "postgres", "PGPASSWORD": where.password or "",
        }

    def run(self, *arguments):
        return subprocess.check_output([*self.command, *arguments], cwd=self.folder, env=self.environment, text=True)

    def signs_in(self, address, password=PASSWORD):
        answer = self.run("sign-in", address, password).strip()
        assert answer in ("yes", "no"), answer
        return answer == "yes"


def main(binary, postgres_url, name):
    database = f"readdress_{name}_{uuid.uuid4().hex[:12]}"
    database_url = f"{postgres_url.rsplit('/', 1)[0]}/{database}"
    admin = psycopg.connect(postgres_url, autocommit=True)
    admin.execute(f'CREATE DATABASE "{database}"')
    mailbox = Mailbox()
    service = f"http://127.0.0.1:{free_port()}"
    beside = {
        "PATH": os.environ["PATH"],
        "READDRESS_LISTEN": urlsplit(service).netloc,
        "READDRESS_APP_URL": service,
        "READDRESS_DATABASE_URL": database_url,
        "READDRESS_SMTP_URL": mailbox.url,
        "READDRESS_MAIL_FROM": "My site <accounts@mysite.example>",
        "READDRESS_SECRET_KEYS": subprocess.check_output([binary, "keygen"], text=True).strip(),
        **FRAMEWORKS[name]["settings"],
    }
    try:
        with tempfile.TemporaryDirectory() as folder:
            framework = Framework(name, folder, database_url)
            for arguments in FRAMEWORKS[name]["before"]:
                framework.run(*arguments)
            framework.run("make", OLD, PASSWORD)
            assert framework.signs_in(OLD) and not framework.signs_in(OLD, "wrong")

            subprocess.check_call([binary, "migrate", "columns", "--apply"], env=beside)
            subprocess.check_call([binary, "check"], env=beside)
            with running([binary, "serve"], service + "/healthz", env=beside):
                walk(framework, service, mailbox)
            by_hand = ["user", "set-email", "--from", OLD, "--to", LAST, "--reason", "a test"]
            subprocess.check_call([binary, *by_hand], env=beside)
            assert framework.signs_in(LAST) and not framework.signs_in(OLD)
    finally:
        mailbox.server.stop()
        admin.execute(f'DROP DATABASE "{database}" WITH (FORCE)')


def walk(framework, service, mailbox):
    step = f"{service}/v1/email-change/"
    status, answer = post(f"{service}/v1/session", {"email": OLD, "password": PASSWORD})
    assert status == 200, answer
    access = answer["access_token"]
    status, answer = post(step + "request", {"password": "wrong"}, access)
    assert (status, answer["code"]) == (403, "wrong_password"), answer
    assert post(step + "request", {"password": PASSWORD}, access)[0] == 202
    confirm = {"token": mailbox.token(OLD, "new-email"), "password": PASSWORD, "new_email": NEW}
    assert post(step + "confirm", confirm)[0] == 202
    status, answer = post(step + "activate", {"token": mailbox.token(NEW, "email-activation")})
    assert (status, answer.get("status")) == (200, "activated"), answer
    assert framework.signs_in(NEW) and not framework.signs_in(OLD), "it takes the new address"

    undo = {"token": mailbox.token(OLD, "undo-email-change"), "password": PASSWORD}
    status, answer = post(step + "undo", undo)
    assert (status, answer.get("status")) == (200, "undone"), answer
    assert framework.signs_in(OLD) and not framework.signs_in(NEW), "and the old one again"


if __name__ == "__main__":
    binary, postgres_url, *names = sys.argv[1:]
    for name in names:
        main(binary, postgres_url, name)
    print(f"Beside {' and '.join(names)}: {len(names)} walks, 0 failed.")
