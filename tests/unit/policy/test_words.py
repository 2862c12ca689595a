"""A policy in words: what whoever answers for the money reads."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bursar.policy.document import read_document
from bursar.policy.model import Chain, Token
from bursar.policy.words import describe
from tests.unit.policy.test_canonical import DIFFERENT, FULL
from tests.unit.policy.treasury import ACME, ADA, GRACE, PAYROLL, USDC, WIDGETS, policy


def approvals(approvers: int, *by: str, more: str = "") -> str:
    return f"[[approvals]]\napprovers = {approvers}\nby = {list(by)}\n{more}\n"


def words(text: str) -> dict[str, str]:
    return {each.rule: each.text for each in describe(policy(text))}


def test_an_empty_policy_says_that_nothing_is_allowed():
    document = read_document("version = 1")
    assert document.policy is not None
    assert [(each.rule, each.text) for each in describe(document.policy)] == [
        ("callers.allow", "Nobody may ask."),
        ("chains", "No chain is listed: nothing is paid."),
        ("tokens", "No token is listed: nothing is paid."),
        ("calls_at_most", "A transaction makes at most 1 call."),
        ("recipients.allow", "Nobody may be paid."),
        ("hours", "At any time."),
        ("allow", "Refused: blind signing, unverifiable, signer changes."),
    ]


def test_every_rule_is_said_in_words():
    text = f"""deny = ["{GRACE}", "{ADA}"]
[recipients]
registered = "required"
new_delay = "48h"
[recipients.deny]
closed = "0x3333333333333333333333333333333333333333"
[tokens.eth]
locators = ["base-sepolia:eth", "zora:eth"]
decimals = 18
per_transfer = "0.5"
[[limits]]
per = "2d"
token = "usdc"
each_recipient = true
amount = "2000"
count = 2
[[limits]]
per = "hour"
recipient = "acme"
count = 1
[[limits]]
per = "day"
token = "eth"
count = 3
[hours]
zone = "UTC"
open = ["mon-fri 09:00-17:00"]
{approvals(2, GRACE, ADA)}
{approvals(1, ADA, more='token = "usdc"')}
{approvals(1, ADA, more='token = "eth"' + chr(10) + 'above = "0.1"' + chr(10) + 'within = "8h"')}
"""
    assert words(text) == {
        "callers.allow": f"{PAYROLL} may ask.",
        "callers.deny": f"{ADA}, {GRACE} may not ask, nor approve.",
        "chains.base-sepolia": "Pay on base-sepolia, for a fee of at most 0.002 of its own coin.",
        "tokens.eth": "One payment moves at most 0.5 eth (the chain's own coin eth on base-sepolia; "
        "the chain's own coin eth on zora; 18 decimals).",
        "tokens.usdc": f"One payment moves at most 1000 usdc (contract {USDC.lower()} on base-sepolia; "
        "6 decimals).",
        "calls_at_most": "A transaction makes at most 1 call.",
        "recipients.allow": f"acme ({ACME}), widgets ({WIDGETS}) may be paid.",
        "recipients.registered": "And only while they are registered recipients.",
        "recipients.deny": "closed (0x3333333333333333333333333333333333333333) may never be paid.",
        "recipients.new_delay": "Nobody is paid before they are known for 2 days.",
        "limits[any token, acme, 1 hour]": "At most 1 payment to acme in any hour.",
        "limits[eth, 1 day]": "At most 3 payments of eth in any day.",
        "limits[usdc, each recipient, 2 days]": "At most 2000 usdc and 2 payments of usdc to each "
        "recipient in any 2 days.",
        "approvals[every transaction]": f"Every transaction needs 2 of {ADA}, {GRACE} to approve, not the one who "
        "asks, within 1 day.",
        "approvals[usdc]": f"Every payment of usdc needs 1 of {ADA} to approve, not the one who "
        "asks, within 1 day.",
        "approvals[above 0.1 eth]": f"More than 0.1 eth in one transaction needs 1 of {ADA} to approve, "
        "not the one who asks, within 8 hours.",
        "hours": "Only mon-fri 09:00-17:00, on the clocks of UTC.",
        "allow": "Refused: blind signing, unverifiable, signer changes.",
    }


def test_what_differs_from_the_usual_is_said_in_words():
    assert words("[hours]\nzone = 'UTC'\nopen = []")["hours"] == "Never."
    enough = words('[recipients]\nregistered = "enough"')
    assert enough["recipients.allow"] == (
        f"Registered recipients and acme ({ACME}), widgets ({WIDGETS}) may be paid."
    )
    assert "recipients.registered" not in enough
    alone = describe(
        policy(
            recipients=policy('[recipients]\nregistered = "enough"').recipients.__class__(
                {}, {}, "enough"
            )
        )
    )
    assert [each.text for each in alone if each.rule == "recipients.allow"] == [
        "Registered recipients may be paid."
    ]
    nowhere = words('[tokens.x]\nlocators = []\ndecimals = 0\nper_transfer = "1"')["tokens.x"]
    assert nowhere == "One payment moves at most 1 x (nowhere; 0 decimals)."
    several = {each.rule: each.text for each in describe(policy(calls_at_most=2))}
    assert several["calls_at_most"] == "A transaction makes at most 2 calls."


def test_what_each_switch_opens_is_said_in_words():
    everything = frozenset({"blind_signing", "unverifiable", "signer_changes"})
    said = {each.rule: each.text for each in describe(policy(allow=everything))}
    assert "allow" not in said
    assert said["allow.blind_signing"].startswith("A bare hash may be signed.")
    assert said["allow.unverifiable"].startswith("A transaction that the review could not verify")
    assert said["allow.signer_changes"].startswith("The wallet's signers may be changed")
    one = {each.rule: each.text for each in describe(policy(allow=frozenset({"unverifiable"})))}
    assert one["allow"] == "Refused: blind signing, signer changes."


def test_a_limit_on_amounts_alone_says_nothing_of_a_number():
    said = words('[[limits]]\nper = "day"\ntoken = "usdc"\namount = "5000"')
    assert said["limits[usdc, 1 day]"] == "At most 5000 usdc in any day."


def test_names_are_in_one_order_and_recipients_in_that_of_their_names():
    chains = {name: Chain(1) for name in ("zora", "base")}
    tokens = {name: Token(0, 1, frozenset()) for name in ("y", "x")}
    rules = [each.rule for each in describe(policy(chains=chains, tokens=tokens))]
    assert rules[1:5] == ["chains.base", "chains.zora", "tokens.x", "tokens.y"]
    named = words(f'[recipients.deny]\nzed = "{"0x" + "5" * 40}"\nann = "{"0x" + "6" * 40}"')
    assert named["recipients.deny"].startswith("ann (0x6")


# A file's limits name only tokens that it lists.
WHOLE = [(name, value) for name, value in DIFFERENT if name != "tokens" or "usdc" in value]


@pytest.mark.parametrize(
    ("name", "value"), WHOLE, ids=[f"{name}-{at}" for at, (name, _) in enumerate(WHOLE)]
)
def test_whatever_changes_what_a_policy_means_changes_its_words(name, value):
    changed = describe(replace(FULL, **{name: value}))
    # The version is said beside the words wherever they are shown.
    assert name == "version" or changed != describe(FULL)
