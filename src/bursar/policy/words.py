"""Each rule of a policy in words, so that whoever answers for the money can read it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from bursar.amounts import to_decimal_text
from bursar.policy.approvals import approval_name
from bursar.policy.model import NATIVE_DECIMALS, ApprovalRule, Limit, Policy, address_key
from bursar.policy.times import duration_text, hours_text
from bursar.policy.tokens import amount_text
from bursar.policy.windows import limit_name

_SWITCHES: Final = {
    "blind_signing": "A bare hash may be signed. Nobody can tell what it does: chains, tokens, recipients, "
    "amounts and fees are not looked at.",
    "unverifiable": "A transaction that the review could not verify may be signed: tokens, recipients and amounts "
    "are not looked at.",
    "signer_changes": "The wallet's signers may be changed: who controls the money may change.",
}


@dataclass(frozen=True, slots=True)
class Sentence:
    """What one rule means. `rule` is its name in the policy file."""

    rule: str
    text: str


def describe(policy: Policy) -> tuple[Sentence, ...]:
    """Return every rule of a policy in words, in the order of the questions they answer."""
    return tuple(
        Sentence(rule, text)
        for part in (_who, _what, _whom, _how_much, _when, _whether)
        for rule, text in part(policy)
    )


def _who(policy: Policy) -> Iterator[tuple[str, str]]:
    allow, deny = policy.callers.allow, policy.callers.deny
    yield "callers.allow", f"{_names(allow)} may ask." if allow else "Nobody may ask."
    if deny:
        yield "callers.deny", f"{_names(deny)} may not ask, nor approve."


def _what(policy: Policy) -> Iterator[tuple[str, str]]:
    for name, chain in sorted(policy.chains.items()):
        fee = to_decimal_text(chain.fee_at_most, NATIVE_DECIMALS)
        yield f"chains.{name}", f"Pay on {name}, for a fee of at most {fee} of its own coin."
    if not policy.chains:
        yield "chains", "No chain is listed: nothing is paid."
    for name, token in sorted(policy.tokens.items()):
        cap = amount_text(token.per_transfer, token, name)
        where = "; ".join(map(_locator, sorted(token.locators))) or "nowhere"
        yield (
            f"tokens.{name}",
            f"One payment moves at most {cap} ({where}; {token.decimals} decimals).",
        )
    if not policy.tokens:
        yield "tokens", "No token is listed: nothing is paid."
    if policy.wallet_factories:
        yield (
            "wallet_factories",
            f"A wallet may be deployed by {_names(policy.wallet_factories)} too.",
        )
    number = policy.calls_at_most
    yield "calls_at_most", f"A transaction makes at most {number} call{'' if number == 1 else 's'}."


def _whom(policy: Policy) -> Iterator[tuple[str, str]]:
    rules = policy.recipients
    listed = ", ".join(f"{name} ({address})" for address, name in _by_name(rules.allow))
    if rules.registered == "enough":
        also = f" and {listed}" if listed else ""
        yield "recipients.allow", f"Registered recipients{also} may be paid."
    else:
        yield "recipients.allow", f"{listed or 'Nobody'} may be paid."
    if rules.registered == "required":
        yield "recipients.registered", "And only while they are registered recipients."
    if rules.deny:
        denied = ", ".join(f"{name} ({address})" for address, name in _by_name(rules.deny))
        yield "recipients.deny", f"{denied} may never be paid."
    if rules.new_delay is not None:
        delay = duration_text(rules.new_delay)
        yield "recipients.new_delay", f"Nobody is paid before they are known for {delay}."


def _how_much(policy: Policy) -> Iterator[tuple[str, str]]:
    for limit in policy.limits:
        yield limit_name(limit, policy), _limit(limit, policy)
    for rule in policy.approvals:
        yield approval_name(rule, policy), _approval(rule, policy)


def _when(policy: Policy) -> Iterator[tuple[str, str]]:
    if policy.hours is None:
        yield "hours", "At any time."
        return
    told = f"Only {hours_text(policy.hours)}, on the clocks of {policy.hours.zone}."
    yield "hours", told if policy.hours.open else "Never."


def _whether(policy: Policy) -> Iterator[tuple[str, str]]:
    for name, text in _SWITCHES.items():
        if name in policy.allow:
            yield f"allow.{name}", text
    off = [name for name in _SWITCHES if name not in policy.allow]
    if off:
        yield "allow", f"Refused: {', '.join(name.replace('_', ' ') for name in off)}."


def _limit(limit: Limit, policy: Policy) -> str:
    span = duration_text(limit.seconds).removeprefix("1 ")
    if limit.fees_on is not None:
        much = to_decimal_text(limit.amount or 0, NATIVE_DECIMALS)
        return f"Fees on {limit.fees_on} of at most {much} of its own coin in any {span}."
    parts = []
    if limit.amount is not None and limit.token is not None:
        parts.append(amount_text(limit.amount, policy.tokens[limit.token], limit.token))
    if limit.count is not None:
        of = f" of {limit.token}" if limit.token else ""
        parts.append(f"{limit.count} payment{'' if limit.count == 1 else 's'}{of}")
    whom = " to each recipient" if limit.each_recipient else ""
    if limit.recipient is not None:
        whom = f" to {policy.recipients.allow.get(limit.recipient, limit.recipient)}"
    return f"At most {' and '.join(parts)}{whom} in any {span}."


def _approval(rule: ApprovalRule, policy: Policy) -> str:
    what = "Every transaction"
    if rule.token is not None:
        what = f"Every payment of {rule.token}"
        if rule.above:
            token = policy.tokens[rule.token]
            what = f"More than {amount_text(rule.above, token, rule.token)} in one transaction"
    return (
        f"{what} needs {rule.approvers} of {_names(rule.by)} to approve, not the one who asks, "
        f"within {duration_text(rule.within)}."
    )


def _names(principals: frozenset[str]) -> str:
    return ", ".join(sorted(principals))


def _by_name(named: Mapping[str, str]) -> list[tuple[str, str]]:
    return sorted(named.items(), key=lambda pair: pair[1])


def _locator(locator: str) -> str:
    chain, _, token = locator.partition(":")
    if address_key(token) is None:
        return f"the chain's own coin {token} on {chain}"
    return f"contract {token} on {chain}"
