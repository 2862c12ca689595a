"""The ledger's store over SQL: SQLite in a file of this machine, or PostgreSQL. It needs `bursar[ledger]`.

```
with DatabaseStore.open() as store:                                           # the user's own file
with DatabaseStore.open("postgresql+psycopg://treasury@db.example/ledger") as store:  # bursar[postgres]
```
One table, `ledger_entries(book, entry, data)`. Source: PostgreSQL, "Transaction Isolation", "Collation Support".
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Final, Self

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import DBAPIError, IntegrityError

from bursar.errors import BursarError, LedgerDamaged, LedgerError, LedgerUnavailable
from bursar.ledger.store import HEAD, Change, OutcomeUnknown, OutOfTurn
from bursar.sql import engine as sql
from bursar.sql.faults import Kept, spoken_of, was_undone

LEDGER: Final = Kept(
    "the ledger",
    LedgerError,
    LedgerUnavailable,
    LedgerDamaged,
    OutOfTurn,
    "it needs SELECT, INSERT and UPDATE on ledger_entries, and CREATE the first time",
)
_PAGE: Final = 100
_KEYS: Final = 500


def _name(key: str) -> sa.Column[str]:
    # Ranges are in the order of bytes: SQLite's own order is, a PostgreSQL database's seldom.
    kind = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
    return sa.Column(key, kind, primary_key=True)


_TABLE: Final = sa.Table(
    "ledger_entries",
    sa.MetaData(),
    _name("book"),
    _name("entry"),
    sa.Column("data", sa.Text, nullable=False),
    sqlite_with_rowid=False,
)
_its: Final = _TABLE.c
_ENTRIES: Final = sa.select(_its.entry, _its.data)
_Entries = Sequence[tuple[str, str]]


class DatabaseStore:
    """`bursar.ledger.store.Store` over a database. Threads and processes may share one; a fork opens its own."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._is_sqlite = sql.is_sqlite(engine)

    @classmethod
    def open(cls, where: str | Path | None = None) -> Self:
        """Return the store at a path or URL, and make its table if it is not there yet.

        Without one it is a file in the user's data folder. A file is made for its owner alone (0600, in a folder
        0700 where that is new) and belongs on a local disk. A PostgreSQL user needs SELECT, INSERT and UPDATE on
        the table, and CREATE on the schema the first time.

        Raises:
            ConfigError: not a path or URL of these, or the driver is not installed.
            LedgerUnavailable: the database could not be reached.
            LedgerError: the file or the table cannot be made.
        """
        store = cls(sql.open_engine(default_path() if where is None else where, LEDGER))
        try:
            store._prepare()
        except BaseException:
            store.close()
            raise
        return store

    def __repr__(self) -> str:
        url = self._engine.url
        return f"DatabaseStore({url.get_backend_name()}, {url.host or ''}, {url.database})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the kept connections. The store still works, with new ones."""
        self._engine.dispose()

    def get(self, book: str, names: Collection[str]) -> dict[str, str]:
        """Return the texts of these entries; those that are not there are left out.

        Raises:
            LedgerUnavailable: the database could not be reached. LedgerError: it refused.
        """
        _require_unicode(book, *names)
        asked = list(dict.fromkeys(names))
        found: dict[str, str] = {}
        for start in range(0, len(asked), _KEYS):
            some = asked[start : start + _KEYS]
            found.update(self._read(_ENTRIES.where(_its.book == book, _its.entry.in_(some))))
        return found

    def between(self, book: str, first: str, last: str) -> Iterator[tuple[str, str]]:
        """Yield the entries whose names are from `first` to `last`, both included, in the order of their bytes.

        They are read a page at a time, so that whoever stops in the middle holds nothing.

        Raises:
            LedgerUnavailable, LedgerError: as `get`, at the entry that could not be read.
        """
        _require_unicode(book, first, last)
        page = self._page(book, _its.entry >= first, last)
        while page:
            yield from page
            is_last = len(page) < _PAGE
            page = [] if is_last else self._page(book, _its.entry > page[-1][0], last)

    def put(self, book: str, change: Change) -> None:
        """Write a change in one transaction.

        Raises:
            OutOfTurn: the head is not the one that was seen, or something of `new` is there; nothing was written.
            OutcomeUnknown: the connection was lost while it was being committed.
            LedgerUnavailable: it could not be reached, is full or read-only; nothing was written.
            LedgerError: it refused; nothing was written.
        """
        for texts in (change.new, change.entries):
            _require_unicode(book, change.seen or "", change.head, *texts, *texts.values())
        with spoken_of(LEDGER), self._engine.connect() as connection:
            sql.begin_writing(connection)
            try:
                self._write(connection, book, change)
            except IntegrityError:
                raise LEDGER.out_of_turn() from None
            try:
                connection.commit()
            except DBAPIError as error:
                raise _commit_error(error) from None

    def _write(self, connection: Connection, book: str, change: Change) -> None:
        # The head first: its row is what writers of one book wait for each other at.
        new = {HEAD: change.head, **change.new} if change.seen is None else change.new
        if change.seen is not None:
            is_head = sa.and_(_its.book == book, _its.entry == HEAD, _its.data == change.seen)
            turned = connection.execute(sa.update(_TABLE).where(is_head).values(data=change.head))
            if turned.rowcount != 1:
                raise LEDGER.out_of_turn()
        for name, text in new.items():
            connection.execute(sa.insert(_TABLE), {"book": book, "entry": name, "data": text})
        for name, text in change.entries.items():
            connection.execute(self._upsert(book, name, text))

    def _upsert(self, book: str, name: str, text: str) -> sa.Executable:
        insert = sqlite.insert if self._is_sqlite else postgresql.insert
        return (
            insert(_TABLE)
            .values(book=book, entry=name, data=text)
            .on_conflict_do_update(index_elements=[_its.book, _its.entry], set_={"data": text})
        )

    def _page(self, book: str, start: sa.ColumnElement[bool], last: str) -> _Entries:
        within = sa.and_(_its.book == book, start, _its.entry <= last)
        return self._read(_ENTRIES.where(within).order_by(_its.entry).limit(_PAGE))

    def _read(self, query: sa.Select[str, str]) -> _Entries:
        with spoken_of(LEDGER), self._engine.connect() as connection:
            return [(name, text) for name, text in connection.execute(query)]

    def _prepare(self) -> None:
        sql.make_tables(self._engine, LEDGER, _make_table)


def _make_table(connection: Connection) -> None:
    if not sa.inspect(connection).has_table(_TABLE.name):
        connection.execute(sa.schema.CreateTable(_TABLE, if_not_exists=True))


def _commit_error(error: DBAPIError) -> BursarError:
    if was_undone(error):
        return LEDGER.out_of_turn()
    return OutcomeUnknown(
        "the ledger's database did not say whether it wrote",
        hint="look before it is written again",
    )


def default_path() -> Path:
    """Return where the ledger is kept without a setting: the user's data folder for bursar."""
    return sql.default_path("ledger.sqlite3")


def _require_unicode(*texts: str) -> None:
    try:
        "".join(texts).encode()
    except UnicodeEncodeError:
        raise LedgerError(
            "a text for the ledger is not Unicode", hint="half a surrogate pair is in it"
        ) from None
