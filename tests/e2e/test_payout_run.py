"""A payout by workers that are killed, and one with a bad line. `make payout-run` runs it at length."""

from __future__ import annotations

from pathlib import Path

from bursar.sandbox.chain import Anvil, Contracts
from tests.payout_run import scene
from tests.payout_run.play import Outcome, play
from tests.payout_run.wanted import Wanted


def run(wanted: Wanted, chain: tuple[Anvil, Contracts], folder: Path) -> Outcome:
    log = folder / "workers.log"
    with (
        scene.store(wanted.store, folder) as journal,
        scene.opened(wanted, chain, journal, folder) as opened,
    ):
        outcome = play(opened, wanted, log, lambda _: None)
    assert outcome.wrong == [], log.read_text()[-2000:]
    return outcome


def found(outcome: Outcome, what: str) -> object:
    [finding] = [each for each in outcome.findings if each.what == what]
    return finding.found


def test_a_payout_by_two_workers_of_which_each_is_killed_is_paid_once_within_the_limits(
    chain: Anvil, contracts: Contracts, tmp_path: Path
) -> None:
    wanted = Wanted(
        lines=40, workers=2, store="postgresql", scale=12, kill_every=1.0, kills=2, least=0.0
    )
    outcome = run(wanted, (chain, contracts), tmp_path)
    assert found(outcome, "workers killed") == 2
    assert found(outcome, "transactions at Crossmint") == 40


def test_a_batch_with_a_line_that_cannot_be_paid_is_split_until_that_is_alone(
    chain: Anvil, contracts: Contracts, tmp_path: Path
) -> None:
    wanted = Wanted(
        lines=8, workers=1, batch=8, kind="direct", scale=60, errors=0, kill_every=0, spoilt=5
    )
    outcome = run(wanted, (chain, contracts), tmp_path)
    assert found(outcome, "lines held for people") == 1
    # Of lines 0 to 7, 5 is spoilt: 0 to 3 are paid in one, 6 and 7 in one, and 4 by itself.
    assert found(outcome, "transactions at Crossmint") == 3
    assert found(outcome, "signatures") == 3
