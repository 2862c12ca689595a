"""Drivers that are killed at random, a thousand times: `python -m tests.chaos.storm`, or `make chaos`.

Several at once work on one journal and are started again as soon as they are dead: killed from outside after a
random time, or by themselves at a random point. Crossmint's answers fail at random meanwhile. In the end the rest
is driven home, and everybody is asked: the chain, Crossmint, the journal, the signer.
"""

from __future__ import annotations

import argparse
import json
import secrets
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, fields
from pathlib import Path
from random import Random
from typing import Any

from bursar.transfers import orders
from bursar.transfers.journal import Filter
from bursar.transfers.record import Key, Transfer
from bursar.transfers.states import FINAL, Stage
from tests.chaos.ground import STORES, database, ground, nurseries
from tests.chaos.nursery import KILLED, Nursery
from tests.chaos.plan import AWAY
from tests.chaos.scene import UNITS, Scene

_LANES = 4
# So many transfers are open at any time, and so many of them a driver works on at once.
_OPEN, _AT_ONCE = 12, 4
# A driver lives for so many seconds, or points, at most.
_LONGEST_LIFE, _MOST_POINTS = 4.0, 400
_FAULTS = ("error_before", "error_after", "drop_before", "drop_after", "slow")
_OPERATIONS = ("transfers.create", "transactions.approve", "transactions.get")
_HOME = 180.0
# Seconds between lines of progress where they add up.
_REPORT = 60.0


@dataclass(frozen=True, slots=True)
class Bounds:
    """When a storm is over: after so many crashes, or seconds."""

    crashes: int
    seconds: float


@dataclass(slots=True)
class Outcome:
    """What a storm came to. `wrong` says, by transfer, what is not as it has to be."""

    store: str
    seconds: float = 0.0
    crashes: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    lives: int = 0
    gave_up: int = 0
    transfers: int = 0
    stages: Counter[str] = field(default_factory=Counter)
    held: Counter[str] = field(default_factory=Counter)
    signatures: int = 0
    payments: int = 0
    double_payments: int = 0
    wrong: dict[str, str] = field(default_factory=dict)

    @property
    def crashed(self) -> int:
        return self.crashes.total()

    def to_json(self) -> dict[str, Any]:
        pairs = ((each.name, getattr(self, each.name)) for each in fields(self))
        return {name: dict(v) if isinstance(v, Counter) else v for name, v in pairs}


