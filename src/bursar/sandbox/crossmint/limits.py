"""Rate limits: 120 writes and 360 reads a minute for each project (Crossmint's rate-limits page), and a tally."""

from __future__ import annotations

import math
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field

from bursar.sandbox.crossmint.replies import ApiError, Json

WRITES_PER_MINUTE = 120
READS_PER_MINUTE = 360


@dataclass(slots=True)
class _Tally:
    """One project's calls of one kind: when each arrived of the last window, and which of them were let in."""

    arrived: deque[float] = field(default_factory=deque)
    accepted: deque[float] = field(default_factory=deque)
    calls: int = 0
    refused: int = 0
    most: int = 0

    def arrive(self, now: float, window: float) -> None:
        for moments in (self.arrived, self.accepted):
            while moments and moments[0] <= now - window:
                moments.popleft()
        self.arrived.append(now)
        self.calls += 1
        self.most = max(self.most, len(self.arrived))

    def to_json(self) -> Json:
        return {"calls": self.calls, "mostInAWindow": self.most, "refused": self.refused}


class RateLimits:
    """A sliding window per project and kind of call. `scale` multiplies the limits; 0 switches them off.

    `window` is the length of the minute, in seconds. What arrives is counted in any case.
    """

    def __init__(
        self,
        scale: float,
        clock: Callable[[], float] = time.monotonic,
        *,
        window: float = 60.0,
    ) -> None:
        self._scale = scale
        self._clock = clock
        self._window = window
        self._lock = threading.Lock()
        self._tallies: dict[tuple[str, bool], _Tally] = defaultdict(_Tally)

    def count(self, project: str, *, write: bool) -> None:
        """Count one call.

        Raises:
            ApiError: 429 with Retry-After in whole seconds; the call takes nobody's place.
        """
        limit = max(1, int((WRITES_PER_MINUTE if write else READS_PER_MINUTE) * self._scale))
        with self._lock:
            now = self._clock()
            tally = self._tallies[project, write]
            tally.arrive(now, self._window)
            if self._scale and len(tally.accepted) >= limit:
                tally.refused += 1
                wait = math.ceil(tally.accepted[0] + self._window - now)
                body = {"error": True, "message": f"Too many requests: {limit} per minute"}
                raise ApiError(429, body, {"Retry-After": str(max(1, wait))})
            tally.accepted.append(now)

    def to_json(self) -> Json:
        """Return for each project and kind how many calls came, the most in any window, and how many were 429."""
        with self._lock:
            found: Json = {}
            for (project, write), tally in sorted(self._tallies.items()):
                found.setdefault(project, {})["writes" if write else "reads"] = tally.to_json()
            return found
