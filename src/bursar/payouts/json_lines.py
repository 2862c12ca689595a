"""Payments as one JSON object a line. Pure. Source: jsonlines.org, RFC 8259.

Every value is text. A JSON number is a float to many programs, so an amount that came through one may not be what
was meant.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from bursar.payouts.delimited import decoded
from bursar.payouts.problems import Problem
from bursar.payouts.table import (
    COLUMNS,
    MOST_LINES,
    Cell,
    Gathering,
    Table,
    column_name,
    header_problems,
    too_many,
    width_problems,
)
from bursar.strict_json import NotStrictJson, loads

_QUOTE: Final = 'write it in quotes, like "25.00"'


def read_json_lines(body: bytes) -> Table:
    """Return the table in UTF-8 bytes, with or without a byte order mark. Empty lines count for nothing.

    Raises:
        PlanRejected: another encoding, a column that is missing altogether, or no payments.
    """
    gathering, several = Gathering(), 0
    for number, line in enumerate(decoded(body).encode().split(b"\n"), 1):
        if not line.strip():
            continue
        several += 1
        if several > MOST_LINES:  # those that are no payments count too, and so do their problems
            raise too_many()
        found = _object(gathering, number, line)
        if found is not None:
            gathering.add(number, _cells(gathering, number, found))
    if not gathering.rows and gathering.problems:
        return Table(frozenset(), (), tuple(gathering.problems))
    return gathering.table()


def _object(gathering: Gathering, number: int, line: bytes) -> Mapping[str, Any] | None:
    try:
        found = loads(line)
    except NotStrictJson as problem:
        _note(gathering, number, f"it is not JSON: {problem}", "write one JSON object a line")
        return None
    if not isinstance(found, dict):
        _note(gathering, number, "it is no JSON object", "write one JSON object a line")
        return None
    if problems := width_problems(number, len(found)):
        gathering.problems += problems
        return None
    return found


def _cells(gathering: Gathering, number: int, found: Mapping[str, Any]) -> list[tuple[str, Cell]]:
    names = [column_name(each) for each in found]
    gathering.problems += header_problems(number, names)
    if "" in names:
        _note(gathering, number, "a name is empty", f"names are {', '.join(COLUMNS)}")
    named = zip(names, found.values(), strict=True)
    return [(name, _cell(value)) for name, value in named if name in COLUMNS]


def _cell(value: Any) -> Cell:
    if value is None:
        return Cell("")
    if isinstance(value, str):
        return Cell(value)
    kind = {bool: "true or false", int: "a number", float: "a number"}.get(
        type(value), "more than one value"
    )
    return Cell(str(value)[:100], flaw=f"it is {kind} and no text", fix=_QUOTE)


def _note(gathering: Gathering, number: int, what: str, fix: str) -> None:
    gathering.problems.append(Problem(number, "", "", what, fix))
