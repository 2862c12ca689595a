"""Processes that drive transfers, and are killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.chaos.plan import Plan

KILLED = -signal.SIGKILL
_ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Driver:
    """A driver at work."""

    nursery: Nursery
    pid: int

    def kill(self) -> None:
        """Kill it, unless it has ended."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)

    def wait(self) -> int:
        """Wait for its end, and return its exit status: negative where it was killed."""
        return self.nursery.ended()


class Nursery:
    """Starts drivers, one at a time. What they say goes to the file `log`.

    Whoever gave up waiting for a driver finds a new process for the next one, not the old one's answers.
    """

    def __init__(self, log: Path) -> None:
        self._log = log
        self._is_busy = False
        self._process = self._begin()

    def _begin(self) -> subprocess.Popen[str]:
        with self._log.open("ab") as errors:
            return subprocess.Popen(
                [sys.executable, "-m", "tests.chaos.driver"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                cwd=_ROOT,
                text=True,
                # A group of its own: the drivers end with it.
                start_new_session=True,
            )

    def start(self, plan: Plan) -> Driver:
        """Start a driver for a plan."""
        if self._is_busy:
            self._end()
            self._process = self._begin()
        self._is_busy = True
        assert self._process.stdin is not None
        self._process.stdin.write(plan.to_line())
        self._process.stdin.flush()
        return Driver(self, self._read())

    def run(self, plan: Plan) -> int:
        """Carry out a plan, and return how it ended."""
        return self.start(plan).wait()

    def ended(self) -> int:
        """Wait for the driver's end, and return its exit status."""
        status = self._read()
        self._is_busy = False
        return status

    @property
    def said(self) -> str:
        """The end of what the drivers said."""
        return self._log.read_text()[-4000:]

    def _read(self) -> int:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "a driver's parent has ended"
        return int(line)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end()

    def _end(self) -> None:
        # Not waited for yet, so the group's id is nobody else's.
        os.killpg(self._process.pid, signal.SIGKILL)
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            with suppress(BrokenPipeError):
                pipe.close()
        self._process.wait()
        self._is_busy = False
