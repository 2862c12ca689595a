"""A batch is these payments, in this order, as often as each was asked for, and nothing else."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from eth_abi.abi import encode
from eth_utils.crypto import keccak
from hypothesis import given
from hypothesis import strategies as st

from bursar.errors import AddressError, AmountError, InputError, IntentMismatch, RequestError
from bursar.review.actions import Transfer, payment_call, read_action
from bursar.review.intent import MOST_PAYMENTS, BatchIntent, Intent, Token, read_intent
from bursar.review.report import Review, ReviewKind
from bursar.review.transaction import explain, review
from bursar.sandbox.chain import kernel
from bursar.sandbox.chain.abi import call_data
from bursar.sandbox.chain.token import transfer_data
from tests.unit.review.scene import (
    CHAIN,
    FAKE_USDC,
    INTENT,
    PAY,
    RECIPIENT,
    SIGNER,
    SPONSOR,
    TERMS,
    THIEF,
    UNITS,
    USDC,
    VALIDATOR,
    WALLET,
    address,
    batched,
    doing,
    executing,
    packed,
)

COIN = Token(None, "ETH", 18)
ADA, GRACE = address("ada"), address("grace")


def usdc(recipient: str, units: int) -> Intent:
    return Intent(CHAIN, Token(USDC, "USDC", 6), recipient, units)


def coin(recipient: str, wei: int) -> Intent:
    return Intent(CHAIN, COIN, recipient, wei)


def call(paid: Intent) -> kernel.Call:
    """Return the payment as the sandbox's own encoder writes it."""
    if paid.token.contract is None:
        return kernel.Call(paid.recipient, paid.amount, b"")
    return kernel.Call(paid.token.contract, 0, transfer_data(paid.recipient, paid.amount))


def calls(batch: BatchIntent) -> list[kernel.Call]:
    return [call(each) for each in batch.payments]


def reviewed(batch: BatchIntent, *made: kernel.Call) -> Review:
    return review(doing(*made), batch, signer=SIGNER, wallet=WALLET, terms=TERMS)


def explained(*made: kernel.Call) -> Review:
    return explain(doing(*made), signer=SIGNER, wallet=WALLET)


THREE = BatchIntent((usdc(ADA, 1), coin(GRACE, 2), usdc(RECIPIENT, 3)))
TWICE = BatchIntent((usdc(ADA, 7), usdc(GRACE, 7), usdc(ADA, 7)))


# What was asked for


def test_a_batch_is_read_back_as_it_was_written() -> None:
    body = THREE.to_dict()
    assert body == {"payments": [each.to_dict() for each in THREE.payments]}
    assert read_intent(json.loads(json.dumps(body))) == THREE
    assert (THREE.chain, THREE.tokens) == (CHAIN, (Token(USDC, "USDC", 6), COIN))
    assert read_intent(TWICE.to_dict()) == TWICE


@pytest.mark.parametrize("number", [0, 1, MOST_PAYMENTS + 1, 100_000])
def test_a_batch_has_two_payments_up_to_the_most(number: int) -> None:
    with pytest.raises(RequestError):
        read_intent({"payments": [INTENT.to_dict()] * number})
    if number < 1000:
        with pytest.raises(RequestError, match=f"this one has {number}"):
            BatchIntent((INTENT,) * number)


@pytest.mark.parametrize("number", [2, MOST_PAYMENTS])
def test_a_batch_at_the_edge_of_its_range_is_taken(number: int) -> None:
    assert len(BatchIntent.read({"payments": [INTENT.to_dict()] * number}).payments) == number


def test_a_batch_is_on_one_chain() -> None:
    with pytest.raises(RequestError, match="one chain, not base, base-sepolia"):
        BatchIntent((INTENT, replace(INTENT, chain="base")))


@pytest.mark.parametrize(
    ("wrong", "error", "why"),
    [
        ({"amount": "0"}, AmountError, "payment 2: an intent's amount"),
        ({"recipient": "ada"}, AddressError, "payment 2: "),
        ({"chain": "nowhere"}, RequestError, "payment 2: nowhere is not an EVM chain"),
        ({"memo": "x"}, RequestError, "payment 2: an intent has"),
    ],
)
def test_a_wrong_payment_is_named_by_its_number(
    wrong: dict[str, str], error: type[InputError], why: str
) -> None:
    with pytest.raises(error, match=why):
        read_intent({"payments": [INTENT.to_dict(), INTENT.to_dict() | wrong]})


@pytest.mark.parametrize(
    "body",
    [
        {"payments": None},
        {"payments": {}},
        {"payments": "pay"},
        {"payments": [INTENT.to_dict()] * 2, "chain": CHAIN},
        {"payments": [INTENT.to_dict(), None]},
        {"payments": [INTENT.to_dict(), {"payments": [INTENT.to_dict()] * 2}]},
        {"payments": [INTENT.to_dict()] * 2, "addSigner": THIEF},
    ],
)
def test_what_is_no_batch_is_refused(body: Any) -> None:
    with pytest.raises(RequestError):
        read_intent(body)


