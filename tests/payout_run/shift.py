"""Worker processes: started, killed at any moment, and replaced at once."""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from pathlib import Path
from random import Random
from typing import Self

from tests.payout_run.wanted import Orders

_ROOT = Path(__file__).parents[2]
# Seconds that a worker has to end what it is at, once it is asked to stop.
_LEAVE = 30.0


class Shift:
    """So many workers, until it is over. `kills` and `failures` count those killed, or dead otherwise."""

    def __init__(self, orders: Orders, count: int, log: Path) -> None:
        self._orders, self._count, self._log = orders, count, log
        self._workers: list[subprocess.Popen[str]] = []
        self.kills = self.failures = 0
        self._before = _used()

    def __enter__(self) -> Self:
        self._workers = [self._start() for _ in range(self._count)]
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    @property
    def seconds_of_cpu(self) -> float:
        """What the workers that have ended used of the processors, their start included."""
        return _used() - self._before

    def kill(self, which: int) -> None:
        """Kill a worker, without a word, and start another."""
        worker = self._workers[which]
        worker.kill()
        worker.wait()
        self.kills += 1
        self._workers[which] = self._start()

    def look(self) -> None:
        """Replace those that ended by themselves, which none of them should."""
        for which, worker in enumerate(self._workers):
            if worker.poll() is not None:
                self.failures += 1
                self._workers[which] = self._start()

    def end(self) -> None:
        """Have all of them stop, and wait for it."""
        for worker in self._workers:
            worker.terminate()
        for worker in self._workers:
            try:
                self.failures += worker.wait(_LEAVE) != 0
            except subprocess.TimeoutExpired:
                self.failures += 1
                worker.kill()
                worker.wait()
        self._workers = []

    def _start(self) -> subprocess.Popen[str]:
        with self._log.open("a") as log:
            worker = subprocess.Popen(
                [sys.executable, "-m", "tests.payout_run.worker"],
                cwd=_ROOT,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                text=True,
            )
        assert worker.stdin is not None
        worker.stdin.write(self._orders.text())
        worker.stdin.close()
        return worker


class Reaper:
    """Kills workers at random moments, every so many seconds on average; each of them before any again."""

    def __init__(self, every: float, most: int | None, seed: int) -> None:
        self._every, self._left, self._dice = every, most, Random(seed)  # noqa: S311  of tests
        self._turn: list[int] = []
        self._next = self._after(time.monotonic())

    def visit(self, shift: Shift, workers: int) -> None:
        """Kill a worker if it is time to."""
        if not self._every or self._left == 0 or time.monotonic() < self._next:
            return
        self._turn = self._turn or self._dice.sample(range(workers), workers)
        shift.kill(self._turn.pop())
        self._next = self._after(time.monotonic())
        if self._left is not None:
            self._left -= 1

    def _after(self, now: float) -> float:
        return now + self._dice.uniform(0.3, 1.7) * self._every


def _used() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
