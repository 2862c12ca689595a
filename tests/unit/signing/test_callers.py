"""Who may ask, and who makes a recipient known by asking."""

from __future__ import annotations

import pytest

from bursar.errors import IntentMismatch, PolicyViolation
from bursar.signing_contract import Caller
from tests.unit.review import scene
from tests.unit.signing.scene import (
    ACCOUNT,
    BY_ADA,
    BY_GRACE,
    CALLER,
    GRACE,
    POLICY,
    Desk,
    intent,
    paying,
)

STS = "arn:aws:sts::111122223333"
DELAYED = POLICY.replace("[recipients.allow]", '[recipients]\nnew_delay = "1d"\n[recipients.allow]')
DENYING = POLICY.replace("[callers]", f'[callers]\ndeny = ["{ACCOUNT}:role/payroll"]')
STRANGERS = [
    None,
    "",
    "*",
    "111122223333",
    f"{ACCOUNT}:user/mallory",
    f"{ACCOUNT}:root",
    f"{ACCOUNT}:role/payroll2",
    f"{ACCOUNT}:user/payroll",
    f"{ACCOUNT}:role/payroll/",
    f"{STS}:assumed-role/payroll2/payroll",
    f"{STS}:assumed-role/other/payroll",
    f"{STS}:assumed-role/payroll/*",
    f"{STS}:assumed-role/payroll",
    f"{STS}:assumed-role/payroll/a\n",
    "arn:aws:sts::444455556666:assumed-role/payroll/i-1",
    "arn:aws-cn:sts::111122223333:assumed-role/payroll/i-1",
    f"{STS}:federated-user/payroll",
]


@pytest.mark.parametrize("arn", STRANGERS, ids=repr)
def test_whoever_is_not_on_the_list_is_refused_on_record(arn: str | None) -> None:
    desk = Desk()
    with pytest.raises(PolicyViolation) as refused:
        desk.treasury.sign(desk.request(), Caller(arn, "invoke"))
    assert refused.value.rule == "callers.allow"
    assert (desk.kms.signatures, desk.outcomes) == (0, ["refused"])
    assert desk.receipts[0][1]["caller"]["claimedCaller"] == arn


@pytest.mark.parametrize("session", ["i-1", "somebody@example.com", "x" * 64])
def test_every_session_of_a_role_is_that_role(session: str) -> None:
    desk = Desk()
    assert desk.treasury.sign(
        desk.request(), Caller(f"{STS}:assumed-role/payroll/{session}", "api")
    )


def test_a_session_of_a_denied_role_is_refused_though_the_role_is_allowed_too() -> None:
    desk = Desk(policy=DENYING)
    with pytest.raises(PolicyViolation) as refused:
        desk.treasury.sign(desk.request(), CALLER)
    assert refused.value.rule == "callers.deny"


def test_a_new_recipient_is_noted_and_paid_once_they_are_known_for_long_enough() -> None:
    desk = Desk(policy=DELAYED)
    for step in ({"hours": 0}, {"hours": 23, "minutes": 59, "seconds": 59}):
        desk.clock.step(**step)
        with pytest.raises(PolicyViolation) as refused:
            desk.treasury.sign(desk.request(), CALLER)
        assert refused.value.rule == "recipients.new_delay"
    desk.clock.step(seconds=1)
    assert desk.treasury.sign(desk.request(), CALLER)


def test_each_recipient_is_known_since_they_were_asked_for_themselves() -> None:
    other = scene.address("widgets")
    desk = Desk(policy=DELAYED.replace("[callers]", f'widgets = "{other}"\n[callers]'))
    with pytest.raises(PolicyViolation):
        desk.treasury.sign(desk.request(), CALLER)
    desk.clock.step(days=1)
    request = desk.request(desk.waiting(paying(other), name="tx-2"), intent=intent(recipient=other))
    with pytest.raises(PolicyViolation, match="new_delay"):
        desk.treasury.sign(request, CALLER)


@pytest.mark.parametrize("caller", [BY_ADA, Caller(None, "invoke")], ids=["not listed", "unknown"])
def test_whoever_may_not_ask_makes_nobody_known(caller: Caller) -> None:
    desk = Desk(policy=DELAYED)
    with pytest.raises(PolicyViolation):
        desk.treasury.sign(desk.request(), caller)
    desk.clock.step(days=2)
    with pytest.raises(PolicyViolation, match="new_delay"):
        desk.treasury.sign(desk.request(), CALLER)


def test_whoever_may_ask_need_not_be_the_one_who_made_the_recipient_known() -> None:
    desk = Desk(policy=DELAYED)
    with pytest.raises(PolicyViolation):
        desk.treasury.sign(desk.request(), BY_GRACE)
    desk.clock.step(days=1)
    assert desk.treasury.sign(desk.request(), CALLER)
    assert desk.receipts[0][1]["caller"]["claimedCaller"] == GRACE


def test_an_altered_answer_makes_nobody_known() -> None:
    desk = Desk(policy=DELAYED)
    with pytest.raises(IntentMismatch, match="amount"):
        desk.treasury.sign(
            desk.request(intent=intent(amount=1)),
            CALLER,
        )
    assert not [name for name in desk.store.books[desk.key] if name.startswith("recipient#")]
