"""The time an audit is about. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Self

from bursar.errors import ConfigError

# A call's event carries KMS's time, its record the time after the answer: on either side of an edge both are read.
_MARGIN = timedelta(minutes=5)
_AGO = re.compile(r"\A([0-9]{1,5})([mhdw])\Z", re.ASCII)
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


@dataclass(frozen=True, slots=True)
class Window:
    """From `since` to `until`, both included, in UTC; `now` is when the audit is made."""

    since: datetime
    until: datetime
    now: datetime

    @classmethod
    def parse(cls, since: str, until: str | None, now: datetime) -> Self:
        """Return the window between two moments as `parse_moment` reads them; without `until` it ends now.

        Raises:
            ConfigError: a moment is malformed, or the window is empty or begins in the future.
        """
        begin, end = parse_moment(since, now), parse_moment(until, now) if until else now
        if begin >= min(end, now):
            raise ConfigError(
                "the audit's window is empty", hint="--since must be before --until, and past"
            )
        return cls(begin, min(end, now), now)

    @property
    def wide(self) -> tuple[datetime, datetime]:
        """The window with a margin at both ends, so that both halves of a call at an edge are read."""
        return self.since - _MARGIN, self.until + _MARGIN

    def holds(self, at: datetime) -> bool:
        """Tell whether a moment is in the window."""
        return self.since <= at <= self.until


def parse_moment(text: str, now: datetime) -> datetime:
    """Return a moment given as a time ago (30m, 24h, 7d, 2w), a date (its midnight) or ISO 8601, else in UTC.

    Raises:
        ConfigError: none of these.
    """
    if match := _AGO.match(text):
        return now - timedelta(**{_UNITS[match[2]]: int(match[1])})
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(
            f"{text[:40]!r} is not a time", hint="write 24h, 7d, 2026-11-01 or 2026-11-01T08:00:00Z"
        ) from None
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
