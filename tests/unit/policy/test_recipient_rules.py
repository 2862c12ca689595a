"""Who may be paid: allowed, denied, registered, new."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bursar.policy.proposal import Kind
from tests.unit.policy.treasury import (
    ACME,
    CLOSED,
    NOW,
    STRANGER,
    WIDGETS,
    judge,
    other,
    payment,
    policy,
    proposal,
    refusing,
    said,
)


@pytest.mark.parametrize(
    ("registered", "recipient", "standing", "refused"),
    [
        ("no", ACME, None, []),
        ("no", ACME, False, []),
        ("no", WIDGETS.upper().replace("0X", "0x"), None, []),
        ("no", STRANGER, True, ["recipients.allow"]),
        ("no", None, True, ["recipients.allow"]),
        ("no", "email:ada@example.com", True, ["recipients.allow"]),
        ("enough", ACME, None, []),
        ("enough", STRANGER, True, []),
        ("enough", STRANGER, False, ["recipients.allow"]),
        ("enough", STRANGER, None, ["recipients.allow"]),
        ("enough", None, True, ["recipients.allow"]),
        ("required", ACME, True, []),
        ("required", ACME, False, ["recipients.registered"]),
        ("required", ACME, None, ["recipients.registered"]),
        ("required", STRANGER, True, ["recipients.allow"]),
    ],
)
def test_who_may_be_paid(registered, recipient, standing, refused):
    rules = policy(f'[recipients]\nregistered = "{registered}"')
    decision = judge(rules, proposal(payment(recipient=recipient, registered=standing)))
    assert refusing(decision) == refused


def test_the_refusal_of_a_recipient_says_who_and_how_many_there_are():
    decision = judge(policy(), proposal(payment(recipient=STRANGER)))
    assert said(decision, "recipients.allow") == [("refused", STRANGER, "2 listed")]
    assert said(judge(policy(), proposal()), "recipients.allow") == [
        ("allowed", f"acme, {ACME}", "2 listed")
    ]
    assert said(judge(policy(), proposal(payment(recipient=None))), "recipients.allow") == [
        ("refused", "not known", "2 listed")
    ]


@pytest.mark.parametrize(
    ("standing", "shown"),
    [(True, "registered"), (False, "not registered"), (None, "registration not known")],
)
def test_the_standing_of_a_recipient_is_shown_where_it_counts(standing, shown):
    asked = proposal(payment(registered=standing))
    enough = judge(policy('[recipients]\nregistered = "enough"'), asked)
    assert said(enough, "recipients.allow") == [
        ("allowed", f"acme, {ACME}, {shown}", "2 listed, or registered")
    ]
    required = judge(policy('[recipients]\nregistered = "required"'), asked)
    outcome = "allowed" if standing else "refused"
    assert said(required, "recipients.registered") == [
        (outcome, f"{ACME}, {shown}", "registered recipients only")
    ]


@pytest.mark.parametrize("registered", ["no", "enough", "required"])
def test_deny_wins_over_every_way_of_being_allowed(registered):
    rules = policy(
        f'[recipients]\nregistered = "{registered}"\n[recipients.deny]\nwas-acme = "{ACME}"'
    )
    decision = judge(rules, proposal(payment(registered=True)))
    assert refusing(decision) == ["recipients.deny"]
    assert said(decision, "recipients.deny") == [
        ("refused", f"was-acme, {ACME}", "1 may not be paid")
    ]


def test_where_some_are_denied_a_recipient_nobody_knows_is_refused_by_that_too():
    rules = policy(f'[recipients.deny]\nclosed = "{CLOSED}"', allow=frozenset({"blind_signing"}))
    unknown = other(Kind.BLIND_DIGEST, payments=(payment(recipient=None),))
    assert said(judge(rules, unknown), "recipients.deny") == [
        ("refused", "not known", "1 may not be paid")
    ]
    assert said(judge(rules, proposal()), "recipients.deny") == [
        ("allowed", ACME, "1 may not be paid")
    ]


def test_one_denied_recipient_among_several_is_enough():
    rules = policy(f'[recipients.deny]\nclosed = "{CLOSED}"', calls_at_most=2)
    decision = judge(rules, proposal(payment(), payment(recipient=CLOSED)))
    assert refusing(decision) == ["recipients.deny", "recipients.allow"]


@pytest.mark.parametrize(
    ("age", "outcome"),
    [
        (timedelta(days=1), "allowed"),
        (timedelta(days=1) - timedelta(microseconds=1), "refused"),
        (timedelta(days=30), "allowed"),
        (timedelta(0), "refused"),
        (timedelta(days=-30), "refused"),
    ],
)
def test_a_new_recipient_waits_out_the_delay_to_the_moment(age, outcome):
    rules = policy('[recipients]\nnew_delay = "24h"')
    decision = judge(rules, proposal(), first_seen={ACME: NOW - age})
    value = f"{ACME}, first seen {(NOW - age).isoformat()}"
    assert said(decision, "recipients.new_delay") == [(outcome, value, "known for 1 day")]


def test_a_recipient_nobody_knows_since_when_is_refused():
    rules = policy('[recipients]\nnew_delay = "24h"')
    decision = judge(rules, proposal(), first_seen={STRANGER: NOW - timedelta(days=9)})
    assert said(decision, "recipients.new_delay") == [
        ("refused", f"{ACME}, first seen not known", "known for 1 day")
    ]
    nobody = judge(rules, proposal(payment(recipient=None)))
    assert said(nobody, "recipients.new_delay")[0][1] == "a recipient, first seen not known"


def test_a_recipient_nobody_knows_is_no_registered_one():
    rules = policy('[recipients]\nregistered = "required"')
    asked = proposal(payment(recipient=None, registered=None))
    assert said(judge(rules, asked), "recipients.registered") == [
        ("refused", "not known, registration not known", "registered recipients only")
    ]
