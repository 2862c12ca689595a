"""The API: it answers who signs the call and may ask, and nobody else. Nothing is signed with the key.

The request that is sent fits the API's model and is no signing request: `messageHash` is no hash. So the answer
`invalid_digest` or `invalid_address` can only come from our function. Sources: the API Gateway developer guide,
"Control access to a REST API with IAM permissions" and "Gateway response types".
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from bursar.aws.cloud import api_url, aws_errors, is_emulator
from bursar.aws.doctor.case import Case
from bursar.aws.doctor.checks import Check, fail, ok, skip, warn
from bursar.aws.remote import Api
from bursar.kms.credentials import CredentialChain, CredentialsProvider
from bursar.kms.sigv4 import SigV4

if TYPE_CHECKING:
    import httpx2

_BODY = json.dumps({"messageHash": "bursar-doctor", "signerAddress": "bursar-doctor"}).encode()
_MAX_ANSWER = 65_536
_FROM_THE_FUNCTION = {"invalid_digest", "invalid_address"}
_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer of the API: its status, the error code or type in it, its message. Status 0: there was none."""

    status: int
    code: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class Door:
    """The API from here: where it is, whose credentials to use, and how to make a client."""

    api: Api
    credentials: CredentialsProvider
    client: Callable[[], httpx2.Client]

    @classmethod
    def of(cls, case: Case) -> Door:
        """Return the door of a deployed case."""
        import httpx2

        url = api_url(case.outputs, case.cloud.endpoint)
        here = is_emulator(url)  # no proxy between us and this machine
        return cls(
            Api.at(url, case.cloud.region),
            CredentialChain(),
            lambda: httpx2.Client(timeout=_SECONDS, follow_redirects=False, trust_env=not here),
        )

    def knock(self, *, signed: bool) -> Answer:
        """Send the request that no signature can come of, signed with the caller's credentials or not at all."""
        import httpx2

        parts = urlsplit(self.api.url)
        headers = {"host": parts.netloc, "content-type": "application/json"}
        if signed:
            sigv4 = SigV4(self.api.region, "execute-api", parts.path or "/")
            headers = sigv4.sign(self.credentials(), headers, _BODY, time.time())
        try:
            with self.client() as client:
                response = client.post(self.api.url, content=_BODY, headers=headers)
            return _read(response.status_code, response.content[:_MAX_ANSWER], response.headers)
        except (httpx2.HTTPError, OSError) as error:
            kind = type(error).__name__
        # Out of the handler: the other exception holds the request, and with it the session token.
        return Answer(0, kind)


def api(case: Case) -> Iterator[Check]:
    """Does the API answer a signed call, and turn an unsigned one away? It costs `execute-api:Invoke`."""
    if "ApiId" not in case.outputs:
        yield skip("api", case.why_not)
        return
    door = Door.of(case)
    private = case.outputs.get("ApiAccess") == "private"
    unsigned = door.knock(signed=False)
    if unsigned.status == 0:
        yield unreachable(unsigned, door.api.url, private=private)
        return
    yield judge_unsigned(unsigned)
    yield judge_signed(door.knock(signed=True), case.outputs.get("InvokePolicyArn", ""))


def access_logs(case: Case) -> Iterator[Check]:
    """May API Gateway write logs in this Region at all? It costs `apigateway:GET`."""
    plan = case.plan
    if plan.compute != "lambda" or not plan.api.access_logs:
        return
    if case.cloud.emulated:
        yield skip("api.logs", "the local emulator writes no access logs")
        return
    with aws_errors():
        account = case.cloud.client("apigateway").get_account()
    if account.get("cloudwatchRoleArn"):
        yield ok("api.logs", "API Gateway may write logs in this Region")
    elif case.stack is None:
        yield ok(
            "api.logs",
            "API Gateway may not write logs in this Region; the first deployment lets it",
        )
    else:
        yield warn(
            "api.logs",
            "API Gateway may not write logs in this Region: nobody sees who asked",
            "`bursar aws deploy` lets it, a setting of the whole account",
        )


def judge_unsigned(answer: Answer) -> Check:
    """Say what the answer to an unsigned call means."""
    if answer.status == 403:
        return ok("api.unsigned", "an unsigned call is turned away with 403")
    return fail(
        "api.unsigned",
        f"an unsigned call is answered with {answer.status}{_code(answer)}: the API is open, or not ours",
        "look at the method's authorization (AWS_IAM) and deploy again",
    )


def judge_signed(answer: Answer, policy_arn: str) -> Check:
    """Say what the answer to a signed call that asks for nothing means."""
    name = "api.signed"
    if answer.status == 400 and answer.code in _FROM_THE_FUNCTION:
        return ok(name, f"a signed call reaches the function, which refuses it as {answer.code}")
    if answer.status == 403 and _is_a_bad_signature(answer):
        return fail(
            name,
            f"API Gateway does not accept the call's signature{_code(answer)}",
            "check the credentials, and the clock",
        )
    if answer.status == 403:
        return warn(
            name,
            "this caller may not ask for signatures",
            f"if it should: attach {policy_arn or 'the InvokePolicy of the stack'} to it",
        )
    if answer.status == 429:
        return warn(
            name,
            "the signer is busy",
            "look again; raise api.rate or the concurrency if it stays so",
        )
    why = f"{answer.status}{_code(answer)}" if answer.status else f"nothing ({answer.code})"
    return fail(
        name,
        f"a signed call is answered with {why}",
        "the function's log group has the reason; `bursar aws status` shows its state",
    )


def unreachable(answer: Answer, url: str, *, private: bool) -> Check:
    """Say what it means that no answer came."""
    if private:
        return skip(
            "api",
            "the API is private, and is reached through its VPC endpoint only",
            "run `bursar doctor --only api` on a machine inside that VPC",
        )
    return fail(
        "api", f"{url} cannot be reached ({answer.code})", "check the network and its proxy"
    )


def _read(status: int, body: bytes, headers: Any) -> Answer:
    # Gateway answers carry their type in a header, ours a code in the body.
    kind = str(headers.get("x-amzn-errortype", "")).partition(":")[0]
    try:
        found: Any = json.loads(body)
    except ValueError:
        found = {}
    error = found.get("error") if isinstance(found, dict) else None
    if isinstance(error, dict):
        return Answer(
            status, str(error.get("code", kind))[:64], str(error.get("message", ""))[:200]
        )
    message = found.get("message") or found.get("Message") if isinstance(found, dict) else ""
    return Answer(status, kind[:64], str(message or "")[:200])


def _is_a_bad_signature(answer: Answer) -> bool:
    kinds = (
        "InvalidSignature",
        "SignatureDoesNotMatch",
        "UnrecognizedClient",
        "IncompleteSignature",
        "ExpiredToken",
    )
    return answer.code.startswith(kinds) or "signature" in answer.message.lower()


def _code(answer: Answer) -> str:
    return f" ({answer.code})" if answer.code else ""
