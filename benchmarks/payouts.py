"""What a line of a payout costs a worker and its database, beside what Crossmint allows. From the checkout's root.

One worker pays a file at the sandbox, whose minute is shortened so that Crossmint's limits do not slow it down:
what it uses of the processor and of the database is counted once the wallet is on the chain. Then the questions
that a worker asks twice a second are put to a journal of many lines. Times vary with the machine: the ratios to
Crossmint's 60 lines a minute, and to the half second between rounds, say what there is room for.

    python -m benchmarks.payouts
    python -m benchmarks.payouts --stores sqlite --lines 100 --journal 10000
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from bursar.crossmint.locators import RecipientLocator, TokenLocator, WalletLocator
from bursar.payouts.book import Payout, PayoutBook
from bursar.transfers import feeding
from bursar.transfers.intent import TransferIntent, TransferType
from bursar.transfers.journal import Journal, NewTransfer
from bursar.transfers.record import Key, Lane, Place
from bursar.transfers.states import Stage
from bursar.transfers.tables import PAYOUTS, TRANSFERS
from tests.payout_run import scene
from tests.payout_run.scene import Scene
from tests.payout_run.wanted import Orders, Wanted
from tests.payout_run.worker import work

ROOT = Path(__file__).parents[1]
ALLOWED = 60
ROUND = 0.5
ROOM = 48
TREASURY = f"0x{17:040x}"


@dataclass
class Tally:
    """What this process used since `begin`: seconds of the processor, statements, seconds spent in them."""

    cpu: float = 0.0
    statements: int = 0
    seconds: float = 0.0

    def begin(self) -> None:
        self.cpu, self.statements, self.seconds = time.process_time(), 0, 0.0

    def listen(self) -> None:
        """Count what every engine of this process executes, dbos' too."""
        sa.event.listen(sa.Engine, "before_cursor_execute", self._before)
        sa.event.listen(sa.Engine, "after_cursor_execute", self._after)

    def _before(self, connection: Any, *_: Any) -> None:
        connection.info["began"] = time.perf_counter()

    def _after(self, connection: Any, *_: Any) -> None:
        self.statements += 1
        self.seconds += time.perf_counter() - connection.info["began"]

    def told(self) -> dict[str, float]:
        cpu = time.process_time() - self.cpu
        return {"cpu": cpu, "statements": self.statements, "seconds": self.seconds}


def as_worker() -> None:
    """Do what a worker does; SIGUSR1 begins the count, SIGTERM ends it."""
    tally, stop = Tally(), threading.Event()
    tally.listen()
    signal.signal(signal.SIGUSR1, lambda *_: tally.begin())
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    work(Orders.read(sys.stdin.read()), stop)
    Path(sys.argv[2]).write_text(json.dumps(tally.told()))


# --- a line -----------------------------------------------------------------------------------------------


def cost_of_a_line(store: str, lines: int, folder: Path) -> dict[str, float]:
    wanted = Wanted(lines=lines, store=store, workers=1, errors=0.0, scale=60.0)
    with (
        scene.chain_of_its_own() as chain,
        scene.store(store, folder) as journal,
        scene.opened(wanted, chain, journal, folder) as opened,
    ):
        return _paid(opened, lines, folder / "tally.json")


def _paid(opened: Scene, lines: int, told: Path) -> dict[str, float]:
    with _worker(opened.orders, told) as worker:
        _until(opened, 1)
        worker.send_signal(signal.SIGUSR1)
        first, began, served = _count(opened), time.monotonic(), _server_cpu(opened.journal)
        _until(opened, lines)
        seconds, served = time.monotonic() - began, _server_cpu(opened.journal) - served
    used = json.loads(told.read_text())
    paid = lines - first
    return {
        "worker CPU of a line (ms)": 1000 * used["cpu"] / paid,
        "statements for a line": used["statements"] / paid,
        "time in the database (ms)": 1000 * used["seconds"] / paid,
        "server CPU of a line (ms)": 1000 * served / paid,
        "lines a minute, one worker": 60 * paid / seconds,
        "  times Crossmint's 60": 60 * paid / seconds / ALLOWED,
        "  times it, by a worker's core": 60 * paid / used["cpu"] / ALLOWED,
        "  times it, by a server's core": 60 * paid / served / ALLOWED if served else 0.0,
    }


@contextmanager
def _worker(orders: Orders, told: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "benchmarks.payouts", "--worker", str(told)]
    worker = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, text=True)
    assert worker.stdin is not None
    worker.stdin.write(orders.text())
    worker.stdin.close()
    try:
        yield worker
    finally:
        worker.terminate()
        worker.wait(60)


def _count(opened: Scene) -> int:
    return opened.book.counts(opened.payout).of(Stage.SETTLED)


def _until(opened: Scene, lines: int) -> None:
    while _count(opened) < lines:
        time.sleep(0.2)


