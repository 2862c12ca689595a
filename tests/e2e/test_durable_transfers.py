"""The desk and the workflow engine against the stand-in: one transfer, whatever happens, is paid once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from bursar.crossmint.client import CrossmintClient
from bursar.crossmint.locators import RecipientLocator, TokenLocator
from bursar.crossmint.models import Transaction
from bursar.payouts.book import Beginning, PayoutBook
from bursar.payouts.lines import Line
from bursar.payouts.plan import Plan
from bursar.transfers.intent import TransferType
from bursar.transfers.record import Transfer
from bursar.transfers.sight import NoWitness, Sight
from bursar.transfers.states import Stage
from bursar.transfers.worker import Worker
from bursar.transfers.workflow import Runner, Work
from tests.e2e.durable import USDC, Bench, finish
from tests.e2e.standin import World
from tests.fakes.owner import Owner


@pytest.fixture
def bench(standin: World, tmp_path: Path) -> Iterator[Bench]:
    made = Bench.make(standin, tmp_path / "journal.sqlite3")
    yield made
    made.close()


def test_a_transfer_is_taken_to_its_end_step_by_step(bench: Bench) -> None:
    payee = Owner().address
    bench.record("rent", payee)
    ended = finish(bench.desk(), bench.key("rent"))
    assert ended.standing.stage is Stage.SETTLED, ended
    assert bench.paid(payee) == 2_500_000
    assert bench.signer.signed == 1
    kinds = [each.kind for each in bench.journal.history(bench.key("rent"))]
    assert kinds == [
        "recorded",
        "asked",
        "created",
        "reviewed",
        "signed",
        "handing_in",
        "approved",
        "settled",
    ]


def test_the_workflow_engine_drives_a_transfer_and_another_run_changes_nothing(
    bench: Bench,
) -> None:
    payee = Owner().address
    bench.record("rent", payee)
    seen: list[str] = []
    with Runner(bench.desk()) as runner:
        ended = runner.run(bench.key("rent"), lambda each: seen.append(each.standing.stage))
        again = runner.run(bench.key("rent"))
    assert ended.standing.stage is Stage.SETTLED
    assert again == ended
    assert bench.paid(payee) == 2_500_000
    assert seen[-1] == "settled"


def test_workers_take_transfers_from_the_queue(bench: Bench) -> None:
    payees = [Owner().address for _ in range(10)]
    for number, payee in enumerate(payees):
        bench.record(f"p-{number}", payee, amount="0.01")
    with Runner(bench.desk(), Work(bench.address, 4)) as runner:
        for number in range(10):
            runner.enqueue(bench.journal.get(bench.key(f"p-{number}")))
        ends = [runner.run(bench.key(f"p-{number}"), deadline=30) for number in range(10)]
    assert [each.standing.reason for each in ends if each.standing.stage is not Stage.SETTLED] == []
    assert [bench.paid(payee) for payee in payees] == [10_000] * 10
    assert bench.signer.signed == 10


def test_whoever_is_told_to_stop_holds_nothing_and_others_go_on_at_once(bench: Bench) -> None:
    payees = {f"stop-{number}": Owner().address for number in range(8)}
    for name, payee in payees.items():
        bench.record(name, payee)
    bench.standin.fault("transfers.create", "slow", count=4, seconds=1.0)
    bench.standin.fault("transactions.approve", "slow", count=8, seconds=1.0)
    client = CrossmintClient(
        bench.standin.config.api_keys[0].key.get_secret_value(), base_url=bench.standin.config.url
    )
    stopped = replace(bench, client=client)
    with client, Runner(stopped.desk(), Work(bench.address, 4)) as runner:
        for name in payees:
            runner.enqueue(bench.journal.get(bench.key(name)))
        time.sleep(2.5)
    standings = [bench.journal.get(bench.key(name)).standing for name in payees]
    assert [each.hold for each in standings] == [None] * 8, standings
    assert any(each.is_final or not each.is_cancellable for each in standings)
    with Runner(bench.desk(), Work(bench.address, 4)) as runner:
        end = time.monotonic() + 60
        while not all(each.is_final for each in standings):
            assert time.monotonic() < end, standings
            runner.take_over()
            time.sleep(0.2)
            standings = [bench.journal.get(bench.key(name)).standing for name in payees]
    assert {bench.paid(payee) for payee in payees.values()} == {2_500_000}
    assert bench.signer.signed == 8


@dataclass
class Unsighted(NoWitness):
    """Takes Crossmint's word, but for some transfers, which take long to land."""

    unseen: set[str]

    def see(self, transfer: Transfer, transaction: Transaction) -> Sight:
        return Sight(None) if transfer.id in self.unseen else super().see(transfer, transaction)


def test_lines_that_take_long_to_land_keep_no_others_from_being_paid(bench: Bench) -> None:
    # The first puts the wallet on the chain, for which all wait.
    bench.record("first", amount="0.01")
    finish(bench.desk(), bench.key("first"))
    book = PayoutBook(bench.journal)
    payout = book.begin(plan(bench, 30), Beginning(bench.key("pay").id, "the test"))
    witness = Unsighted({each.id for each in list(book.transfers(payout))[1:5]})
    with Runner(bench.desk(witness=witness), Work(bench.address, 4)) as runner:
        worker = Worker(runner, bench.address, 4)
        until(worker, lambda: book.counts(payout).of(Stage.SETTLED) == 26)
        waiting = [each for each in book.transfers(payout) if not each.standing.is_final]
        assert {(each.id, each.standing.stage) for each in waiting} == {
            (each, Stage.APPROVED) for each in witness.unseen
        }
        witness.unseen.clear()
        until(worker, lambda: book.counts(payout).open == 0)
    assert book.counts(payout).of(Stage.SETTLED) == 30
    assert bench.paid(bench.address) == 100_000_000 - 31 * 10_000
    assert bench.signer.signed == 31


def plan(bench: Bench, lines: int) -> Plan:
    """Return a plan that pays so many recipients a cent each."""
    token = TokenLocator.parse(USDC)
    meant = bench.reading().token(token)
    return Plan(
        bench.wallet,
        bench.address,
        "base-sepolia",
        tuple(
            Line(
                number,
                bench.key(f"line-{number}").id,
                RecipientLocator.parse(Owner().address),
                token,
                meant,
                10_000,
                TransferType.DIRECT,
                "",
            )
            for number in range(lines)
        ),
    )


def until(worker: Worker, so: Callable[[], bool]) -> None:
    """Have rounds done until something is so."""
    end = time.monotonic() + 100
    while not so():
        assert time.monotonic() < end
        assert worker.round().error is None
        time.sleep(0.2)
