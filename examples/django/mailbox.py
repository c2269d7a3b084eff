"""A mailbox to try things out: prints the text of every mail that it is handed.

    pip install aiosmtpd
    python mailbox.py          # then READDRESS_SMTP_URL='smtp://127.0.0.1:1025?tls=none'
"""
import email
import email.policy
import threading

from aiosmtpd.controller import Controller


class Printer:
    async def handle_DATA(self, server, session, envelope):
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        text = message.get_body(("plain",)).get_content()
        print(f"\n==== To: {envelope.rcpt_tos[0]}    Subject: {message['subject']}\n\n{text}", flush=True)
        return "250 2.0.0 printed"


if __name__ == "__main__":
    Controller(Printer(), hostname="127.0.0.1", port=1025).start()
    print("Waiting for mail on 127.0.0.1:1025. Ctrl-C ends it.", flush=True)
    threading.Event().wait()
