"""Tables of a policy file, read strictly: every key has a type, and no key is ignored. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, TypeVar

from bursar.amounts import to_base_units
from bursar.errors import AmountError
from bursar.policy.findings import Findings
from bursar.policy.places import Path
from bursar.policy.times import NotATime, duration

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Float:
    """A TOML number with a point, as it was written. No rule takes one."""

    written: str


class Table:
    """One table and the path to it. Each reader notes its finding and returns None where a value is wrong."""

    def __init__(self, value: Mapping[str, Any], path: Path, findings: Findings) -> None:
        self.value = value
        self.path = path
        self.findings = findings
        self.asked: list[str] = []

    def error(self, name: str, message: str, hint: str | None = None) -> None:
        """Note an error at a key; at the table where the key is missing."""
        self.findings.error((*self.path, name), message, hint)

    def has(self, name: str) -> bool:
        """Tell whether a key is there."""
        return name in self.value

    def text(self, name: str, *, required: bool = False) -> str | None:
        """Return a key's text."""
        return self._of_type(name, str, "text in quotes", required=required)

    def flag(self, name: str) -> bool:
        """Return a key's truth, false where it is missing."""
        return bool(self._of_type(name, bool, "true or false"))

    def number(self, name: str, least: int, most: int, *, required: bool = False) -> int | None:
        """Return a key's whole number between `least` and `most`."""
        value = self._of_type(name, int, "a whole number", required=required)
        if value is not None and not least <= value <= most:
            self.error(name, f"{name} is {value}, and must be {least} to {most}")
            return None
        return value

    def amount(self, name: str, decimals: int | None, *, required: bool = False) -> int | None:
        """Return a key's amount in base units."""
        value = self._of_type(name, str, 'an amount in quotes, like "250.00"', required=required)
        if value is None or decimals is None:
            return None
        try:
            return to_base_units(value, decimals)
        except AmountError as problem:
            self.error(name, f"{name}: {problem.message}", problem.hint)
            return None

    def seconds(self, name: str, least: int, most: int, *, required: bool = False) -> int | None:
        """Return a key's duration in seconds."""
        value = self._of_type(name, str, 'a duration, like "day" or "36h"', required=required)
        if value is None:
            return None
        try:
            found = duration(value)
        except NotATime as problem:
            self.error(name, f"{name} is {value[:40]!r}, which is no duration", str(problem))
            return None
        if not least <= found <= most:
            self.error(
                name, f"{name} is {value}, and must be {least // 60} to {most // 60} minutes"
            )
            return None
        return found

    def texts(self, name: str, *, required: bool = False) -> Iterator[tuple[int, str]]:
        """Yield the texts of a key's list with their positions."""
        found: list[Any] | None = self._of_type(name, list, "a list of texts", required=required)
        for position, member in enumerate(found or []):
            if isinstance(member, str):
                yield position, member
            else:
                self._wrong((*self.path, name, position), f"{name} holds", member, "text in quotes")

    def table(self, name: str) -> Table | None:
        """Return the table under a key."""
        value: dict[str, Any] | None = self._of_type(name, dict, f"a table, [{name}]")
        return None if value is None else Table(value, (*self.path, name), self.findings)

    def tables(self, name: str) -> Iterator[Table]:
        """Yield the tables of a key's list."""
        found: list[Any] | None = self._of_type(name, list, f"tables, [[{name}]]")
        for position, member in enumerate(found or []):
            path = (*self.path, name, position)
            if isinstance(member, dict):
                yield Table(member, path, self.findings)
            else:
                self._wrong(path, f"{name} holds", member, f"tables, [[{name}]]")

    def each_table(self) -> Iterator[tuple[str, Table]]:
        """Yield every key of this table with the table under it."""
        for name in self.value:
            inner = self.table(name)
            if inner is not None:
                yield name, inner

    def finish(self) -> None:
        """Note every key that nobody asked for."""
        for name in self.value:
            if name not in self.asked:
                close = get_close_matches(name, self.asked, n=1)
                hint = f"did you mean {close[0]}?" if close else f"known: {', '.join(self.asked)}"
                self.error(name, f"unknown key {name[:60]!r}", hint)

    def _of_type(
        self, name: str, kind: type[T], expected: str, *, required: bool = False
    ) -> T | None:
        self.asked.append(name)
        value = self.value.get(name)
        if value is None:
            if required:
                self.findings.error(self.path, f"{name} is missing", f"it is {expected}")
            return None
        # True is an int to Python, and no number to a policy.
        if type(value) is kind:
            return value
        self._wrong((*self.path, name), f"{name} is", value, expected)
        return None

    def _wrong(self, path: Path, what: str, value: Any, expected: str) -> None:
        if isinstance(value, Float):
            self.findings.error(
                path,
                f"{what} {value.written[:40]}, a number that computers round",
                f'write it in quotes: "{value.written[:40]}"',
            )
            return
        self.findings.error(path, f"{what} {_kind_of(value)}", f"it is {expected}")


def _kind_of(value: Any) -> str:
    names = {bool: "true or false", int: "a number", str: "text", list: "a list", dict: "a table"}
    return names.get(type(value), "a date or a time")
