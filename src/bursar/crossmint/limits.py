"""Time and its limits: how often Crossmint may be asked, how long to wait, and the clock behind both.

Crossmint allows a project 120 writes (POST, PUT, PATCH, DELETE) and 360 reads (GET) a minute. The count kept
here is this process's own; others of the same project share the allowance, and then the server answers 429.
`bursar.transfers.budget` counts for all of them. Source: the rate limits page of the API documentation.
"""

from __future__ import annotations

import random
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from bursar.errors import CrossmintRateLimited


@dataclass(frozen=True, slots=True)
class Clock:
    """The seam for time: seconds that only grow, a sleep, and a random number in [0, 1).

    `wall` is the machine's clock, which all its processes share and which can be set: seconds since 1970.
    """

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    jitter: Callable[[], float] = random.random
    wall: Callable[[], float] = time.time


@dataclass(frozen=True, slots=True)
class Limits:
    """What the client allows itself. Times are in seconds, sizes in bytes.

    `timeout` bounds one attempt; `attempts` bounds the repeats of reads, and of writes answered with 429;
    `longest_wait` bounds any single wait, for our own allowance or for a Retry-After. `window` is the length of
    the minute that calls are counted in, another than 60 only where a test cannot wait.
    """

    writes_per_minute: int = 120
    reads_per_minute: int = 360
    window: float = 60.0
    attempts: int = 4
    timeout: float = 30.0
    longest_wait: float = 65.0
    first_backoff: float = 0.5
    largest_answer: int = 8 * 1024 * 1024

    def backoff(self, attempt: int, jitter: float) -> float:
        """Return how long to wait after the attempt of this number (from 1): doubled each time, half random."""
        span = min(self.first_backoff * 2.0 ** (attempt - 1), self.longest_wait)
        return span / 2 + span / 2 * jitter


class CallAllowance(Protocol):
    """The seam: who is asked before each attempt of a call. Threads share one."""

    def take(self, *, write: bool) -> None:
        """Return when one more call of this kind may leave, at once.

        Raises:
            BursarError: it may not, and did not; retryable where waiting helps.
        """
        ...

    def refused(self, *, write: bool, retry_after: float | None) -> None:
        """Hear that the server answered 429, and how many seconds it asked to wait, if it said.

        Raises:
            BursarError: that could not be noted. The call did nothing, and may be repeated.
        """
        ...


class OwnAllowance:
    """`CallAllowance` of one process: what others of the project do shows only in the server's 429."""

    def __init__(self, limits: Limits, clock: Clock) -> None:
        wait, window = limits.longest_wait, limits.window
        self._reads = Allowance(limits.reads_per_minute, clock, wait, window)
        self._writes = Allowance(limits.writes_per_minute, clock, wait, window)

    def take(self, *, write: bool) -> None:
        """Return when one more call of this kind is allowed, sleeping until then.

        Raises:
            CrossmintRateLimited: that would take longer than the longest wait; nothing was sent.
        """
        (self._writes if write else self._reads).take()

    def refused(self, *, write: bool, retry_after: float | None) -> None:
        """Do nothing: whoever was refused waits by itself, and nobody else is to be told."""


class Allowance:
    """At most so many calls in any window of seconds, for all threads of this client together."""

    def __init__(
        self, per_window: int, clock: Clock, longest_wait: float, window: float = 60.0
    ) -> None:
        self._clock = clock
        self._longest_wait = longest_wait
        self._window = window
        self._lock = threading.Lock()
        self._slots: deque[float] = deque(maxlen=per_window)

    def take(self) -> None:
        """Return when one more call is allowed, sleeping until then.

        Raises:
            CrossmintRateLimited: that would take longer than the longest wait; nothing was sent.
        """
        wait = self._reserve()
        if wait > 0:
            self._clock.sleep(wait)

    def _reserve(self) -> float:
        with self._lock:
            now = self._clock.now()
            slot = now
            if len(self._slots) == self._slots.maxlen:
                slot = max(now, self._slots[0] + self._window)
            wait = slot - now
            if wait > self._longest_wait:
                raise CrossmintRateLimited(
                    "this client's allowance of calls a minute is used up",
                    hint="run fewer transfers at once",
                    status=None,
                    retry_after=wait,
                )
            self._slots.append(slot)
            return wait
