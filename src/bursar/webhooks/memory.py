"""Which deliveries came before, in a database: SQLite or PostgreSQL. It needs `bursar[ledger]`.

One table, `webhook_deliveries(id, seen_at)`. A PostgreSQL user needs SELECT, INSERT and DELETE on it, and CREATE
on the schema the first time.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Final, Self

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection, Engine

from bursar.errors import ConfigError, JournalError, JournalUnavailable
from bursar.sql import engine as sql
from bursar.sql.faults import Kept, spoken_of

# Svix tries for a little more than a day, and people press "resend" later than that.
KEPT: Final = timedelta(days=7)
_MEMORY: Final = Kept(
    "the memory of webhook deliveries",
    JournalError,
    JournalUnavailable,
    JournalError,
    JournalUnavailable,
    "it needs SELECT, INSERT and DELETE on webhook_deliveries, and CREATE the first time",
)

_TABLE: Final = sa.Table(
    "webhook_deliveries",
    sa.MetaData(),
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("seen_at", sa.BigInteger, nullable=False, index=True),
)


class DeliveryMemory:
    """`bursar.webhooks.verification.Seen` over a database. Threads and processes may share one."""

    def __init__(self, engine: Engine, kept: timedelta = KEPT) -> None:
        self._engine = engine
        self._kept = int(kept.total_seconds())

    @classmethod
    def open(cls, engine: Engine, kept: timedelta = KEPT) -> Self:
        """Return the memory in this database, and make its table if it is not there yet.

        Ids are kept for `kept`: longer than a delivery's signature is good for, or a repeat would pass for new.

        Raises:
            ConfigError: neither SQLite nor PostgreSQL, or kept for less than an hour.
            JournalUnavailable: the database could not be reached.
            JournalError: it refused.
        """
        if engine.dialect.name not in ("sqlite", "postgresql") or kept < timedelta(hours=1):
            raise ConfigError("deliveries are kept for an hour or more, in SQLite or PostgreSQL")
        sql.make_tables(engine, _MEMORY, _TABLE.metadata.create_all)
        return cls(engine, kept)

    def __repr__(self) -> str:
        return f"DeliveryMemory({self._engine.dialect.name})"

    def first(self, delivery: str, at: datetime) -> bool:
        """Remember a delivery's id, and tell whether it had not been seen. One transaction.

        Ids that were kept long enough are forgotten.

        Raises:
            JournalUnavailable, JournalError: it is not known whether the id was remembered; ask again.
        """
        now = int(at.timestamp())
        insert = (sqlite if sql.is_sqlite(self._engine) else postgresql).insert(_TABLE)
        row = (
            insert.values(id=delivery, seen_at=now).on_conflict_do_nothing().returning(_TABLE.c.id)
        )
        old = sa.delete(_TABLE).where(_TABLE.c.seen_at < now - self._kept)
        with self._writing() as connection:
            connection.execute(old)
            return connection.execute(row).first() is not None

    def forget(self, delivery: str) -> None:
        """Let this one come again. One transaction.

        Raises:
            JournalUnavailable, JournalError: as `first`.
        """
        with self._writing() as connection:
            connection.execute(sa.delete(_TABLE).where(_TABLE.c.id == delivery))

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        with spoken_of(_MEMORY), self._engine.connect() as connection:
            sql.begin_writing(connection)
            yield connection
            connection.commit()
