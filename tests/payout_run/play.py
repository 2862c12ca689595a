"""One run from its first worker to its verdict."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.payout_run.gauge import Gauge, Sample
from tests.payout_run.scene import Scene
from tests.payout_run.shift import Reaper, Shift
from tests.payout_run.verdict import Finding, judge
from tests.payout_run.wanted import Wanted

Say = Callable[[str], None]
_LOOK = 0.25
_SAY = 5.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended."""

    findings: list[Finding]

    @property
    def wrong(self) -> list[Finding]:
        return [each for each in self.findings if not each.is_right]


def play(scene: Scene, wanted: Wanted, log: Path, say: Say) -> Outcome:
    """Have the payout paid by workers that are killed, and judge what came of it."""
    before = resource.getrusage(resource.RUSAGE_SELF)
    with Shift(scene.orders, wanted.workers, log) as shift:
        gauge = Gauge(scene)
        last = _watch(shift, gauge, wanted, say)
    used = resource.getrusage(resource.RUSAGE_SELF)
    ours = used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime
    lines = max(1, last.over)
    return Outcome(
        [
            *judge(scene, wanted, gauge),
            Finding("workers killed", shift.kills),
            Finding.same("workers that ended otherwise", shift.failures, 0),
            Finding("seconds", round(last.at, 1)),
            Finding("lines a minute", round(60 * lines / last.at)),
            Finding("worker CPU per line (ms)", round(1000 * shift.seconds_of_cpu / lines, 1)),
            Finding("stand-in CPU per line (ms)", round(1000 * ours / lines, 1)),
        ]
    )


def _watch(shift: Shift, gauge: Gauge, wanted: Wanted, say: Say) -> Sample:
    reaper = Reaper(wanted.kill_every, wanted.kills, wanted.seed)
    said = time.monotonic()
    while True:
        time.sleep(_LOOK)
        shift.look()
        sample = gauge.look(shift.kills)
        if sample.writes:
            reaper.visit(shift, wanted.workers)
        if time.monotonic() - said >= _SAY:
            said = time.monotonic()
            say(_line(sample, shift, wanted))
        if sample.over + sample.held >= wanted.lines or sample.at > wanted.seconds:
            return sample


def _line(sample: Sample, shift: Shift, wanted: Wanted) -> str:
    return (
        f"{sample.at:6.1f} s  {sample.paid}/{wanted.lines} paid, {sample.waiting} not begun,"
        f" {sample.writes} writes, {sample.reads} reads, {shift.kills} kills"
    )
