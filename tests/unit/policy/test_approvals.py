from __future__ import annotations

from datetime import timedelta

import pytest

from bursar.errors import PolicyViolation
from bursar.policy.approvals import missing, require_approver
from bursar.policy.decision import Outcome
from bursar.policy.proposal import Circumstances, Kind
from tests.unit.policy.treasury import (
    ADA,
    AWS,
    GRACE,
    NOW,
    PAYROLL,
    SESSION,
    STRANGER,
    approval,
    judge,
    other,
    payment,
    policy,
    proposal,
    said,
)

LINUS = f"{AWS}:user/linus"
TREASURERS = f"{AWS}:role/treasurers"
AS_TREASURER = "arn:aws:sts::111122223333:assumed-role/treasurers/ada"
MINUTE = timedelta(minutes=1)
US = timedelta(microseconds=1)


def rule(approvers: int = 1, *by: str, more: str = "") -> str:
    listed = list(by or (ADA, GRACE, TREASURERS))
    return f"[[approvals]]\napprovers = {approvers}\nby = {listed}\n{more}\n"


ABOVE = 'token = "usdc"\nabove = "200"'


@pytest.mark.parametrize(
    ("amount", "outcome"),
    [
        (199_999_999, Outcome.ALLOWED),
        (200_000_000, Outcome.ALLOWED),
        (200_000_001, Outcome.NEEDS_APPROVAL),
    ],
)
def test_only_more_than_the_amount_needs_approval(amount, outcome):
    decision = judge(policy(rule(more=ABOVE)), proposal(payment(amount=amount)))
    assert decision.outcome is outcome


def test_the_payments_of_a_transaction_count_together():
    half = payment(amount=100_000_001)
    decision = judge(policy(rule(more=ABOVE), calls_at_most=2), proposal(half, half))
    assert decision.outcome is Outcome.NEEDS_APPROVAL


def test_without_an_amount_every_payment_of_the_token_needs_it():
    rules = policy(rule(more='token = "usdc"'))
    assert said(judge(rules, proposal(payment(amount=1))), "approvals[usdc]") == [
        ("needs_approval", "0 approved", "1 must")
    ]


def test_a_rule_for_one_token_is_not_another_tokens():
    coin = '[tokens.eth]\nlocators = ["base-sepolia:eth"]\ndecimals = 18\nper_transfer = "2"\n'
    paid = payment(token="base-sepolia:eth", contract=None)
    for more in (ABOVE, 'token = "usdc"'):
        assert judge(policy(coin + rule(more=more)), proposal(paid)).outcome is Outcome.ALLOWED


@pytest.mark.parametrize("kind", [Kind.BLIND_DIGEST, Kind.UNVERIFIABLE, Kind.SIGNER_CHANGE])
def test_what_shows_no_amount_needs_every_approval(kind):
    rules = policy(
        rule(1, more=ABOVE) + rule(2, more='token = "usdc"\nabove = "900"'),
        allow=frozenset({"blind_signing", "unverifiable", "signer_changes"}),
    )
    decision = judge(rules, other(kind, chain="base-sepolia", calls=1, fee_at_most=1))
    assert (decision.outcome, decision.approvals_missing) == (Outcome.NEEDS_APPROVAL, 2)


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ((), 2),
        ((ADA,), 1),
        ((ADA, GRACE), 0),
        ((ADA, GRACE, TREASURERS), 0),
        ((ADA, ADA), 1),
        ((AS_TREASURER, TREASURERS, AS_TREASURER + "-2"), 1),
        ((AS_TREASURER, ADA), 0),
        ((LINUS, ADA), 1),
        (("nobody", ADA), 1),
        ((PAYROLL, SESSION, ADA), 1),
    ],
)
def test_each_identity_of_those_named_counts_once_and_nobody_else(given, missing):
    asked = proposal(approvals=tuple(approval(who) for who in given))
    decision = judge(policy(rule(2)), asked)
    assert decision.approvals_missing == missing
    assert (decision.outcome is Outcome.ALLOWED) == (missing == 0)
    assert said(decision, "approvals[every transaction]") == [
        (
            "needs_approval" if missing else "allowed",
            f"{2 - missing if missing else len(set(given))} approved",
            "2 must",
        )
    ]


@pytest.mark.parametrize("session", [SESSION, SESSION + "-of-somebody-else", PAYROLL])
def test_nobody_approves_their_own_request_by_any_session_of_the_role(session):
    rules = policy(rule(1, PAYROLL, ADA))
    decision = judge(rules, proposal(approvals=(approval(session),)))
    assert (decision.outcome, decision.approvals_missing) == (Outcome.NEEDS_APPROVAL, 1)
    assert decision.not_from == (PAYROLL,)
    with pytest.raises(PolicyViolation, match="nobody approves their own request"):
        require_approver(rules, proposal(), session)


def test_consent_to_one_digest_releases_no_other():
    rules = policy(rule())
    for digest in ("0x" + "cd" * 32, ""):
        asked = proposal(approvals=(approval(ADA, digest),))
        assert judge(rules, asked).outcome is Outcome.NEEDS_APPROVAL
    unknown = proposal(approvals=(approval(ADA),), digest=None)
    assert judge(rules, unknown).outcome is Outcome.NEEDS_APPROVAL


@pytest.mark.parametrize(
    ("age", "outcome"),
    [
        (timedelta(0), Outcome.ALLOWED),
        (MINUTE * 90 - US, Outcome.ALLOWED),
        (MINUTE * 90, Outcome.NEEDS_APPROVAL),
        (-US, Outcome.NEEDS_APPROVAL),
    ],
)
def test_consent_expires_to_the_moment_and_none_comes_from_the_future(age, outcome):
    rules = policy(rule(more='within = "90m"'))
    assert judge(rules, proposal(approvals=(approval(ADA, age=age),))).outcome is outcome


