"""Walks the Django example end to end, as its README tells it: real PostgreSQL, Django's own
migrations and login, the real binary beside it, a real SMTP conversation.

scripts/django-test calls it with the binary and the URL of a PostgreSQL.
"""
import os
import re
import subprocess
import sys
import uuid
from http.cookiejar import CookieJar
from pathlib import Path
from urllib.parse import urlencode, urlsplit
from urllib.request import HTTPCookieProcessor, build_opener

import psycopg

from support import Mailbox, free_port, post, running

PROJECT = Path(__file__).resolve().parents[2] / "examples" / "django"
PASSWORD = "correct horse battery staple"
OLD, NEW = "ann@example.com", "ann@new.example"


class Browser:
    """Cookies and forms, without script."""

    def __init__(self, base):
        self.base = base
        self.opener = build_opener(HTTPCookieProcessor(CookieJar()))

    def get(self, path):
        with self.opener.open(self.base + path, timeout=15) as response:
            return response.url, response.read().decode()

    def submit(self, path, **fields):
        _, page = self.get(path)
        fields["csrfmiddlewaretoken"] = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page).group(1)
        with self.opener.open(self.base + path, urlencode(fields).encode(), timeout=15) as response:
            return response.url, response.read().decode()


def signs_in(django, address):
    url, _ = Browser(django).submit("/login/", username=address, password=PASSWORD)
    return urlsplit(url).path == "/"


def main(binary, postgres_url):
    database = f"readdress_django_{uuid.uuid4().hex[:12]}"
    where = urlsplit(postgres_url)
    admin = psycopg.connect(postgres_url, autocommit=True)
    admin.execute(f'CREATE DATABASE "{database}"')
    mailbox = Mailbox()
    django, service = (f"http://127.0.0.1:{free_port()}" for _ in range(2))
    environment = {
        **os.environ,
        "PGHOST": where.hostname, "PGPORT": str(where.port or 5432), "PGDATABASE": database,
        "PGUSER": where.username or "postgres", "PGPASSWORD": where.password or "",
        "READDRESS_URL": service,
    }
    # What the page of the documentation tells to set, and nothing else.
    beside = {
        "PATH": os.environ["PATH"],
        "READDRESS_LISTEN": urlsplit(service).netloc,
        "READDRESS_APP_URL": service,
        "READDRESS_DATABASE_URL": f"{postgres_url.rsplit('/', 1)[0]}/{database}",
        "READDRESS_SMTP_URL": mailbox.url,
        "READDRESS_MAIL_FROM": "My site <accounts@mysite.example>",
        "READDRESS_SECRET_KEYS": subprocess.check_output([binary, "keygen"], text=True).strip(),
        **dict(line.split("=", 1) for line in (PROJECT / "readdress.env").read_text().splitlines() if line and line[0] != "#"),
    }
    manage = [sys.executable, "manage.py"]
    try:
        subprocess.check_call([*manage, "migrate", "--verbosity", "0"], env=environment, cwd=PROJECT)
        make_user = f"from django.contrib.auth.models import User; User.objects.create_user({OLD!r}, {OLD!r}, {PASSWORD!r})"
        subprocess.check_call([*manage, "shell", "--verbosity", "0", "-c", make_user], env=environment, cwd=PROJECT)

        refused = subprocess.run([binary, "serve"], env=beside, capture_output=True, text=True, timeout=15)
        assert refused.returncode != 0 and "CREATE UNIQUE INDEX" in refused.stderr, refused.stderr
        subprocess.check_call([binary, "migrate", "columns", "--apply"], env=beside)
        with psycopg.connect(dbname=database, host=where.hostname, port=where.port or 5432, user=where.username) as own:
            own.execute("CREATE UNIQUE INDEX auth_user_email_folded ON auth_user (lower(email)) WHERE email <> ''")
        subprocess.check_call([binary, "check"], env=beside)

        runserver = [*manage, "runserver", "--noreload", urlsplit(django).netloc]
        with running([binary, "serve"], service + "/healthz", env=beside), \
                running(runserver, django + "/login/", env=environment, cwd=PROJECT):
            walk(django, service, mailbox)
        with psycopg.connect(dbname=database, host=where.hostname, port=where.port or 5432, user=where.username) as own:
            row = own.execute("SELECT username, email FROM auth_user").fetchone()
        assert row == (NEW, NEW), row
    finally:
        mailbox.server.stop()
        admin.execute(f'DROP DATABASE "{database}" WITH (FORCE)')


def walk(django, service, mailbox):
    step = f"{service}/v1/email-change/"
    assert signs_in(django, OLD)
    ann = Browser(django)
    ann.submit("/login/", username=OLD, password=PASSWORD)
    _, page = ann.submit("/", password="wrong")
    assert "That is not your password." in page and not mailbox.mails, page
    _, page = ann.submit("/", password=PASSWORD)
    assert "We sent a link to a***@example.com" in page, page
    assert "127.0.0.1" in mailbox.mails[-1][1], "the mail says from where"

    confirm = {"token": mailbox.token(OLD, "new-email"), "password": PASSWORD, "new_email": NEW}
    status, answer = post(step + "confirm", confirm)
    assert (status, answer.get("sent_to")) == (202, NEW), answer
    assert signs_in(django, OLD) and not signs_in(django, NEW), "nothing has changed before the new mailbox was proven"
    activate = {"token": mailbox.token(NEW, "email-activation")}
    for expected in ["activated", "already_active"]:
        status, answer = post(step + "activate", activate)
        assert (status, answer.get("status")) == (200, expected), answer
    assert signs_in(django, NEW) and not signs_in(django, OLD), "Django's own login takes the new address"

    undo = {"token": mailbox.token(OLD, "undo-email-change"), "password": PASSWORD}
    status, answer = post(step + "undo", undo)
    assert (status, answer.get("status")) == (200, "undone"), answer
    assert signs_in(django, OLD) and not signs_in(django, NEW)

    _, page = ann.submit("/", password=PASSWORD)
    assert "We sent a link" in page, page
    confirm["token"] = mailbox.token(OLD, "new-email")
    assert post(step + "confirm", confirm)[0] == 202
    status, answer = post(step + "activate", {"token": mailbox.token(NEW, "email-activation")})
    assert (status, answer.get("status")) == (200, "activated"), answer


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
    print("The Django example works: 1 walk, 0 failed.")
