"""The one contract for asking for a signature, whoever signs: a Lambda, an HTTP face, this process. Pure.

A request is one JSON object of one of three kinds: `transaction`, to have what a Crossmint transaction asks of
this signer signed once it is shown to do what the intent says; `approval`, to consent to what waits for that; and
`digest`, the guide's own request, to sign 32 bytes blindly, whose `kind` may be left out. The answer is
`answer_body` or `consent_body`; a refusal is a status and `{"error": {"code", "message", "hint"?, "retryable"}}`.
`docs/reference/signing-contract.md` has it all.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from bursar import strict_json
from bursar.chains import evm
from bursar.chains.evm import Scheme
from bursar.error_status import http_status
from bursar.errors import (
    BlindSigningDisabled,
    BursarError,
    ConfigError,
    InputError,
    IntentMismatch,
    KmsError,
    LedgerError,
    NotAwaitingApproval,
    NotWaiting,
    Refused,
    RequestError,
    RequestTooLarge,
    SignatureError,
    SignerMismatch,
    UnsupportedOperation,
)
from bursar.review.approvals import Signer as Account
from bursar.review.approvals import pending_for
from bursar.review.intent import AnyIntent, read_intent
from bursar.signer import SignedHash, Signer
from bursar.strict_json import NotStrictJson

# A batch of 90 payments, the most there are, takes 86 KB: Crossmint's object has each as a call and once more in
# the operation's call data, in hex, and the intent has it as well. The rest is room for what Crossmint may add.
# API Gateway takes 10 MB and Lambda 6 MB; read, this much JSON is some MB of memory at the worst.
MAX_BODY_BYTES = 262_144

_DIGEST_FIELDS = {"messageHash", "signerAddress"}
_TRANSACTION_FIELDS = {"transaction", "intent", "wallet", "signer"}
_APPROVAL_FIELDS = {"digest", "signer"}
# What a caller may ask for by name that a review alone would refuse; the policy has to allow it too.
UNVERIFIABLE = "unverifiable"
_ACCEPTABLE = (UNVERIFIABLE,)
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}", re.ASCII)


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
    """Sign what a Crossmint transaction asks of this signer, once it is shown to do what the intent says.

    `intent` is as `review.intent` reads it, `wallet` the address that pays, `signer` our locator. `id` is the
    caller's own id of the payment: the signer never signs two for one id. `accept` names what may be signed
    although a review cannot verify it, where the policy allows it too: `unverifiable`.
    """

    transaction: Mapping[str, Any]
    intent: AnyIntent
    wallet: str
    signer: str
    scheme: Scheme = Scheme.EIP191
    id: str | None = None
    accept: tuple[str, ...] = ()

    @property
    def message_hash(self) -> bytes:
        """The 32 bytes that wait for this signer, as Crossmint states them.

        Raises:
            NotAwaitingApproval, Unverifiable, LocatorError: there are none.
        """
        return pending_for(self.transaction, Account.parse(self.signer)).message

    @property
    def signer_address(self) -> str:
        """The account whose signature is asked for.

        Raises:
            LocatorError: the signer has no EVM key.
        """
        return Account.parse(self.signer).address

    @property
    def digest(self) -> bytes:
        """What the key would sign, as far as Crossmint's statement is true."""
        return evm.digest_of(self.message_hash, self.scheme)


@dataclass(frozen=True, slots=True)
class ApprovalRequest:
    """Consent to one digest that waits for it, having looked at what it does.

    Either `transaction` and its `wallet` are there, to be reviewed once more where the key is, or `message_hash`
    alone, for a bare hash. `digest` is what the one who consents has worked out themselves.
    """

    digest: bytes
    signer: str
    transaction: Mapping[str, Any] | None = None
    wallet: str | None = None
    message_hash: bytes | None = None
    scheme: Scheme = Scheme.EIP191

    @property
    def signer_address(self) -> str:
        """The account whose signature is consented to.

        Raises:
            LocatorError: the signer has no EVM key.
        """
        return Account.parse(self.signer).address


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks. `arn` is an IAM ARN that the door has checked, None where there was no such door."""

    arn: str | None
    via: str
    api_request_id: str | None = None
    source_ip: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the caller as receipts have it."""
        found = {"apiRequestId": self.api_request_id, "sourceIp": self.source_ip}
        return {"claimedCaller": self.arn, "via": self.via} | {k: v for k, v in found.items() if v}


@dataclass(frozen=True, slots=True)
class Answer:
    """A signature that was made, and by which policy: `version`, `hash`, `receipt` and what was reviewed."""

    signed: SignedHash
    scheme: Scheme
    policy: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Consent:
    """A consent that was recorded: whose, to which digest (0x hex), and how many more are missing."""

    digest: str
    by: str
    missing: int
    policy: Mapping[str, Any]


SigningRequest = DigestRequest | TransactionRequest
AnyRequest = SigningRequest | ApprovalRequest