def _server_cpu(journal: Journal) -> float:
    """Return what PostgreSQL used of the processors so far, in seconds; 0 where there is none, or no /proc."""
    if journal.engine.dialect.name == "sqlite" or not Path("/proc/self/stat").exists():
        return 0.0
    with journal.reading() as connection:
        backend = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
    parent = _stat(backend)[1]
    found = [_stat(int(each.name)) for each in Path("/proc").iterdir() if each.name.isdecimal()]
    ticks = sum(
        own + (gone if pid == parent else 0)
        for pid, ppid, own, gone in found
        if parent in {ppid, pid}
    )
    return ticks / os.sysconf("SC_CLK_TCK")


def _stat(process: int) -> tuple[int, int, int, int]:
    """Return a process' id, its parent's, its ticks, and those of its children that have ended."""
    try:
        words = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return process, 0, 0, 0
    return process, int(words[1]), int(words[11]) + int(words[12]), int(words[13]) + int(words[14])


# --- a journal of many lines ------------------------------------------------------------------------------


def cost_of_a_round(store: str, lines: int, folder: Path) -> dict[str, float]:
    with scene.store(store, folder) as where, Journal.open(where) as journal:
        payout = _filled(journal, lines)
        found = {}
        for share in (0.0, 0.5, 0.999):
            _settle(journal, int(lines * share))
            found[f"round, {share:.1%} paid (ms)"] = 1000 * _best(lambda: _round(journal))
        worst = max(found.values())
        found["  share of a worker's time"] = worst / 1000 / ROUND
        counting = _best(lambda: PayoutBook(journal).counts(payout))
        found["counting the lines (ms)"] = 1000 * counting
        return found


def _round(journal: Journal) -> None:
    feeding.hungry(journal, TREASURY, ROOM)


def _filled(journal: Journal, lines: int) -> Payout:
    now = journal.now
    values: dict[str, Any] = {"treasury": TREASURY, "id": "run", "hash": "", "state": "running"}
    values |= {"lines": lines, "data": "{}", "created_at": now, "updated_at": now}
    with journal.writing() as connection:
        connection.execute(sa.insert(PAYOUTS).values(values))
    for start in range(0, lines, 500):
        with journal.writing() as connection:
            some = range(start, min(start + 500, lines))
            journal.insert(connection, [_line(number) for number in some])
    return PayoutBook(journal).named("run")


def _line(number: int) -> NewTransfer:
    asked = TransferIntent(
        f"line-{number}",
        WalletLocator.treasury("benchmark"),
        TokenLocator.parse("base-sepolia:usdc"),
        RecipientLocator.parse(f"0x{number + 1:040x}"),
        "1.00",
        TransferType.REGULATED,
    )
    return NewTransfer(Key(TREASURY, asked.id), asked, Lane.PAYOUT, Place("run", number), "nobody")


def _settle(journal: Journal, lines: int) -> None:
    t = TRANSFERS.c
    paid = sa.and_(t.line < lines, t.stage == Stage.RECORDED.value)
    with journal.writing() as connection:
        settled = sa.update(TRANSFERS).where(paid)
        connection.execute(settled.values(stage=Stage.SETTLED.value, fed=0))


def _best(ask: Callable[[], object]) -> float:
    found = []
    for _ in range(7):
        began = time.perf_counter()
        ask()
        found.append(time.perf_counter() - began)
    return min(found)


# --- all of it --------------------------------------------------------------------------------------------


def measured(store: str, lines: int, journal: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory(prefix="bursar-benchmark-") as name:
        line, rounds = Path(name) / "line", Path(name) / "rounds"
        line.mkdir()
        rounds.mkdir()
        return cost_of_a_line(store, lines, line) | cost_of_a_round(store, journal, rounds)


def main() -> None:
    arguments = argparse.ArgumentParser(prog="python -m benchmarks.payouts", description=__doc__)
    arguments.add_argument("--stores", nargs="+", default=["sqlite", "postgresql"])
    arguments.add_argument("--lines", type=int, default=300, help="to pay")
    arguments.add_argument("--journal", type=int, default=100_000, help="lines to look among")
    arguments.add_argument("--json", action="store_true")
    chosen = arguments.parse_args()
    found = {each: measured(each, chosen.lines, chosen.journal) for each in chosen.stores}
    if chosen.json:
        print(json.dumps(found, indent=2))
        return
    print(f"{chosen.lines} lines paid; {chosen.journal} in the journal")
    print(" " * 34 + "".join(f"{store:>12}" for store in found))
    for what in next(iter(found.values())):
        print(f"{what:<34}" + "".join(_cell(each[what]) for each in found.values()))


def _cell(value: float) -> str:
    return f"{value:>12.3f}" if value < 0.1 else f"{value:>12.1f}"


if __name__ == "__main__":
    as_worker() if sys.argv[1:2] == ["--worker"] else main()
