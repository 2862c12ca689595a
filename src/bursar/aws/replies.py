"""What a deployed signer's reply means: a proved signature, or the error to raise. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeGuard

from bursar.chains import evm
from bursar.chains.evm import Scheme
from bursar.errors import (
    AwsCredentials,
    KmsCredentials,
    RequestError,
    RequestTooLarge,
    SignatureError,
    SigningServiceDenied,
    SigningServiceError,
    SigningServiceRefused,
    SigningServiceUnavailable,
)
from bursar.kms.faults import error_for
from bursar.signer import SignedHash
from bursar.signing_contract import MAX_BODY_BYTES, Answer, ApprovalRequest, Consent, parse_json


class Expected(Protocol):
    """What an answer has to be a signature over, and whose. Both requests for a signature are this."""

    @property
    def digest(self) -> bytes:
        """The 32 bytes that are signed."""
        ...

    @property
    def signer_address(self) -> str:
        """The account that signs, checksummed."""
        ...

    @property
    def scheme(self) -> Scheme:
        """The scheme that was asked for."""
        ...


def read_reply(status: int, body: bytes, request: Expected, *, error_type: str = "") -> Answer:
    """Return the answer in a deployed signer's HTTP reply, proved to be over this digest by this address.

    What it says of the policy is the signer's word, and is not proved here.

    `error_type` is the header x-amzn-errortype, by which API Gateway tells its own 403s apart. Source: AWS
    knowledge center, "How do I troubleshoot HTTP 403 errors from API Gateway?"

    Raises:
        AwsCredentials: the door does not accept the credentials or the request's signature, or they have expired.
        SigningServiceDenied: 401 or 403 from the door itself: who is asking may not.
        SigningServiceRefused: the signer turned the request down; `reason` is its code.
        SigningServiceUnavailable: 408, 429 or 5xx, retryable where asking again can help.
        SigningServiceError: any other status, or nothing of the API's is at this URL.
        SignatureError: an answer that is not the contract's, or a signature that is not this signer's.
    """
    if status == 200:
        return _read_answer(body, request)
    raise _error_of(status, body, error_type)


def read_consent(
    status: int, body: bytes, request: ApprovalRequest, *, error_type: str = ""
) -> Consent:
    """Return the consent in a deployed signer's HTTP reply, for the digest that was asked about.

    Raises:
        SignatureError: an answer that is not the contract's, or is about another digest.
        AwsCredentials, SigningServiceError: as `read_reply`.
    """
    if status != 200:
        raise _error_of(status, body, error_type)
    data = _read_object(body)
    missing, by = data.get("missing"), data.get("consentedBy")
    digest = "0x" + request.digest.hex()
    if data.get("digest") != digest or not isinstance(by, str) or not _is_count(missing):
        raise _not_the_contracts()
    return Consent(digest, _plain(by), missing, _policy(data))


def _error_of(status: int, body: bytes, error_type: str) -> AwsCredentials | SigningServiceError:
    told = _read_error(body)
    if told.code is None and status in (401, 403):
        return _turned_away(status, error_type, _gateway_message(body))
    return _service_error(status, told)


def _read_answer(body: bytes, request: Expected) -> Answer:
    data = _read_object(body)
    try:
        signature = bytes.fromhex(str(data["signature"]).removeprefix("0x"))
    except (ValueError, KeyError):
        raise _not_the_contracts() from None
    digest = request.digest
    proved = evm.parse_signature(signature, digest, request.signer_address)
    request_id = _plain(data.get("requestId", ""))[:128]
    signed = SignedHash(proved, digest, request.signer_address, request_id)
    return Answer(signed, request.scheme, _policy(data))


def _read_object(body: bytes) -> dict[str, Any]:
    try:
        if len(body) > MAX_BODY_BYTES:
            raise RequestTooLarge("the answer is too large")
        data = parse_json(body, "the answer")
    except RequestError:
        raise _not_the_contracts() from None
    if not isinstance(data, dict):
        raise _not_the_contracts()
    return data


def _not_the_contracts() -> SignatureError:
    return SignatureError(
        "the signer's answer is not the signing contract's",
        hint="check that the address is the one bursar aws outputs prints",
    )


def _policy(data: dict[str, Any]) -> dict[str, Any]:
    """Return what an answer says of the policy, as far as it is of the contract's form; older signers say less."""
    found = data.get("policy")
    found = found if isinstance(found, dict) else {}
    texts = {
        name: _plain(found[name])
        for name in ("hash", "sentence", "rule")
        if isinstance(found.get(name), str)
    }
    version, receipt = found.get("version"), found.get("receipt")
    told: dict[str, Any] = {"reviewed": found.get("reviewed") is True, **texts}
    if _is_count(version):
        told["version"] = version
    if isinstance(receipt, dict) and _is_count(receipt.get("number")):
        told["receipt"] = {"number": receipt["number"], "hash": _plain(receipt.get("hash", ""))}
    return told


