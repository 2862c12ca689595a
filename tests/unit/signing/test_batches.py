"""Each payment of a batch is judged and counted; one signature is made for all of them, or none."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from bursar.aws.dynamodb import MOST_WRITES
from bursar.errors import (
    AlreadySigned,
    IntentMismatch,
    KmsThrottled,
    NeedsApproval,
    PolicyViolation,
)
from bursar.ledger.book import Book
from bursar.ledger.receipts import moment_of
from bursar.ledger.verification import Known, verify
from bursar.policy.decision import Outcome
from bursar.policy.records import Record, proposal_of
from bursar.policy.rulebook import Rulebook
from bursar.policy.simulation import simulate
from bursar.review.intent import MOST_PAYMENTS, BatchIntent, Intent, Token
from bursar.sandbox.chain import kernel
from bursar.signing_contract import MAX_BODY_BYTES, Answer, TransactionRequest, request_body
from tests.unit.review import scene
from tests.unit.signing.batches import (
    UNITS,
    asked,
    calls,
    crowd,
    desk_of,
    largest,
    limit,
    paid,
    person,
    rules,
)
from tests.unit.signing.scene import (
    BY_ADA,
    CALLER,
    KEY,
    Desk,
    intent,
    numbered,
    paying,
    together,
)

DYNAMODB_ITEM = 400 * 1024


def refused(desk: Desk, request: TransactionRequest, rule: str) -> PolicyViolation:
    """Return the refusal, once nothing was signed and nothing taken because of it."""
    before, signatures = desk.spent, desk.kms.signatures
    with pytest.raises(PolicyViolation) as caught:
        desk.treasury.sign(request, CALLER)
    assert caught.value.rule == rule
    assert (desk.spent, desk.kms.signatures) == (before, signatures)
    return caught.value


def decision(desk: Desk) -> dict[str, Any]:
    return [body for event, body in desk.receipts if event == "decision"][-1]


def test_a_batch_is_one_signature_and_every_payment_of_it_is_judged_and_on_record() -> None:
    desk = desk_of()
    answer = desk.treasury.sign(asked(desk, crowd(40)), CALLER)
    assert (desk.kms.signatures, desk.events) == (1, ["decision", "signature"])
    assert answer.policy["sentence"].startswith(
        f"pay 40 usdc (token {scene.USDC}) to 40 recipients in 40 calls on base-sepolia, fee at most"
    )
    body = decision(desk)
    people = [person(each) for each in range(40)]
    assert [each["recipient"] for each in body["proposal"]["payments"]] == people
    assert [each["arguments"]["recipient"] for each in body["review"]["calls"]] == people
    assert [each["recipient"] for each in body["request"]["intent"]["payments"]] == people
    said = [each for each in body["decision"]["rules"] if each["rule"] == "recipients.allow"]
    assert [each["value"].partition(", ")[2] for each in said] == people


def test_a_batch_counts_its_sum_and_the_number_of_its_payments() -> None:
    desk = desk_of()
    desk.treasury.sign(asked(desk, paid(person(1), person(2), person(1))), CALLER)
    [spent] = desk.spent
    assert spent == {
        "usdc|*": [str(3 * UNITS), 3],
        "*|*": ["0", 3],
        f"usdc|{person(1).lower()}": [str(2 * UNITS), 2],
        f"usdc|{person(2).lower()}": [str(UNITS), 1],
        f"*|{person(1).lower()}": ["0", 2],
        f"*|{person(2).lower()}": ["0", 1],
        "fees:base-sepolia|*": ["642000000000", 0],
    }


def test_one_bad_recipient_among_forty_refuses_all() -> None:
    desk = desk_of()
    people = [person(each) for each in range(40)]
    people[23] = scene.THIEF
    error = refused(desk, asked(desk, paid(*people)), "recipients.allow")
    assert error.value == scene.THIEF
    denied = desk_of(f'[recipients.deny]\nclosed = "{person(23)}"\n')
    assert refused(denied, asked(denied, crowd(40)), "recipients.deny").value == (
        f"closed, {person(23)}"
    )


@pytest.mark.parametrize(
    ("bound", "rule", "value"),
    [
        (
            {"per": "hour", "token": "usdc", "amount": "39"},
            "limits[usdc, 1 hour]",
            "40 usdc with this one",
        ),
        (
            {"per": "hour", "count": 39},
            "limits[any token, 1 hour]",
            "40 payments with this one",
        ),
    ],
)
def test_a_window_with_room_for_thirty_nine_refuses_forty(
    bound: dict[str, Any], rule: str, value: str
) -> None:
    desk = desk_of(limit(**bound))
    assert refused(desk, asked(desk, crowd(40)), rule).value == value
    assert desk.treasury.sign(asked(desk, crowd(39)), CALLER)


def test_what_a_batch_spent_is_missing_for_what_comes_after_it() -> None:
    desk = desk_of(a_day="4")
    desk.treasury.sign(asked(desk, crowd(3)), CALLER)
    refused(desk, asked(desk, crowd(2), sequence=1), "limits[usdc, 1 day]")
    single = paying(scene.RECIPIENT, UNITS, 2)
    request = desk.request(desk.waiting(single, name="tx-2"), intent=intent(amount=UNITS))
    assert desk.treasury.sign(request, CALLER)


@pytest.mark.parametrize(("bound", "value"), [({"amount": "1.99"}, "2 usdc"), ({"count": 1}, "2")])
def test_two_payments_to_one_recipient_in_one_batch_both_count(
    bound: dict[str, Any], value: str
) -> None:
    each = limit(per="day", token="usdc", each_recipient=True, **bound)
    desk = desk_of(each)
    people = [person(1), person(2), person(1)]
    error = refused(desk, asked(desk, paid(*people)), "limits[usdc, each recipient, 1 day]")
    assert error.value.startswith(value)
    assert desk.treasury.sign(asked(desk, paid(person(1), person(2))), CALLER)


def test_batches_at_the_same_moment_share_one_limit() -> None:
    desk = desk_of(a_day="9")
    desk.hurried = False
    requests = [asked(desk, crowd(3), sequence=each) for each in range(5)]
    found = together([lambda r=r: desk.treasury.sign(r, CALLER) for r in requests])  # type: ignore[misc]
    assert sum(isinstance(each, Answer) for each in found) == desk.kms.signatures == 3


def test_a_cap_is_for_each_payment_and_a_refusal_says_which_one() -> None:
    desk = desk_of()
    over = BatchIntent((*crowd(3).payments, *paid(person(3), person(4), units=10_000_001).payments))
    error = refused(desk, asked(desk, over), "tokens.usdc.per_transfer")
    assert error.value == f"10.000001 usdc to {person(3)}"
    assert desk.treasury.sign(asked(desk, paid(person(3), person(4), units=10_000_000)), CALLER)


def test_a_batch_of_more_calls_than_allowed_is_refused() -> None:
    desk = Desk(policy=rules().replace("calls_at_most = 100", "calls_at_most = 3"))
    assert refused(desk, asked(desk, crowd(4)), "calls_at_most").value == "4 calls"
    assert desk.treasury.sign(asked(desk, crowd(3)), CALLER)


def test_a_token_that_is_not_listed_refuses_the_batch_it_is_in() -> None:
    desk = desk_of()
    coin = Intent(scene.CHAIN, Token(None), person(1), 1)
    refused(desk, asked(desk, BatchIntent((*crowd(2).payments, coin))), "tokens")


def test_the_chains_coin_and_a_token_go_together_where_both_are_listed() -> None:
    eth = '[tokens.eth]\nlocators = ["base-sepolia:eth"]\ndecimals = 18\nper_transfer = "0.01"\n'
    desk = desk_of(eth, limit(per="day", token="eth", amount="0.02"))
    coin = Intent(scene.CHAIN, Token(None), person(1), 10**16)
    both = BatchIntent((*crowd(2).payments, coin, coin))
    answer = desk.treasury.sign(asked(desk, both), CALLER)
    assert " usdc (token " in answer.policy["sentence"]
    assert " and 0.02 eth (the chain's own coin) to 2 recipients" in answer.policy["sentence"]
    refused(desk, asked(desk, both, sequence=1), "limits[eth, 1 day]")


def test_a_recipient_who_is_new_delays_the_batch_and_all_are_known_from_then_on() -> None:
    delayed = rules().replace(
        "[recipients.allow]", '[recipients]\nnew_delay = "1h"\n[recipients.allow]'
    )
    desk = Desk(policy=delayed)
    refused(desk, asked(desk, crowd(3)), "recipients.new_delay")
    desk.clock.step(minutes=59)
    refused(desk, asked(desk, crowd(4)), "recipients.new_delay")
    desk.clock.step(minutes=1)
    assert desk.treasury.sign(asked(desk, crowd(3)), CALLER)
    refused(desk, asked(desk, crowd(4), sequence=1), "recipients.new_delay")
    desk.clock.step(minutes=59)
    assert desk.treasury.sign(asked(desk, crowd(4), sequence=1), CALLER)


def test_a_batch_whose_sum_is_above_a_threshold_waits_for_a_consent_to_all_of_it() -> None:
    above = f"""
