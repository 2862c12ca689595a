from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from bursar.policy.model import Hours, Span
from bursar.policy.times import (
    NotATime,
    duration,
    duration_text,
    hours_text,
    is_open,
    merged,
    minute_of_week,
    moment_text,
    opening,
    zone_named,
)

DAY = 24 * 60
WEEK = 7 * DAY


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("hour", 3_600),
        ("day", 86_400),
        ("week", 604_800),
        ("1m", 60),
        ("36h", 129_600),
        ("2d", 172_800),
        ("3w", 1_814_400),
        ("999999m", 59_999_940),
    ],
)
def test_a_duration_is_read(text, seconds):
    assert duration(text) == seconds


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0h",
        "01h",
        "1",
        "h",
        "1s",
        "1.5h",
        "-1h",
        "1h ",
        " 1h",
        "1H",
        "Day",
        "1000000m",
        "\u0661h",
        "1h\n",
    ],
)
def test_no_duration_is_refused(text):
    with pytest.raises(NotATime, match='write "hour", "day", "week"'):
        duration(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (60, "1 minute"),
        (90, "90 seconds"),
        (5_400, "90 minutes"),
        (3_600, "1 hour"),
        (7_200, "2 hours"),
        (86_400, "1 day"),
        (172_800, "2 days"),
        (604_800, "1 week"),
        (1_209_600, "2 weeks"),
    ],
)
def test_a_duration_is_said_in_its_largest_unit(seconds, text):
    assert duration_text(seconds) == text


@pytest.mark.parametrize(
    ("text", "spans"),
    [
        ("mon 00:00-00:01", [(0, 1)]),
        ("sun 09:05-17:30", [(6 * DAY + 545, 6 * DAY + 1050)]),
        ("SAT 00:00-24:00", [(5 * DAY, 6 * DAY)]),
        ("mon-tue 10:00-11:00", [(600, 660), (DAY + 600, DAY + 660)]),
        ("sun-mon 10:00-11:00", [(6 * DAY + 600, 6 * DAY + 660), (600, 660)]),
        ("wed-wed 23:59-24:00", [(2 * DAY + 1439, 3 * DAY)]),
    ],
)
def test_an_opening_time_is_read(text, spans):
    assert opening(text) == tuple(Span(*span) for span in spans)


def test_all_days_are_seven():
    assert len(opening("tue-mon 10:00-11:00")) == 7


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "write days and a time"),
        ("mon", "write days and a time"),
        ("monday 09:00-10:00", "write days and a time"),
        ("xxx 09:00-10:00", "write days and a time"),
        ("mon-xxx 09:00-10:00", "write days and a time"),
        ("mon 9:00-10:00", "write days and a time"),
        ("mon 09:00-10:00 ", "write days and a time"),
        ("mon 10:00-10:00", "it ends before it begins"),
        ("mon 22:00-06:00", "it ends before it begins"),
        ("mon 09:60-10:00", "09:60 is not a time between 00:00 and 24:00"),
        ("mon 09:00-24:01", "24:01 is not a time between 00:00 and 24:00"),
        ("mon 25:00-26:00", "25:00 is not a time between 00:00 and 24:00"),
    ],
)
def test_no_opening_time_is_refused(text, why):
    with pytest.raises(NotATime, match=f"^{why}"):
        opening(text)


@pytest.mark.parametrize(
    ("spans", "expected"),
    [
        ([], []),
        ([(5, 6), (1, 2)], [(1, 2), (5, 6)]),
        ([(1, 2), (2, 3)], [(1, 3)]),
        ([(1, 2), (3, 4)], [(1, 2), (3, 4)]),
        ([(1, 9), (2, 3)], [(1, 9)]),
        ([(1, 3), (2, 9), (9, 10)], [(1, 10)]),
    ],
)
def test_times_that_touch_or_overlap_become_one(spans, expected):
    assert merged(Span(*each) for each in spans) == tuple(Span(*each) for each in expected)


SPANS = st.lists(
    st.tuples(st.integers(0, WEEK - 1), st.integers(1, 400)).map(
        lambda pair: Span(pair[0], min(WEEK, pair[0] + pair[1]))
    )
)


@given(SPANS, st.integers(0, WEEK - 1))
def test_merging_changes_no_minute(spans, minute):
    assert is_open(Hours("UTC", merged(spans)), minute) == is_open(
        Hours("UTC", tuple(spans)), minute
    )
    assert merged(reversed(spans)) == merged(spans)


def test_a_span_joins_the_last_one_and_not_the_first():
    spans = [Span(0, 10), Span(20, 30), Span(25, 40), Span(40, 41)]
    assert merged(spans) == (Span(0, 10), Span(20, 41))
    assert merged([Span(0, 10), Span(20, 30), Span(25, 26)]) == (Span(0, 10), Span(20, 30))
    assert merged([Span(0, 50), Span(60, 70), Span(45, 46)]) == (Span(0, 50), Span(60, 70))


def test_a_minute_after_midnight_is_of_the_day_that_begins():
    day = 24 * 60
    assert hours_text(Hours("UTC", (Span(day, day + 1),))) == "tue 00:00-00:01"
    assert hours_text(Hours("UTC", (Span(day - 1, day + 1),))) == "mon 23:59-tue 00:01"


@pytest.mark.parametrize(("minute", "open_"), [(59, False), (60, True), (119, True), (120, False)])
def test_the_first_minute_is_open_and_the_last_is_not(minute, open_):
    assert is_open(Hours("UTC", (Span(60, 120),)), minute) is open_


@pytest.mark.parametrize(
    ("opened", "text"),
    [
        ([], "never"),
        (["mon-fri 09:00-17:30"], "mon-fri 09:00-17:30"),
        (["mon 09:00-10:00", "wed-thu 09:00-10:00"], "mon,wed-thu 09:00-10:00"),
        (["sat 10:00-12:00", "mon-tue 08:00-09:05"], "mon-tue 08:00-09:05, sat 10:00-12:00"),
        (["mon 22:00-24:00", "tue 00:00-06:00"], "mon 22:00-tue 06:00"),
        (["mon 22:00-24:00"], "mon 22:00-24:00"),
        (["mon-sun 00:00-24:00"], "mon 00:00-sun 24:00"),
    ],
)
def test_hours_are_said_in_words(opened, text):
    spans = [span for each in opened for span in opening(each)]
    assert hours_text(Hours("UTC", merged(spans))) == text


@given(st.datetimes(timezones=st.just(UTC)))
def test_the_minute_of_the_week_counts_from_monday(at):
    assume(at.year > 1)  # the first Monday was in year 1
    monday = (at - timedelta(days=at.weekday())).replace(hour=0, minute=0, second=0, microsecond=0)
    assert minute_of_week(at, UTC) == (at - monday) // timedelta(minutes=1)


def test_the_minute_of_the_week_is_the_zones():
    at = datetime(2026, 11, 29, 23, 30, tzinfo=UTC)
    assert minute_of_week(at, ZoneInfo("Asia/Kolkata")) == 5 * 60
    assert moment_text(5 * 60) == "mon 05:00"
    assert moment_text(6 * DAY + 61) == "sun 01:01"


def test_a_zone_is_found_by_its_name():
    assert zone_named("Europe/Berlin") == ZoneInfo("Europe/Berlin")
    with pytest.raises(KeyError):
        zone_named("Europe/Nowhere")
