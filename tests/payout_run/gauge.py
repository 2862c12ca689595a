"""What is counted while a run goes on, and how much of Crossmint's allowance its steady part used."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from bursar.transfers.states import Stage
from bursar.transfers.tables import TRANSFERS
from tests.payout_run.scene import Scene
from tests.payout_run.wanted import READS, WRITES

_PROJECT = "project-a"
_NOTHING = {"calls": 0, "refused": 0, "mostInAWindow": 0}


@dataclass(frozen=True, slots=True)
class Sample:
    """How it stood at a moment, in seconds: lines over, held and paid, what nobody began, calls let in so far."""

    at: float
    over: int
    held: int
    paid: int
    waiting: int
    writes: int
    reads: int


class Gauge:
    """Takes samples of a run."""

    def __init__(self, scene: Scene) -> None:
        self._scene, self._began = scene, time.monotonic()
        self._first = self._accepted()
        self.samples: list[Sample] = []

    def look(self) -> Sample:
        """Take a sample."""
        counts = self._scene.book.counts(self._scene.payout)
        writes, reads = self._accepted()
        sample = Sample(
            time.monotonic() - self._began,
            counts.total - counts.open,
            counts.held,
            counts.of(Stage.SETTLED),
            self._waiting(),
            writes - self._first[0],
            reads - self._first[1],
        )
        self.samples.append(sample)
        return sample

    def calls(self) -> dict[str, dict[str, int]]:
        """Return what the stand-in counted since it started."""
        found: dict[str, Any] = self._scene.standin.client.call(200, "GET", "/_sandbox/calls")
        project = found.get(_PROJECT, {})
        return {kind: project.get(kind, _NOTHING) for kind in ("writes", "reads")}

    def steady(self) -> tuple[Sample, Sample] | None:
        """Return when the steady part began and ended: the wallet is there, and there is more to begin."""
        part = [each for each in self.samples if each.paid and each.waiting]
        return (part[0], part[-1]) if len(part) > 1 else None

    def utilisation(self, window: float) -> tuple[float, float, float] | None:
        """Return which shares of the writes and of the reads the steady part used, and how long it was.

        None where it was no longer than two of Crossmint's minutes, of which nothing follows.
        """
        part = self.steady()
        if part is None or part[1].at - part[0].at <= 2 * window:
            return None
        first, last = part
        minutes = (last.at - first.at) / window
        writes = (last.writes - first.writes) / (WRITES * minutes)
        reads = (last.reads - first.reads) / (READS * minutes)
        return writes, reads, last.at - first.at

    def _accepted(self) -> tuple[int, int]:
        counted = self.calls()
        writes, reads = (counted[kind] for kind in ("writes", "reads"))
        return writes["calls"] - writes["refused"], reads["calls"] - reads["refused"]

    def _waiting(self) -> int:
        t = TRANSFERS.c
        has = (t.stage == Stage.RECORDED.value, t.hold.is_(None))
        with self._scene.journal.reading() as connection:
            query = sa.select(sa.func.count()).select_from(TRANSFERS).where(*has)
            return int(connection.execute(query).scalar_one())
