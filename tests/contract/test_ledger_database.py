"""What only a database can do wrong: files, locks, URLs, and connections that break at the worst moment."""

from __future__ import annotations

import sqlite3
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa

from bursar.errors import ConfigError, LedgerDamaged, LedgerError, LedgerUnavailable
from bursar.ledger.database import DatabaseStore, default_path
from bursar.ledger.store import HEAD, Change, OutcomeUnknown
from tests.contract.stores import StoreWorld

FIRST = Change(None, "1", {"receipt": "r"}, {"a": "1"})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "new" / "ledger.sqlite3"


@pytest.fixture
def server(postgres_url: str) -> Iterator[DatabaseStore]:
    with DatabaseStore.open(postgres_url) as store:
        yield store


def plain(url: str) -> str:
    return url.replace("+psycopg", "")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_file_and_its_companions_are_the_owner_s_alone(path: Path) -> None:
    with DatabaseStore.open(path) as store:
        store.put("book", FIRST)
        found = {each.name: mode(each) for each in path.parent.iterdir()}
    assert mode(path.parent) == 0o700
    assert set(found.values()) == {0o600}
    assert len(found) == 3


def test_a_file_that_others_could_read_is_closed_to_them(path: Path) -> None:
    path.parent.mkdir()
    path.touch(0o644)
    DatabaseStore.open(str(path)).close()
    assert mode(path) == 0o600


def test_without_a_place_it_is_the_user_s_own_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    with DatabaseStore.open() as store:
        store.put("book", FIRST)
    assert default_path().is_file()
    assert default_path().is_relative_to(tmp_path)
    assert mode(default_path()) == 0o600


def test_a_path_and_its_url_are_one_ledger(path: Path) -> None:
    with DatabaseStore.open(path) as one, DatabaseStore.open(f"sqlite:///{path}") as other:
        one.put("book", FIRST)
        assert other.get("book", [HEAD]) == {HEAD: "1"}


def test_it_is_durable_and_others_read_while_one_writes(path: Path) -> None:
    with DatabaseStore.open(path) as store, store._engine.connect() as connection:
        found = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "busy_timeout")
        }
    assert found == {"journal_mode": "wal", "synchronous": 2, "busy_timeout": 5000}


def test_a_file_that_somebody_keeps_locked_is_unavailable_and_not_written(path: Path) -> None:
    with DatabaseStore.open(path) as store:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(LedgerUnavailable, match="locked") as caught:
            store.put("book", FIRST)
        other.execute("ROLLBACK")
        other.close()
        assert type(caught.value) is LedgerUnavailable
        assert store.get("book", [HEAD]) == {}


def test_a_full_disk_is_unavailable_and_the_book_stays_as_it_was(path: Path) -> None:
    with DatabaseStore.open(path) as store:
        store.put("book", FIRST)
        with store._engine.connect() as connection:  # the only one of the pool, so the next one too
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
            connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(LedgerUnavailable, match="no room"):
            store.put("book", Change("1", "2", {}, {"b": "x" * 1_000_000}))
        assert store.get("book", [HEAD, "b"]) == {HEAD: "1"}


def test_what_may_not_be_written_is_unavailable(path: Path) -> None:
    with DatabaseStore.open(path) as store:
        store.put("book", FIRST)
        with store._engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA query_only = 1")
        with pytest.raises(LedgerUnavailable, match="cannot be written"):
            store.put("book", Change("1", "2"))


def test_a_file_that_is_no_database_is_damage(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"not a database, and long enough to be sure of that" * 100)
    with pytest.raises(LedgerDamaged):
        DatabaseStore.open(path)


def test_a_place_that_cannot_be_is_an_error_with_its_name(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LedgerError, match="file/ledger") as caught:
        DatabaseStore.open(tmp_path / "file" / "ledger.sqlite3")
    assert not caught.value.retryable


@pytest.mark.parametrize(
    "url",
    [
        "mysql://me:hunter2@db/x",
        "postgresql+asyncpg://me:hunter2@db/x",
        "postgresql://me:hunter2@db:port/x",
        "://me:hunter2@",
        "sqlite://",
        "sqlite:///:memory:",
    ],
)
def test_a_url_that_leads_to_no_ledger_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        DatabaseStore.open(url)
    assert "hunter2" not in f"{caught.value!r} {caught.value.to_dict()} {caught.value.__cause__}"


