"""The points a driver passes, and the kill, or the pause, at one of them."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import Counter
from pathlib import Path

from tests.chaos.plan import Plan


class Points:
    """Counts the points that are passed, by name and in all, and kills this process at the one that is wanted."""

    def __init__(self, plan: Plan) -> None:
        name, _, times = (plan.kill or "").partition("@")
        self._name, self._times = name, int(times or 1)
        self._number = int(name[1:]) if name.startswith("#") else None
        self._note = Path(plan.passed) if plan.passed else None
        self._pause, self._paused = plan.pause, plan.paused
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()

    def passed(self, name: str) -> None:
        """Pass a point: nobody comes back from the one that was chosen."""
        with self._lock:
            self._counts[name] += 1
            if self._note is not None:
                with self._note.open("a") as file:
                    file.write(f"{name}@{self._counts[name]}\n")
            if self._is_chosen(name):
                os.kill(os.getpid(), signal.SIGKILL)
            is_pause = name == self._pause and self._counts[name] == 1
        if is_pause and self._paused is not None:
            _pause(Path(self._paused))

    def _is_chosen(self, name: str) -> bool:
        if self._number is not None:
            return self._counts.total() == self._number
        return name == self._name and self._counts[name] == self._times


def _pause(file: Path) -> None:
    file.touch()
    while file.exists():
        time.sleep(0.02)