def test_a_batch_of_anything_but_payments_is_refused() -> None:
    with pytest.raises(RequestError, match="made of payments"):
        BatchIntent((INTENT, THREE))  # type: ignore[arg-type]


# What is encoded


@given(st.binary(min_size=20, max_size=20), st.integers(1, 2**256 - 1))
def test_a_payments_call_is_what_an_independent_encoder_writes(to: bytes, units: int) -> None:
    recipient = usdc("0x" + to.hex(), 1).recipient
    made = payment_call(Transfer(USDC, recipient, units))
    selector = keccak(text="transfer(address,uint256)")[:4]
    assert made.data == selector + encode(["address", "uint256"], [recipient, units])
    assert (made.to, made.value, made.delegate) == (USDC, 0, False)
    assert read_action(made, WALLET, VALIDATOR) == Transfer(USDC, recipient, units)
    native = payment_call(Transfer(None, recipient, units))
    assert (native.to, native.value, native.data) == (recipient, units, b"")


# What is compared


@pytest.mark.parametrize("batch", [THREE, TWICE], ids=["different", "the same twice"])
def test_a_batch_that_was_asked_for_is_found(batch: BatchIntent) -> None:
    found = reviewed(batch, *calls(batch))
    assert (found.kind, found.intent) == (ReviewKind.TRANSFER, batch)
    assert [(p.token, p.recipient, p.amount) for p in found.payments] == [
        (each.token.contract, each.recipient, each.amount) for each in batch.payments
    ]


def differing(at: int, other: kernel.Call) -> list[kernel.Call]:
    made = calls(THREE)
    made[at] = other
    return made


APPROVE = kernel.Call(USDC, 0, call_data("approve(address,uint256)", THIEF, 2**256 - 1))
A, B, C = calls(THREE)
DIFFERENT: dict[str, tuple[list[kernel.Call], str]] = {
    "recipient": (
        differing(2, call(usdc(THIEF, 3))),
        f"in call 3 its recipient is {THIEF}, but {RECIPIENT} was asked for",
    ),
    "amount": (
        differing(0, call(usdc(ADA, 2))),
        "in call 1 its amount is 2 base units, but 1 base units was asked for",
    ),
    "wei": (differing(1, call(coin(GRACE, 3))), "in call 2 its amount is 3 base units"),
    "token": (
        differing(2, replace(C, to=FAKE_USDC)),
        f"in call 3 its token is {FAKE_USDC}, but {USDC}",
    ),
    "coin for token": (
        differing(0, call(coin(ADA, 1))),
        f"in call 1 its token is the chain's own coin, but {USDC}",
    ),
    "token for coin": (
        differing(1, call(usdc(GRACE, 2))),
        f"in call 2 its token is {USDC}, but the chain's own coin",
    ),
    "approve": (differing(1, APPROVE), f"in call 2 it does not pay; it would let {THIEF} take"),
    "coin along": (differing(0, replace(A, value=5)), "in call 1 it sends 5 wei of the chain's"),
    "swapped": ([B, A, C], f"in call 1 its token is the chain's own coin, but {USDC}"),
    "swapped, of one token": ([C, B, A], f"in call 1 its recipient is {RECIPIENT}, but {ADA}"),
    "one more": (
        [A, B, C, APPROVE],
        f"makes 4 calls where 3 payments were asked for: after them it would let {THIEF}",
    ),
    "the last twice": (
        [A, B, C, C],
        f"makes 4 calls where 3 payments were asked for: after them it would pay 0.000003 USDC .* to {RECIPIENT}",
    ),
    "the first twice": ([A, A, B, C], "in call 2 its token is"),
    "one in between": ([A, APPROVE, B, C], "in call 2 it does not pay"),
    "one left out": ([A, B], "makes 2 calls where 3 payments were asked for$"),
    "the first left out": ([B, C], "in call 1 its token is"),
    "one alone": ([A], "makes 1 call where 3 payments were asked for$"),
}


@pytest.mark.parametrize("how", DIFFERENT)
def test_anything_else_is_refused_and_says_which_call(how: str) -> None:
    made, why = DIFFERENT[how]
    with pytest.raises(IntentMismatch, match=why):
        reviewed(THREE, *made)


@pytest.mark.parametrize("made", [[0, 1], [0, 1, 2, 2], [0, 0, 0], [1, 1, 1], [0, 0, 1], [0, 1, 1]])
def test_a_payment_that_was_asked_for_twice_is_made_twice_and_no_other_number_of_times(
    made: list[int],
) -> None:
    each = calls(TWICE)
    with pytest.raises(IntentMismatch):
        reviewed(TWICE, *(each[at] for at in made))


def test_no_call_at_all_is_not_the_batch() -> None:
    empty = executing(b"\x01", batched())
    with pytest.raises(IntentMismatch, match="makes 0 calls where 3 payments"):
        review(empty, THREE, signer=SIGNER, wallet=WALLET, terms=TERMS)


