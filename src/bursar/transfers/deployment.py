"""A wallet's first operation puts the wallet on the chain, and only one operation can do so.

Operations that are built before the first has landed all bring the wallet along, and all but one of them fail
(ERC-4337: AA10, sender already constructed). So until the wallet is known to be there, one transfer goes alone.
While it has no operation, as its recipient is being checked or its payout stands still, another may go instead.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from bursar.errors import ComplianceInProgress
from bursar.transfers.feeding import RUNNING
from bursar.transfers.journal import Journal, moment
from bursar.transfers.record import Key
from bursar.transfers.states import FINAL, Stage
from bursar.transfers.tables import PAYOUTS, PUT_OFF, TRANSFERS, WALLETS

# Longer than a call takes, its repetitions with it.
_CALL: Final = timedelta(minutes=2)


def may_go(journal: Journal, key: Key) -> bool:
    """Tell whether a transfer may be built: the wallet is there, or this one is to be its first.

    Raises:
        JournalError: it could not be read or written.
    """
    w = WALLETS.c
    is_it = w.treasury == key.treasury
    with journal.reading() as connection:
        row = connection.execute(sa.select(WALLETS).where(is_it)).first()
    if row is not None and (row.deployed or row.first == key.id):
        return True
    with journal.writing() as connection:
        _insert(connection, key)
        row = connection.execute(sa.select(WALLETS).where(is_it).with_for_update()).one()
        if row.deployed or row.first == key.id:
            return True
        if row.first is not None and _is_at_work(
            connection, Key(key.treasury, row.first), journal.now
        ):
            return False
        connection.execute(sa.update(WALLETS).where(is_it).values(first=key.id))
        return True


def is_known(journal: Journal, treasury: str) -> bool:
    """Tell whether a wallet is known to be on the chain.

    Raises:
        JournalError: it could not be read.
    """
    w = WALLETS.c
    known = sa.select(w.treasury).where(w.treasury == treasury, w.deployed.is_(True))
    with journal.reading() as connection:
        return connection.execute(known).first() is not None


def is_there(journal: Journal, treasury: str) -> None:
    """Remember that a wallet is on the chain, and have those that were put off until then handed out."""
    t, w = TRANSFERS.c, WALLETS.c
    unknown = sa.and_(w.treasury == treasury, w.deployed.is_(False))
    with journal.reading() as connection:
        if connection.execute(sa.select(WALLETS).where(unknown)).first() is None:
            return
    with journal.writing() as connection:
        connection.execute(sa.update(WALLETS).where(unknown).values(deployed=True))
        waiting = (
            PUT_OFF,
            t.treasury == treasury,
            t.stage == Stage.RECORDED.value,
            t.code.is_(None),
        )
        connection.execute(sa.update(TRANSFERS).where(*waiting).values(retry_at=journal.now))


def _insert(connection: Connection, key: Key) -> None:
    insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    values = {"treasury": key.treasury, "deployed": False, "first": key.id}
    connection.execute(insert(WALLETS).values(values).on_conflict_do_nothing())


def _is_at_work(connection: Connection, key: Key, now: str) -> bool:
    t = TRANSFERS.c
    over = sa.or_(t.stage.in_([stage.value for stage in FINAL]), t.hold.is_not(None))
    working = sa.not_(sa.or_(over, _is_stopped(now)))
    found = sa.select(t.id).where(t.treasury == key.treasury, t.id == key.id, working)
    return connection.execute(found).first() is not None


def _is_stopped(now: str) -> sa.ColumnElement[bool]:
    """Return whether there is no operation of a transfer, and none is being made."""
    t, p = TRANSFERS.c, PAYOUTS.c
    payout = sa.exists().where(p.treasury == t.treasury, p.id == t.payout, p.state != RUNNING)
    # Only that answer proves that Crossmint has built nothing: after others there may be something under its id.
    checked = sa.func.coalesce(t.code, "") == ComplianceInProgress.code
    a_while_ago = moment(datetime.fromisoformat(now) - _CALL)
    unasked = t.version == 1
    uncalled = sa.or_(unasked, sa.func.coalesce(t.retry_at, "") > now, t.updated_at < a_while_ago)
    return sa.and_(t.stage == Stage.RECORDED.value, sa.or_(checked, payout), uncalled)
