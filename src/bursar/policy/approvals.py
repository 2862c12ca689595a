"""Consent of others: how much is needed, whose counts, and for how long. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from bursar.errors import PolicyViolation
from bursar.policy.decision import Judgement, Outcome
from bursar.policy.model import ApprovalRule, Policy
from bursar.policy.principals import identity_of
from bursar.policy.proposal import Approval, Circumstances, Kind, Proposal
from bursar.policy.rules import UNKNOWN
from bursar.policy.tokens import amount_text, totals


def approvals(
    policy: Policy, proposal: Proposal, circumstances: Circumstances
) -> Iterator[Judgement]:
    """Judge whether enough others have consented, by every rule that applies."""
    for rule in applying(policy, proposal):
        given = len(consenting(rule, policy, proposal, circumstances))
        outcome = Outcome.ALLOWED if given >= rule.approvers else Outcome.NEEDS_APPROVAL
        yield Judgement(
            approval_name(rule, policy), outcome, f"{given} approved", f"{rule.approvers} must"
        )


def applying(policy: Policy, proposal: Proposal) -> list[ApprovalRule]:
    """Return the approval rules for a transaction: all of them where its amounts are not known."""
    if proposal.kind is not Kind.TRANSFER:
        return list(policy.approvals)
    moved = totals(policy, proposal)
    return [
        rule
        for rule in policy.approvals
        if rule.token is None or moved.get(rule.token, 0) > rule.above
    ]


def consenting(
    rule: ApprovalRule, policy: Policy, proposal: Proposal, circumstances: Circumstances
) -> frozenset[str]:
    """Return the identities whose consent counts for a rule.

    Each counts once, whatever the session: for this digest alone, for as long as the rule says, and never that
    of who asked. Where it is not known who asked, nobody's counts.
    """
    asked = identity_of(proposal.requested_by)
    if asked is None:
        return frozenset()
    found = {
        identity_of(each.principal)
        for each in proposal.approvals
        if _is_current(each, rule, proposal, circumstances)
    }
    eligible = rule.by - policy.callers.deny - {asked}
    return frozenset(eligible & found)


def missing(
    policy: Policy, proposal: Proposal, circumstances: Circumstances
) -> tuple[int, tuple[str, ...]]:
    """Return how many more must consent, and the identities whose consent would add nothing."""
    number = 0
    spent = {identity_of(proposal.requested_by)} - {None}
    for rule in applying(policy, proposal):
        given = consenting(rule, policy, proposal, circumstances)
        number = max(number, rule.approvers - len(given))
        spent |= given
    return number, tuple(sorted(who for who in spent if who is not None))


def require_approver(policy: Policy, proposal: Proposal, principal: str | None) -> None:
    """Refuse a consent that could not count, before it is recorded.

    Raises:
        PolicyViolation: not a principal, the one who asked (by another session too), or nobody the rules name.
    """
    who, asked = identity_of(principal), identity_of(proposal.requested_by)
    if who is None or asked is None:
        shown = principal if who is None else proposal.requested_by
        raise _turned_down(
            shown or UNKNOWN, "a known IAM user or role approves a known one's request"
        )
    if who == asked:
        raise _turned_down(who, "nobody approves their own request")
    if who in policy.callers.deny or not any(who in rule.by for rule in applying(policy, proposal)):
        raise _turned_down(who, "approvers are those the approval rules name")


def approval_name(rule: ApprovalRule, policy: Policy) -> str:
    """Return the name under which an approval rule speaks: `approvals[above 1000 usdc]`."""
    if rule.token is None:
        return "approvals[every transaction]"
    if not rule.above:
        return f"approvals[{rule.token}]"
    return f"approvals[above {amount_text(rule.above, policy.tokens[rule.token], rule.token)}]"


def _is_current(
    approval: Approval, rule: ApprovalRule, proposal: Proposal, circumstances: Circumstances
) -> bool:
    age = (circumstances.now - approval.at).total_seconds()
    return approval.digest == proposal.digest and 0 <= age < rule.within


def _turned_down(value: str, limit: str) -> PolicyViolation:
    return PolicyViolation(
        f"this approval does not count: {value}; {limit}",
        rule="approvals",
        value=value,
        limit=limit,
    )
