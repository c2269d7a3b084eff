"""What the walks share: a mailbox behind a real SMTP conversation, processes, and JSON over HTTP."""
import contextlib
import email
import email.policy
import json
import re
import socket
import subprocess
import time
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from aiosmtpd.controller import Controller


class Mailbox:
    """Keeps what it is handed over SMTP."""

    def __init__(self, port=None):
        self.mails = []
        self.server = Controller(self, hostname="127.0.0.1", port=port or free_port())
        self.server.start()
        self.url = f"smtp://127.0.0.1:{self.server.port}?tls=none"

    async def handle_DATA(self, server, session, envelope):
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        text = message.get_body(("plain",)).get_content().replace("\r\n", "\n")
        self.mails.append((envelope.rcpt_tos[0], text))
        return "250 2.0.0 kept"

    def token(self, to, page):
        """Of the newest link to that page in a mail to that address."""
        token = self.find_token(to, page)
        assert token, f"no {page} link among {len(self.mails)} mails"
        return token

    def find_token(self, to, page):
        for recipient, text in reversed(self.mails):
            found = re.search(rf"^\S+/{page}\?token=(\S+)$", text, re.M)
            if recipient == to and found:
                return found.group(1)
        return None


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def running(command, url, **options):
    """The process, once something answers at the URL; ended at the end."""
    process = subprocess.Popen(command, **options)
    try:
        for _ in range(150):
            assert process.poll() is None, f"{command[0]} ended with {process.returncode}"
            with contextlib.suppress(OSError):
                with urlopen(url, timeout=1):
                    break
            time.sleep(0.1)
        else:
            raise AssertionError(f"nothing answers at {url}")
        yield process
    finally:
        process.terminate()
        process.wait(timeout=15)


def post(url, body, access=None):
    request = Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    if access:
        request.add_header("Authorization", f"Bearer {access}")
    try:
        with urlopen(request, timeout=15) as response:
            return response.status, json.load(response)
    except HTTPError as error:
        return error.code, json.load(error)
