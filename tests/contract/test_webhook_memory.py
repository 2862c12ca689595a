"""The memory of deliveries, over SQLite in a file and over PostgreSQL."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy.engine import Engine

from bursar.errors import ConfigError, JournalError, JournalUnavailable
from bursar.sql.engine import open_engine
from bursar.transfers.journal import JOURNAL
from bursar.webhooks.memory import DeliveryMemory
from bursar.webhooks.verification import Seen

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite+pysqlite:///{tmp_path}/journal.sqlite3"
    found: str = request.getfixturevalue("postgres_url")
    return found


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    made = open_engine(url, JOURNAL)
    yield made
    made.dispose()


@pytest.fixture
def memory(engine: Engine) -> DeliveryMemory:
    return DeliveryMemory.open(engine)


@pytest.fixture
def name() -> str:
    return f"msg_{uuid.uuid4().hex}"


def test_a_delivery_is_first_once(memory: DeliveryMemory, name: str) -> None:
    seen: Seen = memory
    assert seen.first(name, NOW)
    assert not seen.first(name, NOW)
    assert not seen.first(name, NOW + timedelta(minutes=11))
    assert seen.first(name + "x", NOW)


def test_a_delivery_that_nothing_came_of_may_come_again(memory: DeliveryMemory, name: str) -> None:
    memory.first(name, NOW)
    memory.forget(name)
    memory.forget(name)
    assert memory.first(name, NOW)


def test_an_id_is_kept_as_long_as_it_was_asked_for(engine: Engine, name: str) -> None:
    memory = DeliveryMemory.open(engine, timedelta(hours=1))
    memory.first(name, NOW)
    memory.first(name + "x", NOW + timedelta(hours=1))
    assert not memory.first(name, NOW + timedelta(hours=1))
    assert memory.first(name, NOW + timedelta(hours=1, seconds=1))


def test_the_memory_outlives_its_process(engine: Engine, url: str, name: str) -> None:
    DeliveryMemory.open(engine).first(name, NOW)
    engine.dispose()
    again = open_engine(url, JOURNAL)
    assert not DeliveryMemory.open(again).first(name, NOW)
    again.dispose()


def test_of_many_who_ask_at_once_one_is_first(url: str, name: str) -> None:
    engines = [open_engine(url, JOURNAL) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        memories = list(pool.map(DeliveryMemory.open, engines))
        for turn in range(10):
            found = list(pool.map(lambda one, t=turn: one.first(f"{name}-{t}", NOW), memories))
            assert sorted(found) == [False] * 7 + [True]
    for engine in engines:
        engine.dispose()


def test_a_database_that_is_away_is_unavailable_and_does_not_show_its_address() -> None:
    away = open_engine("postgresql+psycopg://me:k3y-secret@127.0.0.1:1/none", JOURNAL)
    with pytest.raises(JournalUnavailable) as caught:
        DeliveryMemory.open(away)
    assert "k3y-secret" not in f"{caught.value}{caught.value.hint}{DeliveryMemory(away)!r}"


def test_a_table_that_is_gone_is_an_error(engine: Engine, memory: DeliveryMemory) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE webhook_deliveries")
    with pytest.raises(JournalError):
        memory.first("msg_1", NOW)
    DeliveryMemory.open(engine)


def test_what_would_forget_too_soon_is_refused(engine: Engine) -> None:
    with pytest.raises(ConfigError):
        DeliveryMemory.open(engine, timedelta(minutes=10))
