"""What an error means for a transfer: wait and try again, stop for people, or over for good. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from bursar.errors import (
    BursarError,
    ComplianceError,
    ComplianceInProgress,
    CrossmintConflict,
    CrossmintOutcomeUnknown,
    CrossmintRateLimited,
    NeedsApproval,
    RecipientDataMissing,
    SigningServiceRefused,
    TransferConflict,
)
from bursar.transfers.states import Event, EventKind, Hold, Stage

# Seconds between attempts: doubled from the first to the longest.
FIRST_WAIT: Final = 0.5
LONGEST_WAIT: Final = 60.0
_CHECKING: Final = 5.0
# The longest wait that is taken from an answer, which might name any time.
_MOST_ASKED: Final = 3600.0
_NEW_ID: Final = "it paid nothing; to try again, start a new transfer with a new id"


def happened(error: BursarError, stage: Stage, attempts: int, now: datetime, dice: float) -> Event:
    """Return what an error makes of a transfer at this stage. `dice` in [0, 1) spreads the next attempt.

    What may pass is tried again for as long as it takes: no id is spoilt by it. What somebody can put right stops
    the transfer until it is resumed. Only what can never succeed ends it, and only before there is a transaction.
    """
    told = {"code": _code(error), "reason": error.message, "hint": error.hint}
    if _passes(error):
        at = now + timedelta(seconds=_wait(error, attempts, dice))
        return Event(EventKind.DELAYED, told | {"retry_at": at.isoformat(timespec="milliseconds")})
    if _is_needs_approval(error):
        return Event(EventKind.HELD, told | {"hold": Hold.APPROVAL.value})
    if _is_over(error) and stage is Stage.RECORDED:
        return Event(EventKind.FAILED, told | {"hint": error.hint or _NEW_ID})
    return Event(EventKind.HELD, told | {"hold": Hold.TROUBLE.value})


def _passes(error: BursarError) -> bool:
    return error.retryable or isinstance(error, CrossmintOutcomeUnknown | ComplianceInProgress)


def _is_needs_approval(error: BursarError) -> bool:
    return _code(error) == NeedsApproval.code


def _is_over(error: BursarError) -> bool:
    if isinstance(error, ComplianceError):
        return not isinstance(error, RecipientDataMissing)
    return isinstance(error, CrossmintConflict | TransferConflict)


def _code(error: BursarError) -> str:
    if isinstance(error, SigningServiceRefused) and error.reason:
        return error.reason
    return error.code


def _wait(error: BursarError, attempts: int, dice: float) -> float:
    doubled = min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** min(attempts, 16))
    if isinstance(error, ComplianceInProgress):
        doubled = max(doubled, _CHECKING)
    asked = (error.retry_after or 0.0) if isinstance(error, CrossmintRateLimited) else 0.0
    return max(min(asked, _MOST_ASKED), doubled / 2) + doubled / 2 * dice
