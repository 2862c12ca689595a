"""Which transfers are to be handed to the workflow engine next, and how many it has."""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from bursar.transfers.journal import Journal, transfer_of
from bursar.transfers.record import Lane, Transfer
from bursar.transfers.states import Hold, Stage
from bursar.transfers.tables import HANDED_OUT, HELD, PAYOUTS, TO_HAND_OUT, TRANSFERS

RUNNING: Final = "running"
_t: Final = TRANSFERS.c
_p: Final = PAYOUTS.c


def hungry(journal: Journal, treasury: str, limit: int) -> list[Transfer]:
    """Return transfers whose turn the workflow engine does not have yet: payout by payout, line by line.

    Transfers of their own are a process's that was started for them; only what somebody said yes to is taken here.

    Raises:
        JournalError: they could not be read.
    """
    found: list[Transfer] = []
    with journal.reading() as connection:
        for payout in connection.scalars(hungry_payouts(treasury)).all():
            rows = connection.execute(hungry_lines(treasury, payout, limit - len(found)))
            found += [transfer_of(row) for row in rows]
            if len(found) >= limit:
                break
    return found


def hungry_payouts(treasury: str) -> sa.Select[str]:
    """Return the query for the running payouts that have something to hand out, the oldest first."""
    some = sa.exists().where(TO_HAND_OUT, *_of_payouts(treasury), _t.payout == _p.id)
    running = (_p.treasury == treasury, _p.state == RUNNING)
    return sa.select(_p.id).where(*running, some).order_by(_p.created_at, _p.id)


def hungry_lines(treasury: str, payout: str, limit: int) -> sa.Select[tuple[Any, ...]]:
    """Return the query for what is to be handed out of a payout, in the order of its lines."""
    has = (TO_HAND_OUT, *_of_payouts(treasury), _t.payout == payout)
    return sa.select(TRANSFERS).where(*has).order_by(_t.line, _t.id).limit(limit)


def in_hand(journal: Journal, treasury: str) -> int:
    """Return how many transfers of payouts the workflow engine has.

    Raises:
        JournalError: they could not be counted.
    """
    with journal.reading() as connection:
        return int(connection.execute(how_many_in_hand(treasury)).scalar_one())


def how_many_in_hand(treasury: str) -> sa.Select[int]:
    """Return the query for how many transfers of payouts the workflow engine has."""
    has = (HANDED_OUT, *_of_payouts(treasury))
    return sa.select(sa.func.count()).select_from(TRANSFERS).where(*has)


def stalled(journal: Journal, treasury: str, before: str, limit: int) -> list[Transfer]:
    """Return transfers in the engine's hand about which nothing was written since a time.

    Raises:
        JournalError: they could not be read.
    """
    # All lanes are named so that the index is of use beyond them.
    has = (
        HANDED_OUT,
        _t.treasury == treasury,
        _t.lane.in_([lane.value for lane in Lane]),
        _t.updated_at < before,
    )
    return _listed(journal, has, limit)


def awaiting_consent(journal: Journal, treasury: str, before: str, limit: int) -> list[Transfer]:
    """Return transfers that wait for others' consent, and were last asked about before a time.

    Raises:
        JournalError: they could not be read.
    """
    held = _t.hold == Hold.APPROVAL.value
    has = (HELD, _t.treasury == treasury, held, _t.updated_at < before)
    return _listed(journal, has, limit)


def put_back(journal: Journal, treasury: str, payout: str) -> list[Transfer]:
    """Return a payout's transfers that were handed out and never begun, as those are that come while it is paused.

    Raises:
        JournalError: they could not be read.
    """
    unbegun = _t.stage == Stage.RECORDED.value
    has = (HANDED_OUT, _t.treasury == treasury, _t.payout == payout, unbegun)
    return _listed(journal, has, None)


def payout_state(connection: Connection, treasury: str, payout: str) -> str | None:
    """Return whether a payout is running, paused or what else; None where there is none."""
    found = sa.select(PAYOUTS.c.state).where(PAYOUTS.c.treasury == treasury, PAYOUTS.c.id == payout)
    return connection.execute(found).scalar()


def _of_payouts(treasury: str) -> tuple[sa.ColumnElement[bool], ...]:
    return _t.treasury == treasury, _t.lane == Lane.PAYOUT.value


def _listed(
    journal: Journal, has: tuple[sa.ColumnElement[bool], ...], limit: int | None
) -> list[Transfer]:
    query = sa.select(TRANSFERS).where(*has).order_by(_t.updated_at).limit(limit)
    with journal.reading() as connection:
        return [transfer_of(row) for row in connection.execute(query)]
