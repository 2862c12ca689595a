"""A wallet's first operation puts the wallet on the chain, and only one operation can do so.

Operations that are built before the first has landed all bring the wallet along, and all but one of them fail
(ERC-4337: AA10, sender already constructed). So until the wallet is known to be there, one transfer goes alone.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from bursar.transfers.journal import Journal
from bursar.transfers.record import Key
from bursar.transfers.states import FINAL
from bursar.transfers.tables import TRANSFERS, WALLETS


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
        if row.first is not None and _is_at_work(connection, Key(key.treasury, row.first)):
            return False
        connection.execute(sa.update(WALLETS).where(is_it).values(first=key.id))
        return True


def is_there(journal: Journal, treasury: str) -> None:
    """Remember that a wallet is on the chain."""
    w = WALLETS.c
    unknown = sa.and_(w.treasury == treasury, w.deployed.is_(False))
    with journal.reading() as connection:
        if connection.execute(sa.select(WALLETS).where(unknown)).first() is None:
            return
    with journal.writing() as connection:
        connection.execute(sa.update(WALLETS).where(unknown).values(deployed=True))


def _insert(connection: Connection, key: Key) -> None:
    insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    values = {"treasury": key.treasury, "deployed": False, "first": key.id}
    connection.execute(insert(WALLETS).values(values).on_conflict_do_nothing())


def _is_at_work(connection: Connection, key: Key) -> bool:
    t = TRANSFERS.c
    over = sa.or_(t.stage.in_([stage.value for stage in FINAL]), t.hold.is_not(None))
    found = sa.select(t.id).where(t.treasury == key.treasury, t.id == key.id, sa.not_(over))
    return connection.execute(found).first() is not None
