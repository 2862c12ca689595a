"""Which transfers are to be handed to the workflow engine next, and which are put off until their time comes."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from bursar.transfers.journal import JOURNAL, Journal, moment, transfer_of
from bursar.transfers.record import Lane, Transfer
from bursar.transfers.states import Hold, Stage
from bursar.transfers.tables import HANDED_OUT, HELD, PAYOUTS, PUT_OFF, TO_HAND_OUT, TRANSFERS

RUNNING: Final = "running"
# Clocks of machines that share a journal differ by less.
_SKEW: Final = timedelta(minutes=5)
_t: Final = TRANSFERS.c
_p: Final = PAYOUTS.c


def hungry(journal: Journal, treasury: str, limit: int) -> list[Transfer]:
    """Return transfers whose turn the workflow engine does not have yet: payout by payout, line by line.

    What was put off and is due comes first, but may have no more than half where there is enough of both.
    Transfers of their own are a process's that was started for them; only what somebody said yes to is taken here.

    Raises:
        JournalError: they could not be read.
    """
    with journal.reading() as connection:
        rows = connection.execute(due_lines(treasury, journal.now, limit))
        due = [transfer_of(row) for row in rows]
        found = _unbegun(connection, treasury, limit)
    back = due[: max(limit - len(found), (limit + 1) // 2)]
    return back + found[: limit - len(back)]


def _unbegun(connection: Connection, treasury: str, limit: int) -> list[Transfer]:
    found: list[Transfer] = []
    for payout in connection.scalars(hungry_payouts(treasury)).all():
        rows = connection.execute(hungry_lines(treasury, payout, limit - len(found)))
        found += [transfer_of(row) for row in rows]
        if len(found) >= limit:
            break
    return found


def due_lines(treasury: str, now: str, limit: int) -> sa.Select[tuple[Any, ...]]:
    """Return the query for what was put off until now, the longest due first.

    What has a transaction goes on to its end though its payout does not.
    """
    running = sa.exists().where(_p.treasury == _t.treasury, _p.id == _t.payout, _p.state == RUNNING)
    goes_on = sa.or_(_t.stage != Stage.RECORDED.value, running)
    has = (PUT_OFF, *_of_payouts(treasury), _is_due(now), goes_on)
    return sa.select(TRANSFERS).where(*has).order_by(_t.retry_at).limit(limit)


def _is_due(now: str) -> sa.ColumnElement[bool]:
    # What was written a while from now was so by a clock that was put back since.
    a_while_from_now = moment(datetime.fromisoformat(now) + _SKEW)
    return sa.or_(_t.retry_at <= now, _t.updated_at > a_while_from_now)


def put_off(journal: Journal, transfer: Transfer, wait: float) -> Transfer:
    """End a transfer's turn, to be handed out again in so many seconds, and return it as it is now.

    Nothing happened to it, so there is no event. Whoever is at the turn that has ended does no more about it.

    Raises:
        Overtaken: something happened since it was read. JournalError: it could not be written.
    """
    at = moment(datetime.fromisoformat(journal.now) + timedelta(seconds=wait))
    key, turn = transfer.key, transfer.turn + 1
    as_read = (
        _t.treasury == key.treasury,
        _t.id == key.id,
        _t.version == transfer.version,
        _t.turn == transfer.turn,
    )
    ended = sa.update(TRANSFERS).where(*as_read).values(turn=turn, retry_at=at)
    with journal.writing() as connection:
        if connection.execute(ended).rowcount != 1:
            raise JOURNAL.out_of_turn()
    return replace(transfer, turn=turn, standing=replace(transfer.standing, retry_at=at))


def hungry_payouts(treasury: str) -> sa.Select[str]:
    """Return the query for the running payouts that have something to hand out, the oldest first."""
    some = sa.exists().where(TO_HAND_OUT, *_of_payouts(treasury), _t.payout == _p.id)
    running = (_p.treasury == treasury, _p.state == RUNNING)
    return sa.select(_p.id).where(*running, some).order_by(_p.created_at, _p.id)


def hungry_lines(treasury: str, payout: str, limit: int) -> sa.Select[tuple[Any, ...]]:
    """Return the query for what is to be handed out of a payout, in the order of its lines."""
    has = (TO_HAND_OUT, *_of_payouts(treasury), _t.payout == payout)
    return sa.select(TRANSFERS).where(*has).order_by(_t.line, _t.id).limit(limit)


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
    """Return transfers that wait for others' consent since before a time, and that it is time to ask about again.

    Raises:
        JournalError: they could not be read.
    """
    held = _t.hold == Hold.APPROVAL.value
    first = sa.and_(_t.retry_at.is_(None), _t.updated_at < before)
    due = sa.or_(first, _is_due(journal.now))
    return _listed(journal, (HELD, _t.treasury == treasury, held, due), limit)


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
