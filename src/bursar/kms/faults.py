"""What KMS's errors mean here. Pure.

Our own words only: AWS's messages name ARNs, accounts and principals, and an API's caller may read these.
Source: KMS API reference, the errors of each action; "Common error types".
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from bursar.errors import (
    BursarError,
    KmsAccessDenied,
    KmsAliasTaken,
    KmsCredentials,
    KmsError,
    KmsKeyDisabled,
    KmsKeyNotFound,
    KmsKeyPendingDeletion,
    KmsKeyUnusable,
    KmsProtocolError,
    KmsThrottled,
    KmsUnavailable,
    KmsWrongUsage,
)
from bursar.kms.http1 import Response
from bursar.kms.wire import read_object, request_id

# AWS accepts five minutes either way; what is clearly inside that is not a clock's fault.
SKEW_SECONDS = 240.0

_TYPE = re.compile(r"\A(?:[^#]{0,200}#)?([A-Za-z][A-Za-z0-9]{0,99})(?:[:;,].*)?\Z", re.DOTALL)
# AWS answers either of these about a key that waits for its deletion ("Key states of KMS keys", notes 2 and 3).
_STATE_ERRORS = frozenset({"DisabledException", "KMSInvalidStateException"})
# The space tells the state from an alias that is called pending-deletion.
_PENDING_DELETION = re.compile(r"\bpending (?:replica )?deletion\b", re.IGNORECASE)
_DATE = re.compile(
    r"\A[A-Z][a-z]{2}, ([0-9]{2}) ([A-Z][a-z]{2}) ([0-9]{4}) ([0-9]{2}):([0-9]{2}):([0-9]{2}) GMT\Z",
    re.ASCII,
)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@dataclass(frozen=True, slots=True)
class _Meaning:
    kind: Callable[..., KmsError]
    message: str
    hint: str | None = None


_THROTTLED = _Meaning(
    KmsThrottled,
    "KMS is throttling: the account's request quota for this Region is used up",
    "slow down, or ask AWS for a higher quota of cryptographic operations",
)
_UNAVAILABLE = _Meaning(KmsUnavailable, "KMS had an internal error or timed out on its own side")
_DENIED = _Meaning(
    KmsAccessDenied,
    "AWS does not allow these credentials to use the key so",
    "the caller's IAM policy and the key policy must allow kms:Sign and kms:GetPublicKey on this key",
)
_NOT_FOUND = _Meaning(
    KmsKeyNotFound,
    "KMS knows no key of this name in this account and Region",
    "check the name and AWS_REGION; a key of another account must be named by its ARN",
)
_WRONG_USAGE = _Meaning(
    KmsWrongUsage,
    "the key is not for this use: its spec, usage or algorithm does not fit",
    "a signer needs a key with spec ECC_SECG_P256K1 and usage SIGN_VERIFY",
)
_UNUSABLE = _Meaning(KmsKeyUnusable, "the key is in a state in which it cannot sign")
_CREDENTIALS = _Meaning(
    KmsCredentials,
    "AWS does not accept the credentials",
    "check the access key and its secret; renew the session if it is temporary",
)
_EXPIRED = _Meaning(
    KmsCredentials, "the AWS session has expired", "renew it, for example with: aws sso login"
)
_SKEWED = _Meaning(
    KmsCredentials,
    "AWS does not accept the request's signature",
    "check the secret access key, and this machine's clock",
)

_MEANINGS = {
    "ThrottlingException": _THROTTLED,
    "Throttling": _THROTTLED,
    "TooManyRequestsException": _THROTTLED,
    "RequestLimitExceeded": _THROTTLED,
    "KMSInternalException": _UNAVAILABLE,
    "DependencyTimeoutException": _UNAVAILABLE,
    "KeyUnavailableException": _UNAVAILABLE,
    "InternalFailure": _UNAVAILABLE,
    "ServiceUnavailable": _UNAVAILABLE,
    "ServiceUnavailableException": _UNAVAILABLE,
    "RequestTimeout": _UNAVAILABLE,
    "RequestTimeoutException": _UNAVAILABLE,
    "AccessDeniedException": _DENIED,
    "AccessDenied": _DENIED,
    "NotAuthorized": _DENIED,
    "OptInRequired": _DENIED,
    "InvalidGrantTokenException": _DENIED,
    "NotFoundException": _NOT_FOUND,
    "InvalidArnException": _NOT_FOUND,
    "DisabledException": _Meaning(
        KmsKeyDisabled,
        "the key is disabled",
        "an administrator can enable it again with kms:EnableKey",
    ),
    "AlreadyExistsException": _Meaning(
        KmsAliasTaken, "the alias is taken", "choose another, or use the key it leads to"
    ),
    "KMSInvalidStateException": _UNUSABLE,
    "CloudHsmClusterInvalidConfigurationException": _UNUSABLE,
    "CustomKeyStoreInvalidStateException": _UNUSABLE,
    "InvalidKeyUsageException": _WRONG_USAGE,
    "UnsupportedOperationException": _WRONG_USAGE,
    "UnrecognizedClientException": _CREDENTIALS,
    "InvalidClientTokenId": _CREDENTIALS,
    "MissingAuthenticationToken": _CREDENTIALS,
    "MissingAuthenticationTokenException": _CREDENTIALS,
    "IncompleteSignature": _CREDENTIALS,
    "IncompleteSignatureException": _CREDENTIALS,
    "ExpiredToken": _EXPIRED,
    "ExpiredTokenException": _EXPIRED,
    "InvalidSignatureException": _SKEWED,
    "SignatureDoesNotMatch": _SKEWED,
    "RequestExpired": _SKEWED,
    "RequestTimeTooSkewed": _SKEWED,
}


def error_of(response: Response) -> KmsError:
    """Return what an answer other than 200 means. The call's id is kept, AWS's own words are not."""
    kind, text = type_and_message(response)
    return error_for(kind, text, status=response.status, request=request_id(response) or None)


def error_for(kind: str, text: str, *, status: int, request: str | None) -> KmsError:
    """Return our error for an AWS error type. `text` is AWS's message: looked at, never repeated."""
    meaning = _MEANINGS.get(kind)
    if kind in _STATE_ERRORS and _PENDING_DELETION.search(text):
        return KmsKeyPendingDeletion(
            "the key is scheduled for deletion",
            hint="an administrator can stop that with kms:CancelKeyDeletion, then enable the key",
            request_id=request,
        )
    if meaning is not None:
        return meaning.kind(meaning.message, hint=meaning.hint, request_id=request)
    if status == 429:
        return KmsThrottled(_THROTTLED.message, hint=_THROTTLED.hint, request_id=request)
    if status >= 500:
        return KmsUnavailable(f"KMS answered with status {status}", request_id=request)
    if not kind:
        return KmsProtocolError(
            f"status {status} without a KMS error in it",
            hint="something between here and KMS may be answering in its place",
            request_id=request,
        )
    return KmsError(f"KMS refused the request ({kind})", request_id=request)


