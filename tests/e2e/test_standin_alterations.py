"""What the stand-in keeps of an altered answer, and that an alteration would do harm if it were signed."""

from __future__ import annotations

from typing import get_args

import pytest

from bursar.sandbox.chain.abi import call_data
from bursar.sandbox.crossmint.alterations import THIEF
from bursar.sandbox.crossmint.faults import Tamper
from tests.e2e.payer import PAID, Payer
from tests.e2e.standin import World

EVERY_ONE = get_args(Tamper)
ON_CREATE_AND_READ = pytest.mark.parametrize("operation", ["transfers.create", "transactions.get"])


@pytest.mark.parametrize("how", EVERY_ONE)
def test_what_is_altered_when_it_is_read_stays_as_it_was(payer: Payer, how: str) -> None:
    payer.settle(payer.transfer())
    payer.transfer()
    made = payer.transfer()
    payer.standin.alter("transactions.get", how)
    altered, again = payer.read(made["id"]), payer.read(made["id"])
    assert altered != made
    assert altered["id"] == made["id"]
    assert again == made
    payer.standin.client.approve(400, payer.wallet, altered, payer.owner)
    assert payer.review(again).hash.hex() == made["onChain"]["userOperationHash"][2:]


@pytest.mark.parametrize("how", EVERY_ONE)
def test_what_is_altered_when_it_is_made_is_what_is_kept(payer: Payer, how: str) -> None:
    payer.settle(payer.transfer())
    payer.transfer()
    made = payer.altered("transfers.create", how)
    assert payer.read(made["id"]) == made


def test_a_signed_replay_looks_settled_and_pays_nobody(payer: Payer) -> None:
    first = payer.settle(payer.transfer())
    again = payer.settle(payer.altered("transfers.create", "replay"))
    assert again["status"] == "success"
    assert again["onChain"]["txId"] == first["onChain"]["txId"]
    assert payer.standin.token.balance_of(payer.recipient) == PAID


@pytest.mark.parametrize("how", ["recipient", "amount", "extra_call", "approve", "fee"])
def test_a_signed_alteration_does_what_it_says(payer: Payer, how: str) -> None:
    token, contracts = payer.standin.token, payer.standin.contracts
    before = token.balance_of(THIEF)
    settled = payer.settle(payer.altered("transfers.create", how))
    assert settled["status"] == "success"
    stolen = token.balance_of(THIEF) - before
    paid = token.balance_of(payer.recipient)
    asked = call_data("allowance(address,address)", payer.wallet, THIEF)
    allowed = int.from_bytes(payer.standin.chain.rpc.call(contracts.usdc, asked), "big")
    assert (stolen, paid, allowed) == {
        "recipient": (PAID, 0, 0),
        "amount": (0, PAID + 1, 0),
        "extra_call": (0, PAID, 2**256 - 1),
        "approve": (0, 0, PAID),
        "fee": (0, PAID, 0),
    }[how]


def test_the_other_wallet_is_another_one_of_the_same_signer(payer: Payer) -> None:
    made = payer.altered("transfers.create", "other_wallet")
    other = made["onChain"]["userOperation"]["sender"]
    payer.standin.token.mint(other, PAID)
    assert payer.settle(made)["status"] == "success"
    assert payer.standin.token.balance_of(other) == 0
    assert payer.standin.token.balance_of(payer.recipient) == PAID


@ON_CREATE_AND_READ
def test_the_other_message_is_the_hash_of_what_else_waits(payer: Payer, operation: str) -> None:
    waiting = payer.transfer()
    [pending] = payer.altered(operation, "other_message")["approvals"]["pending"]
    assert pending["message"] == waiting["onChain"]["userOperationHash"]


@ON_CREATE_AND_READ
@pytest.mark.parametrize(
    ("how", "lacking"),
    [
        ("other_message", "another transaction that awaits approval"),
        ("replay", "a completed transaction of the wallet"),
    ],
)
def test_an_alteration_without_what_it_takes_is_a_conflict(
    payer: Payer, operation: str, how: str, lacking: str
) -> None:
    assert lacking in payer.altered(operation, how, 409)["message"]


def test_an_operation_whose_answer_cannot_be_altered_is_said_so(standin: World) -> None:
    fault = {"operation": "wallets.get", "kind": "tamper", "tamper": "recipient"}
    said = standin.client.call(400, "POST", "/_sandbox/faults", fault)
    assert "transactions.get" in said["message"]
