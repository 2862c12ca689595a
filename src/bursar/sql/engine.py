"""A database, opened: a file of this machine for its owner alone, or a PostgreSQL server.

Sources: SQLite, "Write-Ahead Logging" and "Transaction"; PostgreSQL, "Explicit Locking".
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection, Engine, make_url
from sqlalchemy.exc import ArgumentError

from bursar.errors import BursarError, ConfigError
from bursar.sql.faults import Kept, spoken_of

_DRIVERS: Final = {
    "sqlite": "sqlite+pysqlite",
    "postgresql": "postgresql+psycopg",
    "postgres": "postgresql+psycopg",
}
_FORMS: Final = "a path, sqlite:////path, or postgresql+psycopg://user@host/database"
# Seconds: for another writer to be done, and for a server to answer at all.
PATIENCE: Final = 5
# The name, a number, of the lock that is held while tables are made.
_MAKING: Final = 0x62757273


def default_path(name: str) -> Path:
    """Return where a file is kept without a setting: the user's data folder for bursar.

    It is not in `bursar.home`, which may be a checkout's folder of tools: those can be thrown away, this cannot.
    """
    from platformdirs import user_data_path

    return user_data_path("bursar", appauthor=False) / name


def open_engine(where: str | Path, kept: Kept) -> Engine:
    """Return the engine of a path or URL; nothing is connected to yet.

    A file is made for its owner alone (0600, in a folder 0700 where that is new) and belongs on a local disk.

    Raises:
        ConfigError: not a path or URL of these, or the driver is not installed.
        BursarError: `kept`'s, where the file cannot be made.
    """
    url = database_url(where, kept)
    if url.get_backend_name() == "sqlite":
        make_private(Path(str(url.database)), kept)
    return _engine(url)


def database_url(where: str | Path, kept: Kept) -> URL:
    """Return the URL of a path or URL, with the driver that is used.

    Raises:
        ConfigError: not a path or URL of these.
    """
    if isinstance(where, Path) or "://" not in where:
        return URL.create("sqlite+pysqlite", database=str(Path(where).expanduser().absolute()))
    try:
        url = make_url(where)
    except (ArgumentError, ValueError):  # the message has the URL, and so its password
        raise ConfigError(f"{kept.its} URL is not one", hint=_FORMS) from None
    driver = _DRIVERS.get(url.drivername.removesuffix("+psycopg").removesuffix("+pysqlite"))
    if driver is None:
        raise ConfigError(f"{kept.its} URL is of no database it can be kept in", hint=_FORMS)
    if driver.startswith("sqlite") and url.database in {None, "", ":memory:"}:
        raise ConfigError(f"{kept.it} in memory would forget what it is for", hint=_FORMS)
    return url.set(drivername=driver)


def is_sqlite(engine: Engine) -> bool:
    """Tell whether it is SQLite, where one writer at a time is all there is."""
    return engine.dialect.name == "sqlite"


def begin_writing(connection: Connection) -> None:
    """Begin a transaction that is going to write, and wait its turn for some seconds, not for ever."""
    if connection.dialect.name == "sqlite":
        # At once for writing: to begin by reading could not wait its turn afterwards.
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    else:
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{PATIENCE}s'")


def make_tables(engine: Engine, kept: Kept, make: Callable[[Connection], None]) -> None:
    """Have `make` make what is not there yet, whoever else is doing so at the same time.

    A PostgreSQL user needs CREATE on the schema the first time.

    Raises:
        ConfigError: the database's encoding is not UTF8.
        BursarError: `kept`'s.
    """
    end = time.monotonic() + PATIENCE
    while True:
        try:
            with spoken_of(kept), _making(engine) as connection:
                return make(connection)
        except BursarError as error:
            # Two that open a new file together get into each other's way without waiting.
            is_busy = isinstance(error, kept.unavailable) and is_sqlite(engine)
            if not is_busy or time.monotonic() >= end:
                raise
            time.sleep(0.05)


@contextmanager
def _making(engine: Engine) -> Iterator[Connection]:
    # One at a time: where two make a table at once, one of them would fail.
    with engine.connect() as connection:
        if is_sqlite(engine):
            connection.exec_driver_sql("PRAGMA journal_mode = WAL")
            begin_writing(connection)
        else:
            if connection.exec_driver_sql("SHOW server_encoding").scalar() != "UTF8":
                raise ConfigError(
                    "the database's encoding is not UTF8", hint="create one WITH ENCODING 'UTF8'"
                )
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_MAKING)))
        yield connection
        connection.commit()


def _engine(url: URL) -> Engine:
    on_file = url.get_backend_name() == "sqlite"
    arguments: dict[str, Any] = (
        {"timeout": PATIENCE, "isolation_level": None}
        if on_file
        else {"connect_timeout": PATIENCE, "application_name": "bursar"}
    )
    try:
        engine = sa.create_engine(
            url, connect_args=arguments, hide_parameters=True, pool_pre_ping=not on_file
        )
    except ImportError:
        raise ConfigError(
            "the driver for PostgreSQL is not installed", hint="pip install 'bursar[postgres]'"
        ) from None
    if on_file:
        sa.event.listen(engine, "connect", _durable)
    return engine


def _durable(connection: Any, _: object) -> None:
    # Under WAL the default would lose the last pages with the power.
    connection.execute("PRAGMA synchronous = FULL")


def make_private(path: Path, kept: Kept) -> None:
    """Make a file for its owner alone, where it is not there yet, and close it to others where it is.

    Raises:
        BursarError: `kept`'s, where it cannot be made.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        if path.stat().st_mode & 0o077:
            path.chmod(0o600)
    except OSError as error:
        raise kept.failed(
            f"{kept.its} file {path} cannot be opened ({error.strerror})",
            hint="it and its folder must be yours to write",
        ) from None
