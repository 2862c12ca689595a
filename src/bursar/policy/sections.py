"""Each section of a policy file, from its table to the model. Pure.

Whatever is wrong is noted; what is returned then is only good for finding more of it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, get_args
from unicodedata import normalize

from bursar.chains.evm import parse_address
from bursar.errors import AddressError
from bursar.policy.model import (
    LONGEST_WINDOW,
    NATIVE_DECIMALS,
    ApprovalRule,
    Callers,
    Chain,
    Hours,
    Limit,
    Recipients,
    Registered,
    Span,
    Token,
    address_key,
    is_evm_address,
)
from bursar.policy.principals import identity_of, is_session
from bursar.policy.tables import Table
from bursar.policy.times import NotATime, merged, opening

_CHAIN = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*", re.ASCII)
_TOKEN = re.compile(r"[a-z0-9][a-z0-9._-]{0,30}", re.ASCII)
# What would make one recipient read as two, or as an address.
_CONFUSING = re.compile(r"[(),;=\"'`]|0x[0-9a-fA-F]{8}")
_YEAR: Final = 366 * 86_400
_DAY: Final = 86_400
_DECIMALS: Final = 255


def read_chains(top: Table) -> dict[str, Chain]:
    """Return the chains of `[chains.<name>]`."""
    found = {}
    section = top.table("chains")
    for name, table in section.each_table() if section else ():
        if not _CHAIN.fullmatch(name):
            table.findings.error(table.path, f"{name[:40]!r} is not a chain's name")
        fee = table.amount("fee_at_most", NATIVE_DECIMALS, required=True)
        found[name] = Chain(fee or 0)
        table.finish()
    return found


def read_tokens(top: Table) -> dict[str, Token]:
    """Return the tokens of `[tokens.<name>]`."""
    found: dict[str, Token] = {}
    owners: dict[str, str] = {}
    section = top.table("tokens")
    for name, table in section.each_table() if section else ():
        if not _TOKEN.fullmatch(name):
            table.findings.error(
                table.path,
                f"{name[:40]!r} is not a token's name",
                "small letters, digits, dots and dashes",
            )
        decimals = table.number("decimals", 0, _DECIMALS, required=True)
        cap = table.amount("per_transfer", decimals, required=True)
        found[name] = Token(decimals or 0, cap or 0, _locators(table, name, owners))
        table.finish()
    return found


def read_recipients(top: Table) -> Recipients | None:
    """Return who may be paid, of `[recipients]`, `[recipients.allow]` and `[recipients.deny]`."""
    table = top.table("recipients")
    if table is None:
        return None
    registered = table.text("registered") or "no"
    if registered not in get_args(Registered):
        table.error(
            "registered",
            f"registered is {registered[:40]!r}",
            '"enough" (listed or registered), "required" (listed and registered) or "no"',
        )
    delay = table.seconds("new_delay", 60, _YEAR)
    found: dict[str, Any] = {"registered": registered, "new_delay": delay}
    rules = Recipients(_named(table, "allow"), _named(table, "deny"), **found)
    table.finish()
    return rules


def read_callers(top: Table) -> Callers | None:
    """Return who may ask, of `[callers]`."""
    table = top.table("callers")
    if table is None:
        return None
    found = Callers(_principals(table, "allow"), _principals(table, "deny"))
    table.finish()
    return found


def read_wallet_factories(top: Table) -> frozenset[str]:
    """Return the further contracts that may deploy a wallet, of `wallet_factories`."""
    found = set()
    for position, text in top.texts("wallet_factories"):
        try:
            found.add(parse_address(text).lower())
        except AddressError as problem:
            top.findings.error(("wallet_factories", position), problem.message, problem.hint)
    return frozenset(found)


def read_limits(
    top: Table, chains: Mapping[str, Chain], tokens: Mapping[str, Token], recipients: Recipients
) -> list[Limit]:
    """Return the rolling windows of `[[limits]]`, in the file's order."""
    found = []
    for table in top.tables("limits"):
        seconds = table.seconds("per", 60, LONGEST_WINDOW, required=True)
        fees_on = table.text("fees_on")
        if fees_on is not None:
            found.append(_fee_limit(table, seconds or 0, fees_on, chains))
            continue
        token = _token(table, tokens)
        amount = _token_amount(table, "amount", token, tokens)
        count = table.number("count", 1, 10**6)
        each = table.flag("each_recipient")
        recipient = _recipient(table, recipients)
        if not table.has("amount") and not table.has("count"):
            table.findings.error(table.path, "it limits nothing", "write an amount or a count")
        if each and recipient:
            table.error("recipient", "one recipient and each recipient", "write one of them")
        table.finish()
        found.append(Limit(seconds or 0, token, recipient, each, amount, count))
    return found


