"""How a payout is written down: its plan, its lines, and the batches that pay them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError

from bursar.errors import PayoutError
from bursar.payouts.batching import chunks, groups, may_be_batched
from bursar.payouts.lines import Line
from bursar.payouts.naming import batch_id
from bursar.payouts.plan import Plan
from bursar.transfers import batches
from bursar.transfers.intent import TransferIntent
from bursar.transfers.journal import JOURNAL, Journal, NewTransfer
from bursar.transfers.record import Key, Lane, Place, Transfer, canonical
from bursar.transfers.states import Stage
from bursar.transfers.tables import PAYOUTS

if TYPE_CHECKING:
    from bursar.payouts.book import Beginning, Payout

# How a payout stands until all of it is written: nothing of it is handed out.
WRITING: Final = "writing"
_p: Final = PAYOUTS.c


def insert(journal: Journal, plan: Plan, how: Beginning) -> None:
    """Write a payout down, and none of its lines yet.

    Raises:
        Overtaken: the wallet has a payout of that id already. JournalError: it could not be written.
    """
    now = journal.now
    values = {
        "treasury": plan.address.lower(),
        "id": how.id,
        "hash": plan.hash,
        "state": WRITING,
        "lines": len(plan.lines),
        "data": canonical(_header(plan, how)),
        "created_at": now,
        "updated_at": now,
    }
    with journal.writing() as connection:
        try:
            connection.execute(sa.insert(PAYOUTS).values(values))
        except IntegrityError:
            raise JOURNAL.out_of_turn() from None


def _header(plan: Plan, how: Beginning) -> dict[str, Any]:
    totals = [
        {"token": each.name, "count": each.count, "amount": each.text} for each in plan.totals
    ]
    return {
        "by": how.by,
        "batch": how.batch,
        "approvers": how.approvers,
        "named": sorted(how.named),
        "wallet": str(plan.wallet),
        "address": plan.address,
        "chain": plan.chain,
        "totals": totals,
    }


def write_lines(
    journal: Journal, plan: Plan, payout: Payout, how: Beginning, progress: Callable[[int], None]
) -> None:
    """Write the lines of a plan down, those that are there already once; `progress` is told how many are.

    Raises:
        TransferConflict: a line's id is another payment's. PayoutError: the payout is not being written any more.
        JournalError: it could not be written.
    """
    done = 0
    for some in chunks(plan.lines):
        new = [_new(plan, payout, line, how.by) for line in some]
        transfers = journal.record_all(new, partial(_hold, payout, journal.now))
        for group in groups(transfers, how.batch, _fits):
            _gather(journal, payout, group, how)
        done += len(some)
        progress(done)


def _gather(journal: Journal, payout: Payout, group: Sequence[Transfer], how: Beginning) -> None:
    line = group[0].place.line if group[0].place else 0
    key = Key(payout.treasury, batch_id(payout.treasury, payout.id, line))
    batch = batches.batch_of(key.id, group)
    new = NewTransfer(key, batch, Lane.PAYOUT, Place(payout.id, line), how.by)
    with journal.writing() as connection:
        _hold(payout, journal.now, connection)
        batches.gather(journal, connection, new, group)


def _new(plan: Plan, payout: Payout, line: Line, by: str) -> NewTransfer:
    place = Place(payout.id, line.number, line.note)
    key = Key(payout.treasury, line.id)
    return NewTransfer(key, line.intent(plan.wallet), Lane.PAYOUT, place, by)


def _fits(transfer: Transfer) -> bool:
    asked = transfer.intent
    return (
        isinstance(asked, TransferIntent)
        and may_be_batched(asked.type, asked.recipient)
        and transfer.standing.stage is Stage.RECORDED
    )


def _hold(payout: Payout, now: str, connection: Connection) -> None:
    # This locks its row to the transaction's end, so that it is not taken out while lines are written.
    touch = sa.update(PAYOUTS).where(as_begun(payout)).values(updated_at=now)
    if connection.execute(touch).rowcount != 1:
        raise PayoutError(
            f"somebody else went on with payout {payout.id}, or cancelled it, while it was written down",
            hint="see how it stands: bursar payout list; running it again goes on with it",
        )


def as_begun(payout: Payout) -> sa.ColumnElement[bool]:
    """Return the condition on a payout's row that it is not written to its end yet."""
    return sa.and_(is_it(payout), _p.state == WRITING)


def is_it(payout: Payout) -> sa.ColumnElement[bool]:
    """Return the condition on a payout's row that it is this one, and none that was begun anew under its id."""
    begun = (_p.hash == payout.hash, _p.created_at == payout.created_at)
    return sa.and_(_p.treasury == payout.treasury, _p.id == payout.id, *begun)
