"""The arithmetic of the budget: no window ever sees more than the limit, and little of it is lost."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.transfers.pace import MICROSECONDS, Lane, Pace, Row, next_slot, refused, still_holds

MINUTE = 60 * MICROSECONDS
START = 1_790_000_000 * MICROSECONDS
BULK, PRIORITY = Lane.BULK, Lane.PRIORITY

LIMITS = st.sampled_from([1, 2, 3, 7, 33, 40, 79, 120, 360])
WINDOWS = st.sampled_from([MICROSECONDS, 2_345_678, MINUTE])
LANES = st.sampled_from(Lane)


def most_within(moments: Sequence[int], length: int) -> int:
    """Return the largest number of moments in any closed interval of this length."""
    ordered, most, first = sorted(moments), 0, 0
    for last, moment in enumerate(ordered):
        while moment - ordered[first] > length:
            first += 1
        most = max(most, last - first + 1)
    return most


@dataclass
class Callers:
    """Everybody who shares one row, and a world whose time is not the clock's: `ahead` is by how much it is set.

    A call leaves up to `late` after its slot, as `SharedBudget.take` lets it: where its slot no longer holds it
    queues anew.
    """

    pace: Pace
    row: Row = field(default_factory=Row)
    real: int = START
    ahead: int = 0
    left: list[int] = field(default_factory=list)
    _waiting: list[tuple[int, int, Lane]] = field(default_factory=list)

    def call(self, lane: Lane) -> None:
        slot, self.row = next_slot(self.pace, self.row, self.real + self.ahead, lane)
        heapq.heappush(self._waiting, (slot - self.ahead, slot, lane))

    def go_on(self, until: int, late: int = 0) -> None:
        """Let time pass, and whoever wakes in it leave or queue anew."""
        while self._waiting and self._waiting[0][0] + late <= until:
            wakes, slot, lane = heapq.heappop(self._waiting)
            self.real = max(self.real, wakes + late)
            if still_holds(self.pace, self.row, slot, self.real + self.ahead):
                self.left.append(self.real)
            else:
                self.call(lane)
        self.real = max(self.real, until)

    def finish(self, late: int = 0) -> None:
        while self._waiting:
            self.go_on(self._waiting[0][0] + late, late)


@st.composite
def arrivals(draw: st.DrawFn, window: int) -> list[tuple[int, Lane]]:
    """Return pauses, and who calls after each: at once, soon, after a while, after a long time."""
    pauses = st.one_of(
        st.just(0), st.integers(0, window // 50), st.integers(0, window), st.just(window * 3)
    )
    return draw(st.lists(st.tuples(pauses, LANES), max_size=300))


@given(st.data(), LIMITS, WINDOWS)
def test_no_window_and_grace_has_more_slots_than_the_limit(
    data: st.DataObject, limit: int, window: int
) -> None:
    pace, row, now, slots = Pace.of(limit, window), Row(), START, []
    for pause, lane in data.draw(arrivals(window)):
        now += pause
        slot, row = next_slot(pace, row, now, lane)
        assert slot >= now
        slots.append(slot)
    assert most_within(slots, window + pace.grace) <= limit


@given(LIMITS, WINDOWS, st.lists(LANES, min_size=1, max_size=4))
def test_everybody_at_once_for_windows_on_end_is_within_the_limit(
    limit: int, window: int, order: list[Lane]
) -> None:
    pace, row, slots = Pace.of(limit, window), Row(), []
    for number in range(limit * 4):
        slot, row = next_slot(pace, row, START, order[number % len(order)])
        slots.append(slot)
    assert most_within(slots, window + pace.grace) <= limit


@given(st.data(), LIMITS, WINDOWS)
def test_calls_that_leave_late_are_within_the_limit_or_queue_anew(
    data: st.DataObject, limit: int, window: int
) -> None:
    pace = Pace.of(limit, window)
    callers = Callers(pace)
    for pause, lane in data.draw(arrivals(window)):
        late = data.draw(st.sampled_from([0, pace.grace, pace.grace + 1]))
        callers.go_on(callers.real + pause, late)
        callers.call(lane)
    callers.finish()
    assert most_within(callers.left, window) <= limit


@pytest.mark.parametrize("limit", [33, 40, 100, 119, 120, 360, 1000])
@pytest.mark.parametrize("window", [2 * MICROSECONDS, MINUTE])
def test_bulk_that_never_stops_uses_95_percent(limit: int, window: int) -> None:
    pace, row, taken = Pace.of(limit, window), Row(), 0
    while True:
        slot, row = next_slot(pace, row, START, BULK)
        if slot >= START + 50 * window:
            break
        taken += 1
    assert taken * 100 >= 95 * 50 * limit


@given(LIMITS.filter(lambda limit: limit > 1), WINDOWS, st.integers(1, 2000))
def test_priority_calls_find_the_reserve_free_however_many_stand_in_line(
    limit: int, window: int, waiting: int
) -> None:
    pace, row = Pace.of(limit, window), Row()
    for _ in range(waiting):
        _, row = next_slot(pace, row, START, BULK)
    for _ in range(pace.burst):
        slot, row = next_slot(pace, row, START + 1, PRIORITY)
        assert slot == START + 1
    slot, row = next_slot(pace, row, START + 1, PRIORITY)
    assert slot > START + 1


def test_the_reserve_fills_up_again_while_bulk_goes_on() -> None:
    pace, row, now = Pace.of(120, MINUTE), Row(), START
    for _ in range(20):
        for _ in range(100):
            _, row = next_slot(pace, row, now, BULK)
        slot, row = next_slot(pace, row, now, PRIORITY)
        assert slot == now
        now += pace.refill


def busy(pace: Pace, lanes: Sequence[Lane]) -> Row:
    """Return a row with a hundred in line and then a call of each of these lanes."""
    row = Row()
    for lane in [*[BULK] * 100, *lanes]:
        _, row = next_slot(pace, row, START, lane)
    return row


def test_a_priority_call_that_finds_the_reserve_used_up_takes_what_comes_first() -> None:
    pace = Pace.of(120, MINUTE)
    row = busy(pace, [PRIORITY] * pace.burst)
    slot, row = next_slot(pace, row, START, PRIORITY)
    assert slot == START + pace.refill
    slot, row = next_slot(pace, row, START, PRIORITY)
    assert slot == START + 100 * pace.spacing


def test_priority_calls_alone_use_the_line_first_and_then_the_reserve() -> None:
    pace, row, slots = Pace.of(120, MINUTE), Row(), []
    for _ in range(4):
        slot, row = next_slot(pace, row, START, PRIORITY)
        slots.append(slot - START)
    assert slots == [0, 0, 0, pace.spacing]


def test_the_numbers_for_crossmints_limits_are_those_of_the_page() -> None:
    writes, reads = Pace.of(120, MINUTE), Pace.of(360, MINUTE)
    assert (writes.spacing, writes.burst, writes.refill) == (523_077, 2, 30_600_001)
    assert (reads.spacing, reads.burst, reads.refill) == (174_359, 5, 12_240_001)
    assert writes.grace == reads.grace == 1_200_000


# --- clocks that are set ----------------------------------------------------------------------------------

HOUR = 3600 * MICROSECONDS


@given(st.data(), LIMITS, WINDOWS)
def test_a_clock_that_is_set_back_lets_no_more_through_than_the_limit(
    data: st.DataObject, limit: int, window: int
) -> None:
    pace = Pace.of(limit, window)
    callers = Callers(pace)
    for pause, lane in data.draw(arrivals(window)):
        callers.go_on(callers.real + pause, data.draw(st.sampled_from([0, pace.grace])))
        callers.ahead -= data.draw(st.sampled_from([0, 0, 0, 1, window, HOUR]))
        callers.call(lane)
    callers.finish()
    assert most_within(callers.left, window) <= limit


@pytest.mark.parametrize("lane", Lane)
def test_a_clock_that_is_set_back_an_hour_makes_nobody_wait_longer(lane: Lane) -> None:
    pace, row = Pace.of(120, MINUTE), Row()
    for _ in range(10):
        _, row = next_slot(pace, row, START, BULK)
    before, _ = next_slot(pace, row, START, lane)
    after, row = next_slot(pace, row, START - HOUR, lane)
    assert after - (START - HOUR) == before - START
    assert row.line < START - HOUR + MINUTE


def test_a_clock_that_is_set_back_an_hour_leaves_the_reserve_filling_up() -> None:
    pace = Pace.of(120, MINUTE)
    row = busy(pace, [PRIORITY] * pace.burst)
    slot, row = next_slot(pace, row, START - HOUR, BULK)
    now = START - HOUR + pace.refill
    assert slot > now
    slot, row = next_slot(pace, row, now, PRIORITY)
    assert slot == now


@given(st.data(), LIMITS, WINDOWS, st.integers(0, 299))
def test_a_clock_that_is_set_forward_costs_a_reserve_and_a_little_more_once(
    data: st.DataObject, limit: int, window: int, when: int
) -> None:
    pace = Pace.of(limit, window)
    callers = Callers(pace)
    for number, (pause, lane) in enumerate(data.draw(arrivals(window))):
        callers.go_on(callers.real + pause, data.draw(st.sampled_from([0, pace.grace])))
        callers.ahead += HOUR if number == when else 0
        callers.call(lane)
    callers.finish()
    reserve = max(limit // 40, 1)
    assert most_within(callers.left, window) <= limit + reserve + pace.grace // pace.spacing + 2


@pytest.mark.parametrize("limit", [120, 360])
def test_a_clock_that_is_set_forward_in_a_busy_minute_does_not_double_it(limit: int) -> None:
    callers = Callers(Pace.of(limit, MINUTE))
    for step in (0, HOUR):
        callers.ahead += step
        for _ in range(limit):
            callers.call(BULK)
        for _ in range(limit):
            callers.call(PRIORITY)
        callers.go_on(callers.real + MINUTE // 2)
    callers.finish()
    assert len(callers.left) == 4 * limit
    assert most_within(callers.left, MINUTE) <= limit + {120: 7, 360: 17}[limit]


# --- 429 --------------------------------------------------------------------------------------------------


@given(LANES, st.integers(0, MINUTE), st.integers(0, 50))
def test_after_a_429_nobody_leaves_before_the_server_said(
    lane: Lane, wait: int, waiting: int
) -> None:
    pace, row = Pace.of(120, MINUTE), Row()
    reserved = []
    for _ in range(waiting):
        slot, row = next_slot(pace, row, START, BULK)
        reserved.append(slot)
    row = refused(pace, row, START, wait)
    slot, row = next_slot(pace, row, START, lane)
    assert slot >= START + wait
    for slot in reserved:
        assert still_holds(pace, row, slot, slot) == (slot >= START + wait)


def test_a_shorter_wait_does_not_end_a_longer_one() -> None:
    pace = Pace.of(120, MINUTE)
    row = refused(pace, refused(pace, Row(), START, 30), START, 10)
    assert row.refused_until == START + 30


def test_a_429_that_does_not_say_how_long_keeps_everybody_back_for_the_grace() -> None:
    pace = Pace.of(120, MINUTE)
    assert refused(pace, Row(), START, None).refused_until == START + pace.grace
