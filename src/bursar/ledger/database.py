"""The ledger's store over SQL: SQLite in a file of this machine, or PostgreSQL. It needs `bursar[ledger]`.

```
with DatabaseStore.open() as store:                                           # the user's own file
with DatabaseStore.open("postgresql+psycopg://treasury@db.example/ledger") as store:  # bursar[postgres]
```
One table, `ledger_entries(book, entry, data)`. Sources: SQLite, "Write-Ahead Logging" and "Transaction";
PostgreSQL, "Transaction Isolation" and "Collation Support".
"""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Self

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, Connection, Engine, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, SQLAlchemyError

from bursar.errors import ConfigError, LedgerError, LedgerUnavailable
from bursar.ledger.sql_faults import commit_error, meaning
from bursar.ledger.store import HEAD, Change, OutOfTurn

_DRIVERS: Final = {
    "sqlite": "sqlite+pysqlite",
    "postgresql": "postgresql+psycopg",
    "postgres": "postgresql+psycopg",
}
# Seconds: for another writer to be done, and for a server to answer at all.
_PATIENCE: Final = 5
# The name, a number, of the lock that is held while the table is made.
_MAKING: Final = 0x62757273
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
        self._is_sqlite = engine.dialect.name == "sqlite"

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
        url = _url(default_path() if where is None else where)
        if url.get_backend_name() == "sqlite":
            _make_private(Path(str(url.database)))
        store = cls(_engine(url))
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
        with _our_errors(), self._engine.connect() as connection:
            self._begin(connection)
            try:
                self._write(connection, book, change)
            except IntegrityError:
                raise _out_of_turn() from None
            try:
                connection.commit()
            except DBAPIError as error:
                raise commit_error(error) from None

    def _begin(self, connection: Connection) -> None:
        if self._is_sqlite:
            # At once for writing: to begin by reading could not wait its turn afterwards.
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{_PATIENCE}s'")

    def _write(self, connection: Connection, book: str, change: Change) -> None:
        # The head first: its row is what writers of one book wait for each other at.
        new = {HEAD: change.head, **change.new} if change.seen is None else change.new
        if change.seen is not None:
            is_head = sa.and_(_its.book == book, _its.entry == HEAD, _its.data == change.seen)
            turned = connection.execute(sa.update(_TABLE).where(is_head).values(data=change.head))
            if turned.rowcount != 1:
                raise _out_of_turn()
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
        with _our_errors(), self._engine.connect() as connection:
            return [(name, text) for name, text in connection.execute(query)]

    def _prepare(self) -> None:
        end = time.monotonic() + _PATIENCE
        while True:
            try:
                with _our_errors(), self._engine.connect() as connection:
                    return self._make_table(connection)
            except LedgerUnavailable:
                # Two that open a new file together get into each other's way without waiting.
                if not self._is_sqlite or time.monotonic() >= end:
                    raise
                time.sleep(0.05)

    def _make_table(self, connection: Connection) -> None:
        if self._is_sqlite:
            connection.exec_driver_sql("PRAGMA journal_mode = WAL")
        elif connection.exec_driver_sql("SHOW server_encoding").scalar() != "UTF8":
            raise ConfigError(
                "the database's encoding is not UTF8", hint="create one WITH ENCODING 'UTF8'"
            )
        if not sa.inspect(connection).has_table(_TABLE.name):
            if not self._is_sqlite:  # where two make it at once, one of them would fail
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_MAKING)))
            connection.execute(sa.schema.CreateTable(_TABLE, if_not_exists=True))
        connection.commit()


def default_path() -> Path:
    """Return where the ledger is kept without a setting: the user's data folder for bursar.

    It is not in `bursar.home`, which may be a checkout's folder of tools: those can be thrown away, this cannot.
    """
    from platformdirs import user_data_path

    return user_data_path("bursar", appauthor=False) / "ledger.sqlite3"


def _url(where: str | Path) -> URL:
    if isinstance(where, Path) or "://" not in where:
        return URL.create("sqlite+pysqlite", database=str(Path(where).expanduser().absolute()))
    try:
        url = make_url(where)
    except (ArgumentError, ValueError):  # the message has the URL, and so its password
        raise ConfigError("the ledger's URL is not one", hint=_FORMS) from None
    driver = _DRIVERS.get(url.drivername.removesuffix("+psycopg").removesuffix("+pysqlite"))
    if driver is None:
        raise ConfigError("the ledger's URL is of no database it can be kept in", hint=_FORMS)
    if driver.startswith("sqlite") and url.database in {None, "", ":memory:"}:
        raise ConfigError("a ledger in memory forgets what it is for", hint=_FORMS)
    return url.set(drivername=driver)


_FORMS: Final = "a path, sqlite:////path, or postgresql+psycopg://user@host/database"


def _engine(url: URL) -> Engine:
    is_sqlite = url.get_backend_name() == "sqlite"
    arguments: dict[str, Any] = (
        {"timeout": _PATIENCE, "isolation_level": None}
        if is_sqlite
        else {"connect_timeout": _PATIENCE, "application_name": "bursar"}
    )
    try:
        engine = sa.create_engine(
            url, connect_args=arguments, hide_parameters=True, pool_pre_ping=not is_sqlite
        )
    except ImportError:
        raise ConfigError(
            "the driver for PostgreSQL is not installed", hint="pip install 'bursar[postgres]'"
        ) from None
    if is_sqlite:
        sa.event.listen(engine, "connect", _durable)
    return engine


def _durable(connection: Any, _: object) -> None:
    # Under WAL the default would lose the last pages with the power.
    connection.execute("PRAGMA synchronous = FULL")


def _make_private(path: Path) -> None:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        if path.stat().st_mode & 0o077:
            path.chmod(0o600)
    except OSError as error:
        raise LedgerError(
            f"the ledger's file {path} cannot be opened ({error.strerror})",
            hint="it and its folder must be yours to write",
        ) from None


@contextmanager
def _our_errors() -> Iterator[None]:
    try:
        yield
    except SQLAlchemyError as error:  # its message has statements and texts
        raise meaning(error) from None


def _out_of_turn() -> OutOfTurn:
    return OutOfTurn("somebody else wrote the ledger first", hint="read it again")


def _require_unicode(*texts: str) -> None:
    try:
        "".join(texts).encode()
    except UnicodeEncodeError:
        raise LedgerError(
            "a text for the ledger is not Unicode", hint="half a surrogate pair is in it"
        ) from None
