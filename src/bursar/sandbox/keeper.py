"""The keeper: a small process that holds the sandbox's servers and lets none outlive its purpose.

Run by path under `python -I -S`, so it imports the standard library alone. It reads one JSON request a line
on stdin and answers each with one line on stdout:

    {"command": [...], "env": {...}, "cwd": "...", "log": "..."}   →   {"pid": 123} or {"error": "..."}
    {"release": true}                                              →   {}

Until it is released, the end of stdin is the end of its owner, however that came about, and stops
everything. SIGTERM, SIGINT and SIGHUP stop everything at any time. Stopping is SIGTERM to the whole process
group, time for the servers to write their state, then SIGKILL to the group, so that grandchildren go too.
Arguments: a file it leaves when every server ended in time, so that their state is whole; and that time, in
seconds.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

GRACE_SECONDS = 20.0
_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Keeper:
    """Holds the children. `released` is whether it lives on without its owner."""

    def __init__(self, whole: Path, grace: float) -> None:
        self.whole = whole
        self.grace = grace
        self.children: list[subprocess.Popen[bytes]] = []
        self.released = False
        self.stopping = False

    def run(self) -> None:
        """Serve requests until told to stop, the owner is gone, or nothing is left to keep; then stop all."""
        try:
            self._serve()
        finally:
            self._stop()

    def _serve(self) -> None:
        wake_read, wake_write = os.pipe()
        os.set_blocking(wake_write, False)
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        for number in _STOP_SIGNALS:
            signal.signal(number, self._on_stop)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        sources = [0, wake_read]
        pending = b""
        while not self.stopping and not self._forgotten():
            ready, _, _ = select.select(sources, [], [])
            if wake_read in ready:
                os.read(wake_read, 4096)
            if 0 in ready:
                received = os.read(0, 65536)
                if not received:
                    self.stopping = self.stopping or not self.released
                    sources.remove(0)
                *lines, pending = (pending + received).split(b"\n")
                for line in lines:
                    _answer(self._handle(json.loads(line)))

    def _on_stop(self, *_: object) -> None:
        self.stopping = True

    def _forgotten(self) -> bool:
        return self.released and all([child.poll() is not None for child in self.children])  # noqa: C419  reap all

    def _handle(self, request: dict[str, Any]) -> dict[str, Any]:
        if request.get("release"):
            self.released = True
            return {}
        try:
            child = _start(request)
        except OSError as problem:
            return {"error": problem.strerror or "cannot be run"}
        self.children.append(child)
        return {"pid": child.pid}

    def _stop(self) -> None:
        for number in _STOP_SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        served = [child for child in self.children if child.poll() is None]
        os.killpg(0, signal.SIGTERM)
        deadline = time.monotonic() + self.grace
        while time.monotonic() < deadline and any(child.poll() is None for child in served):
            time.sleep(0.01)
        ended = all(child.poll() is not None for child in served)
        if ended and len(served) == len(self.children):
            self.whole.touch(mode=0o600)
        os.killpg(0, signal.SIGKILL)


def _start(request: dict[str, Any]) -> subprocess.Popen[bytes]:
    log = os.open(str(request["log"]), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        return subprocess.Popen(  # noqa: S603  the owner's own commands, no shell
            request["command"],
            env=request["env"],
            cwd=request["cwd"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            umask=0o077,
        )
    finally:
        os.close(log)


def _answer(reply: dict[str, Any]) -> None:
    # Where the owner is gone, the end of stdin says what to do about it.
    with contextlib.suppress(BrokenPipeError):
        os.write(1, json.dumps(reply).encode() + b"\n")


if __name__ == "__main__":
    Keeper(Path(sys.argv[1]), float(sys.argv[2])).run()
