"""Durations and opening hours as a policy file writes them. Pure.

`zone_named` reads the time zone data of the machine (or the `tzdata` package), as `zoneinfo` does.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime, tzinfo
from typing import Final

from bursar.policy.model import Hours, Span

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_NAMED: Final = {"hour": 3_600, "day": 86_400, "week": 604_800}
_UNITS: Final = {"m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_DURATION = re.compile(r"([1-9][0-9]{0,5})([mhdw])", re.ASCII)
_OPEN = re.compile(
    r"(?P<first>[a-z]{3})(?:-(?P<last>[a-z]{3}))? "
    r"(?P<from>[0-9]{2}:[0-9]{2})-(?P<until>[0-9]{2}:[0-9]{2})",
    re.ASCII,
)
_DAY: Final = 24 * 60


class NotATime(ValueError):
    """The text is no duration or opening time; the message says what is expected."""


def duration(text: str) -> int:
    """Return a duration in seconds: hour, day, week, or a number and m, h, d or w, as in 36h.

    Raises:
        NotATime: none of these.
    """
    if text in _NAMED:
        return _NAMED[text]
    match = _DURATION.fullmatch(text)
    if match is None:
        raise NotATime('write "hour", "day", "week", or a number with m, h, d or w, like "36h"')
    return int(match[1]) * _UNITS[match[2]]


def duration_text(seconds: int) -> str:
    """Return seconds in the largest unit that leaves no rest: 86400 is "1 day"."""
    for name, size in (("week", 604_800), ("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds % size == 0:
            count = seconds // size
            return f"{count} {name}" + ("s" if count != 1 else "")
    return f"{seconds} seconds"


def opening(text: str) -> tuple[Span, ...]:
    """Return the spans of an opening time: `mon-fri 09:00-17:30`, `sat 10:00-12:00`, up to `24:00`.

    Raises:
        NotATime: not of this form, or it ends before it begins.
    """
    match = _OPEN.fullmatch(text.lower())
    if match is None or not {match["first"], match["last"] or match["first"]} <= set(DAYS):
        raise NotATime('write days and a time, like "mon-fri 09:00-17:30" or "sat 10:00-12:00"')
    start, end = _minutes(match["from"]), _minutes(match["until"])
    if start >= end:
        raise NotATime("it ends before it begins; write a night as two times, one to 24:00")
    first = DAYS.index(match["first"])
    length = (DAYS.index(match["last"] or match["first"]) - first) % 7 + 1
    days = [(first + step) % 7 for step in range(length)]
    return tuple(Span(day * _DAY + start, day * _DAY + end) for day in days)


def merged(spans: Iterable[Span]) -> tuple[Span, ...]:
    """Return the same times as spans that neither overlap nor touch, in order."""
    found: list[Span] = []
    for span in sorted(spans, key=lambda each: (each.start, each.end)):
        if found and span.start <= found[-1].end:
            found[-1] = Span(found[-1].start, max(found[-1].end, span.end))
        else:
            found.append(span)
    return tuple(found)


def hours_text(hours: Hours) -> str:
    """Return opening hours as words: `mon-fri 09:00-17:30, sat 10:00-12:00`, or `never`."""
    days: dict[str, list[int]] = {}
    for span in hours.open:
        days.setdefault(_times(span), []).append(span.start // _DAY)
    return ", ".join(f"{_days(which)} {times}" for times, which in days.items()) or "never"


def moment_text(minute: int) -> str:
    """Return a minute of the week as a day and a time."""
    day, rest = divmod(minute, _DAY)
    return f"{DAYS[day]} {rest // 60:02}:{rest % 60:02}"


def minute_of_week(at: datetime, zone: tzinfo) -> int:
    """Return the minute of the week that a zone's clocks show at a moment, Monday 00:00 being 0."""
    local = at.astimezone(zone)
    return local.weekday() * _DAY + local.hour * 60 + local.minute


def is_open(hours: Hours, minute: int) -> bool:
    """Tell whether a minute of the week is in the opening hours."""
    return any(span.start <= minute < span.end for span in hours.open)


def zone_named(name: str) -> tzinfo:
    """Return the time zone of this IANA name.

    Raises:
        KeyError, ValueError, OSError: there is no such zone, or no time zone data on this machine.
    """
    from zoneinfo import (
        ZoneInfo,
    )  # it looks for the machine's data, which a cold start should not pay for

    return ZoneInfo(name)


def _times(span: Span) -> str:
    """Return a span's times; with the day it ends on, where that is another one."""
    begin, until = span.start // _DAY, (span.end - 1) // _DAY
    start, end = span.start - begin * _DAY, span.end - until * _DAY
    there = "" if until == begin else f"{DAYS[until]} "
    return f"{start // 60:02}:{start % 60:02}-{there}{end // 60:02}:{end % 60:02}"


def _days(days: list[int]) -> str:
    runs: list[list[int]] = []
    for day in days:
        if runs and day == runs[-1][-1] + 1:
            runs[-1].append(day)
        else:
            runs.append([day])
    return ",".join(
        DAYS[run[0]] if len(run) == 1 else f"{DAYS[run[0]]}-{DAYS[run[-1]]}" for run in runs
    )


def _minutes(text: str) -> int:
    hour, minute = int(text[:2]), int(text[3:])
    if minute > 59 or hour * 60 + minute > _DAY:
        raise NotATime(f"{text} is not a time between 00:00 and 24:00")
    return hour * 60 + minute
