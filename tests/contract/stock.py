"""A service at work, and people who walk through it as far as a link is needed.

A generated token is refused at the first look. For requests that get further there are accounts here,
one for each kind of link, and their mails are read as a person would read them.
"""
import contextlib
import os
import subprocess
import sys
from pathlib import Path

import requests

sys.path.append(str(Path(__file__).resolve().parents[1] / "walks"))
from support import Mailbox, free_port, running  # noqa: E402

PASSWORD = "correct horse battery staple"
PAGES = {
    "confirm": "new-email",
    "activate": "email-activation",
    "cancel": "cancel-email-change",
    "undo": "undo-email-change",
}


@contextlib.contextmanager
def service(binary, directory, log):
    """The binary as in production, with limits off: SQLite, a real SMTP conversation, a free port."""
    mailbox = Mailbox()
    url = f"http://127.0.0.1:{free_port()}"
    environment = {
        "READDRESS_LISTEN": url.removeprefix("http://"),
        "READDRESS_APP_URL": url,
        "READDRESS_DATABASE_URL": f"sqlite://{directory}/users.db",
        "READDRESS_SMTP_URL": mailbox.url,
        "READDRESS_MAIL_FROM": "accounts@example.com",
        "READDRESS_SECRET_KEYS": subprocess.check_output([binary, "keygen"], text=True).strip(),
        # The run is longer than a token lives by default.
        "READDRESS_ACCESS_TTL": "2h",
        "RUST_LOG": os.environ.get("RUST_LOG", "warn"),
        **{f"READDRESS_LIMIT_{name}": "off" for name in ("PASSWORDS", "RECIPIENT", "RECIPIENT_ALL", "CLIENT")},
    }
    options = {"env": environment, "stdout": log, "stderr": log}
    subprocess.check_call([binary, "migrate", "up"], **options)
    for name in (*PAGES, "caller"):
        add = [binary, "user", "add", f"{name}@example.com"]
        subprocess.run(add, input=f"{PASSWORD}\n", text=True, check=True, **options)
    with running([binary, "serve"], f"{url}/readyz", **options):
        yield url, mailbox


class Account:
    """A person who changes the address again and again."""

    def __init__(self, url, mailbox, name):
        self.url, self.mailbox, self.name = url, mailbox, name
        self.changes = 0
        self.undoing = None
        self.http = requests.Session()
        session = self.post("session", email=f"{name}@example.com", password=PASSWORD)
        self.http.headers["Authorization"] = f"Bearer {session['access_token']}"

    def post(self, path, **body):
        answer = self.http.post(f"{self.url}/v1/{path}", json=body, timeout=30)
        answer.raise_for_status()
        return answer.json()

    def email(self):
        return self.http.get(f"{self.url}/v1/me", timeout=30).json()["email"]

    def next_email(self):
        self.changes += 1
        return f"{self.name}-{self.changes}@new.example"

    def mailed(self, to, kind):
        return self.mailbox.token(to, PAGES[kind])

    def fresh(self, kind):
        """A link of that kind that nobody has used."""
        return getattr(self, kind)()

    def confirm(self):
        self.post("email-change/request", password=PASSWORD)
        return self.mailed(self.email(), "confirm")

    def cancel(self):
        self.post("email-change/request", password=PASSWORD)
        return self.mailed(self.email(), "cancel")

    def activate(self):
        token, new_email = self.confirm(), self.next_email()
        self.post("email-change/confirm", token=token, password=PASSWORD, new_email=new_email)
        return self.mailed(new_email, "activate")

    def undo(self):
        # Within the window of one change, the notice of another has no undo link.
        if self.undoing:
            self.post("email-change/undo", token=self.undoing, password=PASSWORD)
        old_email = self.email()
        self.post("email-change/activate", token=self.activate())
        self.undoing = self.mailed(old_email, "undo")
        return self.undoing


class Stock:
    """What generated requests are filled with."""

    def __init__(self, url, mailbox):
        self.caller = Account(url, mailbox, "caller")
        self.accounts = {kind: Account(url, mailbox, kind) for kind in PAGES}
        self.links = {}
        self.issued = set()
        self.new_email = None

    def fresh(self, kind):
        account = self.accounts[kind]
        self.links[kind] = account.fresh(kind)
        self.issued.add(self.links[kind])
        if kind == "confirm":
            # One for each link: the same again is the same confirm again.
            self.new_email = account.next_email()
        return self.links[kind]

    def latest(self, kind):
        return self.links.get(kind) or self.fresh(kind)
