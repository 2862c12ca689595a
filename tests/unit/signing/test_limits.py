"""A limit holds however many ask at once, whenever they ask, and whichever policy is in force by then."""

from __future__ import annotations

import pytest

from bursar.errors import PolicyViolation
from bursar.signing_contract import Answer
from tests.unit.review import scene
from tests.unit.signing.scene import (
    CALLER,
    DAILY,
    POLICY,
    Desk,
    dearer,
    intent,
    numbered,
    paying,
    together,
)

COUNTED = """
[[limits]]
per = "hour"
count = 2
"""


@pytest.fixture
def desk() -> Desk:
    return Desk()


def signed(found: list[object]) -> int:
    return sum(isinstance(each, Answer) for each in found)


def test_many_requests_at_once_are_exactly_as_many_signatures_as_the_limit_allows(
    desk: Desk,
) -> None:
    desk.hurried = False
    requests = desk.payments(DAILY * 2)
    found = together([lambda r=r: desk.treasury.sign(r, CALLER) for r in requests])  # type: ignore[misc]
    assert signed(found) == desk.kms.signatures == len(desk.spent) == DAILY
    refused = [each for each in found if not isinstance(each, Answer)]
    assert all(isinstance(each, PolicyViolation) for each in refused)
    assert {each.rule for each in refused} == {"limits[usdc, 1 day]"}
    assert sorted(desk.events) == ["decision"] * DAILY * 2 + ["signature"] * DAILY


def test_an_amount_just_at_the_limit_passes_and_one_unit_more_does_not(desk: Desk) -> None:
    for units, sequence in ((999_999, 1), (2, 2), (1, 3)):
        transaction = desk.waiting(paying(scene.RECIPIENT, units, sequence), name=f"tx-{sequence}")
        asked = intent(amount=units)
        request = desk.request(transaction, intent=asked)
        if units == 2:
            with pytest.raises(PolicyViolation):
                desk.treasury.sign(request, CALLER)
        else:
            desk.treasury.sign(request, CALLER)


def test_what_was_spent_leaves_the_window_to_the_second(desk: Desk) -> None:
    requests = desk.payments(DAILY + 2)
    desk.treasury.sign(requests[0], CALLER)
    desk.clock.step(hours=1)
    for request in requests[1:DAILY]:
        desk.treasury.sign(request, CALLER)
    desk.clock.step(hours=22, minutes=59, seconds=59)
    with pytest.raises(PolicyViolation):
        desk.treasury.sign(requests[DAILY], CALLER)
    desk.clock.step(seconds=1)
    desk.treasury.sign(requests[DAILY], CALLER)
    with pytest.raises(PolicyViolation):
        desk.treasury.sign(requests[DAILY + 1], CALLER)


def test_a_clock_that_was_ahead_still_counts(desk: Desk) -> None:
    desk.clock.step(minutes=5)
    for request in desk.payments(DAILY):
        desk.treasury.sign(request, CALLER)
    desk.clock.step(minutes=-5)
    with pytest.raises(PolicyViolation):
        desk.treasury.sign(desk.payments(DAILY + 1)[-1], CALLER)


def test_a_refusal_takes_nothing(desk: Desk) -> None:
    too_much = desk.request(
        desk.waiting(paying(scene.RECIPIENT, 11_000_000)),
        intent=intent(amount=11_000_000),
    )
    with pytest.raises(PolicyViolation, match="per_transfer"):
        desk.treasury.sign(too_much, CALLER)
    assert desk.spent == []
    for request in desk.payments(DAILY):
        desk.treasury.sign(request, CALLER)


def test_a_policy_with_a_new_limit_finds_what_was_spent_before(desk: Desk) -> None:
    for request in desk.payments(2):
        desk.treasury.sign(request, CALLER)
    tighter = desk.again(POLICY.replace('amount = "1.00"', 'amount = "0.50"'))
    with pytest.raises(PolicyViolation, match=r"0\.6 usdc with this one"):
        tighter.treasury.sign(desk.payments(3)[-1], CALLER)
    assert desk.treasury.sign(desk.payments(3)[-1], CALLER)


def test_a_window_that_begins_with_a_policy_finds_what_was_spent_before(desk: Desk) -> None:
    desk.treasury.sign(desk.payments(1)[0], CALLER)
    counted = desk.again(POLICY + COUNTED)
    for request in desk.payments(2)[1:]:
        counted.treasury.sign(request, CALLER)
    with pytest.raises(PolicyViolation, match="3 payments with this one"):
        counted.treasury.sign(desk.payments(4)[-1], CALLER)


def test_gas_estimated_again_counts_once_more_since_nobody_knows_which_of_the_two_is_sent(
    desk: Desk,
) -> None:
    desk.treasury.sign(desk.request(), CALLER)
    desk.treasury.sign(desk.request(desk.waiting(dearer(numbered(0), 2))), CALLER)
    assert len(desk.spent) == 2


def test_a_rule_that_cannot_be_evaluated_refuses(desk: Desk) -> None:
    nowhere = '[hours]\nzone = "Nowhere/Land"\nopen = ["mon-sun 00:00-24:00"]\n'
    with pytest.raises(PolicyViolation, match="no time zone data") as refused:
        desk.again(POLICY + nowhere).treasury.sign(desk.request(), CALLER)
    assert refused.value.rule == "hours"
    required = POLICY.replace(
        "[recipients.allow]", '[recipients]\nregistered = "required"\n[recipients.allow]'
    )
    with pytest.raises(PolicyViolation, match="registration not known") as refused:
        desk.again(required).treasury.sign(desk.request(), CALLER)
    assert refused.value.rule == "recipients.registered"
    assert (desk.kms.signatures, desk.outcomes) == (0, ["refused", "refused"])


def test_a_recipient_that_only_their_registration_would_let_through_is_refused(desk: Desk) -> None:
    enough = POLICY.replace(
        f'[recipients.allow]\nacme = "{scene.RECIPIENT}"', '[recipients]\nregistered = "enough"'
    )
    with pytest.raises(PolicyViolation) as refused:
        desk.again(enough).treasury.sign(desk.request(), CALLER)
    assert refused.value.rule == "recipients.allow"
