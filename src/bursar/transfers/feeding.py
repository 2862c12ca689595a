"""Which transfers are to be handed to the workflow engine next, and how many it has."""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from bursar.transfers.journal import OPEN, Journal, transfer_of
from bursar.transfers.record import Transfer
from bursar.transfers.states import Hold, Stage
from bursar.transfers.tables import PAYOUTS, TRANSFERS

RUNNING: Final = "running"
_t: Final = TRANSFERS.c
# A batched transfer is driven by its batch.
_DRIVEN: Final = sorted(stage.value for stage in OPEN - {Stage.BATCHED})


def hungry(journal: Journal, treasury: str, limit: int) -> list[Transfer]:
    """Return transfers whose turn the workflow engine does not have yet: the urgent first, payouts line by line.

    Transfers of their own are a process's that was started for them; only what somebody said yes to is taken here.

    Raises:
        JournalError: they could not be read.
    """
    running = sa.select(PAYOUTS.c.id).where(
        PAYOUTS.c.treasury == treasury, PAYOUTS.c.state == RUNNING
    )
    query = (
        sa.select(TRANSFERS)
        .where(*_open(treasury), _t.fed != _t.turn, _t.payout.in_(running))
        .order_by(_t.lane, _t.created_at, _t.payout, _t.line, _t.id)
        .limit(limit)
    )
    with journal.reading() as connection:
        return [transfer_of(row) for row in connection.execute(query)]


def in_hand(journal: Journal, treasury: str) -> int:
    """Return how many transfers of payouts the workflow engine has.

    Raises:
        JournalError: they could not be counted.
    """
    has = (*_open(treasury), _t.fed == _t.turn, _t.payout.is_not(None))
    with journal.reading() as connection:
        return int(connection.execute(sa.select(sa.func.count()).where(*has)).scalar_one())


def stalled(journal: Journal, treasury: str, before: str, limit: int) -> list[Transfer]:
    """Return transfers in the engine's hand about which nothing was written since a time.

    Raises:
        JournalError: they could not be read.
    """
    has = (*_open(treasury), _t.fed == _t.turn, _t.updated_at < before)
    return _listed(journal, has, limit)


def awaiting_consent(journal: Journal, treasury: str, before: str, limit: int) -> list[Transfer]:
    """Return transfers that wait for others' consent, and were last asked about before a time.

    Raises:
        JournalError: they could not be read.
    """
    held = _t.hold == Hold.APPROVAL.value
    has = (_t.treasury == treasury, _t.stage.in_(_DRIVEN), held, _t.updated_at < before)
    return _listed(journal, has, limit)


def payout_state(connection: Connection, treasury: str, payout: str) -> str | None:
    """Return whether a payout is running, paused or what else; None where there is none."""
    found = sa.select(PAYOUTS.c.state).where(PAYOUTS.c.treasury == treasury, PAYOUTS.c.id == payout)
    return connection.execute(found).scalar()


def _listed(journal: Journal, has: tuple[Any, ...], limit: int) -> list[Transfer]:
    query = sa.select(TRANSFERS).where(*has).order_by(_t.updated_at).limit(limit)
    with journal.reading() as connection:
        return [transfer_of(row) for row in connection.execute(query)]


def _open(treasury: str) -> tuple[sa.ColumnElement[bool], ...]:
    return (_t.treasury == treasury, _t.stage.in_(_DRIVEN), _t.hold.is_(None))
