"""What is wrong with a policy file, and where. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bursar.policy.places import Path, Places

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to mend. `line` and `column` count from 1."""

    severity: Severity
    line: int
    column: int
    message: str
    hint: str | None = None


class Findings:
    """The findings on one file, as they are made."""

    def __init__(self, places: Places) -> None:
        self.places = places
        self.found: list[Finding] = []

    def error(self, path: Path, message: str, hint: str | None = None) -> None:
        """Note something that makes the file no policy."""
        self._add("error", path, message, hint)

    def warn(self, path: Path, message: str, hint: str | None = None) -> None:
        """Note something that is allowed and hardly meant."""
        self._add("warning", path, message, hint)

    def ordered(self) -> tuple[Finding, ...]:
        """Return the findings as they stand in the file."""
        return tuple(sorted(self.found, key=lambda each: (each.line, each.column)))

    def _add(self, severity: Severity, path: Path, message: str, hint: str | None) -> None:
        place = self.places.of(path)
        self.found.append(Finding(severity, place.line, place.column, message, hint))
