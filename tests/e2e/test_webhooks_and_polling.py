"""A webhook makes a transfer settle sooner, polling makes it settle at all, and both together settle it once."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from bursar.sandbox.chain import Anvil, Contracts
from bursar.sandbox.chain.anvil import free_port
from bursar.sandbox.crossmint import Webhook
from bursar.transfers.desk import Desk, Next
from bursar.transfers.record import Key
from bursar.transfers.states import Stage
from bursar.transfers.workflow import Runner
from bursar.webhooks.app import WebhookReceiver, serve, webhook_app
from bursar.webhooks.memory import DeliveryMemory
from bursar.webhooks.verification import Delivery, WebhookVerifier
from tests.e2e.durable import Bench
from tests.e2e.standin import configure, running
from tests.fakes.owner import Owner

SECRET = "whsec_" + base64.b64encode(bytes(range(24))).decode()
DAY = 86_400.0


class Drowsy(Desk):
    """Waits for a day where others wait for seconds, so that polling alone would come to no end."""

    def advance(self, key: Key, turn: int | None = None) -> Next:
        found = super().advance(key, turn)
        return Next(DAY, found.transfer) if found.wait else found


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def bench(chain: Anvil, contracts: Contracts, port: int, tmp_path: Path) -> Iterator[Bench]:
    webhook = Webhook(url=f"http://127.0.0.1:{port}/crossmint", secret=SecretStr(SECRET))
    config = configure(chain, contracts, tmp_path / "state.sqlite", webhooks=(webhook,))
    with running(chain, contracts, config) as world:
        made = Bench.make(world, tmp_path / "journal.sqlite3")
        yield made
        made.close()


@pytest.fixture
def listen(bench: Bench, port: int) -> Iterator[Any]:
    """Take webhooks for a runner, as `bursar worker --webhooks` does; gives what came."""
    with ExitStack() as stack:

        def begin(runner: Runner) -> list[Delivery]:
            came: list[Delivery] = []

            def hurry(delivery: Delivery) -> None:
                came.append(delivery)
                transaction = delivery.transfer or ""
                if found := bench.journal.by_transaction(bench.address, transaction):
                    runner.hurry(found)

            memory = DeliveryMemory.open(bench.journal.engine)
            receiver = WebhookReceiver(WebhookVerifier(SECRET), memory, hurry)
            stack.enter_context(serve(webhook_app(receiver), port=port))
            return came

        yield begin


def settled(bench: Bench, name: str) -> int:
    return [each.kind for each in bench.journal.history(bench.key(name))].count("settled")


def test_who_waits_long_is_woken_by_a_webhook(bench: Bench, listen: Any) -> None:
    payee = Owner().address
    bench.record("rent", payee)
    with Runner(Drowsy(bench.journal, bench.tools())) as runner:
        came = listen(runner)
        ended = runner.run(bench.key("rent"), deadline=60)
    assert ended.standing.stage is Stage.SETTLED
    assert (settled(bench, "rent"), bench.paid(payee)) == (1, 2_500_000)
    assert [each.status for each in came] == ["succeeded"]


@pytest.mark.parametrize("trouble", ["duplicate", "forge", "lose", "slow"])
def test_whatever_becomes_of_webhooks_a_transfer_settles_once(
    bench: Bench, listen: Any, trouble: str
) -> None:
    payees = {f"rent-{number}": Owner().address for number in range(3)}
    for name, payee in payees.items():
        bench.record(name, payee)
    bench.standin.fault("webhooks.deliver", trouble, count=3, seconds=0.5)
    with Runner(bench.desk()) as runner:
        listen(runner)
        for name in payees:
            runner.start(bench.key(name))
        ends = [runner.run(bench.key(name), deadline=60).standing.stage for name in payees]
    assert ends == [Stage.SETTLED] * 3
    assert [settled(bench, name) for name in payees] == [1, 1, 1]
    assert {bench.paid(payee) for payee in payees.values()} == {2_500_000}
    assert bench.signer.signed == 3