@pytest.mark.parametrize("place", ["127.0.0.1:1/x", "127.0.0.1:1/x?password=hunter2"])
def test_a_server_that_is_not_there_is_unavailable_and_no_password_is_told(place: str) -> None:
    with pytest.raises(LedgerUnavailable) as caught:
        DatabaseStore.open(f"postgresql+psycopg://me:hunter2@{place}")
    assert "hunter2" not in f"{caught.value!r} {caught.value.to_dict()}"


def test_a_wrong_password_is_not_repeated(postgres_url: str) -> None:
    wrong = sa.engine.make_url(postgres_url).set(password="hunter2")
    with pytest.raises(LedgerUnavailable, match="reached") as caught:
        DatabaseStore.open(wrong.render_as_string(hide_password=False))
    assert "hunter2" not in f"{caught.value!r} {caught.value.to_dict()}"


def test_a_store_shows_where_it_is_and_not_the_password(postgres_url: str) -> None:
    password = str(sa.engine.make_url(postgres_url).password)
    with DatabaseStore.open(postgres_url) as store:
        assert "127.0.0.1" in repr(store)
        assert password not in f"{store!r} {store}"


def test_many_may_make_the_table_at_once(tmp_path: Path, postgres_url: str) -> None:
    with psycopg.connect(plain(postgres_url), autocommit=True) as admin:
        admin.execute("CREATE DATABASE made_at_once")
    places = [str(tmp_path / "l.sqlite3"), postgres_url.replace("/postgres", "/made_at_once")]
    for place in places:
        with ThreadPoolExecutor(8) as threads:
            stores = list(threads.map(DatabaseStore.open, [place] * 8))
        stores[0].put("book", FIRST)
        assert {store.get("book", [HEAD])[HEAD] for store in stores} == {"1"}
        for store in stores:
            store.close()


def test_a_database_in_another_encoding_is_refused(postgres_url: str) -> None:
    with psycopg.connect(plain(postgres_url), autocommit=True) as admin:
        admin.execute(
            "CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' LOCALE_PROVIDER 'libc' TEMPLATE template0"
        )
    with pytest.raises(ConfigError, match="UTF8"):
        DatabaseStore.open(postgres_url.replace("/postgres", "/latin"))


def hang_up(postgres_url: str, connection: Any) -> None:
    """Have the server end a connection, as it does when it is restarted."""
    pid = connection.connection.dbapi_connection.info.backend_pid
    with psycopg.connect(plain(postgres_url), autocommit=True) as admin:
        admin.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])


def test_a_connection_lost_before_the_commit_wrote_nothing(
    postgres_url: str, server: DatabaseStore, book: str
) -> None:
    def lose(connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith("INSERT"):
            hang_up(postgres_url, connection)

    sa.event.listen(server._engine, "before_cursor_execute", lose)
    with pytest.raises(LedgerUnavailable) as caught:
        server.put(book, FIRST)
    assert type(caught.value) is LedgerUnavailable
    sa.event.remove(server._engine, "before_cursor_execute", lose)
    assert server.get(book, [HEAD]) == {}


def test_a_connection_lost_while_committing_leaves_it_open_what_was_written(
    postgres_url: str, server: DatabaseStore, book: str
) -> None:
    def lose(connection: Any) -> None:
        hang_up(postgres_url, connection)

    sa.event.listen(server._engine, "commit", lose)
    with pytest.raises(OutcomeUnknown):
        server.put(book, FIRST)
    sa.event.remove(server._engine, "commit", lose)
    server.put(book, FIRST)
    assert server.get(book, [HEAD]) == {HEAD: "1"}


def test_a_connection_lost_while_idle_is_replaced(
    postgres_url: str, server: DatabaseStore, book: str
) -> None:
    with server._engine.connect() as connection:
        hang_up(postgres_url, connection)
    server.put(book, FIRST)
    assert server.get(book, [HEAD]) == {HEAD: "1"}


def test_a_user_who_may_not_is_told_what_is_needed(
    postgres_url: str, ledger_postgres: StoreWorld
) -> None:
    ledger_postgres.open()
    with psycopg.connect(plain(postgres_url), autocommit=True) as admin:
        admin.execute("CREATE ROLE reader LOGIN PASSWORD 'secret'")
        admin.execute("GRANT SELECT ON ledger_entries TO reader")
    url = sa.engine.make_url(postgres_url).set(username="reader", password="secret")
    with DatabaseStore.open(url.render_as_string(hide_password=False)) as store:
        assert store.get("book", [HEAD]) == {}
        with pytest.raises(LedgerError) as caught:
            store.put("book", FIRST)
    assert not caught.value.retryable
    assert "INSERT" in (caught.value.hint or "")
    ledger_postgres.close()
