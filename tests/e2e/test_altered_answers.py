"""Every way of altering an answer, when a transfer is made and when it is read, and what the review says."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import pytest

from bursar.amounts import to_decimal_text
from bursar.errors import BursarError, IntentMismatch, Unverifiable
from bursar.policy.document import read_policy
from bursar.sandbox.crossmint.alterations import OTHER_TOKEN, THIEF
from bursar.sandbox.crossmint.faults import Tamper
from tests.e2e.payer import PAID, Payer
from tests.fakes.owner import Owner
from tests.unit.policy import treasury

REFUSED: dict[str, tuple[type[BursarError], str]] = {
    "recipient": (IntentMismatch, f"its recipient is {THIEF}"),
    "amount": (IntentMismatch, "its amount is 2500001 base units"),
    "extra_call": (IntentMismatch, f"it makes 2 calls .*; let {THIEF} take .* without limit"),
    "token": (IntentMismatch, f"its token is {OTHER_TOKEN}"),
    "chain": (IntentMismatch, "its chain is base, but base-sepolia was asked for"),
    "delegatecall": (Unverifiable, f"the code of {THIEF} would run as the wallet itself"),
    "approve": (IntentMismatch, f"it does not pay; it would let {THIEF} take .* up to 2500000 "),
    "hash": (Unverifiable, "the user operation's hash on base-sepolia is 0x.* as stated"),
    "message": (Unverifiable, "the message to sign is 0x.*, not the user operation's hash"),
    "other_message": (Unverifiable, "the message to sign is 0x.*, not the user operation's hash"),
    "other_wallet": (IntentMismatch, "the transaction is of wallet 0x"),
}
# What the review cannot refuse, and what does instead.
PASSED = {"fee": "the policy's ceiling", "replay": "the memory of what was signed, by its hash"}
ON_CREATE_AND_READ = pytest.mark.parametrize("operation", ["transfers.create", "transactions.get"])


def test_the_review_or_something_named_here_stands_against_every_alteration() -> None:
    assert {*REFUSED, *PASSED} == set(get_args(Tamper))
    assert not REFUSED.keys() & PASSED.keys()


@ON_CREATE_AND_READ
@pytest.mark.parametrize("how", REFUSED)
def test_an_altered_answer_is_refused(payer: Payer, operation: str, how: str) -> None:
    error, why = REFUSED[how]
    honest = payer.transfer()
    altered = payer.altered(operation, how)
    with pytest.raises(error, match=why):
        payer.review(altered)
    assert altered["status"] == "awaiting-approval"
    assert altered["sendParams"] == honest["sendParams"]


@ON_CREATE_AND_READ
def test_an_inflated_fee_passes_the_review_and_the_policys_ceiling_refuses_it(
    payer: Payer, operation: str
) -> None:
    honest = payer.review(payer.transfer()).fee.at_most
    inflated = payer.review(payer.altered(operation, "fee")).fee.at_most
    assert inflated > 10 * honest
    ceiling = to_decimal_text(2 * honest, 18)
    usdc = payer.standin.contracts.usdc
    text = treasury.BASIC.replace('"0.002"', f'"{ceiling}"').replace(treasury.USDC, usdc)
    rules = read_policy(text.replace(treasury.ACME, payer.recipient))
    payment = treasury.payment(contract=usdc, amount=PAID, recipient=payer.recipient)
    for fee, refusing in ((honest, []), (inflated, ["chains.base-sepolia.fee_at_most"])):
        decision = treasury.judge(rules, treasury.proposal(payment, fee_at_most=fee))
        assert treasury.refusing(decision) == refusing


@ON_CREATE_AND_READ
def test_a_replay_of_the_same_payment_passes_the_review_under_the_hash_that_was_signed(
    payer: Payer, operation: str
) -> None:
    first = payer.settle(payer.transfer())
    signed = first["onChain"]["userOperationHash"]
    found = payer.review(payer.altered(operation, "replay"))
    assert found.transaction != first["id"]
    assert "0x" + found.hash.hex() == signed


@ON_CREATE_AND_READ
def test_a_replay_of_another_payment_is_refused(payer: Payer, operation: str) -> None:
    payer.settle(payer.standin.client.transfer(201, payer.wallet, payer.recipient, "1"))
    altered = payer.altered(operation, "replay")
    with pytest.raises(IntentMismatch, match="its amount is 1000000 base units"):
        payer.review(altered)


def test_a_completed_transaction_can_itself_be_made_to_look_as_if_it_waited(payer: Payer) -> None:
    first = payer.settle(payer.transfer())
    payer.standin.alter("transactions.get", "replay")
    again = payer.read(first["id"])
    assert again["id"] == first["id"]
    assert not {"completedAt", "error"} & again.keys()
    assert again["approvals"]["submitted"] == []
    assert payer.review(again).hash.hex() == first["onChain"]["userOperationHash"][2:]


@pytest.mark.parametrize("operation", ["transactions.create", "transactions.get"])
@pytest.mark.parametrize("how", ["recipient", "amount", "token", "approve", "extra_call"])
def test_what_is_no_transfer_gets_the_extra_call(payer: Payer, operation: str, how: str) -> None:
    call = {"to": payer.recipient, "value": "0", "data": "0x"}
    body = {"params": {"calls": [call], "chain": "base-sepolia"}}
    payer.standin.alter(operation, how)
    path = f"wallets/{payer.wallet}/transactions"
    made = payer.standin.client.call(201, "POST", path, body)
    answer = made if operation == "transactions.create" else payer.read(made["id"])
    with pytest.raises(IntentMismatch, match=f"2 calls .* let {THIEF} take .* without limit"):
        payer.review(answer)


def test_a_transfer_can_be_altered_at_its_own_address(payer: Payer) -> None:
    made = payer.transfer()
    payer.standin.alter("transfers.get", "recipient")
    path = f"wallets/{payer.wallet}/tokens/base-sepolia:usdc/transfers/{made['id']}"
    with pytest.raises(IntentMismatch, match=f"its recipient is {THIEF}"):
        payer.review(payer.standin.client.call(200, "GET", path))


def test_every_member_of_a_quorum_is_asked_for_the_altered_hash(payer: Payer) -> None:
    members = [payer.owner, Owner()]
    listed = [{"type": "external-wallet", "address": member.address} for member in members]
    config = {"recoveryMethods": [{"type": "quorum", "threshold": 2, "members": listed}]}
    body = {"chainType": "evm", "config": config}
    wallet = payer.standin.client.call(201, "POST", "wallets", body)["address"]
    payer.standin.token.mint(wallet, PAID)
    made = replace(payer, wallet=wallet).altered("transactions.get", "recipient")
    for member in members:
        with pytest.raises(IntentMismatch, match=f"its recipient is {THIEF}"):
            replace(payer, wallet=wallet, owner=member).review(made)
