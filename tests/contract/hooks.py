"""What Schemathesis is told beside the document: who is signed in, what a true request is, and three
checks of this service's own.

The good requests generated for an operation are sent in rounds of six, so that it is met by links that
hold, links that were used, links for another step, and inventions. The bad ones get a link and a
password where they have a text, so that only what is bad about them is left to be refused. Afterwards
Schemathesis looks again whether the document allows the body.
"""
import collections
import json

import schemathesis
from schemathesis.core.parameters import ParameterLocation
from schemathesis.specs.openapi.checks import is_unexpected_http_status_case

from stock import PAGES, PASSWORD

ROUND = 6
# The place in the round where everything is as it was at the place before, where it held.
AGAIN = 1
# Which link an operation asks for.
KINDS = {
    "confirmEmailChange": "confirm",
    "activateEmailChange": "activate",
    "cancelEmailChange": "cancel",
    "undoEmailChange": "undo",
}

# Set by fuzz.py, which reads `answers` at the end.
stock = None
answers = collections.defaultdict(collections.Counter)

sent = collections.Counter()
true_requests = set()


def truth(operation, body, place, round_):
    """What of the body is replaced in this place of the round."""
    if operation == "signIn":
        everything = {"email": stock.caller.email(), "password": PASSWORD}
        return [everything, everything, {"email": everything["email"]}, everything, {}, {"password": PASSWORD}][place]
    if operation == "requestEmailChange":
        return {} if place in (2, 4) else {"password": PASSWORD}
    if operation == "inspectLink":
        # What the step before has sent is left as it is.
        if place == 4 or str(body.get("token")) in stock.issued:
            return {}
        return {"token": stock.latest(list(PAGES)[(round_ + place) % len(PAGES)])}
    kind = KINDS[operation]
    if place == 4:
        return {}
    if place == 5:
        return {"token": stock.latest("cancel" if kind != "cancel" else "confirm"), "password": PASSWORD}
    token = {"token": stock.fresh(kind) if place in (0, 3) else stock.latest(kind)}
    if place in (0, AGAIN):
        return {**token, "password": PASSWORD, "new_email": stock.new_email}
    # With what was invented: a password every other time, an address always.
    return {**token, "password": PASSWORD} if (round_ + place) % 2 else token


def is_filled(value):
    """Only a text that the document allows is replaced by another: what was made to be refused stays so."""
    return isinstance(value, str) and "\0" not in value


@schemathesis.hook
def before_call(context, case, kwargs):
    if not isinstance(case.body, dict):
        return
    operation, round_, place = operation_of(case), 0, AGAIN
    is_good = case.meta and case.meta.generation.mode.is_positive
    if is_good:
        round_, place = divmod(sent[operation], ROUND)
        sent[operation] += 1
    known = truth(operation, case.body, place, round_)
    case.body = {name: known[name] if name in known and is_filled(value) else value for name, value in case.body.items()}
    if is_good and place in (0, AGAIN):
        true_requests.add(case.id)


@schemathesis.auth(refresh_interval=None)
class SignedIn:
    def get(self, case, context):
        return stock.caller.http.headers["Authorization"]

    def set(self, case, data, context):
        case.headers["Authorization"] = data


def operation_of(case):
    return case.operation.definition.raw["operationId"]


def code_of(response):
    is_problem = "application/problem+json" in response.headers.get("content-type", [])
    return json.loads(response.content)["code"] if is_problem else None


@schemathesis.check
def malformed_is_what_the_document_forbids(context, response, case):
    """A body that the document forbids is malformed, whatever else is wrong; any other is not."""
    if case.meta is None or is_unexpected_http_status_case(case):
        return
    code = code_of(response)
    if case.meta.is_negative_at(ParameterLocation.BODY):
        refusals = ("malformed_request", "unsupported_media_type", "payload_too_large", "unauthenticated")
        assert code in refusals, f"the document forbids this body; the answer is {response.status_code} {code}"
    elif case.meta.generation.mode.is_positive:
        assert code != "malformed_request", "the document allows this request"


@schemathesis.check
def code_is_documented(context, response, case):
    """The document has an example of each code that an operation answers."""
    code = code_of(response)
    if code and not is_unexpected_http_status_case(case):
        documented = case.operation.definition.raw["responses"].get(str(response.status_code), {})
        examples = documented.get("content", {}).get("application/problem+json", {}).get("examples", {})
        assert code in examples, f"{code} is not documented for {response.status_code}"


@schemathesis.check
class TrueRequestsAreAccepted:
    """Fails if a true request is refused, or an operation never accepted one."""

    def __init__(self):
        self.seen, self.accepted = set(), set()

    def after_response(self, context, response, case):
        operation, status = operation_of(case), response.status_code
        answer = json.loads(response.content) if response.content else {}
        said = [str(answer[name]) for name in ("code", "status", "kind", "state") if answer.get(name, status) != status]
        answers[operation][" ".join([str(status), *said])] += 1
        self.seen.add(operation)
        if status < 300:
            self.accepted.add(operation)
        elif case.id in true_requests and case.meta and case.meta.generation.mode.is_positive:
            raise AssertionError(f"a true request is answered {status} {code_of(response)}")

    def after_run(self, context):
        never = sorted(self.seen - self.accepted)
        assert not never, f"never accepted: {', '.join(never)}"
