"""All that Django has to know of readdress: how to ask for the first mail.

The other steps happen on readdress's own pages; the links in the mails lead there.
"""
import json
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from django.conf import settings
from rest_framework_simplejwt.tokens import AccessToken

# What a person can do about it, by the `code` of the problem document.
SENTENCES = {
    "wrong_password": "That is not your password.",
    "rate_limited": "Too many tries. Wait some minutes, then try again.",
    "undeliverable": "Your current address does not accept mail any more. Write to our support.",
}
LATER = "The mail could not be sent. Nothing has changed; try again in a minute."


def request_email_change(user, password, client_address):
    """Asks readdress to mail a link to the user's current address.

    Returns (masked address, None), or (None, a sentence for the user).
    """
    token = AccessToken.for_user(user)
    request = Request(
        f"{settings.READDRESS_URL}/v1/email-change/request",
        data=json.dumps({"password": password}).encode(),
        headers={
            "Content-Type": "application/json",
            "Authorization": f"Bearer {token}",
            # Limits, and "from where" in the mail; believed because of READDRESS_TRUSTED_PROXIES.
            "X-Forwarded-For": client_address,
        },
    )
    try:
        with urlopen(request, timeout=10) as response:
            return json.load(response)["sent_to"], None
    except HTTPError as error:
        return None, SENTENCES.get(json.load(error).get("code"), LATER)
    except (URLError, TimeoutError):
        return None, LATER
