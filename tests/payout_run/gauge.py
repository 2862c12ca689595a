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
    """How it stood at a moment, in seconds: lines over, held and paid, what nobody began, calls let in, kills."""

    at: float
    over: int
    held: int
    paid: int
    waiting: int
    writes: int
    reads: int
    kills: int


@dataclass(frozen=True, slots=True)
class Steady:
    """The part of a run in which the wallet was there and there was more to begin: what happened in it.

    `seconds` is its length; `minutes` counts Crossmint's.
    """

    seconds: float
    minutes: float
    writes: int
    reads: int
    paid: int
    kills: int

    @property
    def share_of_writes(self) -> float:
        return self.writes / (WRITES * self.minutes)

    @property
    def share_of_reads(self) -> float:
        return self.reads / (READS * self.minutes)


class Gauge:
    """Takes samples of a run."""

    def __init__(self, scene: Scene) -> None:
        self._scene, self._began = scene, time.monotonic()
        self._first = self._accepted()
        self.samples: list[Sample] = []

    def look(self, kills: int) -> Sample:
        """Take a sample, after so many kills."""
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
            kills,
        )
        self.samples.append(sample)
        return sample

    def calls(self) -> dict[str, dict[str, int]]:
        """Return what the stand-in counted since it started."""
        found: dict[str, Any] = self._scene.standin.client.call(200, "GET", "/_sandbox/calls")
        project = found.get(_PROJECT, {})
        return {kind: project.get(kind, _NOTHING) for kind in ("writes", "reads")}

    def steady(self, window: float) -> Steady | None:
        """Return the steady part; None where it was no longer than two windows, of which nothing follows."""
        part = [each for each in self.samples if each.paid and each.waiting]
        if len(part) < 2 or part[-1].at - part[0].at <= 2 * window:
            return None
        first, last = part[0], part[-1]
        return Steady(
            last.at - first.at,
            (last.at - first.at) / window,
            last.writes - first.writes,
            last.reads - first.reads,
            last.paid - first.paid,
            last.kills - first.kills,
        )

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
