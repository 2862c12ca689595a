"""What holds of every policy: more rules never allow more, deny wins, what nobody grants is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bursar.policy.decision import Outcome
from bursar.policy.model import (
    SWITCHES,
    ApprovalRule,
    Callers,
    Chain,
    Hours,
    Limit,
    Policy,
    Recipients,
    Registered,
    Span,
    Token,
    address_key,
)
from bursar.policy.principals import identity_of
from bursar.policy.proposal import Kind, Payment, Proposal
from tests.unit.policy.treasury import (
    ACME,
    ADA,
    CLOSED,
    DIGEST,
    GRACE,
    OTHER_CONTRACT,
    PAYROLL,
    SESSION,
    STRANGER,
    USDC,
    WIDGETS,
    approval,
    judge,
)

SEVERITY = {Outcome.ALLOWED: 0, Outcome.NEEDS_APPROVAL: 1, Outcome.REFUSED: 2}
ADDRESSES = st.sampled_from([ACME, WIDGETS, STRANGER, CLOSED])
PEOPLE = st.sampled_from([PAYROLL, ADA, GRACE])
SMALL = st.integers(1, 6)
OPTIONAL = st.none() | SMALL
TOKENS = {
    "usdc": Token(6, 5, frozenset({f"base-sepolia:{USDC.lower()}"})),
    "eth": Token(18, 5, frozenset({"base-sepolia:eth"})),
}


def named(addresses: st.SearchStrategy[str]) -> st.SearchStrategy[dict[str, str]]:
    return st.dictionaries(addresses, st.just("somebody"), max_size=3)


LIMITS = st.builds(
    Limit,
    st.sampled_from([60, 3_600]),
    st.none() | st.sampled_from(["usdc", "eth"]),
    st.none() | ADDRESSES,
    st.booleans(),
    st.none(),
    SMALL,
)
APPROVALS = st.builds(
    ApprovalRule,
    st.integers(1, 2),
    st.frozensets(PEOPLE, min_size=1),
    st.just(3_600),
    st.none() | st.just("usdc"),
    st.integers(0, 4),
)
POLICIES = st.builds(
    Policy,
    st.just(1),
    st.sampled_from([{"base-sepolia": Chain(5)}, {"base-sepolia": Chain(5)}, {}]),
    st.just(TOKENS),
    st.builds(
        Recipients,
        named(ADDRESSES),
        named(ADDRESSES),
        st.sampled_from(["no", "enough", "required"]),
        st.none(),
    ),
    st.builds(Callers, st.frozensets(PEOPLE), st.frozensets(PEOPLE, max_size=1)),
    st.lists(LIMITS, max_size=2).map(tuple),
    st.none(),
    st.lists(APPROVALS, max_size=2).map(tuple),
    st.integers(1, 3),
    st.frozensets(st.sampled_from(SWITCHES)),
)
PAYMENTS = st.builds(
    Payment,
    st.sampled_from(["base-sepolia:usdc", "base-sepolia:eth", None]),
    st.sampled_from([USDC, USDC, OTHER_CONTRACT, None]),
    st.none() | st.integers(0, 6),
    st.none() | ADDRESSES,
    st.sampled_from([None, 6, 18]),
    st.sampled_from([None, True, False]),
)
GOOD = st.builds(Payment, st.none(), st.just(USDC), SMALL, ADDRESSES, st.none(), st.just(True))


@st.composite
def proposals(draw) -> Proposal:
    payments = tuple(draw(st.lists(GOOD | PAYMENTS, max_size=3)))
    kind = draw(st.sampled_from([Kind.TRANSFER, *Kind]))
    return Proposal(
        kind,
        chain=draw(st.sampled_from(["base-sepolia", "base-sepolia", "base", None])),
        payments=payments,
        calls=draw(st.sampled_from([len(payments), len(payments), 1, None])),
        fee_at_most=draw(st.sampled_from([5, 5, 6, None])),
        requested_by=draw(st.sampled_from([SESSION, SESSION, ADA, "x", None])),
        approvals=tuple(approval(who) for who in draw(st.lists(PEOPLE, max_size=3))),
        digest=draw(st.sampled_from([DIGEST, DIGEST, None])),
    )


@st.composite
def narrowed(draw, rules: Policy) -> Policy:
    """The same policy with one more rule, or with less granted."""
    recipients, callers = rules.recipients, rules.callers
    ways: list[dict[str, Any]] = [
        {"limits": (*rules.limits, draw(LIMITS))},
        {"approvals": (*rules.approvals, draw(APPROVALS))},
        {"hours": Hours("UTC", draw(st.sampled_from([(), (Span(0, 7 * 24 * 60),)])))},
        {"recipients": replace(recipients, deny={**recipients.deny, draw(ADDRESSES): "denied"})},
        {"recipients": replace(recipients, new_delay=draw(SMALL))},
        {"callers": replace(callers, deny=callers.deny | {draw(PEOPLE)})},
        {"callers": replace(callers, allow=frozenset(list(callers.allow)[1:]))},
        {"chains": {}},
        {"chains": {name: Chain(chain.fee_at_most - 1) for name, chain in rules.chains.items()}},
        {
            "tokens": {
                n: replace(t, per_transfer=t.per_transfer - 2) for n, t in rules.tokens.items()
            }
        },
        {"calls_at_most": max(1, rules.calls_at_most - 1)},
        {"allow": frozenset(list(rules.allow)[1:])},
        {"recipients": replace(recipients, allow=dict(list(recipients.allow.items())[1:]))},
        {"limits": tuple(replace(each, count=(each.count or 1) - 1) for each in rules.limits)},
        {
            "approvals": tuple(
                replace(each, approvers=each.approvers + 1) for each in rules.approvals
            )
        },
    ]
    if recipients.registered != "required":
        stricter: Registered = "required" if recipients.registered == "no" else "no"
        ways.append({"recipients": replace(recipients, registered=stricter)})
    return replace(rules, **draw(st.sampled_from(ways)))


@given(st.data(), POLICIES, proposals())
def test_one_more_rule_never_allows_more(data, rules, asked):
    stricter = data.draw(narrowed(rules))
    assert SEVERITY[judge(stricter, asked).outcome] >= SEVERITY[judge(rules, asked).outcome]


@given(POLICIES, proposals())
def test_deny_wins(rules, asked):
    decision = judge(rules, asked)
    paid = {address_key(payment.recipient) for payment in asked.payments}
    if paid & rules.recipients.deny.keys() or identity_of(asked.requested_by) in rules.callers.deny:
        assert decision.outcome is Outcome.REFUSED
    assert (decision.outcome is Outcome.REFUSED) == bool(decision.refusals)


@given(proposals())
def test_an_empty_policy_refuses_everything(asked):
    empty = Policy(1, {}, {}, Recipients({}, {}), Callers(frozenset(), frozenset()))
    assert judge(empty, asked).outcome is Outcome.REFUSED


@given(POLICIES, proposals())
def test_what_is_allowed_was_granted_part_by_part(rules, asked):
    if judge(rules, asked).outcome is not Outcome.ALLOWED:
        return
    assert identity_of(asked.requested_by) in rules.callers.allow - rules.callers.deny
    if asked.kind is Kind.TRANSFER:
        assert asked.chain in rules.chains
        assert asked.calls == len(asked.payments) <= rules.calls_at_most
        assert asked.fee_at_most is not None
        assert all(payment.amount for payment in asked.payments)
        assert all(payment.contract in (USDC, None) for payment in asked.payments)
    else:
        assert rules.allow


@given(POLICIES, proposals())
def test_what_cannot_be_known_is_never_better_than_anything_known(rules, asked):
    known = SEVERITY[judge(rules, asked).outcome]
    if asked.kind in (Kind.TRANSFER, Kind.SIGNER_CHANGE):
        for name in ("chain", "calls", "fee_at_most", "requested_by", "digest"):
            assert SEVERITY[judge(rules, replace(asked, **{name: None})).outcome] >= known
    for name in ("amount", "recipient", "registered", "contract"):
        if name == "contract" and asked.payments and asked.payments[0].token == "base-sepolia:eth":
            continue  # None is the chain's own coin there, not something unknown
        less = tuple(replace(payment, **{name: None}) for payment in asked.payments)
        assert SEVERITY[judge(rules, replace(asked, payments=less)).outcome] >= known


@given(POLICIES, st.lists(GOOD | PAYMENTS, min_size=1, max_size=4))
def test_no_payment_passes_in_company_that_does_not_pass_alone(rules, payments):
    asked = Proposal(Kind.TRANSFER, "base-sepolia", tuple(payments), len(payments), 1, SESSION)
    together = judge(rules, asked)
    for each in payments:
        alone = judge(rules, replace(asked, payments=(each,), calls=1))
        assert SEVERITY[together.outcome] >= SEVERITY[alone.outcome]


@given(POLICIES, st.lists(GOOD | PAYMENTS, min_size=1, max_size=4))
def test_payments_that_pass_alone_pass_together_where_nothing_counts_them(rules, payments):
    uncounted = replace(rules, limits=(), approvals=(), calls_at_most=len(payments))
    asked = Proposal(Kind.TRANSFER, "base-sepolia", tuple(payments), len(payments), 1, SESSION)
    alone = [judge(uncounted, replace(asked, payments=(each,), calls=1)) for each in payments]
    together = judge(uncounted, asked)
    worst = max(SEVERITY[each.outcome] for each in alone)
    assert SEVERITY[together.outcome] == worst
