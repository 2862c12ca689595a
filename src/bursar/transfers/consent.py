"""Asking again for others' consent: whether it has come the signer alone knows.

One that is held for it is handed out again in growing intervals, held as it is: where the answer is the same,
nothing is written about it.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from bursar.transfers.journal import Journal
from bursar.transfers.record import Transfer
from bursar.transfers.states import Event, EventKind, Hold, Stage

# Seconds from one asking to the next: as long as it has been held, within these.
FIRST: Final = 60.0
LONGEST: Final = 900.0


def is_asked_for(transfer: Transfer) -> bool:
    """Tell whether a held transfer is to be signed if the signer does so now: it was handed out for that."""
    standing = transfer.standing
    waits = standing.hold is Hold.APPROVAL and standing.retry_at is not None
    return waits and standing.is_confirmed and standing.stage is Stage.REVIEWED


def ask_in(transfer: Transfer, now: datetime) -> float:
    """Return in how many seconds a held transfer is to be asked about again."""
    since = (now - datetime.fromisoformat(transfer.updated_at)).total_seconds()
    return min(LONGEST, max(FIRST, since))


def is_told(journal: Journal, transfer: Transfer, event: Event) -> bool:
    """Tell whether the last that was written of a transfer is what would be written now.

    Raises:
        JournalError: it could not be read.
    """
    if transfer.standing.hold is None or event.kind is not EventKind.HELD:
        return False
    last = journal.history(transfer.key)[-1]
    told = {name: value for name, value in event.data.items() if value is not None}
    return (last.kind, last.data) == (event.kind.value, told)