[[approvals]]
token = "usdc"
above = "2.99"
approvers = 1
by = ["{BY_ADA.arn}"]
within = "8h"
"""
    desk = desk_of(above)
    request = asked(desk, crowd(3))
    with pytest.raises(NeedsApproval, match=r"approvals\[above 2\.99 usdc\]"):
        desk.treasury.sign(request, CALLER)
    other = asked(desk, crowd(4), sequence=1)
    desk.treasury.consent(desk.approval(request.transaction), BY_ADA)
    assert desk.treasury.sign(request, CALLER)
    with pytest.raises(NeedsApproval):
        desk.treasury.sign(other, CALLER)
    assert desk.treasury.sign(asked(desk, crowd(2), sequence=2), CALLER)


def test_a_batch_has_one_id_which_is_never_paid_by_two_nonces() -> None:
    desk = desk_of()
    request = asked(desk, crowd(3), id="payroll-11")
    first = desk.treasury.sign(request, CALLER)
    again = desk.treasury.sign(request, CALLER)
    assert (again.signed.signature, desk.kms.signatures) == (first.signed.signature, 1)
    assert len(desk.spent) == 1
    for other in (crowd(3), crowd(4)):
        with pytest.raises(AlreadySigned):
            desk.treasury.sign(asked(desk, other, sequence=1, id="payroll-11"), CALLER)
    single = desk.waiting(paying(scene.RECIPIENT, UNITS, 2), name="tx-2")
    with pytest.raises(AlreadySigned):
        desk.treasury.sign(
            desk.request(single, intent=intent(amount=UNITS), id="payroll-11"), CALLER
        )
    assert desk.treasury.sign(asked(desk, crowd(3), sequence=3, id="payroll-12"), CALLER)


def test_a_batch_that_kms_did_not_sign_gives_everything_back() -> None:
    desk = desk_of(a_day="3")
    desk.kms.failures = [KmsThrottled("busy")]
    request = asked(desk, crowd(3))
    with pytest.raises(KmsThrottled):
        desk.treasury.sign(request, CALLER)
    assert desk.spent == []
    assert desk.treasury.sign(request, CALLER)


A, B, C = calls(crowd(3))
ALTERED = {
    "a recipient": [A, calls(paid(scene.THIEF, scene.THIEF))[0], C],
    "an amount": [A, B, calls(paid(person(2), person(2), units=UNITS + 1))[0]],
    "one twice": [A, B, C, C],
    "another order": [B, A, C],
    "one left out": [A, B],
    "one more": [A, B, C, kernel.Call(scene.THIEF, 1, b"")],
}


@pytest.mark.parametrize("how", ALTERED)
def test_an_altered_batch_is_refused_before_kms_is_asked_and_is_on_record(how: str) -> None:
    desk = desk_of()
    with pytest.raises(IntentMismatch):
        desk.treasury.sign(asked(desk, crowd(3), ALTERED[how]), CALLER)
    assert (desk.kms.calls, desk.spent, desk.outcomes) == ([], [], ["refused"])
    assert decision(desk)["refusal"]["code"] == "intent_mismatch"


def test_what_a_caller_calls_the_tokens_of_a_batch_misleads_nobody() -> None:
    desk = desk_of()
    lies = tuple(replace(each, token=Token(scene.USDC, "DAI", 18)) for each in crowd(4).payments)
    answer = desk.treasury.sign(asked(desk, crowd(4)), CALLER)
    again = desk.treasury.sign(asked(desk, BatchIntent(lies), calls(crowd(4)), sequence=1), CALLER)
    assert again.policy["sentence"] == answer.policy["sentence"]
    assert "DAI" not in json.dumps(decision(desk)["review"])


def test_a_batch_nobody_could_look_at_counts_once_in_the_windows_over_everything() -> None:
    allowed = rules().replace("version = 7", 'version = 7\nallow = ["unverifiable"]')
    desk = Desk(policy=allowed, blind_signing=True)
    transaction = desk.waiting(numbered(0))
    transaction["onChain"]["userOperation"]["callData"] = "0x12345678"
    desk.treasury.sign(desk.request(transaction, intent=crowd(3), accept=("unverifiable",)), CALLER)
    assert desk.spent == [{"*|*": ["0", 1]}]


def test_batches_are_accounted_for_and_a_simulation_decides_them_again() -> None:
    desk = desk_of()
    for sequence, batch in enumerate((crowd(3), crowd(40), paid(person(1), scene.THIEF))):
        try:
            desk.treasury.sign(asked(desk, batch, sequence=sequence), CALLER)
        except PolicyViolation:
            continue
    book = Book(desk.store, KEY)
    own = [Rulebook.read(desk.policy).hash]
    found = verify(
        book.receipts(), Known(desk.kms.address, KEY, heads=[book.head()], policy_hashes=own)
    )
    assert (found.problems, found.notes) == ((), ())
    assert (found.counts.signatures, found.counts.refused) == (2, 1)
    records = [
        Record(
            moment_of("2026-11-24T12:00:00.000000Z"),
            proposal_of(body["proposal"]),
            Outcome(body["outcome"]),
        )
        for event, body in desk.receipts
        if event == "decision"
    ]
    policy = Rulebook.read(desk.policy).policy
    assert not any(each.changed for each in simulate(policy, records))
    tighter = Rulebook.read(rules(a_day="42")).policy
    assert [each.changed for each in simulate(tighter, records)] == [False, True, False]


def test_the_largest_batch_to_strangers_is_one_transaction_of_dynamodb() -> None:
    bounds = [
        limit(per=f"{each}h", token="usdc", each_recipient=True, amount="99") for each in (1, 2, 3)
    ]
    denied = f'[recipients.deny]\nclosed = "{scene.THIEF}"\n'
    desk = Desk(policy=rules(denied, *bounds))
    desk.kms.failures = [KmsThrottled("busy")]
    request = asked(desk, largest(), id="payroll-11")
    with pytest.raises(KmsThrottled):
        desk.treasury.sign(request, CALLER)
    desk.clock.step(hours=1)
    desk.treasury.sign(request, CALLER)
    for change in desk.store.puts:
        written = [change.head, *change.new.values(), *change.entries.values()]
        assert len(written) <= MOST_WRITES
        assert max(map(len, written)) <= DYNAMODB_ITEM / 2
    assert len(desk.spent[0]) == 2 * MOST_PAYMENTS + 3


def test_the_largest_batch_takes_less_than_half_of_what_a_request_may() -> None:
    body = json.dumps(request_body(asked(desk_of(), largest(), id="payroll-11")))
    assert 80_000 < len(body) < MAX_BODY_BYTES / 2
