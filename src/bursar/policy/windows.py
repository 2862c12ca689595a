"""Rolling windows: what a transaction takes from each, and whether there is room. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from bursar.policy.decision import Bound, Judgement, Reservation
from bursar.policy.model import Limit, Policy, address_key
from bursar.policy.proposal import Circumstances, Kind, Proposal
from bursar.policy.rules import UNKNOWN, judged
from bursar.policy.times import duration_text
from bursar.policy.tokens import COIN, amount_text, token_name

ANY = "*"
_FEES = "fees:"


def windows(policy: Policy, proposal: Proposal) -> tuple[Reservation, ...]:
    """Return what a transaction takes from each window, one reservation for each key, ordered by key.

    A key is `<token>|<recipient>`, with `*` for any: it says what is counted and not for how long, so a policy
    with a longer window finds what was spent before. Amounts are in base units of the policy's token; under
    `*|…` only payments are counted; `fees:<chain>|*` is wei of worst-case fees. Blind and other switched-on kinds
    are payments of an unknown token to nobody known: they count once in the windows over everything.
    """
    taken: dict[str, tuple[int, int]] = {}
    bounds: dict[str, list[Bound]] = {}
    for limit in policy.limits:
        for key, use in _uses(limit, policy, proposal).items():
            taken[key] = use
            rule = limit_name(limit, policy)
            bounds.setdefault(key, []).append(Bound(limit.seconds, limit.amount, limit.count, rule))
    return tuple(Reservation(key, *taken[key], tuple(bounds[key])) for key in sorted(taken))


def takes(policy: Policy, proposal: Proposal) -> dict[str, tuple[int, int]]:
    """Return what a transaction takes from every window that a limit may ever have, by key: amount and count.

    It is kept whatever limits there are now, so that one that is added later finds what was spent before.
    """
    found: dict[str, tuple[int, int]] = {}
    if proposal.chain is not None and proposal.fee_at_most:
        found[f"{_FEES}{proposal.chain}|{ANY}"] = (proposal.fee_at_most, 0)
    if proposal.kind is not Kind.TRANSFER:
        return {**found, f"{ANY}|{ANY}": (0, 1)}
    for payment in proposal.payments:
        name, whose = token_name(policy, proposal, payment), address_key(payment.recipient)
        for token in {name, ANY} - {None}:
            for recipient in {whose, ANY} - {None}:
                amount, count = found.get(f"{token}|{recipient}", (0, 0))
                added = 0 if token == ANY else payment.amount or 0
                found[f"{token}|{recipient}"] = (amount + added, count + 1)
    return found


def limits(policy: Policy, proposal: Proposal, circumstances: Circumstances) -> Iterator[Judgement]:
    """Judge whether every window has room for the transaction. Unknown spending refuses."""
    for reservation in windows(policy, proposal):
        for bound in reservation.bounds:
            yield from _room(reservation, bound, policy, circumstances)


def limit_name(limit: Limit, policy: Policy) -> str:
    """Return the name under which a limit refuses: `limits[usdc, each recipient, 1 day]`."""
    if limit.fees_on is not None:
        return f"limits[fees on {limit.fees_on}, {duration_text(limit.seconds)}]"
    parts = [limit.token or "any token"]
    if limit.each_recipient:
        parts.append("each recipient")
    if limit.recipient is not None:
        parts.append(policy.recipients.allow.get(limit.recipient, limit.recipient))
    return f"limits[{', '.join([*parts, duration_text(limit.seconds)])}]"


def _uses(limit: Limit, policy: Policy, proposal: Proposal) -> dict[str, tuple[int, int]]:
    if limit.fees_on is not None:
        # Of a blind hash neither chain nor fee is known; the fee of anything else was judged by then.
        fees = (proposal.fee_at_most or 0, 0)
        return {f"{_FEES}{limit.fees_on}|{ANY}": fees} if proposal.chain == limit.fees_on else {}
    if proposal.kind is not Kind.TRANSFER:
        everything = limit.token is None and limit.recipient is None and not limit.each_recipient
        return {f"{ANY}|{ANY}": (0, 1)} if everything else {}
    found: dict[str, tuple[int, int]] = {}
    for payment in proposal.payments:
        address = address_key(payment.recipient)
        of_token = limit.token in (None, token_name(policy, proposal, payment))
        if not of_token or limit.recipient not in (None, address):
            continue
        whose = address if limit.each_recipient or limit.recipient else ANY
        key = f"{limit.token or ANY}|{whose}"
        amount, count = found.get(key, (0, 0))
        added = (payment.amount or 0) if limit.token else 0
        found[key] = (amount + added, count + 1)
    return found


def _room(
    reservation: Reservation, bound: Bound, policy: Policy, circumstances: Circumstances
) -> Iterator[Judgement]:
    spent = circumstances.spent.get((reservation.key, bound.seconds))
    if spent is None:
        value = f"what was spent under {reservation.key} is {UNKNOWN}"
        yield judged(bound.rule, passed=False, value=value, limit=_limit_text(bound))
        return
    if bound.amount is not None:
        after = spent.amount + reservation.amount
        yield judged(
            bound.rule,
            passed=after <= bound.amount,
            value=f"{_amount(reservation.key, after, policy)} with this one",
            limit=f"at most {_amount(reservation.key, bound.amount, policy)}",
        )
    if bound.count is not None:
        yield judged(
            bound.rule,
            passed=spent.count + reservation.count <= bound.count,
            value=f"{_payments(spent.count + reservation.count)} with this one",
            limit=f"at most {_payments(bound.count)}",
        )


def _amount(key: str, units: int, policy: Policy) -> str:
    name = key.partition("|")[0]
    if name.startswith(_FEES):
        return f"{amount_text(units, COIN, 'of its coin')} in fees"
    return amount_text(units, policy.tokens[name], name)


def _limit_text(bound: Bound) -> str:
    return f"in {duration_text(bound.seconds)}"


def _payments(number: int) -> str:
    return f"{number} payment{'' if number == 1 else 's'}"
