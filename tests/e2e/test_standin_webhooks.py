"""The stand-in's webhooks, at our own endpoint, and what is behind them on the chain."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest
from pydantic import SecretStr, ValidationError
from svix.webhooks import Webhook as Svix

from bursar.sandbox.chain import Anvil, Contracts
from bursar.sandbox.chain.anvil import free_port
from bursar.sandbox.crossmint import StandInConfig, Webhook
from bursar.sandbox.crossmint.webhooks import signature
from bursar.settlement.chain_witness import ChainWitness
from bursar.settlement.judgement import Finding
from bursar.sql.engine import open_engine
from bursar.transfers.journal import JOURNAL
from bursar.webhooks.app import WebhookReceiver, serve, webhook_app
from bursar.webhooks.memory import DeliveryMemory
from bursar.webhooks.verification import Delivery, WebhookVerifier
from tests.e2e.payer import Payer
from tests.e2e.standin import World, configure, running
from tests.e2e.test_settlement_on_chain import question
from tests.fakes.owner import Owner

SECRET = "whsec_" + base64.b64encode(bytes(range(24))).decode()
Headers = list[tuple[str, str]]


@dataclass
class Mailbox:
    """Our endpoint, and what came to it: `arrived` counts every genuine or forged attempt."""

    port: int
    hints: list[Delivery] = field(default_factory=list)
    arrived: list[tuple[Headers, bytes]] = field(default_factory=list)
    stack: ExitStack = field(default_factory=ExitStack)

    def open(self, folder: Path) -> None:
        engine = open_engine(f"{folder}/deliveries.sqlite3", JOURNAL)
        self.stack.callback(engine.dispose)
        verifier = Recording(self.arrived)
        receiver = WebhookReceiver(verifier, DeliveryMemory.open(engine), self.hints.append)
        self.stack.enter_context(serve(webhook_app(receiver), port=self.port))

    def wait(self, what: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 10
        while not what():
            assert time.monotonic() < deadline, "nothing was delivered"
            time.sleep(0.01)


class Recording(WebhookVerifier):
    """The verifier, which keeps what it was asked about."""

    __slots__ = ("_arrived",)

    def __init__(self, arrived: list[tuple[Headers, bytes]]) -> None:
        super().__init__(SECRET)
        self._arrived = arrived

    def genuine(self, headers: Any, body: bytes, now: datetime) -> str:
        self._arrived.append((list(headers), body))
        return super().genuine(headers, body, now)


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    found = Mailbox(free_port())
    with found.stack:
        yield found


@pytest.fixture
def config(chain: Anvil, contracts: Contracts, mailbox: Mailbox, tmp_path: Path) -> StandInConfig:
    webhook = Webhook(url=f"http://127.0.0.1:{mailbox.port}/crossmint", secret=SecretStr(SECRET))
    return configure(chain, contracts, tmp_path / "state.sqlite", webhooks=(webhook,))


@pytest.fixture
def world(chain: Anvil, contracts: Contracts, config: StandInConfig) -> Iterator[World]:
    with running(chain, contracts, config) as found:
        yield found


@pytest.fixture
def payer(world: World) -> Payer:
    owner = Owner()
    wallet = world.funded_treasury(owner, f"payer-{owner.address[2:12]}")
    return Payer(world, owner, wallet, Owner().address)


def pay(payer: Payer) -> Any:
    return payer.settle(payer.transfer())


def test_a_transfer_that_settled_is_announced_and_the_chain_asked(
    payer: Payer, mailbox: Mailbox, tmp_path: Path
) -> None:
    mailbox.open(tmp_path)
    settled = pay(payer)
    mailbox.wait(lambda: bool(mailbox.hints))
    [hint] = mailbox.hints
    assert (hint.type, hint.status) == ("wallets.transfer.out", "succeeded")
    assert (hint.wallet, hint.transfer) == (payer.wallet, settled["id"])
    with ChainWitness(payer.standin.chain.url, "base-sepolia") as witness:
        verdict = witness.verdict(question(payer, settled, named=hint.transaction))
    assert (verdict.finding, verdict.transaction) == (Finding.PAID, hint.transaction)


def test_a_transfer_that_failed_is_announced_too(
    payer: Payer, mailbox: Mailbox, tmp_path: Path
) -> None:
    mailbox.open(tmp_path)
    client = payer.standin.client
    pay(payer)
    twice = [client.transfer(201, payer.wallet, payer.recipient, "95") for _ in range(2)]
    for made in twice:
        payer.settle(made)
    mailbox.wait(lambda: len(mailbox.hints) == 3)
    statuses = {hint.transfer: hint.status for hint in mailbox.hints}
    assert [statuses[made["id"]] for made in twice] == ["succeeded", "failed"]


def test_what_the_stand_in_signs_svix_takes(payer: Payer, mailbox: Mailbox, tmp_path: Path) -> None:
    mailbox.open(tmp_path)
    pay(payer)
    mailbox.wait(lambda: bool(mailbox.arrived))
    headers, body = mailbox.arrived[0]
    Svix(SECRET).verify(body, dict(headers))
    hook = Webhook(url="http://127.0.0.1:1", secret=SecretStr(SECRET))
    sent = dict(headers)
    again = signature(hook, sent["svix-id"], sent["svix-timestamp"], body.decode())
    assert sent["svix-signature"] == again


def test_a_delivery_that_comes_twice_is_one_hint(
    payer: Payer, mailbox: Mailbox, tmp_path: Path
) -> None:
    mailbox.open(tmp_path)
    payer.standin.fault("webhooks.deliver", "duplicate")
    pay(payer)
    mailbox.wait(lambda: len(mailbox.arrived) == 2)
    assert len({dict(headers)["svix-id"] for headers, _ in mailbox.arrived}) == 1
    assert len(mailbox.hints) == 1


def test_a_forged_delivery_is_refused_and_the_genuine_one_taken(
    payer: Payer, mailbox: Mailbox, tmp_path: Path
) -> None:
    mailbox.open(tmp_path)
    payer.standin.fault("webhooks.deliver", "forge")
    pay(payer)
    mailbox.wait(lambda: len(mailbox.hints) == 1)
    assert len(mailbox.arrived) == 2
    assert mailbox.hints[0].status == "succeeded"
    assert b'"failed"' in mailbox.arrived[0][1]


def test_a_delivery_that_is_late_comes_after_those_of_later_payments(
    payer: Payer, mailbox: Mailbox, tmp_path: Path
) -> None:
    mailbox.open(tmp_path)
    payer.standin.fault("webhooks.deliver", "slow", seconds=1.0)
    made = [pay(payer)["id"] for _ in range(2)]
    mailbox.wait(lambda: len(mailbox.hints) == 2)
    assert [hint.transfer for hint in mailbox.hints] == made[::-1]


def test_a_delivery_that_is_lost_never_comes(
    payer: Payer, mailbox: Mailbox, tmp_path: Path
) -> None:
    mailbox.open(tmp_path)
    payer.standin.fault("webhooks.deliver", "lose")
    pay(payer)
    second = pay(payer)
    mailbox.wait(lambda: bool(mailbox.hints))
    assert [hint.transfer for hint in mailbox.hints] == [second["id"]]


def test_a_delivery_is_tried_until_somebody_takes_it(
    payer: Payer, mailbox: Mailbox, tmp_path: Path
) -> None:
    settled = pay(payer)
    time.sleep(0.1)
    mailbox.open(tmp_path)
    mailbox.wait(lambda: bool(mailbox.hints))
    assert mailbox.hints[0].transfer == settled["id"]


def test_what_is_open_is_delivered_after_a_restart(
    chain: Anvil, contracts: Contracts, config: StandInConfig, mailbox: Mailbox, tmp_path: Path
) -> None:
    with running(chain, contracts, config) as first:
        owner = Owner()
        wallet = first.funded_treasury(owner, "restarted")
        settled = pay(Payer(first, owner, wallet, Owner().address))
    mailbox.open(tmp_path)
    with running(chain, contracts, config):
        mailbox.wait(lambda: bool(mailbox.hints))
    assert mailbox.hints[0].transfer == settled["id"]
    with running(chain, contracts, config):
        time.sleep(0.2)
    assert len(mailbox.arrived) == 1


def test_what_is_no_transfer_of_a_token_is_not_announced(
    payer: Payer, mailbox: Mailbox, tmp_path: Path
) -> None:
    mailbox.open(tmp_path)
    rpc = payer.standin.chain.rpc
    rpc.request("anvil_setBalance", payer.wallet, hex(10**18))
    path = f"wallets/{payer.wallet}/tokens/base-sepolia:eth/transfers"
    coin = payer.standin.client.call(
        201, "POST", path, {"recipient": payer.recipient, "amount": "0.1"}
    )
    payer.settle(coin)
    token = pay(payer)
    mailbox.wait(lambda: bool(mailbox.hints))
    assert [hint.transfer for hint in mailbox.hints] == [token["id"]]


@pytest.mark.parametrize(
    ("operation", "kind"),
    [("webhooks.deliver", "drop_after"), ("webhooks.deliver", "tamper"), ("wallets.get", "lose")],
)
def test_a_fault_that_cannot_befall_an_operation_is_refused(
    world: World, operation: str, kind: str
) -> None:
    world.client.call(400, "POST", "/_sandbox/faults", {"operation": operation, "kind": kind})


@pytest.mark.parametrize("url", ["https://127.0.0.1:1/x", "http://127.0.0.1/x", "http://[::1]:1"])
def test_deliveries_go_to_this_machine_alone(url: str) -> None:
    with pytest.raises(ValidationError):
        Webhook(url=url, secret=SecretStr(SECRET))
    with pytest.raises(ValidationError):
        Webhook(url="http://127.0.0.1:1/x", secret=SecretStr("whsec_!"))


def test_the_configuration_keeps_its_secret_and_can_be_read_back(
    config: StandInConfig, tmp_path: Path
) -> None:
    config.write(tmp_path / "config.json")
    assert StandInConfig.read(tmp_path / "config.json") == config
    assert SECRET not in repr(config)


def test_a_state_that_is_looked_at_shows_no_secret(world: World) -> None:
    state = httpx2.get(f"{world.config.url}/_sandbox/state", trust_env=False).text
    assert SECRET not in state
