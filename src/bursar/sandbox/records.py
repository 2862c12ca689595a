"""What a sandbox remembers on disk between commands: its ports, its keys, and what runs now."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from bursar.errors import SandboxError
from bursar.home import home
from bursar.sandbox.aws import RootKey
from bursar.sandbox.processes import Process

SERVICES = ("aws", "chain", "crossmint")
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class Running:
    """The processes of a sandbox that was brought up: the keeper and its servers by name."""

    keeper: Process
    services: dict[str, Process]


@dataclass(frozen=True, slots=True)
class Record:
    """One sandbox. `ports` are by service; `running` is None where it was taken down in order."""

    ports: dict[str, int]
    root: RootKey
    api_key: str = field(repr=False)
    running: Running | None = None

    @classmethod
    def read(cls, file: Path) -> Self | None:
        """Return what the file says, or None where there is none or it is not ours to understand."""
        try:
            return cls._parse(json.loads(file.read_text()))
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None

    @classmethod
    def _parse(cls, data: dict[str, Any]) -> Self:
        running = data["running"] and Running(
            Process(**data["running"]["keeper"]),
            {name: Process(**data["running"]["services"][name]) for name in SERVICES},
        )
        ports = {name: int(data["ports"][name]) for name in SERVICES}
        return cls(ports, RootKey(**data["root"]), str(data["api_key"]), running or None)

    def write(self, file: Path) -> None:
        """Write the file, readable by its owner alone, in one step."""
        aside = file.with_suffix(".new")
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as stream:
            json.dump(asdict(self), stream, indent=2)
        aside.replace(file)


@dataclass(frozen=True, slots=True)
class Place:
    """The folder of one sandbox and what is where in it."""

    folder: Path

    @classmethod
    def named(cls, name: str) -> Self:
        """Return the place of the sandbox of this name.

        Raises:
            SandboxError: not a name: small letters, digits and dashes, at most 32.
        """
        if not _NAME.fullmatch(name):
            raise SandboxError(
                f"{name!r} is not a name for a sandbox",
                hint="use small letters, digits and dashes, at most 32",
            )
        return cls(home() / "sandbox" / name)

    @property
    def record(self) -> Path:
        """What the sandbox remembers."""
        return self.folder / "sandbox.json"

    @property
    def whole(self) -> Path:
        """The file that says the state was written in full when the sandbox last stopped."""
        return self.folder / "stopped-in-order"

    @property
    def stopping(self) -> Path:
        """The file that says the servers are being stopped, rather than failing."""
        return self.folder / "stopping"

    @property
    def crossmint_config(self) -> Path:
        """What the stand-in was told: its keys, and where the contracts are."""
        return self.folder / "crossmint" / "config.json"

    def log(self, service: str) -> Path:
        """Return the file of what a service said since it was started."""
        return self.folder / "logs" / f"{service}.log"

    def state(self, service: str) -> Path:
        """Return the folder of a service's state, made if need be, closed to others."""
        folder = self.folder / service
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return folder

    @contextmanager
    def locked(self, *, make: bool = True) -> Iterator[None]:
        """Hold this sandbox against other commands; wait for them where they hold it.

        Without `make`, a folder that is not there, or goes while waiting, is not made: there is nothing to hold.

        Raises:
            SandboxError: the folder cannot be written.
        """
        descriptor = None
        try:
            while descriptor is None and (make or self.folder.exists()):
                descriptor = self._lock()
            yield
        finally:
            if descriptor is not None:
                os.close(descriptor)

    def remove(self) -> None:
        """Remove the folder. To be called while it is locked and nothing of the sandbox runs.

        Raises:
            SandboxError: it cannot be removed, or not all of it.
        """
        try:
            shutil.rmtree(self.folder)
        except OSError as problem:
            raise SandboxError(f"{self.folder} cannot be removed: {problem.strerror}") from None

    def _lock(self) -> int | None:
        """Return the lock's descriptor, or None where who held it removed the folder: try again then."""
        file = self.folder / "lock"
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            (self.folder / "logs").mkdir(mode=0o700, exist_ok=True)
            descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
        except FileNotFoundError:
            return None
        except OSError as problem:
            raise SandboxError(
                f"{self.folder} cannot be written: {problem.strerror}",
                hint="set BURSAR_HOME to a folder of yours",
            ) from None
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if file.exists() and file.stat().st_ino == os.fstat(descriptor).st_ino:
            return descriptor
        os.close(descriptor)
        return None