def clock_offset(response: Response, now: float) -> float:
    """Return how many seconds the server's clock is ahead, where that is why it refused; otherwise 0.

    `now` is the time that the refused request was signed at, in seconds since 1970.
    """
    if response.status == 200:
        return 0.0
    kind, _ = type_and_message(response)
    if _MEANINGS.get(kind) is not _SKEWED:
        return 0.0
    offset = _http_date(response.headers.get("date", ""), now) - now
    return offset if abs(offset) >= SKEW_SECONDS else 0.0


def type_and_message(response: Response) -> tuple[str, str]:
    """Return an AWS JSON answer's error type, without its namespace, and its message; "" for what is not there."""
    try:
        fields = read_object(response.body)
    except BursarError:
        fields = {}
    kind = fields.get("__type") or response.headers.get("x-amzn-errortype", "")
    text = fields.get("message") or fields.get("Message") or ""
    match = _TYPE.match(kind) if isinstance(kind, str) else None
    return (match[1] if match else ""), (text if isinstance(text, str) else "")


def _http_date(text: str, otherwise: float) -> float:
    match = _DATE.match(text)
    if match is None or match[2] not in _MONTHS:
        return otherwise
    day, year, hour, minute, second = (int(match[i]) for i in (1, 3, 4, 5, 6))
    try:
        at = datetime(year, _MONTHS.index(match[2]) + 1, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return otherwise
    return at.timestamp()
