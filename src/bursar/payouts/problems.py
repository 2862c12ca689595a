"""What is wrong with a file of payments: where, what, and what to do. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from bursar.errors import PlanRejected

_LONGEST: Final = 60


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing to put right, or to know (as a warning).

    `line` counts as the file does, from 1 (in a workbook it is the row); 0 stands for the file as a whole.
    `column` is empty for the whole line. `value` is made short and printable, whatever was in the file.
    """

    line: int
    column: str
    value: str
    what: str
    fix: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "value", shown(self.value))

    def __str__(self) -> str:
        where = f"line {self.line}" if self.line else "the file"
        where += f", {self.column}" if self.column else ""
        return f"{where}: {self.what}"

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return asdict(self)


def shown(text: str) -> str:
    """Return text of a file as it may be shown: on one line, at most 60 characters, nothing invisible in it."""
    plain = "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text)
    return plain if len(plain) <= _LONGEST else plain[: _LONGEST - 1] + "…"


def rejected(problems: Iterable[Problem]) -> PlanRejected:
    """Return the error of a file with problems: the first in its message, all of them in `problems`."""
    found = sorted(problems, key=lambda each: each.line)
    first, more = found[0], len(found) - 1
    rest = f", and {more} more {'problem' if more == 1 else 'problems'}" if more else ""
    return PlanRejected(
        f"{first}{rest}",
        hint=f"{first.fix}; nothing was paid",
        problems=tuple(each.to_dict() for each in found),
    )


def rejected_file(what: str, fix: str) -> PlanRejected:
    """Return the error of a file that is wrong as a whole."""
    return rejected([Problem(0, "", "", what, fix)])


def in_short(found: Sequence[Problem], most: int = 20) -> list[str]:
    """Return problems or warnings for people: those that say the same once, with their lines; at most `most`."""
    by_words: dict[tuple[str, str], list[int]] = {}
    for each in found:
        by_words.setdefault((each.column, each.what), []).append(each.line)
    told = [_told(*words, lines) for words, lines in by_words.items()]
    more = len(told) - most
    return told if more <= 0 else [*told[:most], f"and {more} more"]


def _told(column: str, what: str, lines: list[int]) -> str:
    first = ", ".join(str(line) for line in lines[:5] if line)
    where = f"line{'s' if len(lines) > 1 else ''} {first}" if first else "the file"
    if len(lines) > 5:
        where += f" and {len(lines) - 5} more"
    return f"{where}{', ' + column if column else ''}: {what}"
