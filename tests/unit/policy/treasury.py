"""A treasury's policy and a payment it allows, from which each test departs in one thing."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from bursar.policy.decide import decide
from bursar.policy.decision import Decision, Judgement
from bursar.policy.document import read_document, read_policy
from bursar.policy.model import Policy
from bursar.policy.proposal import Approval, Circumstances, Kind, Payment, Proposal, Spent
from bursar.policy.windows import windows

USDC = "0x036CbD53842c5426634e7929541eC2318f3dCF7e"
OTHER_CONTRACT = "0x9999999999999999999999999999999999999999"
ACME = "0x1111111111111111111111111111111111111111"
WIDGETS = "0xabcdefabcdefabcdefabcdefabcdefabcdefabcd"
STRANGER = "0x4444444444444444444444444444444444444444"
CLOSED = "0x3333333333333333333333333333333333333333"
AWS = "arn:aws:iam::111122223333"
PAYROLL = f"{AWS}:role/payroll"
SESSION = "arn:aws:sts::111122223333:assumed-role/payroll/ci-1"
ADA, GRACE = f"{AWS}:user/ada", f"{AWS}:user/grace"
DIGEST = "0x" + "ab" * 32
# A Wednesday, 12:00 in UTC and 13:00 in Berlin.
NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
DAY, HOUR = 86_400, 3_600

BASIC = f"""
version = 3
[chains.base-sepolia]
fee_at_most = "0.002"
[tokens.usdc]
locators = ["base-sepolia:{USDC}"]
decimals = 6
per_transfer = "1000.00"
[recipients.allow]
acme = "{ACME}"
widgets = "{WIDGETS}"
[callers]
allow = ["{PAYROLL}"]
"""


def policy(more: str = "", **changes: Any) -> Policy:
    return replace(read_policy(BASIC + more), **changes)


def payment(**changes: Any) -> Payment:
    usual: dict[str, Any] = {
        "token": "base-sepolia:usdc",
        "contract": USDC,
        "amount": 200_000_000,
        "recipient": ACME,
    }
    return Payment(**usual | changes)


def proposal(*payments: Payment, **changes: Any) -> Proposal:
    paid = payments or (payment(),)
    usual: dict[str, Any] = {
        "kind": Kind.TRANSFER,
        "chain": "base-sepolia",
        "payments": paid,
        "calls": len(paid),
        "fee_at_most": 10**15,
        "requested_by": SESSION,
        "digest": DIGEST,
    }
    return Proposal(**usual | changes)


def other(kind: Kind, **changes: Any) -> Proposal:
    """Something that is no transfer, of which nothing is known but who asks."""
    return Proposal(kind, requested_by=SESSION, digest=DIGEST, **changes)


def approval(principal: str, digest: str = DIGEST, age: timedelta = timedelta(0)) -> Approval:
    return Approval(principal, digest, NOW - age)


def judge(rules: Policy, asked: Proposal, **changes: Any) -> Decision:
    """Decide where nothing was spent yet, unless the changes say otherwise."""
    nothing = {
        (each.key, bound.seconds): Spent()
        for each in windows(rules, asked)
        for bound in each.bounds
    }
    told: dict[str, Any] = {"now": NOW, "spent": nothing}
    return decide(rules, asked, Circumstances(**told | changes))


def said(decision: Decision, rule: str) -> list[tuple[str, str, str]]:
    """What one rule said: outcome, value, limit."""
    found: list[Judgement] = [each for each in decision.judgements if each.rule == rule]
    return [(each.outcome.value, each.value, each.limit) for each in found]


def refusing(decision: Decision) -> list[str]:
    return [each.rule for each in decision.refusals]


def findings(text: str) -> list[tuple[int, int, str, str | None]]:
    """Line, column, message and hint of everything wrong with a policy's text."""
    found = read_document(text).findings
    assert all(each.severity == "error" for each in found)
    return [(each.line, each.column, each.message, each.hint) for each in found]
