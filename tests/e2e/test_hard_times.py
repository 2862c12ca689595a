"""A transfer meets hard times: no disk, no database, a wrong clock, company, a wallet that is refused for now.

Each time nothing is lost, it is said what is wrong, and the transfer is paid once when the times are better.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count, cycle
from pathlib import Path
from threading import Barrier
from typing import Any

import httpx2
import pytest
import sqlalchemy as sa

from bursar.crossmint.client import CrossmintClient
from bursar.errors import JournalUnavailable
from bursar.transfers import orders
from bursar.transfers.desk import Desk
from bursar.transfers.journal import Filter, Journal
from bursar.transfers.record import Key, Transfer
from bursar.transfers.states import Hold, Stage
from tests.chaos.nursery import Nursery
from tests.chaos.scene import UNITS, Scene
from tests.contract.postgres import Server, postgres_server
from tests.e2e.durable import Bench, finish
from tests.e2e.standin import World
from tests.fakes.owner import Owner

# What is asserted never depends on time; this only ends what hangs.
pytestmark = pytest.mark.timeout(600)
# Long enough for whoever drives to notice.
_A_WHILE = 1.5
_HOUR = timedelta(hours=1)
Nurseries = tuple[Nursery, ...]


@pytest.fixture(scope="module")
def nurseries(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nurseries]:
    folder = tmp_path_factory.mktemp("nurseries")
    with Nursery(folder / "one") as one, Nursery(folder / "other") as other:
        yield one, other


@pytest.fixture
def on_sqlite(standin: World, nurseries: Nurseries, tmp_path: Path) -> Iterator[Scene]:
    with Scene.open(standin, "SQLite", str(tmp_path / "journal.sqlite3"), nurseries) as scene:
        yield scene


@pytest.fixture
def server() -> Iterator[Server]:
    with postgres_server() as running:
        yield running


@pytest.fixture
def on_postgres(standin: World, nurseries: Nurseries, server: Server) -> Iterator[Scene]:
    with Scene.open(standin, "PostgreSQL", server.url, nurseries) as scene:
        yield scene


@pytest.fixture
def bench(standin: World, tmp_path: Path) -> Iterator[Bench]:
    made = Bench.make(standin, tmp_path / "journal.sqlite3")
    yield made
    made.close()


def paid_once(scene: Scene, key: Key, payee: str) -> None:
    standing = scene.bench.journal.get(key).standing
    assert standing.stage is Stage.SETTLED, (standing, scene.said)
    assert scene.bench.paid(payee) == UNITS
    assert scene.transactions()[payee.lower()] == [1]


def driven_with_a_pause(scene: Scene, pause: str, hard_times: Callable[[int], None]) -> None:
    """Have a transfer driven up to a point, let hard times come, given the driver's id, and have it go on."""
    key, payee = scene.payee(pause.replace(":", "-"))
    paused = scene.folder / "paused"
    driver = scene.nurseries[0].start(scene.plan([key], pause=pause, paused=str(paused)))
    while not paused.exists():
        time.sleep(0.02)
    hard_times(driver.pid)
    assert driver.wait() == 0, scene.said
    paid_once(scene, key, payee)


@pytest.mark.parametrize("pause", ["create:begin", "commit:signed:before"])
def test_a_disk_that_is_full_for_a_while_is_outlasted(on_sqlite: Scene, pause: str) -> None:
    def full_for_a_while(pid: int) -> None:
        _soft, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        # Nothing can be written any more, not even over what is there.
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, hard))
        (on_sqlite.folder / "paused").unlink()
        time.sleep(_A_WHILE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard, hard))

    driven_with_a_pause(on_sqlite, pause, full_for_a_while)


def test_where_there_is_no_room_it_is_said_and_nothing_is_half_written(bench: Bench) -> None:
    payee = Owner().address
    numbers = count()
    with no_room_in(bench.journal), pytest.raises(JournalUnavailable) as refused:
        fill(bench, payee, numbers)
    assert refused.value.message == "there is no room left for the journal"
    assert refused.value.hint == "check the disk, the permissions, other programs"
    first_refused = f"line-{next(numbers) - 1}"
    assert bench.journal.find(bench.key(first_refused)) is None
    bench.record(first_refused, payee, amount="0.01")
    assert finish(bench.desk(), bench.key(first_refused)).standing.is_final
    assert bench.paid(payee) == UNITS


def fill(bench: Bench, payee: str, numbers: Iterator[int]) -> None:
    for number in numbers:
        bench.record(f"line-{number}", payee, amount="0.01")


@contextmanager
def no_room_in(journal: Journal) -> Iterator[None]:
    """Let the journal's file grow no more."""

    def limit(connection: Any, *_: object) -> None:
        connection.execute("PRAGMA max_page_count = 1")

    journal.engine.dispose()
    sa.event.listen(journal.engine, "connect", limit)
    try:
        yield
    finally:
        sa.event.remove(journal.engine, "connect", limit)
        journal.engine.dispose()


