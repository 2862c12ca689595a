"""What a node shows of transfers that are over, whoever approved them and whatever the journal calls them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from bursar.crossmint.client import CrossmintClient
from bursar.crossmint.models import Transaction
from bursar.review.actions import Transfer as Moved
from bursar.transfers import orders
from bursar.transfers.batch import BatchPayment, BatchTransfer
from bursar.transfers.journal import NewTransfer
from bursar.transfers.record import Transfer
from bursar.transfers.states import Event, EventKind, Stage
from bursar.transfers.tally import Counting, Tally, to_be_asked_about
from tests.fakes.scripted_crossmint import READING, WALLET, key
from tests.unit.review.scene import RECIPIENT, THIEF, USDC
from tests.unit.settlement.node import BUNDLE, FakeNode, bundle, ended, moved
from tests.unit.transfers.conftest import Scene

UNITS = 25_000_000
PAID = Moved(USDC, RECIPIENT, UNITS)
ALL = Tally({USDC: UNITS})


@pytest.fixture
def node() -> FakeNode:
    return FakeNode()


@pytest.fixture
def client(scene: Scene) -> Iterator[CrossmintClient]:
    with scene.crossmint.client() as opened:
        yield opened


def land(node: FakeNode, message: str, *payments: Moved, transaction: str = BUNDLE) -> None:
    """Have an operation on the chain that pays this."""
    logs = [*map(moved, payments or (PAID,)), ended(bytes.fromhex(message[2:]))]
    node.mine(bundle(logs), transaction=transaction)


def counted(node: FakeNode, client: CrossmintClient, *transfers: Transfer) -> Tally:
    def fetch(transfer: Transfer) -> Transaction:
        return client.get_transaction(WALLET, str(transfer.standing.known["transaction"]))

    asked = to_be_asked_about(transfers)
    with node.witness(confirmations=3) as chain:
        return Counting(chain, READING, fetch).count(asked)


def test_what_was_paid_is_counted_without_a_word_of_crossmint(
    scene: Scene, node: FakeNode, client: CrossmintClient
) -> None:
    assert scene.finish(scene.desk()).stage is Stage.SETTLED
    land(node, scene.crossmint.of().message)
    calls = list(scene.crossmint.calls)
    assert counted(node, client, scene.get()) == ALL
    assert scene.crossmint.calls == calls


def test_what_is_not_deep_enough_or_not_there_counts_as_nothing(
    scene: Scene, node: FakeNode, client: CrossmintClient
) -> None:
    scene.finish(scene.desk())
    assert counted(node, client, scene.get()) == Tally({})
    land(node, scene.crossmint.of().message)
    node.height = 111
    assert counted(node, client, scene.get()) == Tally({})


@pytest.mark.parametrize("stage", [Stage.CREATED, Stage.REVIEWED])
def test_what_was_approved_elsewhere_is_looked_for_as_crossmint_has_it(
    scene: Scene, node: FakeNode, client: CrossmintClient, stage: Stage
) -> None:
    scene.until(scene.desk(), stage)
    scene.crossmint.rebuild()
    scene.crossmint.approve_elsewhere()
    standing = scene.finish(scene.desk())
    assert standing.stage is Stage.SETTLED
    assert standing.known.get("message") != scene.crossmint.of().message
    land(node, scene.crossmint.of().message)
    assert counted(node, client, scene.get()) == ALL


def test_where_a_user_is_paid_crossmint_says_at_which_address(
    scene: Scene, node: FakeNode, client: CrossmintClient
) -> None:
    scene.record("ada", recipient="email:ada@example.com")
    assert scene.finish(scene.desk(), "ada").stage is Stage.SETTLED
    land(node, scene.crossmint.of("ada").message)
    assert counted(node, client, scene.get("ada")) == ALL


def test_where_crossmint_does_not_say_whom_a_user_s_payment_counts_as_nothing(
    scene: Scene, node: FakeNode, client: CrossmintClient
) -> None:
    scene.record("ada", recipient="email:ada@example.com")
    scene.finish(scene.desk(), "ada")
    land(node, scene.crossmint.of("ada").message)
    seen = client.get_transaction(WALLET, scene.crossmint.of("ada").id)
    with node.witness() as chain:
        silent = Counting(chain, READING, lambda _: seen.model_copy(update={"send_params": None}))
        assert silent.count([scene.get("ada")]) == Tally({})


@pytest.mark.parametrize("rebuilt", [False, True])
def test_what_was_cancelled_and_is_paid_all_the_same_is_an_alarm(
    scene: Scene, node: FakeNode, client: CrossmintClient, *, rebuilt: bool
) -> None:
    scene.until(scene.desk(), Stage.REVIEWED)
    desk = scene.desk()
    assert orders.cancel(scene.journal, client, desk.locator, scene.get(), "Ada").id == "rent"
    if rebuilt:
        scene.crossmint.rebuild()
    assert counted(node, client, scene.get()) == Tally({})
    land(node, scene.crossmint.of().message)
    assert counted(node, client, scene.get()) == Tally({USDC: UNITS}, ("rent",))


def test_a_batch_that_failed_and_is_paid_all_the_same_is_an_alarm(
    scene: Scene, node: FakeNode, client: CrossmintClient
) -> None:
    scene.until(scene.desk(), Stage.CREATED)
    token = "base-sepolia:usdc"
    payments = [
        BatchPayment.parse(token=token, recipient=each, amount="1") for each in (RECIPIENT, THIEF)
    ]
    batch = BatchTransfer("both", WALLET, tuple(payments))
    transfer = scene.journal.record(NewTransfer(key("both"), batch))
    for kind, data in (
        (EventKind.ASKED, {}),
        (EventKind.CREATED, {"transaction": "tx-2"}),
        (EventKind.REVIEWED, {"message": "0x" + "5b" * 32}),
        (EventKind.FAILED, {"reason": "it was reverted", "code": "transaction_failed"}),
    ):
        transfer = scene.journal.append(transfer, Event(kind, data))
    scene.crossmint.keys["both"] = replace(scene.crossmint.of(), id="tx-2")
    each = [Moved(USDC, recipient, 1_000_000) for recipient in (RECIPIENT, THIEF)]
    land(node, "0x" + "5b" * 32, *each)
    assert counted(node, client, transfer) == Tally({USDC: 2_000_000}, ("both",))


def test_only_what_is_over_and_might_have_been_paid_is_asked_about(scene: Scene) -> None:
    assert to_be_asked_about([scene.get()]) == []
    never = scene.journal.append(scene.get(), Event(EventKind.CANCELLED, {"reason": "no"}))
    assert to_be_asked_about([never]) == []
    scene.record("later")
    scene.until(scene.desk(), Stage.APPROVED, "later")
    assert to_be_asked_about([scene.get("later")]) == []