class TransactionSigner(Protocol):
    """Anything that signs what waits in a transaction, by a policy: in process, behind the API, in a test."""

    @property
    def address(self) -> str:
        """The account whose signatures these are, checksummed."""
        ...

    def sign_transaction(self, request: TransactionRequest) -> Answer:
        """Sign what waits for this signer, once it is shown to do what the intent says and may be signed."""
        ...

    def consent(self, request: ApprovalRequest) -> Consent:
        """Record the consent of whoever asks to what waits for it."""
        ...


class BareSigner:
    """A transaction signer over one that signs hashes: what it signs was reviewed here, and judged nowhere."""

    def __init__(self, signer: Signer) -> None:
        self._signer = signer

    @property
    def address(self) -> str:
        """The account whose signatures these are, checksummed."""
        return self._signer.address

    def sign_transaction(self, request: TransactionRequest) -> Answer:
        """Sign the hash that waits for this signer. It does not compare it with the intent: that was done before.

        Raises:
            SignerMismatch: the request is for another account.
            BursarError: as `Signer.sign_hash`.
        """
        require_signer(request, self.address)
        signed = self._signer.sign_hash(request.message_hash, request.scheme)
        return Answer(signed, request.scheme, {"reviewed": False})

    def sign_hash(self, message_hash: bytes, scheme: Scheme) -> SignedHash:
        """Sign a bare hash, as `Signer.sign_hash`."""
        return self._signer.sign_hash(message_hash, scheme)

    def consent(self, request: ApprovalRequest) -> Consent:
        """Refuse: where there is no policy nothing waits for a consent.

        Raises:
            NotWaiting: always.
        """
        raise NotWaiting(f"{request.signer} signs without a policy, so nothing waits for a consent")


@dataclass(frozen=True, slots=True)
class Reply:
    """What goes back to the caller: an HTTP status and a JSON object."""

    status: int
    body: dict[str, Any]


def parse_request(body: bytes) -> AnyRequest:
    """Return the request in a JSON body of UTF-8 bytes.

    Raises:
        RequestTooLarge: over 256 KiB.
        RequestError: not one JSON object, a name twice, a field missing, unknown or of the wrong type.
        DigestError, AddressError: as `read_request`.
    """
    if len(body) > MAX_BODY_BYTES:
        raise RequestTooLarge(f"the body is over {MAX_BODY_BYTES} bytes")
    return read_request(parse_json(body, "the body"))


def read_request(data: Any) -> AnyRequest:
    """Return the request in a JSON value that is read already.

    Raises:
        RequestError: not an object, a field missing, unknown or of the wrong type.
        DigestError: `messageHash` or `digest` is not 32 bytes in hex or base64.
        AddressError, AmountError, LocatorError: an address, an amount of the intent or the signer is none.
    """
    if not isinstance(data, dict):
        raise RequestError("the request is not a JSON object")
    kind = data.get("kind", "digest")
    if kind == "digest":
        return _digest_request(data)
    if kind == "transaction":
        return _transaction_request(data)
    if kind == "approval":
        return _approval_request(data)
    raise RequestError("the kind is neither transaction, approval nor digest")


def request_body(request: AnyRequest) -> dict[str, Any]:
    """Return the JSON object that asks for this."""
    if isinstance(request, DigestRequest):
        return {
            "kind": "digest",
            "messageHash": "0x" + request.message_hash.hex(),
            "signerAddress": request.signer_address,
            "scheme": request.scheme.value,
        }
    if isinstance(request, ApprovalRequest):
        return _approval_body(request)
    body: dict[str, Any] = {
        "kind": "transaction",
        "transaction": request.transaction,
        "intent": request.intent.to_dict(),
        "wallet": request.wallet,
        "signer": request.signer,
        "scheme": request.scheme.value,
    }
    if request.id is not None:
        body["id"] = request.id
    if request.accept:
        body["accept"] = list(request.accept)
    return body


def require_blind(request: AnyRequest, *, blind_signing: bool) -> DigestRequest:
    """Return the request if a signer without a policy may fulfil it, before any key is touched.

    Raises:
        UnsupportedOperation: a request that only a policy can allow.
        BlindSigningDisabled: a `digest` request where blind signing is off.
    """
    if not isinstance(request, DigestRequest):
        raise UnsupportedOperation(
            "this deployment has no policy, so it signs digests only",
            hint="an operator can give it one: bursar aws deploy --policy policy.toml",
        )
    require_blind_signing(allowed=blind_signing)
    return request


def require_blind_signing(*, allowed: bool) -> None:
    """Refuse a bare hash where the deployment does not sign any.

    Raises:
        BlindSigningDisabled: it does not.
    """
    if not allowed:
        raise BlindSigningDisabled(
            "this deployment does not sign bare hashes",
            hint="ask for a transaction instead, which is reviewed; an operator can allow bare hashes with: "
            "bursar aws deploy --allow-blind-signing",
        )


