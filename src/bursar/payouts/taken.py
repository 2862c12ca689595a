"""Which lines of a plan have ids that are other payments' already. They would be refused one by one later."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from bursar.errors import TransferConflict
from bursar.payouts.batching import chunks
from bursar.payouts.lines import Line
from bursar.payouts.plan import Plan
from bursar.payouts.problems import Problem
from bursar.transfers.journal import Journal, transfer_of
from bursar.transfers.record import Transfer, require_same
from bursar.transfers.tables import TRANSFERS

_FIX: Final = "take the line out, or give it an id of its own if it is another payment"


def taken(journal: Journal, plan: Plan, payout: str) -> tuple[Problem, ...]:
    """Return the lines whose ids the journal has for another payment, or for this one outside of `payout`.

    Raises:
        JournalError: it could not be read.
    """
    with journal.reading() as connection:
        return tuple(_problems(connection, plan, payout))


def _problems(connection: Connection, plan: Plan, payout: str) -> Iterator[Problem]:
    for some in chunks(plan.lines):
        there = _those(connection, plan.address.lower(), some)
        for line in some:
            kept = there.get(line.id)
            if kept is not None and (why := _conflict(kept, plan, line, payout)):
                yield Problem(line.number, "id", line.id, why, _FIX)


def _those(connection: Connection, treasury: str, lines: Sequence[Line]) -> dict[str, Transfer]:
    t = TRANSFERS.c
    ids = [line.id for line in lines]
    query = sa.select(TRANSFERS).where(t.treasury == treasury, t.id.in_(ids))
    return {row.id: transfer_of(row) for row in connection.execute(query)}


def _conflict(kept: Transfer, plan: Plan, line: Line, payout: str) -> str:
    try:
        require_same(kept.intent, line.intent(plan.wallet))
    except TransferConflict as conflict:
        return conflict.message
    where = kept.place.payout if kept.place else None
    if where == payout:
        return ""
    whose = f"payout {where}" if where else "a transfer of its own"
    return f"{line.id} is {whose} already ({kept.standing.stage})"
