"""Drives transfers in a process that can be killed: `python -m tests.chaos.driver`, plans on standard input.

Each line is a `Plan`. It is carried out by a process forked for it, which starts as a fresh one does, but for what
Python had to read: a thousand of them are to be killed. For each, a line with its id, and one with how it ended.
"""

from __future__ import annotations

import os
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import coincurve
import dbos  # noqa: F401  read once, before the forks

from bursar.crossmint.client import CrossmintClient
from bursar.crossmint.limits import Limits
from bursar.errors import JournalUnavailable
from bursar.review.intent import Token
from bursar.signing_contract import BareSigner
from bursar.transfers.desk import Desk, Tools
from bursar.transfers.journal import Journal
from bursar.transfers.reading import Reading
from bursar.transfers.record import Key
from bursar.transfers.states import Step, next_step
from bursar.transfers.workflow import Runner, Work
from tests.chaos.plan import AWAY, Plan
from tests.chaos.points import Points
from tests.chaos.seams import WatchedSigner, WatchedTransport, watch_databases
from tests.e2e.durable import PATIENCE, USDC, OwnerSigner
from tests.fakes.owner import Owner

_ROUNDS = 6
# The stand-in counts nobody's calls.
_LIMITS = Limits(writes_per_minute=100_000, reads_per_minute=100_000, timeout=PATIENCE)


def carry_out(plan: Plan) -> None:
    """Drive a plan's transfers until all are over or held, or the time is up."""
    points = Points(plan)
    watch_databases(points.passed)
    work = None if plan.workers is None else Work(plan.treasury, plan.workers)
    with (
        Journal.open(plan.journal) as journal,
        CrossmintClient(
            plan.api_key,
            base_url=plan.url,
            transport=WatchedTransport(points.passed),
            limits=_LIMITS,
        ) as client,
        Runner(_desk(plan, journal, client, points), work) as runner,
    ):
        keys = [Key(plan.treasury, each) for each in plan.transfers]
        if plan.workers is None:
            _drive(runner, keys, plan.deadline)
        else:
            _work(runner, keys, plan.deadline)


def _desk(plan: Plan, journal: Journal, client: CrossmintClient, points: Points) -> Desk:
    owner = Owner(coincurve.PrivateKey(bytes.fromhex(plan.signing_key)))
    signer = WatchedSigner(BareSigner(OwnerSigner(owner)), Path(plan.signatures), points.passed)
    usdc = Token(plan.usdc, "USDC", 6)
    reading = Reading.of(None, {USDC: usdc}, frozenset({plan.factory}))
    return Desk(journal, Tools(client, signer, reading=reading, trace=points.passed))


def _drive(runner: Runner, keys: list[Key], deadline: float) -> None:
    end = time.monotonic() + deadline
    for key in keys:
        runner.start(key)
    ends = [runner.run(key, deadline=max(0.0, end - time.monotonic())) for key in keys]
    if late := [each.id for each in ends if next_step(each.standing) is not Step.STOP]:
        raise TimeoutError(f"{late} came to no end in {deadline} seconds")


def _work(runner: Runner, keys: list[Key], deadline: float) -> None:
    end = time.monotonic() + deadline
    rounds = 0
    while keys and time.monotonic() < end:
        with suppress(JournalUnavailable):
            runner.take_over()
            # Now and then a turn has come to its end before the transfer did.
            drive = runner.start if rounds % _ROUNDS == _ROUNDS - 1 else _enqueue(runner)
            keys = [key for key in keys if not _is_over(runner, key, drive)]
        rounds += 1
        time.sleep(0.3)


def _enqueue(runner: Runner) -> Callable[[Key], object]:
    return lambda key: runner.enqueue(runner.journal.get(key))


def _is_over(runner: Runner, key: Key, drive: Callable[[Key], object]) -> bool:
    if next_step(runner.journal.get(key).standing) is Step.STOP:
        return True
    drive(key)
    return False


def _end(plan: Plan) -> int:
    try:
        carry_out(plan)
    except JournalUnavailable as error:
        sys.stderr.write(f"{error.code}: {error.message}\n")
        return AWAY
    except BaseException:  # noqa: BLE001  said, not swallowed
        traceback.print_exc()
        return 4
    return 0


def main() -> None:
    """Carry out plans, one after another, until there are no more."""
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            sys.stdin.close()
            # Straight out: what Python does on its way out was set up by the parent.
            os._exit(_end(Plan.of_line(line)))
        sys.stdout.write(f"{child}\n")
        sys.stdout.flush()
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
