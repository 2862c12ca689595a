"""What a refusal of Crossmint's means: from status and body to one of our errors. Pure.

Two error bodies are documented: `{"error": true, "message", "code"?}` and `{"error": {"reason", "message"},
"message"?}`. Which status goes with a compliance reason is not documented, so the reason is read before the
status. Sources: the 2025-06-09 API description; the regulated transfers guide, newer and older names.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any

from bursar.crossmint.calls import Answer, Call, Kind, is_record_id
from bursar.crossmint.reading import plain
from bursar.errors import (
    ApprovalAlreadyComplete,
    ApprovalAlreadySubmitted,
    ApprovalRejected,
    ComplianceError,
    ComplianceInProgress,
    CrossmintAuth,
    CrossmintBadRequest,
    CrossmintConflict,
    CrossmintError,
    CrossmintNotFound,
    CrossmintOutcomeUnknown,
    CrossmintProtocolError,
    CrossmintRateLimited,
    CrossmintUnavailable,
    RecipientDataMissing,
    RecipientPersonSanctioned,
    RecipientTypeUnsupported,
    RecipientWalletSanctioned,
    TransactionFailed,
)

# Newer name first, then the older one of the same meaning.
_COMPLIANCE: dict[str, type[ComplianceError]] = {
    "recipient_personal_data_missing": RecipientDataMissing,
    "personal_data_missing": RecipientDataMissing,
    "recipient_wallet_sanctioned": RecipientWalletSanctioned,
    "address_sanction_check_failed": RecipientWalletSanctioned,
    "sanctioned_wallet_address": RecipientWalletSanctioned,
    "recipient_person_sanctioned": RecipientPersonSanctioned,
    "user_sanction_check_failed": RecipientPersonSanctioned,
    "recipient_type_unsupported": RecipientTypeUnsupported,
    "not_support_recipient_type": RecipientTypeUnsupported,
}

_COMPLIANCE_HINTS: dict[type[ComplianceError], str] = {
    RecipientDataMissing: "register the recipient's name, date of birth and country first",
    RecipientWalletSanctioned: "screening found the address; do not retry, ask your compliance team",
    RecipientPersonSanctioned: "screening found the person or their country; do not retry, ask your "
    "compliance team",
    RecipientTypeUnsupported: "a regulated transfer goes to a Crossmint wallet of a registered user",
}

_FAILURES = (
    "build_failed",
    "failed_to_land_on_chain",
    "unknown",
    "program_error",
    "execution_reverted",
)

_KYC_RUNNING = re.compile(
    r"\b(?:kyc|identity (?:check|verification))\b.*\b(?:in progress|pending|running|being processed"
    r"|retry|try again)\b",
    re.IGNORECASE | re.DOTALL,
)

_APPROVAL: dict[int, tuple[type[CrossmintError], str]] = {
    400: (ApprovalRejected, "check that the signer is one of the wallet's and signed this message"),
    409: (ApprovalAlreadySubmitted, "it was submitted before; read the transaction again"),
    422: (ApprovalAlreadyComplete, "nothing more is needed; read the transaction again"),
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """What an error body says: text fit for a message, a reason code, the id of a record, all if given."""

    message: str = ""
    reason: str | None = None
    record_id: str | None = None


def error_for(call: Call, answer: Answer) -> CrossmintError:
    """Return the error an answer other than success means for this call."""
    refusal = _read(answer)
    status = answer.status
    said = f"could not {call.name}: {refusal.message or f'Crossmint answered {status}'}"
    if status >= 500 or status == 408:
        return _server_error(call, said, status, refusal)
    if status == 429:
        return CrossmintRateLimited(
            said,
            hint="the project's calls a minute are used up; wait and repeat",
            retry_after=retry_after(answer.headers),
        )
    if not 400 <= status < 500:
        return CrossmintProtocolError(
            f"could not {call.name}: Crossmint answered {status}, which no call expects",
            hint="redirects are not followed; check the base URL",
            status=status,
        )
    by_meaning = _by_reason(call, said, status, refusal) or _by_status(call, said, status, refusal)
    return by_meaning or CrossmintBadRequest(said, status=status, reason=refusal.reason)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds of a Retry-After header, in seconds or as a date; None without a usable one.

    A date is counted from the answer's own Date header, so that our clock does not matter (RFC 9110).
    """
    value = headers.get("retry-after", "").strip()
    if re.fullmatch(r"[0-9]{1,9}", value, re.ASCII):
        return float(value)
    try:
        moments = [parsedate_to_datetime(text) for text in (value, headers.get("date", ""))]
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    until, now = (m if m.tzinfo else m.replace(tzinfo=UTC) for m in moments)
    return max(0.0, (until - now).total_seconds())


