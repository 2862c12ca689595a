"""Start servers, wait until they answer, and stop them for good, even when we are killed.

Servers belong to a keeper (`keeper.py`), a small process that stops them when its owner ends, by whatever
means. A process is known by its id and its start time together: ids are used again.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from bursar.errors import SandboxError
from bursar.sandbox import keeper

HOST = "127.0.0.1"
_POLL_SECONDS = 0.01
_LAST_LINES = 8


@dataclass(frozen=True, slots=True)
class Process:
    """One process of this machine: its id and when it started, in the system's own words."""

    pid: int
    started: str

    @classmethod
    def of(cls, pid: int) -> Self:
        """Return the process that has this id now; `started` is empty where there is none."""
        return cls(pid, _started(pid))

    @property
    def alive(self) -> bool:
        """Whether this very process still runs: not ended, not another one under the same id."""
        return bool(self.started) and _started(self.pid) == self.started

    def wait(self, seconds: float) -> bool:
        """Wait until it has ended, at most `seconds`; return whether it has."""
        deadline = time.monotonic() + seconds
        while self.alive:
            if time.monotonic() > deadline:
                return False
            time.sleep(_POLL_SECONDS)
        return True


@dataclass(frozen=True, slots=True)
class Command:
    """A server to run. `env` is its whole environment; what it says goes to the file `log`."""

    name: str
    argv: Sequence[str]
    env: Mapping[str, str]
    cwd: Path
    log: Path


class Keeper:
    """Our end of a keeper process. Leaving the `with` block stops what it keeps, unless it was released.

    Safe to use from several threads.
    """

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._lock = threading.Lock()
        self.identity = Process.of(process.pid)

    @classmethod
    def start(cls, whole: Path, log: Path, *, grace: float = keeper.GRACE_SECONDS) -> Self:
        """Start a keeper in a session of its own, out of reach of this terminal's Ctrl-C.

        It creates the file `whole` after a stop in which every server ended within `grace` seconds.
        """
        with log.open("wb") as errors:
            process = subprocess.Popen(  # noqa: S603  our own file
                [sys.executable, "-I", "-S", str(Path(keeper.__file__)), str(whole), str(grace)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                cwd=whole.parent,
                start_new_session=True,
            )
        return cls(process)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def run(self, command: Command) -> Process:
        """Start a server.

        Raises:
            SandboxError: it cannot be run, or the keeper is gone.
        """
        reply = self._ask(
            {
                "command": list(command.argv),
                "env": dict(command.env),
                "cwd": str(command.cwd),
                "log": str(command.log),
            }
        )
        if "pid" not in reply:
            raise SandboxError(
                f"{command.name} cannot be run: {reply.get('error')}",
                hint="run `bursar sandbox setup` again",
            )
        return Process.of(reply["pid"])

    def release(self) -> None:
        """Let the keeper and its servers live on after this process."""
        self._ask({"release": True})
        self._close()
        # It is nobody's child to wait for from here on; `end` finds it by its identity.
        self._process.returncode = 0

    def stop(self) -> None:
        """Stop all its servers and wait until they are gone. Stopping twice does nothing."""
        self._close()
        self._process.wait()

    def _close(self) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe:
                # Closing writes what is left, which a keeper that has gone does not take.
                with suppress(OSError):
                    pipe.close()

    def _ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        requests, replies = self._process.stdin, self._process.stdout
        if requests is None or replies is None or requests.closed:
            raise SandboxError("the sandbox's keeper is stopped")
        with self._lock:
            try:
                requests.write(json.dumps(request).encode() + b"\n")
                requests.flush()
                line = replies.readline()
            except (OSError, ValueError):  # gone, or stopped by another thread
                line = b""
        if not line:
            raise SandboxError("the sandbox's keeper has gone", hint="see: bursar sandbox status")
        reply: dict[str, Any] = json.loads(line)
        return reply


def end(kept_by: Process, servers: Sequence[Process]) -> None:
    """Stop a keeper with its servers by identity, from any process.

    The keeper does it where it lives. Where it was killed itself, its servers are told one by one.

    Raises:
        SandboxError: a process of another user, which we may not stop.
    """
    patience = keeper.GRACE_SECONDS + 5
    if kept_by.alive:
        _signal(kept_by, signal.SIGTERM)
        kept_by.wait(patience)
    left = [server for server in (*servers, kept_by) if server.alive]
    for server in left:
        _signal(server, signal.SIGTERM)
    for server in left:
        if not server.wait(patience):
            _signal(server, signal.SIGKILL)
    if left:
        # Grandchildren, such as the workers of functions, are in the keeper's group.
        _kill_group(kept_by.pid)


def wait_until_ready(
    process: Process, command: Command, answers: Callable[[], bool], seconds: float
) -> None:
    """Wait until a server answers, as long as it runs.

    Raises:
        SandboxError: it ended (the last lines it said are in the message), or `seconds` are over.
    """
    deadline = time.monotonic() + seconds
    while not answers():
        if not process.alive:
            raise SandboxError(f"{command.name} ended while starting:\n{last_lines(command.log)}")
        if time.monotonic() > deadline:
            raise SandboxError(
                f"{command.name} did not answer in {seconds:.0f} s:\n{last_lines(command.log)}"
            )
        time.sleep(_POLL_SECONDS)


def last_lines(log: Path) -> str:
    """Return the end of a log, indented, to show in an error."""
    try:
        lines = log.read_text(errors="replace").strip().splitlines()
    except OSError:
        lines = []
    return "\n".join(f"  {line}" for line in lines[-_LAST_LINES:]) or "  (it said nothing)"


def free_ports(count: int, wanted: Sequence[int] = ()) -> list[int]:
    """Return `count` loopback ports that were free a moment ago: the wanted ones where they all are."""
    with ExitStack() as open_sockets:
        try:
            return [_bind(open_sockets, port) for port in (*wanted, *[0] * count)[:count]]
        except OSError:
            return free_ports(count)


def _bind(open_sockets: ExitStack, port: int) -> int:
    listener = open_sockets.enter_context(socket.socket())
    # As servers do: a port whose last connections are still winding down is free.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((HOST, port))
    return int(listener.getsockname()[1])


def _signal(process: Process, number: int) -> None:
    try:
        os.kill(process.pid, number)
    except ProcessLookupError:
        pass
    except PermissionError:
        raise SandboxError(f"process {process.pid} belongs to another user") from None


def _kill_group(group: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def _started(pid: int) -> str:
    """Return when the process started, or "" where there is none or only its remains."""
    if sys.platform == "linux":
        return _started_linux(pid)
    return _started_ps(pid)


def _started_linux(pid: int) -> str:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text()
    except OSError:
        return ""
    # proc(5): the name in brackets may hold anything; state is the 1st field after it, start time the 20th.
    fields = stat.rpartition(")")[2].split()
    return "" if fields[0] in "ZX" else f"{boot.strip()}:{fields[19]}"


def _started_ps(pid: int) -> str:
    ps = ["/bin/ps", "-o", "stat=,lstart=", "-p", str(pid)]
    said = subprocess.run(ps, capture_output=True, env={"LC_ALL": "C"}, check=False, text=True)  # noqa: S603
    state, _, started = said.stdout.strip().partition(" ")
    return "" if state.startswith("Z") else started.strip()
