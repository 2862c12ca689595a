"""Crossmint's answer is not what was asked for: nothing is signed, KMS hears nothing, and it is on record."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace

import pytest

from bursar.errors import (
    BursarError,
    IntentMismatch,
    NotAwaitingApproval,
    PolicyViolation,
    SignerMismatch,
    Unverifiable,
)
from bursar.sandbox.chain import kernel
from bursar.sandbox.chain.abi import call_data
from bursar.sandbox.chain.token import transfer_data
from bursar.signing_contract import TransactionRequest
from tests.unit.review import scene
from tests.unit.signing.scene import CALLER, Desk, dearer, doing, paying

Alter = Callable[[Desk], TransactionRequest]

THEFT = kernel.Call(scene.USDC, 0, transfer_data(scene.THIEF, 1))
APPROVE = call_data("approve(address,uint256)", scene.THIEF, 2**256 - 1)


def to_a_thief(desk: Desk) -> TransactionRequest:
    return desk.request(desk.waiting(paying(scene.THIEF)))


def of_one_unit_more(desk: Desk) -> TransactionRequest:
    return desk.request(desk.waiting(paying(scene.RECIPIENT, scene.UNITS + 1)))


def with_a_second_payment(desk: Desk) -> TransactionRequest:
    return desk.request(desk.waiting(doing(scene.PAY, THEFT)))


def with_an_approve_besides(desk: Desk) -> TransactionRequest:
    return desk.request(desk.waiting(doing(scene.PAY, kernel.Call(scene.USDC, 0, APPROVE))))


def an_approve_alone(desk: Desk) -> TransactionRequest:
    return desk.request(desk.waiting(doing(kernel.Call(scene.USDC, 0, APPROVE))))


def of_another_token(desk: Desk) -> TransactionRequest:
    data = transfer_data(scene.RECIPIENT, scene.UNITS)
    return desk.request(desk.waiting(doing(kernel.Call(scene.FAKE_USDC, 0, data))))


def with_coin_along(desk: Desk) -> TransactionRequest:
    return desk.request(desk.waiting(doing(replace(scene.PAY, value=1))))


def on_another_chain(desk: Desk) -> TransactionRequest:
    return desk.request(desk.waiting(chain="base", chain_id=8453))


def said_to_be_on_another_chain(desk: Desk) -> TransactionRequest:
    return desk.request(desk.waiting(chain="base"))


def of_another_wallet(desk: Desk) -> TransactionRequest:
    return desk.request(desk.waiting(replace(scene.OPERATION, sender=scene.OTHER)))


def delegated(desk: Desk) -> TransactionRequest:
    payload = bytes.fromhex(scene.THIEF[2:]) + b"code"
    data = call_data("execute(bytes32,bytes)", b"\xff".ljust(32, b"\0"), payload)
    return desk.request(desk.waiting(replace(scene.OPERATION, call_data=data)))


def with_more_fee_than_was_hashed(desk: Desk) -> TransactionRequest:
    altered = desk.waiting()
    dear = dearer(scene.OPERATION, 1000).to_api()
    altered["onChain"] = altered["onChain"] | {"userOperation": dear}
    return desk.request(altered)


def with_another_hash(desk: Desk) -> TransactionRequest:
    altered = desk.waiting()
    altered["onChain"] = altered["onChain"] | {"userOperationHash": "0x" + "11" * 32}
    return desk.request(altered)


def with_another_message(desk: Desk) -> TransactionRequest:
    altered = desk.waiting()
    altered["approvals"]["pending"][0]["message"] = "0x" + "22" * 32
    return desk.request(altered)


def with_a_second_message(desk: Desk) -> TransactionRequest:
    altered = desk.waiting()
    pending = altered["approvals"]["pending"]
    pending.append(copy.deepcopy(pending[0]) | {"message": "0x" + "22" * 32})
    return desk.request(altered)


def of_a_wallet_by_an_unknown_factory(desk: Desk) -> TransactionRequest:
    operation = replace(
        scene.OPERATION, factory=scene.address("stranger"), factory_data=scene.creation(owned(desk))
    )
    return desk.request(desk.waiting(operation))


def of_a_wallet_that_obeys_somebody_else(desk: Desk) -> TransactionRequest:
    born = replace(
        scene.OPERATION, factory=scene.FACTORY, factory_data=scene.creation(scene.birth())
    )
    return desk.request(desk.waiting(born))


def that_waits_for_somebody_else(desk: Desk) -> TransactionRequest:
    return desk.request(scene.asked(scene.OPERATION))


def that_was_approved_before(desk: Desk) -> TransactionRequest:
    return desk.request(desk.waiting() | {"status": "pending"})


def owned(desk: Desk) -> bytes:
    return scene.birth(bytes.fromhex(desk.kms.address[2:]))


ALTERED: list[tuple[Alter, type[BursarError]]] = [
    (to_a_thief, IntentMismatch),
    (of_one_unit_more, IntentMismatch),
    (with_a_second_payment, IntentMismatch),
    (with_an_approve_besides, IntentMismatch),
    (an_approve_alone, IntentMismatch),
    (of_another_token, IntentMismatch),
    (with_coin_along, IntentMismatch),
    (on_another_chain, IntentMismatch),
    (of_another_wallet, IntentMismatch),
    (said_to_be_on_another_chain, Unverifiable),
    (delegated, Unverifiable),
    (with_more_fee_than_was_hashed, Unverifiable),
    (with_another_hash, Unverifiable),
    (with_another_message, Unverifiable),
    (with_a_second_message, Unverifiable),
    (of_a_wallet_by_an_unknown_factory, Unverifiable),
    (of_a_wallet_that_obeys_somebody_else, Unverifiable),
    (that_waits_for_somebody_else, NotAwaitingApproval),
    (that_was_approved_before, NotAwaitingApproval),
]


EACH = pytest.mark.parametrize(
    ("alter", "refusal"), ALTERED, ids=[alter.__name__ for alter, _ in ALTERED]
)


@EACH
def test_an_altered_answer_is_refused_on_record_and_kms_hears_nothing(
    alter: Alter, refusal: type[BursarError]
) -> None:
    desk = Desk()
    with pytest.raises(refusal) as refused:
        desk.treasury.sign(alter(desk), CALLER)
    assert desk.kms.calls == []
    [(event, body)] = desk.receipts
    assert (event, body["outcome"]) == ("decision", "refused")
    assert body["refusal"] == refused.value.to_dict()
    assert body["caller"]["claimedCaller"] == CALLER.arn
    assert desk.spent == []


@EACH
def test_an_altered_answer_stays_refused_when_the_honest_one_was_signed(
    alter: Alter, refusal: type[BursarError]
) -> None:
    desk = Desk()
    desk.treasury.sign(desk.request(), CALLER)
    with pytest.raises(refusal):
        desk.treasury.sign(alter(desk), CALLER)
    assert desk.kms.signatures == 1


@pytest.mark.parametrize("times", [10**4, 2**90])
def test_an_inflated_fee_is_refused_by_the_policy_on_record_whatever_its_size(times: int) -> None:
    desk = Desk()
    with pytest.raises(PolicyViolation) as refused:
        desk.treasury.sign(desk.request(desk.waiting(dearer(scene.OPERATION, times))), CALLER)
    assert refused.value.rule == "chains.base-sepolia.fee_at_most"
    assert (desk.kms.signatures, desk.outcomes) == (0, ["refused"])


def test_the_greatest_fee_that_can_be_written_is_refused_on_record() -> None:
    most = 2**120 - 1
    gas = replace(scene.GAS, call=most, verification=most, pre_verification=most, max_fee=most)
    desk = Desk()
    with pytest.raises(PolicyViolation, match="fee_at_most"):
        desk.treasury.sign(desk.request(desk.waiting(replace(scene.OPERATION, gas=gas))), CALLER)
    assert (desk.kms.signatures, desk.outcomes) == (0, ["refused"])


def test_a_request_for_another_signer_is_refused_without_a_signature() -> None:
    desk = Desk()
    other = scene.asked(scene.OPERATION)
    with pytest.raises(SignerMismatch):
        desk.treasury.sign(desk.request(other, signer=scene.SIGNER), CALLER)
    assert (desk.kms.signatures, desk.outcomes) == (0, ["refused"])


def test_a_wallet_is_born_by_a_factory_of_the_policy_for_this_signer() -> None:
    desk = Desk()
    born = replace(scene.OPERATION, factory=scene.FACTORY, factory_data=scene.creation(owned(desk)))
    answer = desk.treasury.sign(desk.request(desk.waiting(born)), CALLER)
    assert "deploying the wallet" in answer.policy["sentence"]


def test_an_intent_of_another_payment_is_refused_though_the_policy_would_allow_both() -> None:
    desk = Desk()
    asked = replace(scene.INTENT, amount=scene.UNITS - 1)
    with pytest.raises(IntentMismatch, match="amount"):
        desk.treasury.sign(desk.request(intent=asked), CALLER)
    assert desk.kms.calls == []


def test_what_a_caller_calls_a_token_reaches_no_sentence() -> None:
    desk = Desk()
    misleading = replace(scene.INTENT, token=replace(scene.INTENT.token, symbol="DAI", decimals=18))
    answer = desk.treasury.sign(desk.request(intent=misleading), CALLER)
    assert answer.policy["sentence"].startswith("pay 0.2 usdc ")
    assert "DAI" not in answer.policy["sentence"]