def require_signer(request: AnyRequest, address: str) -> None:
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


def blind_answer(signed: SignedHash, request: DigestRequest) -> Answer:
    """Return the answer of a signer that has no policy."""
    return Answer(signed, request.scheme, {"rule": "blind_signing_allowed", "reviewed": False})


def answer_body(answer: Answer) -> dict[str, Any]:
    """Return the contract's answer. `requestId` is KMS's own id of the call, as CloudTrail records it."""
    signed = answer.signed
    return {
        "signature": signed.signature.to_hex(),
        "signer": f"external-wallet:{signed.address}",
        "address": signed.address,
        "digest": "0x" + signed.digest.hex(),
        "requestId": signed.request_id,
        "policy": {**answer.policy, "scheme": answer.scheme.value},
    }


def consent_body(consent: Consent) -> dict[str, Any]:
    """Return the contract's answer to an approval."""
    return {
        "digest": consent.digest,
        "consentedBy": consent.by,
        "missing": consent.missing,
        "policy": dict(consent.policy),
    }


def refusal(error: BursarError) -> Reply:
    """Return what a caller may see of an error: status and error body.

    Faults on the signer's own side keep code and `retryable` but lose their message, which may name keys, accounts
    and roles.
    """
    if is_callers_fault(error):
        return Reply(http_status(error), {"error": error.to_dict()})
    status = 500 if isinstance(error, ConfigError) else http_status(error)
    message, hint = _outward(error)
    return _failure(status, error.code, message, hint, retryable=error.retryable)


def is_callers_fault(error: BursarError) -> bool:
    """Tell whether an error is about what was asked, so that the caller may see all of it."""
    about_the_request = (InputError, Refused, IntentMismatch, NotAwaitingApproval)
    return isinstance(error, about_the_request) and not isinstance(error, ConfigError)


def internal_failure() -> Reply:
    """Return the reply to an error nobody foresaw: nothing of it is shown."""
    return _failure(
        500,
        "internal_error",
        "the signer failed; nothing is released",
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
    _check_fields(data, _TRANSACTION_FIELDS, {"kind", "scheme", "id", "accept"})
    return TransactionRequest(
        _object(data, "transaction"),
        read_intent(_object(data, "intent")),
        evm.parse_address(_text(data, "wallet")),
        str(Account.parse(_text(data, "signer"))),
        _scheme(data.get("scheme", Scheme.EIP191.value)),
        _identity(data),
        _accepted(data.get("accept", [])),
    )


def _approval_request(data: dict[str, Any]) -> ApprovalRequest:
    _check_fields(
        data, _APPROVAL_FIELDS, {"kind", "scheme", "transaction", "wallet", "messageHash"}
    )
    bare = "messageHash" in data
    if bare in ("transaction" in data, "wallet" in data):
        raise RequestError("an approval names a transaction and its wallet, or a messageHash")
    return ApprovalRequest(
        evm.parse_hash(data["digest"]),
        str(Account.parse(_text(data, "signer"))),
        None if bare else _object(data, "transaction"),
        None if bare else evm.parse_address(_text(data, "wallet")),
        evm.parse_hash(data["messageHash"]) if bare else None,
        _scheme(data.get("scheme", Scheme.EIP191.value)),
    )


def _approval_body(request: ApprovalRequest) -> dict[str, Any]:
    body: dict[str, Any] = {
        "kind": "approval",
        "digest": "0x" + request.digest.hex(),
        "signer": request.signer,
        "scheme": request.scheme.value,
    }
    if request.message_hash is not None:
        return body | {"messageHash": "0x" + request.message_hash.hex()}
    return body | {"transaction": request.transaction, "wallet": request.wallet}


def _object(data: dict[str, Any], name: str) -> dict[str, Any]:
    value = data[name]
    if not isinstance(value, dict):
        raise RequestError(f"{name} is not a JSON object")
    return value


def _identity(data: dict[str, Any]) -> str | None:
    value = data.get("id")
    if value is not None and not (isinstance(value, str) and _ID.fullmatch(value)):
        raise RequestError("an id is 1 to 64 letters, digits, dots, colons, dashes or underscores")
    return value


def _accepted(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or any(each not in _ACCEPTABLE for each in value):
        raise RequestError(f"accept is a list of {' or '.join(_ACCEPTABLE)}")
    return tuple(value)


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
    if isinstance(error, LedgerError):
        again = "ask again in a moment; asking twice is safe" if error.retryable else log
        return "the signer's own records could not be kept, so nothing is released", again
    if isinstance(error, SignatureError):
        return "KMS's answer failed the checks; nothing was released", log
    return "the signer is not set up rightly", log


def _failure(status: int, code: str, message: str, hint: str, *, retryable: bool) -> Reply:
    body = {"code": code, "message": message, "retryable": retryable, "hint": hint}
    return Reply(status, {"error": body})