def _fee_limit(table: Table, seconds: int, chain: str, chains: Mapping[str, Chain]) -> Limit:
    amount = table.amount("amount", NATIVE_DECIMALS, required=True)
    if chain not in chains:
        table.error(
            "fees_on", f"there is no chain {chain[:40]!r} in [chains]", "add it, or name another"
        )
    table.finish()
    return Limit(seconds, amount=amount or 0, fees_on=chain)


def read_hours(top: Table) -> Hours | None:
    """Return the opening hours of `[hours]`."""
    table = top.table("hours")
    if table is None:
        return None
    zone = table.text("zone", required=True)
    spans: list[Span] = []
    for position, text in table.texts("open", required=True):
        try:
            spans += opening(text)
        except NotATime as problem:
            path = (*table.path, "open", position)
            table.findings.error(path, f"{text[:40]!r} is no opening time", str(problem))
    table.finish()
    return Hours(zone or "", merged(spans))


def read_approvals(top: Table, tokens: Mapping[str, Token]) -> list[ApprovalRule]:
    """Return the approval rules of `[[approvals]]`, in the file's order."""
    found = []
    for table in top.tables("approvals"):
        token = _token(table, tokens)
        above = _token_amount(table, "above", token, tokens)
        approvers = table.number("approvers", 1, 20, required=True)
        by = _principals(table, "by", required=True)
        within = table.seconds("within", 60, LONGEST_WINDOW)
        table.finish()
        found.append(ApprovalRule(approvers or 1, by, within or _DAY, token, above or 0))
    return found


def _locators(table: Table, name: str, owners: dict[str, str]) -> frozenset[str]:
    found = set()
    for position, text in table.texts("locators", required=True):
        path = (*table.path, "locators", position)
        chain, _, token = text.partition(":")
        if not _CHAIN.fullmatch(chain) or not _is_token(token):
            hint = (
                "a chain and a contract, like base-sepolia:0x…; for its own coin base-sepolia:eth"
            )
            table.findings.error(path, f"{text[:80]!r} is not a token's locator", hint)
            continue
        key = f"{chain}:{_address(table, path, token) or token.lower()}"
        if owners.setdefault(key, name) != name:
            table.findings.error(path, f"{text[:80]} is {owners[key]}'s already")
        found.add(key)
    return frozenset(found)


def _is_token(text: str) -> bool:
    return address_key(text) is not None or _TOKEN.fullmatch(text.lower()) is not None


def _named(recipients: Table, name: str) -> dict[str, str]:
    table = recipients.table(name)
    found: dict[str, str] = {}
    for who in table.value if table else ():
        address = table.text(who) if table else None
        if address is None or table is None:
            continue
        path, label = (*table.path, who), normalize("NFC", who)
        key = _address(table, path, address)
        if key is None:
            table.findings.error(
                path, f"{address[:80]!r} is not an address", "0x and 40 hex digits"
            )
        elif not label.strip() or not label.isprintable() or _CONFUSING.search(label):
            table.findings.error(
                path, "a recipient's name is printable text without ( ) , ; = or quotes"
            )
        elif key in found:
            table.findings.error(path, f"{label} has the address of {found[key]}")
        elif label in found.values():
            table.findings.error(path, f"{label} has another address already")
        else:
            found[key] = label
    return found


def _address(table: Table, path: tuple[str | int, ...], text: str) -> str | None:
    if is_evm_address(text):
        try:
            parse_address(text)
        except AddressError as problem:
            table.findings.error(path, problem.message, problem.hint)
    return address_key(text)


def _principals(table: Table, name: str, *, required: bool = False) -> frozenset[str]:
    found = set()
    for position, text in table.texts(name, required=required):
        path = (*table.path, name, position)
        identity = identity_of(text)
        if is_session(text):
            table.findings.error(
                path, "a session cannot be named alone", f"name its role: {identity}"
            )
        elif identity is None:
            table.findings.error(
                path,
                f"{text[:80]!r} is not an IAM user or role",
                "a whole ARN, like arn:aws:iam::111122223333:role/payroll",
            )
        else:
            found.add(identity)
    return frozenset(found)


def _token(table: Table, tokens: Mapping[str, Token]) -> str | None:
    name = table.text("token")
    if name is not None and name not in tokens:
        known = ", ".join(sorted(tokens)) or "none"
        table.error("token", f"there is no [tokens.{name[:40]}]", f"there is: {known}")
    return name


def _token_amount(
    table: Table, name: str, token: str | None, tokens: Mapping[str, Token]
) -> int | None:
    if table.has(name) and token is None and not table.has("token"):
        table.error(name, f"{name} without a token", 'say of what: token = "usdc"')
    known = tokens.get(token or "")
    return table.amount(name, known.decimals if known else None)


def _recipient(table: Table, recipients: Recipients) -> str | None:
    name = table.text("recipient")
    if name is None:
        return None
    label = normalize("NFC", name)
    found = [address for address, who in recipients.allow.items() if who == label]
    if not found:
        table.error(
            "recipient",
            f"{name[:60]!r} is not in [recipients.allow]",
            "limits name recipients as that list does",
        )
        return None
    return found[0]
