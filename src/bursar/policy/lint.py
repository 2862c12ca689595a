"""What a policy says and hardly means: contradictions, rules that never act, doors left open. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import tzinfo
from difflib import get_close_matches
from itertools import permutations
from typing import Final

from bursar.policy.document import Document
from bursar.policy.findings import Finding, Findings
from bursar.policy.model import NATIVE_DECIMALS, Limit, Policy
from bursar.policy.times import duration_text, zone_named
from bursar.policy.tokens import amount_text, contracts_on

# Coins of chains by their symbols, for doubts alone: which coin a chain has is not known here.
_COINS: Final = frozenset(
    ("eth", "pol", "matic", "avax", "bnb", "ape", "chz", "flow", "mnt", "sei", "vic", "native")
)


def lint(
    document: Document,
    *,
    chains: Collection[str] = (),
    zones: Callable[[str], tzinfo] = zone_named,
    decimals: Mapping[str, int] | None = None,
) -> tuple[Finding, ...]:
    """Return all findings on a file: those made when it was read, and those on what it means.

    `chains` are the names of chains that are known; without them no chain is doubted. `decimals` are those of
    tokens that are known, by locator in small letters; with them it is doubted too whether a token is a coin, and
    whether small payments ever end.
    """
    if document.policy is None:
        return document.findings
    findings = Findings(document.places)
    findings.found += document.findings
    _grants(document.policy, findings)
    _contradictions(document.policy, findings)
    _chains(document.policy, findings, chains)
    _tokens(document.policy, findings)
    if decimals is not None:
        _decimals(document.policy, findings, decimals)
        _coins(document.policy, findings)
        _growth(document.policy, findings)
    _batches(document.policy, findings)
    _limits(document, document.policy, findings)
    _approvals(document, document.policy, findings)
    _hours(document.policy, findings, zones)
    _switches(document.policy, findings)
    return findings.ordered()


def _grants(policy: Policy, findings: Findings) -> None:
    recipients = policy.recipients
    granted = {
        "chains": bool(policy.chains),
        "tokens": bool(policy.tokens),
        "recipients": bool(recipients.allow) or recipients.registered == "enough",
        "callers": bool(policy.callers.allow),
    }
    for section, some in granted.items():
        if not some:
            findings.warn((section,), f"it allows no {section}, so every transfer is refused")


def _contradictions(policy: Policy, findings: Findings) -> None:
    recipients = policy.recipients
    for address in sorted(recipients.allow.keys() & recipients.deny.keys()):
        name = recipients.allow[address]
        findings.error(
            ("recipients", "allow", name),
            f"{name} is allowed and, as {recipients.deny[address]}, denied",
            "deny wins; remove one of them",
        )
    for who in sorted(policy.callers.allow & policy.callers.deny):
        findings.error(
            ("callers", "allow"), f"{who} is allowed and denied", "deny wins; remove one of them"
        )


def _chains(policy: Policy, findings: Findings, known: Collection[str]) -> None:
    used = {locator.partition(":")[0] for t in policy.tokens.values() for locator in t.locators}
    for name in policy.chains:
        if known and name not in known:
            close = get_close_matches(name, known, n=1)
            hint = f"did you mean {close[0]}?" if close else None
            findings.warn(
                ("chains", name), f"Crossmint has no chain {name} that is known here", hint
            )
        if name not in used:
            findings.warn(("chains", name), f"no token of yours is on {name}")


def _tokens(policy: Policy, findings: Findings) -> None:
    for name, token in policy.tokens.items():
        if not token.locators:
            findings.warn(("tokens", name, "locators"), f"{name} is nowhere, so it is never paid")
        places = {locator.partition(":")[0] for locator in token.locators}
        for chain in sorted(places - policy.chains.keys()):
            findings.warn(
                ("tokens", name, "locators"), f"{name} is on {chain}, which is not allowed"
            )
        for chain in sorted(places):
            if not contracts_on(token, chain) and token.decimals != NATIVE_DECIMALS:
                findings.warn(
                    ("tokens", name, "locators"),
                    f"on {chain} {name} has no contract, and {token.decimals} decimals",
                    f"only the chain's own coin is known by its symbol; add {chain}:<contract>",
                )


def _decimals(policy: Policy, findings: Findings, known: Mapping[str, int]) -> None:
    for name, token in policy.tokens.items():
        for locator in sorted(token.locators):
            right = known.get(locator, token.decimals)
            if right != token.decimals:
                findings.error(
                    ("tokens", name, "decimals"),
                    f"{locator} has {right} decimals, not {token.decimals}: every amount would be another",
                )


def _coins(policy: Policy, findings: Findings) -> None:
    for name, token in policy.tokens.items():
        for chain in sorted({locator.partition(":")[0] for locator in token.locators}):
            if name not in _COINS and not contracts_on(token, chain):
                findings.warn(
                    ("tokens", name, "locators"),
                    f"on {chain} {name} has no contract, so it is the chain's own coin",
                    f"if it is not, add {chain}:<contract>",
                )


def _growth(policy: Policy, findings: Findings) -> None:
    everything = (each for each in policy.limits if not each.recipient and not each.each_recipient)
    counted = any(each.count is not None and each.token is None for each in everything)
    bounded = policy.chains.keys() <= {each.fees_on for each in policy.limits}
    if not (counted or (policy.chains and bounded)):
        findings.warn(
            ("limits",),
            "nothing limits how many payments there are: small ones, each with its fee, never end",
            'add a limit of everything (count = 100) or of fees (fees_on = "<chain>", amount = "0.05")',
        )


def _limits(document: Document, policy: Policy, findings: Findings) -> None:
    for position, limit in enumerate(document.limits):
        path = ("limits", position)
        if limit in document.limits[:position]:
            findings.warn(path, "the same limit stands above")
        if limit.token is None or limit.amount is None:
            continue
        token = policy.tokens[limit.token]
        if limit.amount < token.per_transfer:
            cap = amount_text(token.per_transfer, token, limit.token)
            findings.warn(
                (*path, "amount"), f"one transfer may move {cap}, which is over this limit"
            )
    for (position, shorter), (_, longer) in permutations(enumerate(document.limits), 2):
        if _scope(shorter) == _scope(longer) and shorter.seconds < longer.seconds:
            _never_reached(position, shorter, longer, findings)


def _never_reached(position: int, shorter: Limit, longer: Limit, findings: Findings) -> None:
    for what in ("amount", "count"):
        here, there = getattr(shorter, what), getattr(longer, what)
        if here is not None and there is not None and here >= there:
            findings.warn(
                ("limits", position, what),
                f"never reached: in {duration_text(longer.seconds)} no more is allowed",
            )


def _scope(limit: Limit) -> tuple[str | None, str | None, bool, str | None]:
    return limit.token, limit.recipient, limit.each_recipient, limit.fees_on


def _approvals(document: Document, policy: Policy, findings: Findings) -> None:
    for position, rule in enumerate(document.approvals):
        path = ("approvals", position)
        if rule in document.approvals[:position]:
            findings.warn(path, "the same approval rule stands above")
        able = rule.by - policy.callers.deny
        if len(able) < rule.approvers:
            findings.error(
                (*path, "approvers"),
                f"{rule.approvers} must approve, and {len(able)} may",
                "add approvers to by, or ask for fewer",
            )
        elif able & policy.callers.allow and len(able) == rule.approvers:
            findings.warn(
                (*path, "by"),
                "what one of the approvers asks for is never approved: nobody approves their own request",
                "add an approver",
            )
        if rule.token is not None and rule.above >= _most_moved(rule.token, policy):
            findings.warn((*path, "above"), "never needed: no transaction may move more")


def _batches(policy: Policy, findings: Findings) -> None:
    """Doubt batches that only the cap of each payment bounds."""
    bounded = {each.token for each in policy.limits if each.amount is not None}
    for name in policy.tokens if policy.calls_at_most > 1 else ():
        if name not in bounded:
            token = policy.tokens[name]
            most = amount_text(_most_moved(name, policy), token, name)
            findings.warn(
                ("calls_at_most",),
                f"one transaction may move {most}: {policy.calls_at_most} payments, and no limit on {name}",
                f'add a limit (token = "{name}", amount = "…")',
            )


def _most_moved(token: str, policy: Policy) -> int:
    return policy.tokens[token].per_transfer * policy.calls_at_most


def _hours(policy: Policy, findings: Findings, zones: Callable[[str], tzinfo]) -> None:
    if policy.hours is None:
        return
    if not policy.hours.open:
        findings.warn(("hours", "open"), "it is never open, so everything is refused")
    try:
        zones(policy.hours.zone)
    except (KeyError, ValueError, OSError):
        findings.error(
            ("hours", "zone"),
            f"there is no time zone {policy.hours.zone[:60]!r} on this machine",
            "an IANA name, like Europe/Berlin; where it cannot be found everything is refused",
        )


def _switches(policy: Policy, findings: Findings) -> None:
    for name in sorted(policy.allow):
        findings.warn(("allow",), f"{name} is allowed", "remove it unless it is needed right now")
