"""What is asked of Crossmint for a batch, what the review is told of it, and which answers are not that batch."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from eth_abi.abi import encode
from eth_utils.crypto import keccak
from hypothesis import given
from hypothesis import strategies as st

from bursar.crossmint.locators import SignerLocator, WalletLocator
from bursar.crossmint.models import Transaction
from bursar.errors import (
    AddressError,
    AmountError,
    BursarError,
    ConfigError,
    InputError,
    IntentMismatch,
    RequestError,
)
from bursar.review.intent import MOST_PAYMENTS, BatchIntent, Intent, Token
from bursar.sandbox.chain import kernel
from bursar.sandbox.chain.token import transfer_data
from bursar.sandbox.crossmint.contract_calls import to_json
from bursar.transfers.batch import BatchPayment, BatchTransfer, new_transaction, require_batch
from bursar.transfers.reading import Reading
from tests.unit.review import scene

USDC, ETH = Token(scene.USDC, "USDC", 6), Token(None, "ETH", 18)
READING = Reading({"base-sepolia:usdc": USDC, "base-sepolia:eth": ETH}, scene.TERMS)
WALLET = WalletLocator.treasury("treasury")
SIGNER = SignerLocator.parse(scene.SIGNER)
ADA, GRACE = scene.address("ada"), scene.address("grace")


def payment(recipient: str = ADA, amount: str = "1.50", token: str = "usdc") -> BatchPayment:
    return BatchPayment.parse(token=f"base-sepolia:{token}", recipient=recipient, amount=amount)


def batch(*payments: BatchPayment, name: str = "payroll:1") -> BatchTransfer:
    return BatchTransfer(name, WALLET, payments or (payment(), payment(GRACE, "0.25", "eth")))


BOTH = READING.batch(batch())
CALLS = [
    kernel.Call(scene.USDC, 0, transfer_data(ADA, 1_500_000)),
    kernel.Call(GRACE, 25 * 10**16, b""),
]


def answered(**params: Any) -> Transaction:
    """Return what Crossmint answers to the request for both payments, altered."""
    made = scene.doing(*CALLS)
    made["params"] |= {"calls": [to_json(each) for each in CALLS]} | params
    return Transaction.read(made)


# What was asked for


def test_a_batch_says_what_it_is() -> None:
    assert str(batch()) == "2 payments on base-sepolia from evm:smart:alias:treasury"
    assert str(payment()) == f"pay 1.50 base-sepolia:usdc to {ADA}"
    assert batch(payment(), payment()).payments == (payment(), payment())


@pytest.mark.parametrize("name", ["", " a", "é", "x" * 65, "-a", "a/b"])
def test_an_id_that_could_not_travel_as_an_idempotency_key_is_refused(name: str) -> None:
    with pytest.raises(RequestError, match="a transfer's id"):
        batch(name=name)


@pytest.mark.parametrize("number", [1, MOST_PAYMENTS + 1])
def test_a_batch_has_two_payments_up_to_the_most(number: int) -> None:
    with pytest.raises(RequestError, match=f"2 to {MOST_PAYMENTS} payments, .* has {number}"):
        batch(*[payment()] * number)
    assert len(batch(*[payment()] * MOST_PAYMENTS).payments) == MOST_PAYMENTS


def test_a_batch_is_on_one_chain() -> None:
    elsewhere = BatchPayment.parse(token="base:usdc", recipient=ADA, amount="1")
    with pytest.raises(RequestError, match="one chain, not base, base-sepolia"):
        batch(payment(), elsewhere)


@pytest.mark.parametrize(
    ("changes", "error", "why"),
    [
        ({"recipient": "email:ada@example.com"}, RequestError, "only Crossmint knows"),
        ({"recipient": f"base:{ADA}"}, RequestError, "on another chain"),
        ({"recipient": "G" + "A" * 55}, AddressError, "EVM address"),
        ({"recipient": ADA.swapcase().replace("0X", "0x")}, InputError, "checksum"),
        ({"token": f"base-sepolia:{scene.USDC}:7"}, RequestError, "an NFT"),
        ({"amount": "0"}, AmountError, "zero"),
        ({"amount": "1,5"}, AmountError, "not an amount"),
    ],
)
def test_a_payment_that_no_batch_can_make_is_refused(
    changes: dict[str, str], error: type[InputError], why: str
) -> None:
    parts = {"token": "base-sepolia:usdc", "recipient": ADA, "amount": "1"} | changes
    with pytest.raises(error, match=why):
        BatchPayment.parse(**parts)


# What the review is told


def test_the_review_is_told_contracts_addresses_and_base_units() -> None:
    usdc = Intent("base-sepolia", USDC, ADA, 1_500_000)
    assert BOTH.payments == (usdc, Intent("base-sepolia", ETH, GRACE, 25 * 10**16))
    found = READING.review(answered(), batch(), scene.SIGNER, scene.WALLET)
    assert found.intent == BOTH
    assert found.sentence.startswith("2 calls: pay 1.5 USDC")


def test_a_batch_that_does_something_else_is_refused_by_the_review() -> None:
    other = batch(payment(), payment(GRACE, "0.26", "eth"))
    with pytest.raises(IntentMismatch, match="in call 2 its amount is"):
        READING.review(answered(), other, scene.SIGNER, scene.WALLET)


def test_what_waits_is_explained_with_the_names_of_all_its_tokens() -> None:
    found = READING.explain(answered(), scene.SIGNER, scene.WALLET)
    assert (found.named, found.intent) == ((USDC, ETH), None)
    assert "pay 1.5 USDC" in found.sentence
    assert "pay 0.25 ETH" in found.sentence


def test_a_name_nobody_explained_and_an_amount_too_fine_are_refused() -> None:
    with pytest.raises(ConfigError, match="base-sepolia:dai"):
        READING.batch(batch(payment(), payment(token="dai")))
    with pytest.raises(AmountError, match="6 decimals"):
        READING.batch(batch(payment(), payment(amount="0.0000001")))


# What Crossmint is asked


def test_crossmint_is_asked_for_one_call_a_payment_in_order() -> None:
    selector = keccak(text="transfer(address,uint256)")[:4]
    data = selector + encode(["address", "uint256"], [ADA, 1_500_000])
    assert new_transaction(BOTH, SIGNER).body() == {
        "params": {
            "calls": [
                {"to": scene.USDC, "value": "0", "data": "0x" + data.hex()},
                {"to": GRACE, "value": str(25 * 10**16), "data": "0x"},
            ],
            "chain": "base-sepolia",
            "signer": scene.SIGNER,
        }
    }


@given(st.lists(st.tuples(st.integers(1, 2**256 - 1), st.booleans()), min_size=2, max_size=8))
def test_what_crossmint_is_asked_for_is_what_the_review_accepts(
    amounts: list[tuple[int, bool]],
) -> None:
    intent = BatchIntent(
        tuple(Intent("base-sepolia", ETH if own else USDC, ADA, each) for each, own in amounts)
    )
    asked = new_transaction(intent, SIGNER)
    calls = [
        kernel.Call(each["to"], int(each["value"]), bytes.fromhex(each["data"][2:]))
        for each in asked.body()["params"]["calls"]
    ]
    made = scene.doing(*calls)
    made["params"]["calls"] = asked.body()["params"]["calls"]
    require_batch(Transaction.read(made), intent, scene.WALLET)
    assert [each.amount for each in intent.payments] == [each for each, _ in amounts]


# What Crossmint answers


def test_the_answer_to_the_batch_passes_in_any_letter_case() -> None:
    require_batch(answered(), BOTH, scene.WALLET.lower())
    shouted = [
        {"to": each.to.lower(), "value": hex(each.value), "data": "0x" + each.data.hex().upper()}
        for each in CALLS
    ]
    require_batch(answered(calls=shouted), BOTH, scene.WALLET)
    bare = [to_json(CALLS[0]), {"to": GRACE, "value": str(CALLS[1].value)}]
    require_batch(answered(calls=bare), BOTH, scene.WALLET)


A, B = (to_json(each) for each in CALLS)
THEFT = to_json(kernel.Call(scene.USDC, 0, transfer_data(scene.THIEF, 1_500_000)))


@pytest.mark.parametrize(
    ("calls", "why"),
    [
        ([A], "number of calls is 1, but 2"),
        ([A, B, B], "number of calls is 3, but 2"),
        ([A, A], "contract or recipient in call 2"),
        ([B, A], "contract or recipient in call 1"),
        ([THEFT, B], "data in call 1"),
        ([A, B | {"value": "1"}], "value in call 2 is 1, but 250000000000000000"),
        ([A | {"value": "1"}, B], "value in call 1 is 1, but 0"),
        ([A, B | {"data": "0x00"}], "data in call 2 is 0x00, but 0x was asked for"),
        ([A, B | {"to": scene.THIEF}], f"in call 2 is {scene.THIEF}, but {GRACE}"),
        ([A, None], "call 2 cannot be read"),
        ([A, []], "call 2 cannot be read"),
        ([A, {"address": GRACE, "functionName": "pay"}], "call 2 cannot be read"),
        ([A, B | {"value": 7}], "call 2 cannot be read"),
        ([A, B | {"value": "a lot"}], "call 2 cannot be read"),
        ([A, B | {"data": "0xg"}], "call 2 cannot be read"),
        ([A, B | {"to": "0x12"}], "call 2 cannot be read"),
        ({}, "does not say which calls"),
        (None, "does not say which calls"),
    ],
)
def test_an_answer_that_says_it_is_something_else_is_refused(calls: Any, why: str) -> None:
    with pytest.raises(IntentMismatch, match=why):
        require_batch(answered(calls=copy.deepcopy(calls)), BOTH, scene.WALLET)


def test_an_answer_on_another_chain_or_of_another_wallet_is_refused() -> None:
    with pytest.raises(IntentMismatch, match="chain is base, but base-sepolia"):
        require_batch(answered(chain="base"), BOTH, scene.WALLET)
    with pytest.raises(IntentMismatch, match="wallet is "):
        require_batch(answered(), BOTH, scene.OTHER)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["to", "value", "data", "x"]), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(st.lists(JSON, min_size=2, max_size=2))
def test_whatever_the_answer_says_of_its_calls_it_is_that_batch_or_refused(calls: Any) -> None:
    with pytest.raises(BursarError):
        require_batch(answered(calls=calls), BOTH, scene.WALLET)
