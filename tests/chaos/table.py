"""Every point where a transfer can be killed, on every store: `python -m tests.chaos.table`, or `make crashes`.

It prints a line for each, and ends with 1 where any was not paid exactly once.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.chaos import cases
from tests.chaos.cases import Case
from tests.chaos.ground import STORES, database, ground, nurseries
from tests.chaos.nursery import Nursery
from tests.chaos.scene import Row, Scene
from tests.e2e.standin import World

_COLUMNS = "{:59} {:24} {:10} {:>7} {:>8} {:>10} {:>12} {:9} {}"
_HEAD = (
    "killed at,trouble at Crossmint,store,resumed,payments,signatures,transactions,stage,problem"
)
_SUMMARY = "{:10} {:>7} {:>9} {:>7} {:>9} {:>10} {:>5}"
_SUMMED = "store,resumed,transfers,crashes,paid once,signatures,wrong"
# So many transfers are killed before all of them are resumed and told of.
_GROUP = 40


def rows(standin: World, store: str, where: str, several: tuple[Nursery, ...]) -> Iterator[Row]:
    """Kill and resume a transfer for every case on a store, and yield what became of each."""
    with Scene.open(standin, store, where, several) as scene:
        scene.put_on_chain()
        for resumed_by in (1, 2):
            for group in _groups([*cases.plain(), *cases.engine(), *cases.troubled()]):
                yield from scene.crash_and_resume(group, resumed_by)
    for case in cases.first_of_its_wallet():
        with Scene.open(standin, store, where, several) as scene:
            yield from scene.crash_and_resume([case])


def _groups(several: Sequence[Case]) -> Iterator[Sequence[Case]]:
    # Those with trouble at Crossmint are killed one at a time.
    for kind in (False, True):
        alike = [case for case in several if (case.fault is not None) is kind]
        for start in range(0, len(alike), _GROUP):
            yield alike[start : start + _GROUP]


def line(row: Row) -> str:
    """Return a row of the table."""
    fault = str(row.case.fault or "")
    counts = (row.resumed_by, f"{row.payments:g}", row.signatures, row.transactions)
    return _COLUMNS.format(str(row.case), fault, row.store, *counts, row.stage, row.problem or "")


def summary(told: Sequence[Row]) -> Iterator[str]:
    """Yield what the rows come to, for each store and number of processes that resumed them."""
    yield _SUMMARY.format(*_SUMMED.split(","))
    for store, resumed_by in sorted({(row.store, row.resumed_by) for row in told}):
        rows = [row for row in told if (row.store, row.resumed_by) == (store, resumed_by)]
        once = sum(row.payments == 1 for row in rows)
        sums = (sum(row.crashes for row in rows), once, sum(row.signatures for row in rows))
        wrong = sum(row.problem is not None for row in rows)
        yield _SUMMARY.format(store, resumed_by, len(rows), *sums, wrong)


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.table", description=__doc__)
    parser.add_argument("--store", choices=STORES, help="one of the stores (both)")
    chosen = parser.parse_args().store
    told: list[Row] = []
    say(_COLUMNS.format(*_HEAD.split(",")))
    with tempfile.TemporaryDirectory(prefix="bursar-crashes-") as name:
        folder = Path(name)
        with ground(folder) as standin, nurseries(folder, 2) as several:
            for store in [chosen] if chosen else STORES:
                with database(store, folder) as where:
                    for row in rows(standin, store, where, several):
                        say(line(row))
                        told.append(row)
    say("\n" + "\n".join(summary(told)))
    return 1 if any(row.problem for row in told) else 0


def say(text: str) -> None:
    """Print a line now."""
    sys.stdout.write(text.rstrip() + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
