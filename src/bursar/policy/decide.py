"""The decision: every rule is asked, and one refusal is enough. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from bursar.policy import rules
from bursar.policy.approvals import approvals, missing
from bursar.policy.canonical import policy_hash
from bursar.policy.decision import Decision, Judgement, Outcome
from bursar.policy.model import Policy
from bursar.policy.proposal import Circumstances, Proposal
from bursar.policy.windows import limits, windows

Rule = Callable[[Policy, Proposal, Circumstances], Iterator[Judgement]]

RULES: tuple[Rule, ...] = (
    rules.kind,
    rules.callers,
    rules.hours,
    rules.chains,
    rules.calls,
    rules.tokens,
    rules.recipients,
    limits,
    approvals,
)


def decide(
    policy: Policy,
    proposal: Proposal,
    circumstances: Circumstances,
    *,
    digest_of_policy: str | None = None,
) -> Decision:
    """Return what a policy says to a proposal at a moment.

    Nothing is reserved: the caller makes `Decision.reservations`, all or none, before it signs, and the room that
    was seen here may be gone by then. `digest_of_policy` saves hashing the same policy again.
    """
    judgements = (
        judgement for rule in RULES for judgement in rule(policy, proposal, circumstances)
    )
    # What is said of each of many payments in the same words is said once.
    found = tuple(dict.fromkeys(judgements))
    outcome = _outcome(found)
    number, not_from = 0, tuple[str, ...]()
    if outcome is Outcome.NEEDS_APPROVAL:
        number, not_from = missing(policy, proposal, circumstances)
    return Decision(
        outcome,
        policy.version,
        digest_of_policy or policy_hash(policy),
        found,
        windows(policy, proposal) if outcome is Outcome.ALLOWED else (),
        number,
        not_from,
    )


def _outcome(judgements: tuple[Judgement, ...]) -> Outcome:
    outcomes = {judgement.outcome for judgement in judgements}
    for outcome in (Outcome.REFUSED, Outcome.NEEDS_APPROVAL):
        if outcome in outcomes:
            return outcome
    return Outcome.ALLOWED