def _is_count(value: Any) -> TypeGuard[int]:
    # A number of thousands of digits is one to JSON, and an error to whoever prints it.
    return type(value) is int and 0 <= value < 2**63


@dataclass(frozen=True, slots=True)
class _ReportedError:
    """The error body of a reply. `code` is None where it is not the contract's: API Gateway's own are not."""

    code: str | None
    message: str
    hint: str | None
    retryable: bool
    details: Mapping[str, Any] = field(default_factory=dict)


def _read_error(body: bytes) -> _ReportedError:
    try:
        if len(body) > MAX_BODY_BYTES:
            raise RequestTooLarge("the answer is too large")
        error = parse_json(body, "the answer")["error"]
        code, message, hint = error["code"], error["message"], error.get("hint")
    except (RequestError, TypeError, KeyError, AttributeError, IndexError):
        return _ReportedError(None, "", None, retryable=False)
    hint = _plain(hint) if isinstance(hint, str) else None
    retryable = error.get("retryable") is True
    return _ReportedError(_plain(code), _plain(message), hint, retryable, _details(error))


def _details(error: dict[str, Any]) -> dict[str, Any]:
    """Return what a refusal says besides, as far as it is of the contract's form."""
    found: dict[str, Any] = {
        name: _plain(error[name])
        for name in ("rule", "value", "limit", "digest")
        if isinstance(error.get(name), str)
    }
    missing, others = error.get("missing"), error.get("notFrom")
    if type(missing) is int and 0 <= missing < 100:
        found["missing"] = missing
    if isinstance(others, list) and all(isinstance(each, str) for each in others):
        found["notFrom"] = [_plain(each) for each in others[:20]]
    return found


def _gateway_message(body: bytes) -> str:
    """Return the message of API Gateway's own error body, empty if there is none. To look at, not to repeat."""
    try:
        data = parse_json(body[:MAX_BODY_BYTES], "the answer")
        return str(data.get("message") or data.get("Message") or "")
    except (RequestError, AttributeError):
        return ""


def _turned_away(
    status: int, error_type: str, message: str
) -> AwsCredentials | SigningServiceError:
    kind = error_type.partition(":")[0].rpartition("#")[2]
    if kind.startswith("MissingAuthenticationToken") or message == "Missing Authentication Token":
        # Ours are always signed, so the token is not what is missing.
        return SigningServiceError(
            f"the signing API has nothing at this path (HTTP {status})",
            hint="check the API's URL and its stage; `bursar aws outputs` prints it as ApiUrl",
        )
    if "security token" in message and kind in ("", "AccessDeniedException"):
        kind = "ExpiredToken" if "expired" in message else "UnrecognizedClientException"
    meaning = error_for(kind, "", status=status, request=None)
    if isinstance(meaning, KmsCredentials):
        return AwsCredentials(meaning.message, hint=meaning.hint)
    return SigningServiceDenied(
        f"the signing API turned the caller away (HTTP {status})",
        hint="the caller needs execute-api:Invoke on this API: attach the stack's InvokePolicyArn",
    )


def _plain(value: Any) -> str:
    """Return foreign text fit for a terminal: printable, at most 300 characters."""
    return "".join(c if c.isprintable() else "?" for c in str(value)[:300])


def _service_error(status: int, told: _ReportedError) -> SigningServiceError:
    busy = status in (408, 429) or status >= 500
    if told.code is None and busy:
        return SigningServiceUnavailable(f"the signing API is not available (HTTP {status})")
    if told.code is None:
        return SigningServiceError(f"the signing API answered HTTP {status}")
    if busy and told.retryable:
        return SigningServiceUnavailable(told.message, hint=told.hint)
    if status >= 500:
        return SigningServiceError(f"{told.message} ({told.code})", hint=told.hint)
    return SigningServiceRefused(
        told.message, hint=told.hint, reason=told.code, details=told.details
    )
