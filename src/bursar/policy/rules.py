"""The rules that look at one transaction by itself. Pure.

Each takes a policy, a proposal and the circumstances and gives its judgements, the passing ones included. One that
lacks what it needs refuses: nothing here has a default that allows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from bursar.amounts import to_decimal_text
from bursar.policy.decision import Judgement, Outcome
from bursar.policy.model import NATIVE_DECIMALS, Policy, Recipients, address_key
from bursar.policy.principals import identity_of
from bursar.policy.proposal import Circumstances, Kind, Payment, Proposal
from bursar.policy.times import (
    duration_text,
    hours_text,
    is_open,
    minute_of_week,
    moment_text,
)
from bursar.policy.tokens import amount_text, token_name

UNKNOWN: Final = "not known"
_SWITCH: Final = {
    Kind.BLIND_DIGEST: "blind_signing",
    Kind.UNVERIFIABLE: "unverifiable",
    Kind.SIGNER_CHANGE: "signer_changes",
}
# What a switch lets through has not been seen, so that its chain, fee and calls may not be known.
_UNSEEN: Final = (Kind.BLIND_DIGEST, Kind.UNVERIFIABLE)


def judged(rule: str, *, passed: bool, value: str, limit: str) -> Judgement:
    """Return a judgement that allows or refuses."""
    return Judgement(rule, Outcome.ALLOWED if passed else Outcome.REFUSED, value, limit)


def kind(policy: Policy, proposal: Proposal, _: Circumstances) -> Iterator[Judgement]:
    """A transfer is judged by its payments; anything else needs a switch of its own."""
    switch = _SWITCH.get(proposal.kind)
    if switch is not None:
        on = switch in policy.allow
        yield judged(
            f"allow.{switch}",
            passed=on,
            value=proposal.kind.value,
            limit=f"{switch} is {'' if on else 'not '}in allow",
        )
    elif proposal.kind is not Kind.TRANSFER:
        yield judged("kind", passed=False, value=proposal.kind.value, limit="only transfers")
    if proposal.kind is Kind.SIGNER_CHANGE and proposal.payments:
        yield judged(
            "kind",
            passed=False,
            value="a signer change with payments",
            limit="one or the other",
        )


def callers(policy: Policy, proposal: Proposal, _: Circumstances) -> Iterator[Judgement]:
    """Who asks must be on the list, and not on the other one."""
    who = identity_of(proposal.requested_by)
    shown = who or f"{proposal.requested_by or 'a caller'}, {UNKNOWN}"
    if policy.callers.deny:
        yield judged(
            "callers.deny",
            passed=who is not None and who not in policy.callers.deny,
            value=shown,
            limit=f"{len(policy.callers.deny)} may not ask",
        )
    yield judged(
        "callers.allow",
        passed=who in policy.callers.allow,
        value=shown,
        limit=_count(len(policy.callers.allow), "may ask"),
    )


def hours(policy: Policy, _: Proposal, circumstances: Circumstances) -> Iterator[Judgement]:
    """The moment must be in the opening hours, on the zone's own clocks. Without its data it is refused."""
    if policy.hours is None:
        return
    limit = f"open {hours_text(policy.hours)}, {policy.hours.zone}"
    try:
        zone = circumstances.zones(policy.hours.zone)
    except (KeyError, ValueError, OSError):
        value = f"there is no time zone data for {policy.hours.zone} here"
        yield judged("hours", passed=False, value=value, limit=limit)
        return
    minute = minute_of_week(circumstances.now, zone)
    yield judged(
        "hours", passed=is_open(policy.hours, minute), value=moment_text(minute), limit=limit
    )


def chains(policy: Policy, proposal: Proposal, _: Circumstances) -> Iterator[Judgement]:
    """The chain must be listed, and the fee within its ceiling."""
    if proposal.chain is None and proposal.kind is Kind.BLIND_DIGEST:
        return
    chain = policy.chains.get(proposal.chain or "")
    yield judged(
        "chains",
        passed=chain is not None,
        value=proposal.chain or UNKNOWN,
        limit=_listing(policy.chains),
    )
    fee = proposal.fee_at_most
    if chain is None or (fee is None and proposal.kind in _UNSEEN):
        return
    yield judged(
        f"chains.{proposal.chain}.fee_at_most",
        passed=fee is not None and fee <= chain.fee_at_most,
        value=UNKNOWN if fee is None else to_decimal_text(fee, NATIVE_DECIMALS),
        limit=f"at most {to_decimal_text(chain.fee_at_most, NATIVE_DECIMALS)}",
    )


def calls(policy: Policy, proposal: Proposal, _: Circumstances) -> Iterator[Judgement]:
    """No more calls than allowed; and in a transfer each of them must be a payment that is shown."""
    if proposal.calls is None and proposal.kind in _UNSEEN:
        return
    yield judged(
        "calls_at_most",
        passed=proposal.calls is not None and 1 <= proposal.calls <= policy.calls_at_most,
        value=UNKNOWN if proposal.calls is None else _calls(proposal.calls),
        limit=f"1 to {policy.calls_at_most}",
    )
    if proposal.kind is Kind.TRANSFER and proposal.calls is not None:
        yield judged(
            "calls",
            passed=proposal.calls == len(proposal.payments),
            value=f"{_calls(proposal.calls)}, {len(proposal.payments)} of them payments",
            limit="every call of a transfer is a payment",
        )