def _server_error(call: Call, said: str, status: int, refusal: Refusal) -> CrossmintError:
    if not call.writes:
        return CrossmintUnavailable(said, hint="Crossmint has trouble; repeat later", status=status)
    return CrossmintOutcomeUnknown(
        said,
        hint="it may have happened: look it up, or repeat with the same idempotency key",
        status=status,
        record_id=refusal.record_id,
    )


def _by_reason(call: Call, said: str, status: int, refusal: Refusal) -> CrossmintError | None:
    reason = refusal.reason
    if call.kind is Kind.MOVE and _KYC_RUNNING.search(refusal.message):
        return ComplianceInProgress(
            said,
            hint="identity checks are still running; repeat in a few seconds",
            status=status,
            reason=reason,
        )
    if reason in _COMPLIANCE and call.writes:
        kind = _COMPLIANCE[reason]
        return kind(said, hint=_COMPLIANCE_HINTS[kind], status=status, reason=reason)
    if call.kind is Kind.MOVE and reason in _FAILURES:
        return TransactionFailed(said, status=status, reason=reason)
    if call.idempotency_key is not None and "idempotency" in refusal.message.lower():
        return _conflict(said, status, reason)
    return None


def _by_status(call: Call, said: str, status: int, refusal: Refusal) -> CrossmintError | None:
    reason = refusal.reason
    if status in (401, 403):
        return CrossmintAuth(
            said,
            hint=f"the API key needs the scope {call.scope} and must be of this environment",
            status=status,
            reason=reason,
        )
    if status == 404:
        return CrossmintNotFound(
            said,
            hint="it is not there for this API key: check its name, the key's project and environment",
            status=status,
            reason=reason,
        )
    if call.kind is Kind.APPROVE and status in _APPROVAL:
        kind, hint = _APPROVAL[status]
        return kind(said, hint=hint, status=status, reason=reason)
    if status == 409:
        return _conflict(said, status, reason)
    if status == 422 and call.kind is Kind.MOVE:
        return TransactionFailed(said, status=status, reason=reason)
    return None


def _conflict(said: str, status: int, reason: str | None) -> CrossmintConflict:
    return CrossmintConflict(
        said,
        hint="it exists already, or this id belongs to another payment: use a new one for a new payment",
        status=status,
        reason=reason,
    )


def _read(answer: Answer) -> Refusal:
    try:
        body = answer.json()
    except CrossmintProtocolError:
        return Refusal(_page(answer))
    if not isinstance(body, dict):
        return Refusal()
    inner = body.get("error")
    detail: dict[str, Any] = inner if isinstance(inner, dict) else {}
    message = _first(_text(detail.get("message")), _text(body.get("message")), _text(inner))
    reason = _first(_text(detail.get("reason")), _text(body.get("reason")), _text(body.get("code")))
    ids = (body.get("id"), body.get("transactionId"), detail.get("id"))
    return Refusal(
        plain(message or ""),
        plain(reason, 100) if reason else None,
        next((value for value in ids if is_record_id(value)), None),
    )


def _page(answer: Answer) -> str:
    if b"<html" in answer.body[:4096].lower():
        return f"a web page answered with {answer.status}, not Crossmint's API"
    return ""


def _text(value: object) -> str | None:
    if isinstance(value, list):
        return "; ".join(item for item in value[:5] if isinstance(item, str)) or None
    return value if isinstance(value, str) and value.strip() else None


def _first(*texts: str | None) -> str | None:
    return next((text for text in texts if text), None)
