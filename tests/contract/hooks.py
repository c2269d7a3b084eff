"""Gives schemathesis what no schema can describe: links that hold, and the password that fits.

Every case that is meant to be good gets them just before it is sent, so the steps are driven through
their success and not only to "this is no link of ours". What is meant to be bad stays as it was made.
"""
import json
import os
import sys
from pathlib import Path
from urllib.request import Request, urlopen

import schemathesis
from schemathesis import GenerationMode

sys.path.append(str(Path(__file__).resolve().parents[1] / "walks"))
from support import Mailbox  # noqa: E402

URL, PASSWORD = os.environ["URL"], os.environ["PASSWORD"]
HOME, AWAY = "ann@example.com", "ann@example.org"
MAILBOX = Mailbox(int(os.environ["SMTP_PORT"]))
ISSUED = set()


def call(path, body=None, access=None):
    headers = {"Content-Type": "application/json"}
    if access:
        headers["Authorization"] = f"Bearer {access}"
    request = Request(URL + path, None if body is None else json.dumps(body).encode(), headers)
    with urlopen(request, timeout=15) as response:
        return json.load(response)


ACCESS = call("/v1/session", {"email": HOME, "password": PASSWORD})["access_token"]


def current():
    return call("/v1/me", access=ACCESS)["email"]


def newest(to, page):
    token = MAILBOX.token(to, page)
    ISSUED.add(token)
    return token


def requested(page):
    call("/v1/email-change/request", {"password": PASSWORD}, ACCESS)
    return newest(current(), page)


def confirm():
    return requested("new-email")


def cancel():
    return requested("cancel-email-change")


def activate():
    other = HOME if current() != HOME else AWAY
    call("/v1/email-change/confirm", {"token": confirm(), "password": PASSWORD, "new_email": other})
    return newest(other, "email-activation")


def undo():
    """A change inside a window that is open mails no undo link: the link that opened it still holds."""
    for to in (HOME, AWAY):
        token = MAILBOX.find_token(to, "undo-email-change")
        if token and call("/v1/email-change/inspect", {"token": token})["state"] in ("usable", "already_undone"):
            return token
    old = current()
    call("/v1/email-change/activate", {"token": activate()})
    return newest(old, "undo-email-change")


FRESH = {
    "confirmEmailChange": confirm,
    "activateEmailChange": activate,
    "cancelEmailChange": cancel,
    "undoEmailChange": undo,
    "inspectLink": confirm,
}


@schemathesis.auth()
class SignedIn:
    def get(self, case, context):
        return ACCESS

    def set(self, case, data, context):
        case.headers["Authorization"] = f"Bearer {data}"


@schemathesis.hook
def before_call(context, case, kwargs):
    body = case.body
    if case.meta is None or case.meta.generation.mode != GenerationMode.POSITIVE or not isinstance(body, dict):
        return
    operation = case.operation.definition.raw["operationId"]
    if "password" in body:
        body["password"] = PASSWORD
    if operation == "signIn":
        body["email"] = current()
    # A link that came from another step (stateful testing) may be used up; it can be inspected still.
    elif operation in FRESH and not (operation == "inspectLink" and body.get("token") in ISSUED):
        body["token"] = FRESH[operation]()