def tokens(policy: Policy, proposal: Proposal, _: Circumstances) -> Iterator[Judgement]:
    """Each payment's token must be listed, and its amount within the token's cap."""
    if proposal.kind is not Kind.TRANSFER:
        return
    for payment in proposal.payments:
        yield _token(policy, proposal, payment)
        yield from _cap(policy, proposal, payment)


def recipients(
    policy: Policy, proposal: Proposal, circumstances: Circumstances
) -> Iterator[Judgement]:
    """Nobody on the deny list, whatever is signed; a transfer pays only those who are listed or registered."""
    for payment in proposal.payments:
        address = address_key(payment.recipient)
        if policy.recipients.deny:
            yield _denied(policy.recipients, payment, address)
        if proposal.kind is Kind.TRANSFER:
            yield _listed(policy.recipients, payment, address)
            yield from _registered(policy.recipients, payment)
            yield from _seen(policy.recipients, address, circumstances)


def _token(policy: Policy, proposal: Proposal, payment: Payment) -> Judgement:
    name = token_name(policy, proposal, payment)
    named = payment.token or f"{proposal.chain}:{payment.contract or UNKNOWN}"
    value = named if payment.contract is None else f"{named} (contract {payment.contract})"
    problem = None
    if name is None:
        problem = _listing(policy.tokens)
    elif payment.amount is None or payment.amount == 0:
        amount = UNKNOWN if payment.amount is None else "0"
        value, problem = f"{value}, amount {amount}", "more than nothing"
    elif payment.decimals not in (None, policy.tokens[name].decimals):
        value = f"{value}, {payment.decimals} decimals"
        problem = f"{name} has {policy.tokens[name].decimals}"
    return judged("tokens", passed=problem is None, value=value, limit=problem or f"it is {name}")


def _cap(policy: Policy, proposal: Proposal, payment: Payment) -> Iterator[Judgement]:
    name, units = token_name(policy, proposal, payment), payment.amount or 0
    if name is None:
        return
    token = policy.tokens[name]
    # Of many payments it has to be said which one.
    whom = f" to {payment.recipient or UNKNOWN}" if len(proposal.payments) > 1 else ""
    yield judged(
        f"tokens.{name}.per_transfer",
        passed=0 < units <= token.per_transfer,
        value=f"{amount_text(units, token, name)}{whom}",
        limit=f"at most {amount_text(token.per_transfer, token, name)}",
    )


def _denied(rules: Recipients, payment: Payment, address: str | None) -> Judgement:
    name = rules.deny.get(address or "")
    return judged(
        "recipients.deny",
        passed=address is not None and name is None,
        value=f"{name + ', ' if name else ''}{payment.recipient or UNKNOWN}",
        limit=f"{len(rules.deny)} may not be paid",
    )


def _listed(rules: Recipients, payment: Payment, address: str | None) -> Judgement:
    name = rules.allow.get(address or "")
    value = f"{name + ', ' if name else ''}{payment.recipient or UNKNOWN}"
    limit = _count(len(rules.allow), "listed")
    passed = name is not None
    if rules.registered == "enough":
        limit = f"{limit}, or registered"
        passed = passed or (address is not None and payment.registered is True)
        value = f"{value}, {_standing(payment)}"
    return judged("recipients.allow", passed=passed, value=value, limit=limit)


def _registered(rules: Recipients, payment: Payment) -> Iterator[Judgement]:
    if rules.registered == "required":
        yield judged(
            "recipients.registered",
            passed=payment.registered is True,
            value=f"{payment.recipient or UNKNOWN}, {_standing(payment)}",
            limit="registered recipients only",
        )


def _seen(
    rules: Recipients, address: str | None, circumstances: Circumstances
) -> Iterator[Judgement]:
    if rules.new_delay is None:
        return
    first = circumstances.first_seen.get(address or "")
    age = None if first is None else (circumstances.now - first).total_seconds()
    yield judged(
        "recipients.new_delay",
        passed=age is not None and age >= rules.new_delay,
        value=f"{address or 'a recipient'}, first seen {first.isoformat() if first else UNKNOWN}",
        limit=f"known for {duration_text(rules.new_delay)}",
    )


def _standing(payment: Payment) -> str:
    if payment.registered is None:
        return f"registration {UNKNOWN}"
    return "registered" if payment.registered else "not registered"


def _listing(names: Iterable[str]) -> str:
    return f"listed: {', '.join(sorted(names)) or 'none'}"


def _count(number: int, what: str) -> str:
    return f"{number or 'none'} {what}"


def _calls(number: int) -> str:
    return f"{number} call{'' if number == 1 else 's'}"
