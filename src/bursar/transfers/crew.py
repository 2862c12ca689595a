"""Which processes are at work on the journal's transfers, so that the work of one that died is taken over."""

from __future__ import annotations

import functools
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import sqlalchemy as sa

from bursar.errors import BursarError
from bursar.transfers.journal import Journal
from bursar.transfers.tables import WORKERS, now

# Seconds between signs of life, and after how many without one a process is taken for dead.
_BEAT: Final = 2.0
_DEAD_AFTER: Final = 15.0
# How long what a process that is gone said of itself is kept.
_FORGET_AFTER: Final = 3600.0
# Instead of a process id: it has left, and nothing of it is under way.
_LEFT: Final = 0
_BOOT: Final = Path("/proc/sys/kernel/random/boot_id")
_PROCESSES: Final = Path("/proc/self/ns/pid")
_w: Final = WORKERS.c


@functools.cache
def here() -> str:
    """Return what names the place in which a process id is one process: a start of a machine, and a namespace.

    Source: Linux, random(4) and pid_namespaces(7).
    """
    return place(_BOOT, _PROCESSES)


def place(boot: Path, processes: Path) -> str:
    """Return the name of a place, from the files that tell its start and its namespace.

    Two containers may have one host name, and a machine that was started again has other processes. Where a file
    is missing, the place is nobody else's: of no other process is it known at once that it is gone.
    """
    host = socket.gethostname()
    try:
        return f"{host}/{boot.read_text().strip()}/{processes.stat().st_ino}"
    except OSError:
        return f"{host}/{secrets.token_hex(8)}"


@dataclass(frozen=True, slots=True)
class Member:
    """A process: its id, where it runs (as `here` says), and for how many seconds nothing was heard of it.

    One that `works` takes transfers from the queue; another drives only what it was started for.
    """

    id: str
    host: str
    pid: int
    works: bool
    silent: float

    @property
    def is_alive(self) -> bool:
        """Whether it may still be at work. Where its id means the same here, the process itself is looked for."""
        return self.silent <= _DEAD_AFTER and not self.is_gone

    @property
    def is_gone(self) -> bool:
        """Whether it said that it left, or ran where this process does and does not any more."""
        return self.pid == _LEFT or (self.host == here() and not _is_running(self.pid))


class Crew:
    """This process among the others. It gives signs of life from `start` to `stop`, in a thread of its own."""

    def __init__(
        self,
        journal: Journal,
        *,
        works: bool = False,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._journal, self._monotonic = journal, monotonic
        host, pid = socket.gethostname(), os.getpid()
        self.id = f"{host[:40]}-{pid}-{secrets.token_hex(4)}"
        self._row = {"id": self.id, "host": here(), "pid": pid, "works": works}
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self._beating_since: float | None = None

    def start(self) -> None:
        """Say that this process is there, and go on saying so.

        Raises:
            JournalError: the journal cannot be written.
        """
        self.beat()
        self._thread = threading.Thread(target=self._go_on, name="bursar-crew", daemon=True)
        self._thread.start()

    def stop(self, *, is_idle: bool = True) -> None:
        """Say that this process leaves. Others take at once what it had, unless it may still be at a step."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join(timeout=_BEAT + 5)
        try:
            with self._journal.writing() as connection:
                mine = _w.id == self.id
                left = sa.update(WORKERS).where(mine).values(pid=_LEFT)
                connection.execute(left if is_idle else sa.delete(WORKERS).where(mine))
        except BursarError:
            pass  # it is taken for dead in a while

    def beat(self) -> None:
        """Give one sign of life, and forget those who gave none for an hour.

        Raises:
            JournalError: the journal cannot be written.
        """
        with self._journal.writing() as connection:
            at = now(connection)
            done = connection.execute(sa.update(WORKERS).where(_w.id == self.id).values(seen_at=at))
            if done.rowcount == 0:
                connection.execute(sa.insert(WORKERS).values(**self._row, seen_at=at))
            connection.execute(sa.delete(WORKERS).where(_w.seen_at < at - _FORGET_AFTER))
        if self._beating_since is None:
            self._beating_since = self._monotonic()

    def members(self) -> list[Member]:
        """Return every process that gave a sign of life within the hour."""
        with self._journal.reading() as connection:
            at = now(connection)
            rows = connection.execute(sa.select(WORKERS)).all()
        return [Member(row.id, row.host, row.pid, row.works, at - row.seen_at) for row in rows]

    def alive(self) -> set[str]:
        """Return the ids of those who may be at work."""
        return {member.id for member in self.members() if member.is_alive}

    @property
    def may_judge(self) -> bool:
        """Whether this process has been heard long enough to tell silence from a database that was away."""
        since = self._beating_since
        return since is not None and self._monotonic() - since > _DEAD_AFTER

    def _go_on(self) -> None:
        while not self._stopped.wait(_BEAT):
            try:
                self.beat()
            except BursarError:
                self._beating_since = None


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