@pytest.mark.parametrize("pause", ["commit:signed:before", "hand_in:answered"])
def test_a_database_that_is_gone_for_a_while_is_outlasted(
    on_postgres: Scene, server: Server, pause: str
) -> None:
    def gone_for_a_while(_pid: int) -> None:
        server.stop()
        (on_postgres.folder / "paused").unlink()
        with pytest.raises(JournalUnavailable) as refused:
            list(on_postgres.bench.journal.transfers(Filter()))
        assert refused.value.message == "the journal's database could not be reached"
        assert refused.value.hint
        assert "postgresql" not in str(refused.value)
        time.sleep(_A_WHILE)
        server.start()

    driven_with_a_pause(on_postgres, pause, gone_for_a_while)


@dataclass
class SteppedClock:
    """A wall clock that is an hour ahead, then an hour behind, by turns: another at every look."""

    offsets: Iterator[timedelta] = field(default_factory=lambda: cycle((_HOUR, -_HOUR)))

    def __call__(self) -> datetime:
        return datetime.now(UTC) + next(self.offsets)


@pytest.mark.parametrize("operation", ["transfers.create", "transactions.approve"])
def test_a_clock_that_is_put_on_and_back_by_an_hour_neither_stops_nor_doubles_it(
    bench: Bench, operation: str
) -> None:
    payee = Owner().address
    bench.record("rent", payee)
    # After a delay it is the clock that says when to go on.
    bench.standin.fault(operation, "error_after", status=502)
    clock = SteppedClock()
    stepped = replace(bench, journal=Journal(bench.journal.engine, clock))
    ended = finish(stepped.desk(clock=clock), bench.key("rent"))
    assert "delayed" in [each.kind for each in bench.journal.history(ended.key)]
    assert ended.standing.stage is Stage.SETTLED, ended
    assert bench.paid(payee) == 2_500_000
    assert bench.signer.signed == 1


def test_two_processes_that_drive_the_same_transfers_pay_each_once(on_sqlite: Scene) -> None:
    on_sqlite.put_on_chain()
    several = [on_sqlite.payee(f"shared-{number}") for number in range(6)]
    on_sqlite.resume([key for key, _ in several], processes=2)
    for key, payee in several:
        paid_once(on_sqlite, key, payee)
    signed = on_sqlite.signatures()
    assert all(1 <= signed[key.id] <= 2 for key, _ in several)


def test_two_desks_at_the_same_transfer_pay_it_once(bench: Bench) -> None:
    payee = Owner().address
    key = bench.record("rent", payee).key
    both = Barrier(2)

    def drive(desk: Desk) -> Transfer:
        both.wait()
        return finish(desk, key)

    with ThreadPoolExecutor(2) as pool:
        ends = list(pool.map(drive, (bench.desk(), bench.desk())))
    assert [each.standing.stage for each in ends] == [Stage.SETTLED] * 2
    assert bench.paid(payee) == 2_500_000
    assert 1 <= bench.signer.signed <= 2


@dataclass
class Gate(httpx2.BaseTransport):
    """Passes calls on to the stand-in, and while it is shut answers calls of one kind itself."""

    kind: str
    answer: httpx2.Response
    is_shut: bool = True
    inner: httpx2.BaseTransport = field(default_factory=httpx2.HTTPTransport)

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        if self.is_shut and request.method == "POST" and request.url.path.endswith(self.kind):
            return self.answer
        return self.inner.handle_request(request)

    def close(self) -> None:
        self.inner.close()


@pytest.mark.parametrize(
    ("kind", "status", "code", "stage"),
    [
        ("transfers", 403, "crossmint_auth", Stage.RECORDED),
        ("transfers", 404, "crossmint_not_found", Stage.RECORDED),
        ("approvals", 403, "crossmint_auth", Stage.APPROVING),
        ("approvals", 404, "crossmint_not_found", Stage.APPROVING),
    ],
)
def test_what_crossmint_refuses_for_now_is_held_and_paid_once_it_is_resumed(
    bench: Bench, kind: str, status: int, code: str, stage: Stage
) -> None:
    body = {"error": True, "message": "The wallet is paused"}
    gate = Gate(kind, httpx2.Response(status, json=body))
    payee = Owner().address
    key = bench.record("rent", payee).key
    api_key = bench.standin.config.api_keys[0].key.get_secret_value()
    with CrossmintClient(api_key, base_url=bench.standin.config.url, transport=gate) as client:
        desk = replace(bench, client=client).desk()
        held = finish(desk, key)
        assert (held.standing.hold, held.standing.stage) == (Hold.TROUBLE, stage)
        assert held.standing.code == code
        assert "The wallet is paused" in str(held.standing.reason)
        assert bench.journal.history(key)[-1].data["hint"]
        assert bench.paid(payee) == 0
        gate.is_shut = False
        orders.again(bench.journal, held)
        ended = finish(desk, key)
    assert ended.standing.stage is Stage.SETTLED, ended
    assert bench.paid(payee) == 2_500_000
    assert bench.signer.signed == 1
