"""When the treasury pays: on the zone's own clocks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone, tzinfo

import pytest

from bursar.policy.decision import Outcome
from bursar.policy.model import Hours, Span
from tests.unit.policy.treasury import (
    judge,
    policy,
    proposal,
    refusing,
    said,
)


def hours(*opening: str, zone: str = "Europe/Berlin") -> str:
    return f'[hours]\nzone = "{zone}"\nopen = {list(opening)}'


@pytest.mark.parametrize(
    ("at", "outcome", "value"),
    [
        (datetime(2026, 11, 25, 7, 59, 59, tzinfo=UTC), "refused", "wed 08:59"),
        (datetime(2026, 11, 25, 8, 0, tzinfo=UTC), "allowed", "wed 09:00"),
        (datetime(2026, 11, 25, 16, 29, 59, tzinfo=UTC), "allowed", "wed 17:29"),
        (datetime(2026, 11, 25, 16, 30, tzinfo=UTC), "refused", "wed 17:30"),
        (datetime(2026, 11, 28, 12, 0, tzinfo=UTC), "refused", "sat 13:00"),
        # In summer the same clock is an hour earlier in UTC.
        (datetime(2026, 7, 1, 7, 0, tzinfo=UTC), "allowed", "wed 09:00"),
        (datetime(2026, 7, 1, 15, 30, tzinfo=UTC), "refused", "wed 17:30"),
        # The day is the zone's own: Sunday in UTC, Monday in Berlin.
        (datetime(2026, 11, 29, 23, 30, tzinfo=UTC), "refused", "mon 00:30"),
        (datetime(2026, 11, 25, 9, 0, tzinfo=timezone(timedelta(hours=1))), "allowed", "wed 09:00"),
    ],
)
def test_the_hours_are_on_the_zones_own_clocks(at, outcome, value):
    decision = judge(policy(hours("mon-fri 09:00-17:30")), proposal(), now=at)
    limit = "open mon-fri 09:00-17:30, Europe/Berlin"
    assert said(decision, "hours") == [(outcome, value, limit)]


def test_an_hour_that_happens_twice_is_open_both_times():
    rules = policy(hours("sun 02:00-03:00"))
    for utc_hour in (0, 1):
        at = datetime(2026, 10, 25, utc_hour, 30, tzinfo=UTC)
        assert judge(rules, proposal(), now=at).outcome is Outcome.ALLOWED
    after = datetime(2026, 10, 25, 2, 0, tzinfo=UTC)
    assert judge(rules, proposal(), now=after).outcome is Outcome.REFUSED


@pytest.mark.parametrize("zone", ["Europe/Berlinn", "../etc/passwd", "/etc/localtime", "", "a\0b"])
def test_a_zone_that_cannot_be_found_refuses(zone):
    rules = policy(hours=Hours(zone, (Span(0, 7 * 24 * 60),)))
    assert said(judge(rules, proposal()), "hours") == [
        (
            "refused",
            f"there is no time zone data for {zone} here",
            f"open mon 00:00-sun 24:00, {zone}",
        )
    ]


@pytest.mark.parametrize("problem", [KeyError, ValueError, OSError])
def test_a_machine_without_time_zone_data_refuses(problem):
    def none(name: str) -> tzinfo:
        raise problem(name)

    decision = judge(policy(hours("mon-sun 00:00-24:00")), proposal(), zones=none)
    assert refusing(decision) == ["hours"]


def test_hours_that_are_never_open_refuse():
    decision = judge(policy(hours()), proposal())
    assert said(decision, "hours") == [("refused", "wed 13:00", "open never, Europe/Berlin")]
