"""What the chain shows of a payment, from the receipts of bundles that hold other people's operations too."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.errors import (
    AddressError,
    ChainError,
    ConfigError,
    DigestError,
    RequestError,
)
from bursar.review.actions import Transfer
from bursar.settlement.judgement import Finding, Proof, Question, Verdict
from tests.unit.review.scene import FAKE_USDC, OTHER, RECIPIENT, SPONSOR, THIEF, UNITS, USDC, WALLET
from tests.unit.settlement.node import (
    BUNDLE,
    CHAIN,
    ENTRY_POINT,
    OPERATION,
    OTHER_OPERATION,
    OTHERS,
    PAYMENT,
    FakeNode,
    begun,
    bundle,
    ended,
    moved,
    paid,
    question,
    word,
)

COIN = Transfer(None, RECIPIENT, 10**18)
TOO_MUCH = replace(PAYMENT, amount=UNITS + 1)
ELSEWHERE = replace(PAYMENT, recipient=THIEF)
OTHER_TOKEN = replace(PAYMENT, token=FAKE_USDC)


def look(logs: list[Any], *payments: Transfer, **how: Any) -> Verdict:
    node = FakeNode()
    node.mine(logs)
    return node.witness(**how).verdict(question(*payments))


def test_a_payment_is_shown_by_its_tokens_own_event() -> None:
    verdict = look(bundle(paid()))
    assert verdict == Verdict(
        Finding.PAID,
        f"paid exactly as asked: transaction {BUNDLE}, block 110",
        transaction=BUNDLE,
        block=110,
        logs=(4, 5),
        proof=Proof.TRANSFERS,
    )


@pytest.mark.parametrize(
    "logs",
    [
        bundle(OTHERS, paid()),
        bundle(paid(), OTHERS),
        bundle(OTHERS, paid(), OTHERS[:1]),
        bundle(paid(), before=(moved(TOO_MUCH), moved(ELSEWHERE))),
        [*bundle(OTHERS), *bundle(paid())],
        bundle([moved(kind="Approval"), *paid()]),
        bundle([moved(ELSEWHERE, OTHER), *paid()]),
    ],
    ids=["second", "first", "middle", "validation", "second bundle", "other event", "other payer"],
)
def test_what_others_did_in_the_same_transaction_does_not_count(logs: list[Any]) -> None:
    assert look(logs).finding is Finding.PAID


@pytest.mark.parametrize(
    ("logs", "words"),
    [
        (bundle(paid(TOO_MUCH)), f"nobody asked for {UNITS + 1} base units"),
        (bundle(paid(ELSEWHERE)), f"to {THIEF}"),
        (bundle(paid(OTHER_TOKEN)), f"nothing shows {UNITS} base units of {USDC}"),
        (bundle(paid(PAYMENT, PAYMENT)), "nobody asked for"),
        (bundle(paid(PAYMENT, ELSEWHERE)), "nobody asked for"),
        (bundle([ended()]), "nothing shows"),
        (bundle([moved(wallet=OTHER), ended()]), "nothing shows"),
        (bundle([moved(), ended(OTHER_OPERATION, wallet=OTHER), ended()]), "nothing shows"),
        (bundle([ended(), moved()]), "nothing shows"),
        (bundle([ended()], before=(moved(),)), "nothing shows"),
        (bundle([moved(kind="Sent"), ended()]), "nothing shows"),
        (bundle([moved(), ended(wallet=OTHER)]), f"it is wallet {OTHER}'s"),
        (bundle([ended(success=0, wallet=OTHER)]), f"it is wallet {OTHER}'s"),
        (bundle([moved(), ended(success=0)]), "it was reverted"),
    ],
)
def test_anything_else_than_what_was_asked_for_is_a_contradiction(
    logs: list[Any], words: str
) -> None:
    verdict = look(logs)
    assert (verdict.finding, verdict.proof) == (Finding.CONTRADICTED, None)
    assert words in verdict.words
    assert BUNDLE in verdict.words


def test_an_nft_that_leaves_the_wallet_is_nobodys_payment() -> None:
    nft = moved(OTHER_TOKEN)
    nft = {**nft, "topics": [*nft["topics"], word(1)], "data": "0x"}
    verdict = look(bundle([nft, *paid()]))
    assert verdict.finding is Finding.CONTRADICTED
    assert f"a Transfer of {FAKE_USDC} is no ERC-20's" in verdict.words


def test_a_transfer_event_of_before_the_standard_is_not_overlooked() -> None:
    old = moved(OTHER_TOKEN)
    data = old["topics"][1] + old["topics"][2][2:] + old["data"][2:]
    verdict = look(bundle([{**old, "topics": old["topics"][:1], "data": data}, *paid()]))
    assert verdict.finding is Finding.CONTRADICTED


def test_a_reverted_operation_paid_nothing() -> None:
    verdict = look(bundle(OTHERS, [ended(success=0)]))
    assert verdict.finding is Finding.REVERTED
    assert verdict.logs == (6,)


def test_several_payments_are_each_found_once() -> None:
    batch = (PAYMENT, PAYMENT, ELSEWHERE)
    assert look(bundle(paid(*batch)), *batch).finding is Finding.PAID
    assert look(bundle(paid(PAYMENT, ELSEWHERE)), *batch).finding is Finding.CONTRADICTED


def test_of_the_coin_the_operations_success_is_the_proof() -> None:
    verdict = look(bundle([ended()]), COIN)
    assert (verdict.finding, verdict.proof) == (Finding.PAID, Proof.SUCCESS)
    assert "all that shows of the chain's own coin" in verdict.words
    assert look(bundle(paid()), COIN, PAYMENT).proof is Proof.SUCCESS
    assert look(bundle(paid()), COIN).finding is Finding.CONTRADICTED
    assert look(bundle([ended(success=0)]), COIN).finding is Finding.REVERTED


def test_what_the_paymaster_takes_is_a_fee_and_is_named() -> None:
    fee = Transfer(USDC, SPONSOR, 12)
    verdict = look(bundle(paid(PAYMENT, fee)))
    assert verdict.finding is Finding.PAID
    assert f"its paymaster took 12 base units of {USDC}" in verdict.words
    assert look(bundle([moved(fee), ended(success=0)])).finding is Finding.REVERTED
    own_gas = bundle([moved(), moved(fee), ended(paymaster=0)])
    assert look(own_gas).finding is Finding.CONTRADICTED
    burnt = moved(Transfer(USDC, "0x" + "00" * 20, 12))
    assert look(bundle([moved(), burnt, ended(paymaster=0)])).finding is Finding.CONTRADICTED


def test_a_paymaster_who_is_to_be_paid_takes_no_fee_unnoticed() -> None:
    payment = Transfer(USDC, SPONSOR, 12)
    assert look(bundle(paid(payment)), payment).finding is Finding.PAID
    assert look(bundle(paid(payment, payment)), payment).finding is Finding.CONTRADICTED


def test_events_of_another_entry_point_begin_and_end_nothing() -> None:
    imitation = {**ended(), "address": FAKE_USDC}
    assert look(bundle([moved(ELSEWHERE), imitation, *paid()])).finding is Finding.CONTRADICTED
    assert look(bundle([moved(ELSEWHERE), {**begun(), "address": USDC}, *paid()])).finding is (
        Finding.CONTRADICTED
    )


@pytest.mark.parametrize(
    "logs",
    [
        paid(),
        bundle(paid(), paid()),
        bundle([moved(), ended(success=2)]),
        bundle([moved(), {**ended(), "data": "0x"}]),
        bundle([moved(), {**ended(), "topics": ended()["topics"][:2]}]),
    ],
    ids=["no beginning", "twice", "success 2", "no data", "no sender"],
)
def test_what_no_entry_point_of_v0_7_logs_shows_nothing(logs: list[Any]) -> None:
    with pytest.raises(ChainError, match=r"EntryPoint v0\.7"):
        look(logs)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"chain": "nowhere"}, ConfigError),
        ({"wallet": "0x12"}, AddressError),
        ({"operation": OPERATION[:31]}, DigestError),
        ({"operation": "0x" + OPERATION.hex()}, DigestError),
        ({"payments": ()}, RequestError),
        ({"payments": (replace(PAYMENT, amount=0),)}, RequestError),
        ({"payments": (replace(PAYMENT, amount=True),)}, RequestError),
        ({"payments": (replace(PAYMENT, recipient="0x12"),)}, AddressError),
        ({"from_block": -1}, RequestError),
    ],
)
def test_a_question_that_makes_no_sense_is_not_asked(
    change: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        replace(question(), **change)


def test_addresses_in_any_letter_case_are_the_same() -> None:
    asked = Question(
        CHAIN,
        WALLET.lower(),
        OPERATION,
        (Transfer(USDC.lower(), RECIPIENT.lower(), UNITS),),
        100,
        BUNDLE.upper().replace("0X", "0x"),
    )
    node = FakeNode()
    receipt = node.mine(bundle(paid()))
    for log in receipt["logs"]:
        log["address"] = log["address"].lower()
    assert node.witness().verdict(asked).finding is Finding.PAID


PAYMENTS = st.builds(
    Transfer,
    st.sampled_from([USDC, FAKE_USDC]),
    st.sampled_from([RECIPIENT, THIEF]),
    st.integers(1, 3),
)


@given(
    st.lists(PAYMENTS, min_size=1, max_size=4),
    st.lists(PAYMENTS, max_size=4),
    st.lists(PAYMENTS, max_size=3),
    st.sampled_from([1, -1]),
)
def test_paid_means_exactly_the_asked_payments_in_this_operation(
    asked: list[Transfer], mine: list[Transfer], others: list[Transfer], order: int
) -> None:
    turns = [
        [*(moved(one) for one in mine), ended()],
        [*(moved(one) for one in others), ended(OTHER_OPERATION, wallet=OTHER)],
    ]
    verdict = look(bundle(*turns[::order]), *asked)
    assert (verdict.finding is Finding.PAID) == (Counter(asked) == Counter(mine))
    assert verdict.finding in {Finding.PAID, Finding.CONTRADICTED}


def test_the_entry_point_looked_at_is_the_canonical_one() -> None:
    node = FakeNode()
    node.mine(bundle(paid()))
    node.witness().verdict(question(named=None))
    queries = [params[0] for method, params in node.asked if method == "eth_getLogs"]
    assert [query["address"] for query in queries] == [ENTRY_POINT]