def test_another_chains_batch_is_refused() -> None:
    elsewhere = BatchIntent(tuple(replace(each, chain="base") for each in THREE.payments))
    with pytest.raises(IntentMismatch, match="chain is base-sepolia, but base was asked for"):
        reviewed(elsewhere, *calls(THREE))


def test_a_batch_that_may_fail_unnoticed_is_refused() -> None:
    tried = executing(b"\x01\x01", batched(*calls(THREE)))
    with pytest.raises(IntentMismatch, match="payments may fail and the transaction still count"):
        review(tried, THREE, signer=SIGNER, wallet=WALLET, terms=TERMS)


def test_one_payment_is_no_batch_and_a_batch_no_payment() -> None:
    with pytest.raises(IntentMismatch, match="makes 3 calls where one payment"):
        review(doing(*calls(THREE)), INTENT, signer=SIGNER, wallet=WALLET, terms=TERMS)
    single = executing(b"\x00", packed(PAY))
    with pytest.raises(IntentMismatch, match="makes 1 call where 2 payments"):
        review(single, BatchIntent((INTENT, INTENT)), signer=SIGNER, wallet=WALLET, terms=TERMS)


PAYMENTS = st.builds(usdc, st.sampled_from([ADA, GRACE]), st.integers(1, 3)) | st.builds(
    coin, st.sampled_from([ADA, GRACE]), st.integers(1, 3)
)
BATCHES = st.lists(PAYMENTS, min_size=2, max_size=5).map(lambda each: BatchIntent(tuple(each)))


@given(BATCHES, st.lists(PAYMENTS, min_size=1, max_size=5))
def test_a_batch_passes_as_itself_and_as_nothing_else(
    batch: BatchIntent, made: list[Intent]
) -> None:
    assert reviewed(batch, *calls(batch)).intent == batch
    if tuple(made) == batch.payments:
        return
    with pytest.raises(IntentMismatch):
        reviewed(batch, *(call(each) for each in made))


# What is said

FEE = (
    f"fee at most 0.000000642 of the chain's coin paid by paymaster {SPONSOR}, from wallet {WALLET}"
)


def test_a_few_payments_are_told_one_by_one() -> None:
    found = reviewed(THREE, *calls(THREE))
    token, own = f"(token {USDC})", "(the chain's own coin)"
    assert found.sentence == (
        f"3 calls: pay 0.000001 USDC {token} to {ADA}; pay 0.000000000000000002 ETH {own} to {GRACE}; "
        f"pay 0.000003 USDC {token} to {RECIPIENT} on base-sepolia, {FEE}"
    )
    assert not found.is_summed


def test_many_payments_are_told_by_their_sums_and_the_record_has_every_call() -> None:
    many = BatchIntent(
        (*(usdc(address(f"p{n}"), 310_000) for n in range(37)), *[usdc(ADA, 310_000)] * 3)
    )
    found = reviewed(many, *calls(many))
    assert found.sentence == (
        f"pay 12.4 USDC (token {USDC}) to 38 recipients in 40 calls on base-sepolia, {FEE}"
    )
    assert found.is_summed
    assert len(found.to_dict()["calls"]) == len(found.doings) == 40
    assert found.doings[37] == f"pay 0.31 USDC (token {USDC}) to {ADA}"
    assert found.to_dict()["intent"] == many.to_dict()


def test_each_token_has_a_sum_of_its_own_and_one_recipient_is_one() -> None:
    mixed = BatchIntent((usdc(ADA, 1), coin(ADA, 10**18), usdc(ADA, 2), coin(ADA, 1)))
    assert reviewed(mixed, *calls(mixed)).sentence.startswith(
        f"pay 0.000003 USDC (token {USDC}) and 1.000000000000000001 ETH (the chain's own coin) "
        "to 1 recipient in 4 calls on base-sepolia"
    )


def test_a_sum_past_256_bits_is_told_in_base_units() -> None:
    huge = [kernel.Call(USDC, 0, transfer_data(ADA, 2**256 - 1))] * 4
    named = replace(explained(*huge), named=(Token(USDC, "USDC", 6),))
    assert named.sentence.startswith(f"pay {4 * (2**256 - 1)} base units of token {USDC} to 1")


def test_calls_that_are_not_all_payments_are_never_summed() -> None:
    found = explained(*[PAY] * 5, APPROVE)
    assert not found.is_summed
    assert found.sentence.count(f"to {RECIPIENT}") == 5
    assert f"let {THIEF} take token {USDC} without limit" in found.sentence
    along = explained(*[PAY] * 5, replace(PAY, value=9))
    assert "sending 9 wei along" in along.sentence


def test_payments_that_may_fail_are_said_to_even_where_they_are_summed() -> None:
    tried = executing(b"\x01\x01", batched(*[PAY] * 4))
    found = explain(tried, signer=SIGNER, wallet=WALLET)
    assert ", in calls that may fail unnoticed, fee" in found.sentence
    assert found.sentence.startswith(f"pay {4 * UNITS} base units of token {USDC} to 1 recipient")
