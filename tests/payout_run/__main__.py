"""`python -m tests.payout_run`: pay a file with workers that die, and print what came of it."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from tests.payout_run import scene
from tests.payout_run.play import Outcome, play
from tests.payout_run.wanted import Wanted


def main() -> int:
    wanted, report = _read()
    with tempfile.TemporaryDirectory(prefix="bursar-payout-run-") as name:
        folder = Path(name)
        log = folder / "workers.log"
        say(f"setting up: {wanted.lines} {wanted.kind} lines, batches of {wanted.batch}")
        with (
            scene.chain_of_its_own() as chain,
            scene.store(wanted.store, folder) as journal,
            scene.opened(wanted, chain, journal, folder) as opened,
        ):
            outcome = play(opened, wanted, log, say)
        _tell(wanted, outcome, report, log)
    return 1 if outcome.wrong else 0


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _read() -> tuple[Wanted, Path | None]:
    usual = Wanted()
    parser = argparse.ArgumentParser(prog="python -m tests.payout_run", description=__doc__)
    parser.add_argument("--lines", type=int, default=usual.lines)
    parser.add_argument("--workers", type=int, default=usual.workers)
    parser.add_argument("--store", choices=("sqlite", "postgresql"), default=usual.store)
    parser.add_argument("--batch", type=int, default=usual.batch)
    parser.add_argument("--kind", choices=("regulated", "direct"), default=usual.kind)
    parser.add_argument("--errors", type=float, default=usual.errors, help="share of failing calls")
    parser.add_argument(
        "--scale", type=float, default=usual.scale, help="Crossmint's minute is 60 s / scale"
    )
    parser.add_argument(
        "--kill-every", type=float, default=usual.kill_every, help="seconds on average; 0: never"
    )
    parser.add_argument("--kills", type=int, help="no more kills than these")
    parser.add_argument("--concurrency", type=int, default=usual.concurrency)
    parser.add_argument("--seed", type=int, default=usual.seed)
    parser.add_argument(
        "--seconds", type=float, default=usual.seconds, help="give up after so many"
    )
    parser.add_argument(
        "--spoilt", type=int, help="the number of a line of more than there is, from 0"
    )
    parser.add_argument(
        "--least",
        type=float,
        default=usual.least,
        help="the share of the writes to be used, where the machine can carry it",
    )
    parser.add_argument("--report", type=Path, help="a file to write all of it to, as JSON")
    given = vars(parser.parse_args())
    report = given.pop("report")
    return Wanted(**given), report


def _tell(wanted: Wanted, outcome: Outcome, report: Path | None, log: Path) -> None:
    print(table(wanted, outcome))
    if report is not None:
        found = {"wanted": asdict(wanted), "findings": [asdict(each) for each in outcome.findings]}
        report.write_text(json.dumps(found, indent=2) + "\n")
    if outcome.wrong and log.exists():
        say("the last the workers said:")
        say("\n".join(log.read_text().splitlines()[-40:]))


def table(wanted: Wanted, outcome: Outcome) -> str:
    """Return everything that was looked at, in lines."""
    how = (
        f"{wanted.lines} {wanted.kind} lines, batches of {wanted.batch}, {wanted.workers} workers,"
        f" {wanted.store}, {wanted.errors:.0%} of calls fail, a minute is {wanted.window:g} s,"
        f" seed {wanted.seed}"
    )
    rows = [how]
    for each in outcome.findings:
        verdict = "" if each.wanted is None else ("ok" if each.is_right else "WRONG")
        wish = "" if each.wanted is None else f"{each.wanted}"
        rows.append(f"  {each.what:<48}{each.found!s:>18}  {wish:<18}{verdict}".rstrip())
    return "\n".join(rows)


if __name__ == "__main__":
    sys.exit(main())
