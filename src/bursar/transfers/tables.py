"""The journal's tables: transfers, what happened to them, payouts, and who is at work."""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from bursar.transfers.states import FINAL, Stage

_DATA: Final = sa.MetaData()


def _key(name: str, *, primary: bool = True) -> sa.Column[str]:
    # In the order of bytes, whatever language a PostgreSQL database sorts by.
    kind = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
    return sa.Column(name, kind, primary_key=primary, nullable=False)


TRANSFERS: Final = sa.Table(
    "transfers",
    _DATA,
    _key("treasury"),
    _key("id"),
    # A batch pays several transfers, and is one itself.
    sa.Column("is_batch", sa.Boolean, nullable=False),
    sa.Column("intent", sa.Text, nullable=False),
    sa.Column("stage", sa.Text, nullable=False),
    sa.Column("hold", sa.Text),
    sa.Column("code", sa.Text),
    sa.Column("reason", sa.Text),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("retry_at", sa.Text),
    sa.Column("known", sa.Text, nullable=False),
    # One Crossmint transaction is one transfer's.
    sa.Column("transaction_id", sa.Text),
    sa.Column("lane", sa.Integer, nullable=False),
    sa.Column("payout", sa.Text),
    sa.Column("line", sa.Integer),
    sa.Column("note", sa.Text),
    sa.Column("batch", sa.Text),
    sa.Column("turn", sa.Integer, nullable=False),
    # The last turn whose work was handed to the workflow engine.
    sa.Column("fed", sa.Integer, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("created_at", sa.Text, nullable=False),
    sa.Column("updated_at", sa.Text, nullable=False),
    sa.UniqueConstraint("treasury", "transaction_id"),
    sa.Index("transfers_of_payout", "treasury", "payout", "line"),
    sa.Index("transfers_of_batch", "treasury", "batch"),
    sa.Index("transfers_by_stage", "stage", "lane", "created_at"),
)
_t: Final = TRANSFERS.c
# A batched transfer is driven by its batch. The stages are written out, as a partial index is used only by a
# query whose text has its condition in it.
DRIVEN: Final = _t.stage.in_(
    [
        sa.literal_column(f"'{stage.value}'")
        for stage in sorted(Stage)
        if stage not in FINAL and stage is not Stage.BATCHED
    ]
)
_UNFED: Final = sa.and_(DRIVEN, _t.hold.is_(None), _t.fed != _t.turn)
TO_HAND_OUT: Final = sa.and_(_UNFED, _t.retry_at.is_(None))
PUT_OFF: Final = sa.and_(_UNFED, _t.retry_at.is_not(None))
HANDED_OUT: Final = sa.and_(DRIVEN, _t.hold.is_(None), _t.fed == _t.turn)
HELD: Final = sa.and_(DRIVEN, _t.hold.is_not(None))


def _partial(name: str, where: sa.ColumnElement[bool], *columns: sa.Column[Any]) -> None:
    sa.Index(name, *columns, sqlite_where=where, postgresql_where=where)


# Of a hundred thousand lines few are in hand at a time, and every worker asks for them twice a second.
# SQLite prefers the index of which it knows the most columns: by the lane these have one more than others.
_partial("transfers_to_hand_out", TO_HAND_OUT, _t.treasury, _t.lane, _t.payout, _t.line, _t.id)
_partial("transfers_put_off", PUT_OFF, _t.treasury, _t.lane, _t.retry_at, _t.updated_at)
_partial("transfers_handed_out", HANDED_OUT, _t.treasury, _t.lane, _t.updated_at)
_partial("transfers_held", HELD, _t.treasury, _t.hold, _t.updated_at)
EVENTS: Final = sa.Table(
    "transfer_events",
    _DATA,
    _key("treasury"),
    _key("id"),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("at", sa.Text, nullable=False),
    sa.Column("event", sa.Text, nullable=False),
    sa.Column("data", sa.Text, nullable=False),
)
PAYOUTS: Final = sa.Table(
    "payouts",
    _DATA,
    _key("treasury"),
    _key("id"),
    sa.Column("hash", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("lines", sa.Integer, nullable=False),
    sa.Column("data", sa.Text, nullable=False),
    sa.Column("created_at", sa.Text, nullable=False),
    sa.Column("updated_at", sa.Text, nullable=False),
)
WORKERS: Final = sa.Table(
    "workers",
    _DATA,
    _key("id"),
    sa.Column("host", sa.Text, nullable=False),
    sa.Column("pid", sa.Integer, nullable=False),
    sa.Column("works", sa.Boolean, nullable=False),
    # Seconds since 1970 by the database's clock, where it has one of its own.
    sa.Column("seen_at", sa.Float, nullable=False),
)
WALLETS: Final = sa.Table(
    "wallets",
    _DATA,
    _key("treasury"),
    # Whether the wallet is known to be on the chain; until then, the one transfer that may put it there.
    sa.Column("deployed", sa.Boolean, nullable=False),
    sa.Column("first", sa.Text),
)


def make(connection: Connection) -> None:
    """Make the tables that are not there yet."""
    _DATA.create_all(connection)


def now(connection: Connection) -> float:
    """Return the time in seconds since 1970: the server's, which all machines share, or this machine's."""
    if connection.dialect.name == "postgresql":
        found = connection.execute(sa.text("SELECT extract(epoch FROM clock_timestamp())"))
        return float(found.scalar_one())
    import time

    return time.time()
