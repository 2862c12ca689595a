from __future__ import annotations

import threading

import pytest

from bursar.crossmint.limits import Allowance, Limits
from bursar.errors import CrossmintRateLimited
from tests.unit.crossmint.conftest import FakeTime


def test_calls_within_the_allowance_do_not_wait(time: FakeTime) -> None:
    allowance = Allowance(3, time.clock(), 65)
    for _ in range(3):
        allowance.take()
    assert time.sleeps == []


def test_one_more_waits_until_a_minute_after_the_first(time: FakeTime) -> None:
    allowance = Allowance(2, time.clock(), 65)
    allowance.take()
    time.seconds += 10
    allowance.take()
    allowance.take()
    assert time.sleeps == [50]


def test_no_minute_ever_sees_more_than_the_allowance(time: FakeTime) -> None:
    allowance = Allowance(5, time.clock(), 65)
    moments = []
    for step in range(40):
        time.seconds += step % 7
        allowance.take()
        moments.append(time.seconds)
    assert all(later - first >= 60 for first, later in zip(moments, moments[5:], strict=False))


def test_threads_share_one_allowance() -> None:
    time = FakeTime()
    allowance = Allowance(10, time.clock(), 10_000)
    threads = [threading.Thread(target=allowance.take) for _ in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len([wait for wait in time.sleeps if wait > 0]) >= 1
    assert len(allowance._slots) == 10


def test_a_wait_that_is_too_long_is_refused_and_takes_no_place(time: FakeTime) -> None:
    allowance = Allowance(1, time.clock(), longest_wait=5)
    allowance.take()
    for _ in range(3):
        with pytest.raises(CrossmintRateLimited) as caught:
            allowance.take()
        assert caught.value.retry_after == 60
    time.seconds += 60
    allowance.take()
    assert time.sleeps == []


def test_the_default_limits_are_crossmints() -> None:
    assert (Limits().writes_per_minute, Limits().reads_per_minute) == (120, 360)


def test_backoff_doubles_and_is_bounded() -> None:
    limits = Limits(first_backoff=1, longest_wait=5)
    assert [limits.backoff(n, 1.0) for n in (1, 2, 3, 4)] == [1, 2, 4, 5]
    assert limits.backoff(2, 0.0) == 1
