"""The one contract for asking for a signature, whoever signs: a Lambda, an HTTP face, this process. Pure.

A request is one JSON object: `{"kind": "digest", "messageHash", "signerAddress", "scheme"?}`, where `kind` may
be left out, or `{"kind": "transaction", "transaction", "intent", "signer"}`. The answer is `answer_body`; a
refusal is an HTTP status and `{"error": {"code", "message", "hint"?, "retryable"}}`.
`docs/reference/signing-contract.md` has it all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bursar import strict_json
from bursar.chains import evm
from bursar.chains.evm import Scheme
from bursar.error_status import http_status
from bursar.errors import (
    BlindSigningDisabled,
    BursarError,
    ConfigError,
    InputError,
    KmsError,
    Refused,
    RequestError,
    RequestTooLarge,
    SignatureError,
    SignerMismatch,
    UnsupportedOperation,
)
from bursar.signer import SignedHash, Signer
from bursar.strict_json import NotStrictJson

MAX_BODY_BYTES = 65_536

_DIGEST_FIELDS = {"messageHash", "signerAddress"}
_TRANSACTION_FIELDS = {"transaction", "intent", "signer"}


@dataclass(frozen=True, slots=True)
class DigestRequest:
    """Sign a bare 32-byte hash for one address (checksummed). Nothing says what the hash stands for."""

    message_hash: bytes
    signer_address: str
    scheme: Scheme = Scheme.EIP191

    @property
    def digest(self) -> bytes:
        """The 32 bytes that are signed."""
        return evm.digest_of(self.message_hash, self.scheme)


@dataclass(frozen=True, slots=True)
class TransactionRequest:
    """Sign what a Crossmint transaction asks of this signer, once it is shown to do what the intent says."""

    transaction: Mapping[str, Any]
    intent: Mapping[str, Any]
    signer: str


SigningRequest = DigestRequest | TransactionRequest


@dataclass(frozen=True, slots=True)
class Reply:
    """What goes back to the caller: an HTTP status and a JSON object."""

    status: int
    body: dict[str, Any]


def parse_request(body: bytes) -> SigningRequest:
    """Return the request in a JSON body of UTF-8 bytes.

    Raises:
        RequestTooLarge: over 64 KiB.
        RequestError: not one JSON object, a name twice, a field missing, unknown or of the wrong type.
        DigestError, AddressError: as `read_request`.
    """
    if len(body) > MAX_BODY_BYTES:
        raise RequestTooLarge(f"the body is over {MAX_BODY_BYTES} bytes")
    return read_request(parse_json(body, "the body"))


def read_request(data: Any) -> SigningRequest:
    """Return the request in a JSON value that is read already.

    Raises:
        RequestError: not an object, a field missing, unknown or of the wrong type.
        DigestError: `messageHash` is not 32 bytes in hex or base64.
        AddressError: `signerAddress` is not an EVM address.
    """
    if not isinstance(data, dict):
        raise RequestError("the request is not a JSON object")
    kind = data.get("kind", "digest")
    if kind == "digest":
        return _digest_request(data)
    if kind == "transaction":
        return _transaction_request(data)
    raise RequestError("the kind is neither digest nor transaction")


def digest_body(request: DigestRequest) -> dict[str, str]:
    """Return the JSON object that asks for this signature."""
    return {
        "kind": "digest",
        "messageHash": "0x" + request.message_hash.hex(),
        "signerAddress": request.signer_address,
        "scheme": request.scheme.value,
    }


def require_allowed(request: SigningRequest, *, blind_signing: bool) -> DigestRequest:
    """Return the request if this kind of signer may fulfil it, before any key is touched.

    Raises:
        UnsupportedOperation: a `transaction` request; only digests are signed here.
        BlindSigningDisabled: a `digest` request where blind signing is off.
    """
    if isinstance(request, TransactionRequest):
        raise UnsupportedOperation(
            "this deployment signs digests only; it does not review transactions",
            hint="send the digest request: messageHash and signerAddress",
        )
    if not blind_signing:
        raise BlindSigningDisabled(
            "this deployment does not sign bare hashes",
            hint="an operator can allow it: bursar aws deploy --allow-blind-signing",
        )
    return request


def require_signer(request: DigestRequest, address: str) -> None:
    """Refuse a request meant for another account than `address`.

    Raises:
        SignerMismatch: the addresses differ.
    """
    if not evm.same_address(request.signer_address, address):
        raise SignerMismatch(
            f"this signer is {address}, not {request.signer_address}",
            hint="send the address of the KMS key behind this deployment",
        )


def fulfil(request: DigestRequest, signer: Signer) -> SignedHash:
    """Sign an allowed request. One `kms:Sign` call for a KMS signer; none if the address is another's.

    Raises:
        SignerMismatch: the request is for another account.
        KmsError, SignatureError: as `Signer.sign_hash`.
    """
    require_signer(request, signer.address)
    return signer.sign_hash(request.message_hash, request.scheme)


def answer_body(signed: SignedHash, request: DigestRequest) -> dict[str, Any]:
    """Return the contract's answer. `requestId` is KMS's own id of the call, as CloudTrail records it."""
    return {
        "signature": signed.signature.to_hex(),
        "signer": f"external-wallet:{signed.address}",
        "address": signed.address,
        "digest": "0x" + signed.digest.hex(),
        "requestId": signed.request_id,
        "policy": {
            "rule": "blind_signing_allowed",
            "reviewed": False,
            "scheme": request.scheme.value,
        },
    }


def refusal(error: BursarError) -> Reply:
    """Return what a caller may see of an error: status and error body.

    Faults on the signer's own side keep code and `retryable` but lose their message, which may name keys, accounts
    and roles.
    """
    if isinstance(error, (InputError, Refused)) and not isinstance(error, ConfigError):
        return Reply(http_status(error), {"error": error.to_dict()})
    status = 500 if isinstance(error, ConfigError) else http_status(error)
    message, hint = _outward(error)
    return _failure(status, error.code, message, hint, retryable=error.retryable)


def internal_failure() -> Reply:
    """Return the reply to an error nobody foresaw: nothing of it is shown."""
    return _failure(
        500,
        "internal_error",
        "the signer failed; nothing was signed for you",
        "its operator finds the cause in the signer's log",
        retryable=False,
    )


def parse_json(body: bytes, what: str) -> Any:
    """Return the JSON value in UTF-8 bytes; a name given twice, NaN and Infinity are refused.

    Raises:
        RequestError: not that; the message never quotes the body.
    """
    try:
        return strict_json.loads(body)
    except NotStrictJson as problem:
        raise RequestError(
            f"{what} is not JSON that can be read: {problem}", hint="send one JSON object in UTF-8"
        ) from None


def _digest_request(data: dict[str, Any]) -> DigestRequest:
    _check_fields(data, _DIGEST_FIELDS, {"kind", "scheme"})
    return DigestRequest(
        evm.parse_hash(data["messageHash"]),
        evm.parse_address(_text(data, "signerAddress")),
        _scheme(data.get("scheme", Scheme.EIP191.value)),
    )


def _transaction_request(data: dict[str, Any]) -> TransactionRequest:
    _check_fields(data, _TRANSACTION_FIELDS, {"kind"})
    for name in ("transaction", "intent"):
        if not isinstance(data[name], dict):
            raise RequestError(f"{name} is not a JSON object")
    return TransactionRequest(data["transaction"], data["intent"], _text(data, "signer"))


def _check_fields(data: dict[str, Any], required: set[str], optional: set[str]) -> None:
    missing = sorted(required - set(data))
    if missing:
        raise RequestError(f"{' and '.join(missing)} missing from the request")
    unknown = sorted(set(data) - required - optional)
    if unknown:
        raise RequestError(
            f"{len(unknown)} field(s) of the request are unknown",
            hint=f"a {data.get('kind', 'digest')} request has {', '.join(sorted(required | optional))}",
        )


def _text(data: dict[str, Any], name: str) -> str:
    value = data[name]
    if not isinstance(value, str) or not value:
        raise RequestError(f"{name} is not text")
    return value


def _scheme(value: Any) -> Scheme:
    try:
        return Scheme(value)
    except ValueError:
        raise RequestError("the scheme is neither eip191 nor raw") from None


def _outward(error: BursarError) -> tuple[str, str]:
    log = "its operator finds the cause in the signer's log"
    if isinstance(error, KmsError) and error.retryable:
        return "KMS cannot sign just now", "ask again in a moment; asking twice is safe"
    if isinstance(error, KmsError):
        return "KMS turned the signer's call down", log
    if isinstance(error, SignatureError):
        return "KMS's answer failed the checks; nothing was released", log
    return "the signer is not set up rightly", log


def _failure(status: int, code: str, message: str, hint: str, *, retryable: bool) -> Reply:
    body = {"code": code, "message": message, "retryable": retryable, "hint": hint}
    return Reply(status, {"error": body})