def test_consent_lasts_a_day_unless_the_rule_says_otherwise():
    for age, outcome in ((1440 * MINUTE - US, "allowed"), (1440 * MINUTE, "needs_approval")):
        asked = proposal(approvals=(approval(ADA, age=age),))
        assert judge(policy(rule()), asked).outcome.value == outcome


def test_a_policy_changed_since_the_consent_is_judged_as_it_is_now():
    asked = proposal(approvals=(approval(ADA),))
    assert judge(policy(rule(1)), asked).outcome is Outcome.ALLOWED
    assert judge(policy(rule(2)), asked).outcome is Outcome.NEEDS_APPROVAL
    assert judge(policy(rule(1, GRACE)), asked).outcome is Outcome.NEEDS_APPROVAL
    denied = policy(f'deny = ["{ADA}"]\n{rule(1)}')
    assert judge(denied, asked).outcome is Outcome.NEEDS_APPROVAL


def test_every_rule_that_applies_has_to_be_satisfied_and_the_most_missing_is_told():
    rules = policy(rule(1, ADA, LINUS) + rule(2, GRACE, LINUS, more='token = "usdc"'))
    decision = judge(rules, proposal(approvals=(approval(ADA),)))
    assert (decision.approvals_missing, decision.not_from) == (2, (PAYROLL, ADA))
    decision = judge(rules, proposal(approvals=(approval(GRACE), approval(LINUS))))
    assert decision.outcome is Outcome.ALLOWED


def test_nothing_is_missing_where_it_is_refused_or_allowed():
    refused = judge(policy(rule(2)), proposal(payment(recipient=STRANGER)))
    assert (refused.outcome, refused.approvals_missing, refused.not_from) == (
        Outcome.REFUSED,
        0,
        (),
    )
    allowed = judge(policy(rule(1)), proposal(approvals=(approval(ADA),)))
    assert (allowed.approvals_missing, allowed.not_from) == (0, ())


def test_where_it_is_not_known_who_asked_no_consent_counts():
    asked = proposal(requested_by=None, approvals=(approval(ADA),))
    decision = judge(policy(rule()), asked)
    assert decision.outcome is Outcome.REFUSED
    assert said(decision, "approvals[every transaction]") == [
        ("needs_approval", "0 approved", "1 must")
    ]


def test_what_waits_says_how_many_must_approve_and_whose_consent_adds_nothing():
    decision = judge(
        policy(rule(2, more=ABOVE)),
        proposal(payment(amount=200_000_001), approvals=(approval(ADA),)),
    )
    with pytest.raises(PolicyViolation) as caught:
        decision.require_allowed()
    assert caught.value.rule == "approvals[above 200 usdc]"
    assert (caught.value.value, caught.value.limit) == ("1 approved", "2 must")
    assert caught.value.hint == f"1 more must approve, other than {PAYROLL}, {ADA}"


# Before a consent is recorded


def test_whoever_the_rules_name_may_consent():
    for who in (ADA, AS_TREASURER):
        require_approver(policy(rule()), proposal(), who)


@pytest.mark.parametrize(
    ("who", "value", "limit"),
    [
        (LINUS, LINUS, "approvers are those the approval rules name"),
        (PAYROLL, PAYROLL, "nobody approves their own request"),
        ("x", "x", "a known IAM user or role approves a known one's request"),
        (None, "not known", "a known IAM user or role approves a known one's request"),
    ],
)
def test_a_consent_that_could_not_count_is_turned_down(who, value, limit):
    with pytest.raises(PolicyViolation) as caught:
        require_approver(policy(rule()), proposal(), who)
    assert (caught.value.rule, caught.value.value, caught.value.limit) == (
        "approvals",
        value,
        limit,
    )
    assert caught.value.message == f"this approval does not count: {value}; {limit}"


def test_a_request_of_nobody_known_cannot_be_approved():
    for asks, shown in ((None, "not known"), ("x", "x")):
        with pytest.raises(PolicyViolation) as caught:
            require_approver(policy(rule()), proposal(requested_by=asks), ADA)
        assert caught.value.value == shown


def test_whoever_may_not_ask_may_not_consent():
    with pytest.raises(PolicyViolation, match="the approval rules name"):
        require_approver(policy(f'deny = ["{ADA}"]\n{rule()}'), proposal(), ADA)


def test_an_approver_of_a_rule_that_does_not_apply_may_not_consent():
    rules = policy(rule(1, ADA, more='token = "usdc"\nabove = "900"') + rule(1, GRACE))
    require_approver(rules, proposal(), GRACE)
    with pytest.raises(PolicyViolation):
        require_approver(rules, proposal(), ADA)


def test_an_approver_of_one_of_several_rules_may_consent():
    rules = policy(rule(1, ADA) + rule(1, GRACE))
    for who in (ADA, GRACE):
        require_approver(rules, proposal(), who)


def test_nothing_is_missing_where_no_rule_applies_or_more_have_consented_than_must():
    now = Circumstances(NOW)
    assert missing(policy(), proposal(), now) == (0, (PAYROLL,))
    consented = proposal(approvals=(approval(ADA), approval(GRACE)))
    assert missing(policy(rule(1)), consented, now) == (0, (PAYROLL, ADA, GRACE))
    assert missing(policy(), proposal(requested_by=None), now) == (0, ())