class Storm:
    """A storm over one scene."""

    def __init__(self, scene: Scene, bounds: Bounds, seed: str) -> None:
        self._scene, self._bounds, self._seed = scene, bounds, seed
        self.outcome = Outcome(scene.store)
        self._payees: dict[Key, str] = {}
        self._lock = threading.Lock()
        self._end = time.monotonic() + bounds.seconds
        self._next_report = 0.0

    def blow(self) -> Outcome:
        """Kill drivers until it is enough, drive the rest home, and see what became of all."""
        began = time.monotonic()
        self._feed()
        with ThreadPoolExecutor(len(self._scene.nurseries) + 1) as pool:
            work = [
                pool.submit(self._kill, nursery, Random(f"{self._seed}-{number}"))  # noqa: S311  of tests
                for number, nursery in enumerate(self._scene.nurseries)
            ]
            work.append(pool.submit(self._trouble, Random(self._seed)))  # noqa: S311
            while not all(each.done() for each in work):
                time.sleep(0.5)
                self._feed()
                self._report(began)
            for each in work:
                each.result()
        self._drive_home()
        self.outcome.seconds = round(time.monotonic() - began, 1)
        self._judge()
        return self.outcome

    @property
    def _is_over(self) -> bool:
        enough = self.outcome.crashed >= self._bounds.crashes
        return enough or time.monotonic() >= self._end

    def _open(self) -> list[Transfer]:
        journal, wallet = self._scene.bench.journal, self._scene.bench.address
        wanted = Filter(treasury=wallet, stages=frozenset(Stage) - FINAL)
        return list(journal.transfers(wanted))

    def _feed(self) -> None:
        """Have as many open transfers as there are to be, and those go on that stopped."""
        found = self._open()
        for each in found:
            if each.standing.hold is not None:
                self.outcome.held[str(each.standing.code)] += 1
                orders.again(self._scene.bench.journal, each)
        for _ in range(0 if self._is_over else _OPEN - len(found)):
            key, payee = self._scene.payee(f"storm-{len(self._payees)}")
            self._payees[key] = payee

    def _kill(self, nursery: Nursery, dice: Random) -> None:
        while not self._is_over:
            keys = [each.key for each in self._open()]
            by_itself = dice.random() < 0.5
            kill = f"#{dice.randint(1, _MOST_POINTS)}" if by_itself else None
            driver = nursery.start(self._scene.plan(keys, kill, workers=_AT_ONCE))
            if not by_itself:
                time.sleep(dice.uniform(0.05, _LONGEST_LIFE))
                driver.kill()
            status = driver.wait()
            with self._lock:
                self.outcome.lives += 1
                if status == KILLED:
                    self.outcome.crashes["at a point" if by_itself else "from outside"] += 1
                elif status == AWAY:
                    self.outcome.gave_up += 1
                elif status:
                    self.outcome.wrong[f"driver {driver.pid}"] = nursery.said

    def _trouble(self, dice: Random) -> None:
        standin = self._scene.bench.standin
        while not self._is_over:
            operation, kind = dice.choice(_OPERATIONS), dice.choice(_FAULTS)
            details = {"seconds": 0.3} if kind == "slow" else {"status": 502}
            standin.fault(operation, kind, **details)
            self.outcome.faults[kind] += 1
            time.sleep(dice.uniform(0.2, 2.0))

    def _drive_home(self) -> None:
        self._scene.bench.standin.client.call(200, "DELETE", "/_sandbox/faults")
        end = time.monotonic() + _HOME
        while (left := self._open()) and time.monotonic() < end:
            self._feed()
            keys = [each.key for each in left]
            plan = self._scene.plan(keys, workers=_AT_ONCE, deadline=20.0)
            drivers = [nursery.start(plan) for nursery in self._scene.nurseries[:2]]
            for driver in drivers:
                driver.wait()

    def _judge(self) -> None:
        out, bench = self.outcome, self._scene.bench
        signatures, transactions = self._scene.signatures(), self._scene.transactions()
        out.transfers, out.signatures = len(self._payees), signatures.total()
        for key, payee in self._payees.items():
            standing = bench.journal.get(key).standing
            paid, rest = divmod(bench.paid(payee), UNITS)
            out.stages[standing.stage.value] += 1
            out.payments += paid
            out.double_payments += paid > 1 or rest > 0
            approvals = sum(transactions.get(payee.lower(), ()))
            if problem := _problem(standing.stage, standing.reason, paid, rest, approvals):
                out.wrong[key.id] = problem

    def _report(self, began: float) -> None:
        # On a terminal a line is written over; elsewhere it is one of its own, now and then.
        if not sys.stdout.isatty() and time.monotonic() < self._next_report:
            return
        self._next_report = time.monotonic() + _REPORT
        out = self.outcome
        bar = "#" * (30 * out.crashed // max(1, self._bounds.crashes))
        _say(
            f"{out.store:10} [{bar:30.30}] {out.crashed} crashes of {self._bounds.crashes}, "
            f"{len(self._payees)} transfers, {time.monotonic() - began:.0f} s",
            again=True,
        )


def _problem(stage: Stage, reason: str | None, paid: int, rest: int, approvals: int) -> str | None:
    if rest or paid > 1:
        return f"it was paid {paid} times and {rest} base units"
    if approvals > 1:
        return f"{approvals} approvals were taken"
    if stage is Stage.SETTLED:
        return None if paid else "it is settled and was not paid"
    if stage is Stage.FAILED and reason:
        return "it failed and was paid" if paid else None
    return f"it is {stage}"


def main() -> int:
    """Let storms blow over the stores that are asked for, and say what they came to."""
    options = _options()
    seed = options.seed or secrets.token_hex(4)
    _say(f"seed {seed}")
    outcomes: list[Outcome] = []
    stores: Sequence[str] = [options.store] if options.store else STORES
    bounds = Bounds(-(-options.crashes // len(stores)), options.seconds / len(stores))
    with tempfile.TemporaryDirectory(prefix="bursar-chaos-") as name:
        folder = Path(name)
        with ground(folder) as standin, nurseries(folder, _LANES) as several:
            for store in stores:
                with (
                    database(store, folder) as where,
                    Scene.open(standin, store, where, several) as scene,
                ):
                    scene.put_on_chain()
                    outcomes.append(Storm(scene, bounds, seed).blow())
                    _tell(outcomes[-1])
    enough = sum(each.crashed for each in outcomes) >= options.crashes
    if options.out:
        body = {"seed": seed, "enough": enough, "storms": [each.to_json() for each in outcomes]}
        options.out.write_text(json.dumps(body, indent=2) + "\n")
    if not enough:
        _say("there was not enough time for so many crashes")
    return 0 if enough and not any(each.wrong for each in outcomes) else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.storm", description=__doc__)
    parser.add_argument("--crashes", type=int, default=1000, help="how many, on all stores")
    parser.add_argument("--seconds", type=float, default=1500, help="how long, on all stores")
    parser.add_argument("--seed", help="what is random is drawn from (printed)")
    parser.add_argument("--store", choices=STORES, help="one of the stores (both)")
    parser.add_argument("--out", type=Path, help="a file for what it came to, in JSON")
    return parser.parse_args()


def _tell(out: Outcome) -> None:
    rows = {
        "crashes": f"{out.crashed} of {out.lives} processes ({_counts(out.crashes)})",
        "found no journal": f"{out.gave_up} processes",
        "faults at Crossmint": f"{out.faults.total()} ({_counts(out.faults)})",
        "transfers": f"{out.transfers} ({_counts(out.stages)})",
        "payments on the chain": f"{out.payments}",
        "double payments": f"{out.double_payments}",
        "signatures": f"{out.signatures}",
        "held on the way": f"{out.held.total()} ({_counts(out.held)})",
        "seconds": f"{out.seconds}",
        "wrong": f"{len(out.wrong)}",
    }
    _say(f"\n{out.store}")
    for name, value in rows.items():
        _say(f"  {name:22} {value}")
    for name, why in out.wrong.items():
        _say(f"  {name}: {why}")


def _counts(several: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(several.items())) or "none"


def _say(text: str, *, again: bool = False) -> None:
    is_over = again and sys.stdout.isatty()
    sys.stdout.write(f"\r{text}" if is_over else f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
