"""A file of payments as a plan: every line judged, totals to the last unit, and one hash for all of it. Pure.

The hash covers everything that will be paid: the wallet, and of each line its id, recipient, token (with the
contract it means), amount in base units, type and note, in order. It does not depend on what kind of file it was,
on how a number or an address was written, or on columns of one's own.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from bursar.amounts import to_decimal_text
from bursar.crossmint.locators import WalletLocator
from bursar.errors import PlanChanged
from bursar.payouts.lines import Line, LineReader, Payer
from bursar.payouts.problems import Problem, rejected
from bursar.payouts.table import Table
from bursar.review.intent import NATIVE, Token

FORMAT: Final = "bursar.payout/1"
_MOST: Final = 2**256 - 1


@dataclass(frozen=True, slots=True)
class Total:
    """What a plan pays of one token: how many payments, and their sum in base units."""

    token: Token
    count: int
    units: int

    @property
    def name(self) -> str:
        """The token's name, or its contract where it has none."""
        return self.token.symbol or self.token.contract or NATIVE

    @property
    def text(self) -> str:
        """The sum as decimal text in whole tokens."""
        return to_decimal_text(self.units, self.token.decimals or 0)


@dataclass(frozen=True, slots=True)
class Plan:
    """Payments that can be made, in the order of the file, from one wallet on one chain.

    `wallet` is how Crossmint names the treasury, `address` the wallet's. `totals` and `hash` follow from the rest.
    """

    wallet: WalletLocator
    address: str
    chain: str
    lines: tuple[Line, ...]
    warnings: tuple[Problem, ...] = ()
    totals: tuple[Total, ...] = field(init=False)
    hash: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "totals", totals_of(self.lines))
        object.__setattr__(self, "hash", f"sha256:{hashlib.sha256(canonical(self)).hexdigest()}")


def make_plan(table: Table, payer: Payer) -> Plan:
    """Return the plan of a file's table.

    Raises:
        PlanRejected: anything is wrong with any line; `problems` has all of it.
    """
    reader = LineReader(payer)
    problems = [*table.problems, *_id_problems(table, payer)]
    # What was said of a cell, or of a whole column, is not to be said again as missing or wrong.
    said = {(each.line, each.column) for each in problems}
    read = [reader.read(row, place) for place, row in enumerate(table.rows, 1)]
    problems += [
        each for each in reader.problems if not {(each.line, each.column), (0, each.column)} & said
    ]
    lines = tuple(line for line in read if line is not None)
    problems += _repeated_ids(table, payer)
    if not problems:
        problems += _sums_too_large(lines)
    if problems:
        raise rejected(problems)
    warnings = (*table.warnings, *reader.warnings, *_repeated_payments(lines))
    in_order = tuple(sorted(warnings, key=lambda each: each.line))
    return Plan(payer.wallet, payer.address, payer.chain, lines, in_order)


def require_same(plan: Plan, agreed: str) -> None:
    """Refuse a plan that is not the one that was agreed to, by its hash.

    Raises:
        PlanChanged: it is another.
    """
    if plan.hash != agreed:
        raise PlanChanged(
            f"the plan is {plan.hash}, and {agreed[:100]} was agreed to",
            hint="compare the file with the one that was planned, or plan it again and have it agreed to",
        )


def totals_of(lines: Iterable[Line]) -> tuple[Total, ...]:
    """Return what lines pay of each token, in the order in which tokens come. A contract is one token."""
    found: dict[str | None, Total] = {}
    for line in lines:
        before = found.get(line.meant.contract) or Total(line.meant, 0, 0)
        total = Total(before.token, before.count + 1, before.units + line.units)
        found[line.meant.contract] = total
    return tuple(found.values())


def canonical(plan: Plan) -> bytes:
    """Return everything that a plan pays as canonical JSON: ASCII, no spaces, keys sorted, base units as text."""
    body = {
        "format": FORMAT,
        "wallet": {"locator": str(plan.wallet), "address": plan.address, "chain": plan.chain},
        "lines": [_line(each) for each in plan.lines],
    }
    return json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()


def _line(line: Line) -> dict[str, Any]:
    return {
        "id": line.id,
        "recipient": str(line.recipient),
        "token": str(line.token),
        "contract": line.meant.contract or NATIVE,
        "decimals": line.meant.decimals,
        "units": str(line.units),
        "type": line.type.value,
        "note": line.note,
    }


def _id_problems(table: Table, payer: Payer) -> list[Problem]:
    has_ids = "id" in table.columns
    if has_ids and payer.id_prefix is not None:
        what, fix = "it has ids of its own", "leave the prefix out, or the column"
        return [Problem(0, "id", "", what, fix)]
    if not has_ids and payer.id_prefix is None and table.rows:
        what = "the column is missing"
        fix = "give each payment an id that stays the same, or a prefix for all of them"
        return [Problem(0, "id", "", what, fix)]
    return []


def _repeated_ids(table: Table, payer: Payer) -> list[Problem]:
    if payer.id_prefix is not None:
        return []
    first: dict[str, int] = {}
    found = []
    for row in table.rows:
        own_id = row.cells.get("id")
        if own_id and first.setdefault(own_id, row.number) != row.number:
            what = f"line {first[own_id]} has the same id"
            fix = "give every payment its own id; if it is the same payment, keep one line"
            found.append(Problem(row.number, "id", own_id, what, fix))
    return found


def _sums_too_large(lines: tuple[Line, ...]) -> list[Problem]:
    return [
        Problem(
            0,
            "amount",
            each.name,
            f"the amounts of {each.name} add up to more than 256 bits",
            "look for an amount that is far too large",
        )
        for each in totals_of(lines)
        if each.units > _MOST
    ]


def _repeated_payments(lines: tuple[Line, ...]) -> list[Problem]:
    """Return the warnings about recipients who come again, and whether with the same amount of the same token."""
    seen: dict[str, int] = {}
    paid: dict[tuple[str, str | None, int], int] = {}
    found = []
    for line in lines:
        who = str(line.recipient)
        same = paid.setdefault((who, line.meant.contract, line.units), line.number)
        first = seen.setdefault(who, line.number)
        if same != line.number:
            what = f"it pays the same amount to the same recipient as line {same}"
            found.append(Problem(line.number, "", who, what, "look whether it is meant twice"))
        elif first != line.number:
            what = f"line {first} pays the same recipient"
            found.append(Problem(line.number, "recipient", who, what, "look whether it is meant"))
    return found
