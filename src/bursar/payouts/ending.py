"""How a payout is ended before its time: what nobody can have been paid by, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Final

import sqlalchemy as sa

from bursar.errors import CrossmintError, TransferError
from bursar.payouts.batching import chunks
from bursar.transfers import orders
from bursar.transfers.batch import BatchTransfer
from bursar.transfers.journal import Journal, Overtaken
from bursar.transfers.orders import Look
from bursar.transfers.record import Transfer
from bursar.transfers.states import Stage
from bursar.transfers.tables import EVENTS, PAYOUTS, TRANSFERS

# How many transfers Crossmint is asked about at once.
_AT_ONCE: Final = 8
_p: Final = PAYOUTS.c
_t: Final = TRANSFERS.c
_PAGE: Final = 500
# What a line or a batch is whose beginning is all that happened to it.
_UNTOUCHED: Final = sa.or_(
    sa.and_(_t.stage == Stage.RECORDED.value, _t.version == 1),
    sa.and_(_t.stage == Stage.BATCHED.value, _t.version == 2),
)


@dataclass(frozen=True, slots=True)
class Ended:
    """How many lines were cancelled now, and why of others it is not known whether they can be."""

    lines: int = 0
    unknown: tuple[CrossmintError, ...] = ()

    def __add__(self, other: Ended) -> Ended:
        """Return both together."""
        return Ended(self.lines + other.lines, self.unknown + other.unknown)


def cancel_all(
    journal: Journal,
    transfers: Iterable[Transfer],
    by: str,
    look: Look,
    progress: Callable[[int], None] = lambda _lines: None,
) -> Ended:
    """Cancel those of a payout's transfers that nobody can have been paid by; a batch and its lines are one.

    Crossmint is asked about what has a transaction, a few at a time. `progress` is told lines gone through.

    Raises:
        JournalError: it could not be read or written.
    """
    told = {"reason": f"cancelled by {by} with its payout", "code": "cancelled"}
    cancel = partial(_cancel, journal, look, told)
    ended, lines = Ended(), 0
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for some in chunks(transfers):
            asked = [each for each in some if "transaction" in each.standing.known]
            others = [each for each in some if "transaction" not in each.standing.known]
            for one in (*pool.map(cancel, asked), *map(cancel, others)):
                ended += one
            lines += sum(not isinstance(each.intent, BatchTransfer) for each in some)
            progress(lines)
    return ended


def _cancel(journal: Journal, look: Look, told: dict[str, str], transfer: Transfer) -> Ended:
    while transfer.standing.is_cancellable:
        try:
            ended = orders.stop(journal, look, transfer, told)
        except Overtaken:
            transfer = journal.get(transfer.key)
        except CrossmintError as error:
            return Ended(unknown=(error,))
        except TransferError:
            return Ended()
        else:
            return Ended(_lines(ended))
    return Ended()


def _lines(transfer: Transfer) -> int:
    return len(transfer.intent.payments) if isinstance(transfer.intent, BatchTransfer) else 1


def withdraw(journal: Journal, begun: sa.ColumnElement[bool]) -> bool:
    """Take a payout out of the journal, with its lines and their ids, and tell whether it was there to be taken.

    `begun` is the condition on its row, of one that is not written to its end: nothing of it was handed out. Where
    anything happened to one of its lines all the same, it stays.

    Raises:
        JournalError: nothing was written.
    """
    with journal.writing() as connection:
        taken = sa.delete(PAYOUTS).where(begun).returning(_p.treasury, _p.id)
        found = connection.execute(taken).first()
        if found is None:
            return False
        lines = sa.and_(_t.treasury == found.treasury, _t.payout == found.id)
        untouched = sa.delete(TRANSFERS).where(lines, _UNTOUCHED).returning(_t.id)
        ids = connection.scalars(untouched).all()
        if connection.execute(sa.select(_t.id).where(lines).limit(1)).first() is not None:
            connection.rollback()
            return False
        for start in range(0, len(ids), _PAGE):
            some = EVENTS.c.id.in_(ids[start : start + _PAGE])
            connection.execute(sa.delete(EVENTS).where(EVENTS.c.treasury == found.treasury, some))
    return True
