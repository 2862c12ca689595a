"""Rate limits: 120 writes and 360 reads a minute for each project (Crossmint's rate-limits page)."""

from __future__ import annotations

import math
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable

from bursar.sandbox.crossmint.replies import ApiError

WRITES_PER_MINUTE = 120
READS_PER_MINUTE = 360
_WINDOW_SECONDS = 60.0


class RateLimits:
    """A sliding minute per project and kind of call. `scale` multiplies the limits; 0 switches them off."""

    def __init__(self, scale: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._scale = scale
        self._clock = clock
        self._lock = threading.Lock()
        self._seen: dict[tuple[str, bool], deque[float]] = defaultdict(deque)

    def count(self, project: str, *, write: bool) -> None:
        """Count one call.

        Raises:
            ApiError: 429 with Retry-After in seconds; the call is not counted.
        """
        if not self._scale:
            return
        limit = max(1, int((WRITES_PER_MINUTE if write else READS_PER_MINUTE) * self._scale))
        now = self._clock()
        with self._lock:
            seen = self._seen[project, write]
            while seen and seen[0] <= now - _WINDOW_SECONDS:
                seen.popleft()
            if len(seen) >= limit:
                wait = math.ceil(seen[0] + _WINDOW_SECONDS - now)
                body = {"error": True, "message": f"Too many requests: {limit} per minute"}
                raise ApiError(429, body, {"Retry-After": str(max(1, wait))})
            seen.append(now)
