"""A plan, and what is foreseen of it, as `bursar payout` prints them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from bursar.cli.shell import Shell, listing, printable
from bursar.errors import PlanRejected

if TYPE_CHECKING:
    from bursar.payouts.outlook import Outlook
    from bursar.payouts.plan import Plan
    from bursar.payouts.problems import Problem

_SHOWN = 20


def say_problems(shell: Shell, rejected: PlanRejected) -> None:
    """Say what is wrong with a file."""
    for each in rejected.problems[:_SHOWN]:
        where = f"line {each['line']}" if each["line"] else "the file"
        value = f" {each['value']!r}" if each["value"] else ""
        shell.say(f"{where}, {each['column'] or 'all of it'}{value}: {each['what']}; {each['fix']}")
    if len(rejected.problems) > _SHOWN:
        shell.say(f"and {len(rejected.problems) - _SHOWN} more; --json has all of them")


def summary(made: Plan) -> str:
    """Return what a plan pays, and its hash."""
    totals = "; ".join(f"{each.text} {each.name} in {each.count} payments" for each in made.totals)
    warned = f"; {len(made.warnings)} warnings" if made.warnings else ""
    return f"{len(made.lines)} lines from {made.wallet}: {totals}{warned}\nplan {made.hash}"


def told(made: Plan) -> dict[str, Any]:
    """Return a plan as `--json` prints it."""
    return {
        "hash": made.hash,
        "wallet": str(made.wallet),
        "address": made.address,
        "chain": made.chain,
        "lines": len(made.lines),
        "totals": [
            {
                "token": each.name,
                "payments": each.count,
                "amount": each.text,
                "units": str(each.units),
            }
            for each in made.totals
        ],
        "warnings": [
            {"line": each.line, "column": each.column, "what": each.what} for each in made.warnings
        ],
    }


def shown(made: Plan, outlook: Outlook) -> Any:
    """Return a plan and its outlook for people."""
    rows = [[each.name, str(each.count), each.text] for each in made.totals]
    parts = [list(outlook.summary), few(outlook.findings), few(made.warnings)]
    lines = [line for part in parts if part for line in ("", *part)]
    return listing(("token", "payments", "amount"), rows) + printable(
        "\n".join(["", *lines, "", f"plan {made.hash}"])
    )


def few(found: Sequence[Problem]) -> list[str]:
    """Return the first findings, or warnings, for people."""
    told = [f"{each}; {each.fix}" for each in found[:_SHOWN]]
    more = len(found) - len(told)
    return [*told, f"and {more} more; --json has all of them"] if more else told
