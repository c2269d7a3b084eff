"""Walks one change through the container, and tries what operators rely on: its labels and settings, the
user it runs as, a root file system that cannot be written, no capabilities, the health command, and the end.

scripts/image-test calls it with the command that runs containers and the image.
"""
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from urllib.request import Request, urlopen

from support import Mailbox, free_port, post, running

PASSWORD = "correct horse battery staple"
OLD, NEW = "ann@example.com", "ann@new.example"
NAME = f"readdress-test-{os.getpid()}"
PORT = 8080


def main(*command):
    *run, image = command
    engine = run[0]
    inspected = json.loads(subprocess.check_output([engine, "image", "inspect", image], text=True))[0]
    read_labels(inspected["Config"], subprocess.check_output([*run, "--rm", image, "--version"], text=True))
    health = read_settings(inspected)
    mailbox = Mailbox()
    # The container has this machine's network, where something else may have the image's port.
    port = free_port() if is_taken(PORT) else PORT
    service = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory() as data:
        os.chmod(data, 0o777)
        key = subprocess.check_output([*run, "--rm", image, "keygen"], text=True).strip()
        settings = {
            "READDRESS_APP_URL": service,
            "READDRESS_SECRET_KEYS": key,
            "READDRESS_DATABASE_URL": "sqlite:///data/users.db",
            "READDRESS_SMTP_URL": mailbox.url,
            "READDRESS_MAIL_FROM": "accounts@example.com",
        }
        if port != PORT:
            settings["READDRESS_LISTEN"] = f"127.0.0.1:{port}"
        options = ["--volume", f"{data}:/data"]
        for name, value in settings.items():
            options += ["--env", f"{name}={value}"]
        subprocess.check_call([*run, "--rm", *options, image, "migrate", "up"])
        add = [*run, "--rm", "--interactive", *options, image, "user", "add", OLD]
        subprocess.run(add, input=PASSWORD + "\n", text=True, check=True)

        with running([*run, "--name", NAME, *options, image], service + "/healthz") as container:
            walk(service, mailbox)
            look(engine, health)
            began = time.monotonic()
            subprocess.check_call([engine, "stop", "--time", "15", NAME], stdout=subprocess.DEVNULL)
            code = container.wait(timeout=15)
            took = time.monotonic() - began
            assert (code, took < 10) == (0, True), f"ended with {code} after {took:.1f} s"
        subprocess.call([engine, "rm", "--force", NAME], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    mailbox.server.stop()


def read_labels(config, version):
    """What a registry and a scanner read without running anything."""
    labels = config["Labels"]
    for name, pattern in {
        "title": "readdress",
        "description": ".+",
        "licenses": "MIT OR Apache-2.0",
        "version": re.escape(version.split()[1]),
        "revision": "[0-9a-f]{40}",
        "created": r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ",
        "base.name": "[^/]+/.+",
    }.items():
        value = labels.get(f"org.opencontainers.image.{name}", "")
        assert re.fullmatch(pattern, value), f"label {name}: {value!r}"


def read_settings(inspected):
    """How an engine starts it; returns how it asks whether it lives."""
    config = inspected["Config"]
    assert re.fullmatch(r"\d+:\d+", config["User"]), config["User"]
    assert config["Entrypoint"] + config["Cmd"] == ["/usr/local/bin/readdress", "serve"], config
    assert f"READDRESS_LISTEN=0.0.0.0:{PORT}" in config["Env"], config["Env"]
    # Podman names it beside the rest.
    health = config.get("Healthcheck") or inspected.get("Healthcheck")
    assert health, "there is no health check"
    kind, *command = health["Test"]
    assert kind == "CMD", f"the health check takes a shell, and there is none: {health}"
    return command


def is_taken(port):
    try:
        socket.create_server(("0.0.0.0", port)).close()
    except OSError:
        return True
    return False


def walk(service, mailbox):
    status, session = post(service + "/v1/session", {"email": OLD, "password": PASSWORD})
    assert status == 200, session
    request = Request(
        service + "/v1/email-change/request",
        json.dumps({"password": PASSWORD}).encode(),
        {"Content-Type": "application/json", "Authorization": f"Bearer {session['access_token']}"},
    )
    with urlopen(request, timeout=15) as response:
        assert response.status == 202
    confirm = {"token": mailbox.token(OLD, "new-email"), "password": PASSWORD, "new_email": NEW}
    assert post(service + "/v1/email-change/confirm", confirm)[0] == 202
    status, answer = post(service + "/v1/email-change/activate", {"token": mailbox.token(NEW, "email-activation")})
    assert (status, answer.get("status")) == (200, "activated"), answer
    assert post(service + "/v1/session", {"email": OLD, "password": PASSWORD})[0] == 401
    assert post(service + "/v1/session", {"email": NEW, "password": PASSWORD})[0] == 200
    with urlopen(service + "/email-activation", timeout=15) as page:
        assert page.status == 200 and b"<html" in page.read(), "the pages are in the image"


def look(engine, health):
    subprocess.check_call([engine, "exec", NAME, *health])
    pid = subprocess.check_output([engine, "inspect", "--format", "{{.State.Pid}}", NAME], text=True).strip()
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        process = dict(line.rstrip().split(":\t", 1) for line in status if ":\t" in line)
    assert process["Uid"].split()[:2] == ["65532", "65532"], process["Uid"]
    assert int(process["CapEff"], 16) == 0 and process["NoNewPrivs"] == "1", process
    with open(f"/proc/{pid}/mounts", encoding="utf-8") as mounts:
        root = next(line for line in mounts if line.split()[1] == "/")
    assert "ro" in root.split()[3].split(","), root


if __name__ == "__main__":
    main(*sys.argv[1:])
    print("The image works: 1 walk, 0 failed.")
