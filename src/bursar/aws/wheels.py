"""The compiled packages the signing function carries: fetched once by pip, kept in a cache, verified by hash.

Nothing is built or run here: wheels are files. The pinned hashes are in `function-requirements.txt`.
"""

from __future__ import annotations

import hashlib
import platform
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from bursar.errors import AwsError, ConfigError
from bursar.home import home

REQUIREMENTS = Path(__file__).with_name("function-requirements.txt")
RUNTIMES = ("python3.11", "python3.12", "python3.13")
ARCHITECTURES = {"arm64": "aarch64", "x86_64": "x86_64"}

_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
_PIN = re.compile(r"^([A-Za-z0-9_.-]+)==([^\s;\\]+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Target:
    """What the function runs on: a Lambda runtime and architecture, or (`host`) this machine's interpreter.

    Emulators of Lambda run the function as a process of this machine, so they need this machine's wheels.
    """

    runtime: str
    architecture: str
    host: bool = False

    def __post_init__(self) -> None:
        if self.runtime not in RUNTIMES or self.architecture not in ARCHITECTURES:
            raise ConfigError(
                f"the function cannot run on {self.runtime}, {self.architecture}",
                hint=f"runtimes: {', '.join(RUNTIMES)}; architectures: {', '.join(ARCHITECTURES)}",
            )

    @property
    def folder(self) -> str:
        """The name of this target's folder in the cache."""
        where = f"host-{sys.platform}-" if self.host else ""
        return f"{where}{self.runtime}-{self.architecture}"

    def pip_options(self) -> list[str]:
        """Return the options that make pip choose this target's wheels."""
        if self.host:
            return []
        # Amazon Linux 2, under python3.11, has glibc 2.26; manylinux2014 asks for 2.17.
        machine = ARCHITECTURES[self.architecture]
        platforms = [f"--platform=manylinux2014_{machine}", f"--platform=manylinux_2_17_{machine}"]
        version = self.runtime.removeprefix("python")
        return [*platforms, f"--python-version={version}", "--implementation=cp"]


@dataclass(frozen=True, slots=True)
class Wheel:
    """A wheel that was verified: the very bytes whose hash was compared, and the file they came from."""

    path: Path
    data: bytes


def host_target() -> Target:
    """Return the target that is this machine and this interpreter.

    Raises:
        ConfigError: the interpreter or machine is not one bursar supports.
    """
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    machine = platform.machine().lower()
    names = {"aarch64": "arm64", "arm64": "arm64", "x86_64": "x86_64", "amd64": "x86_64"}
    return Target(version, names.get(machine, machine), host=True)


def cache_directory() -> Path:
    """Return where wheels are kept: `wheels` in bursar's home."""
    return home() / "wheels"


def prefetch(runtime: str | None = None, architecture: str | None = None) -> tuple[Wheel, ...]:
    """Fetch wheels into the cache if they are not there, so that a deployment needs no package index later.

    Without arguments, or with this machine's own runtime and architecture, they are this machine's, as an
    emulator's functions need them; otherwise Lambda's. Network: the package index, through pip.

    Raises:
        ConfigError, AwsError: as `fetch_wheels`.
    """
    host = host_target()
    if (runtime, architecture) in ((None, None), (host.runtime, host.architecture)):
        return fetch_wheels(host)
    return fetch_wheels(Target(runtime or host.runtime, architecture or host.architecture))


def fetch_wheels(
    target: Target, *, find_links: Path | None = None, requirements: Path = REQUIREMENTS
) -> tuple[Wheel, ...]:
    """Return the wheels of a target, each verified against its own package's hashes; fetched by pip if not cached.

    `find_links` is a directory of wheels to take them from, in place of the package index.

    Raises:
        AwsError: pip is missing, the wheels cannot be fetched, or a cached wheel is not the pinned one.
    """
    folder = cache_directory() / target.folder
    pinned = requirements.read_text(encoding="utf-8")
    if not _complete(folder, pinned):
        _download(target, folder, find_links, requirements)
    return tuple(_verified(folder, pin) for pin in _pins(pinned))


@dataclass(frozen=True, slots=True)
class _Pin:
    name: str
    version: str
    hashes: frozenset[str]


def _pins(pinned: str) -> list[_Pin]:
    found = list(_PIN.finditer(pinned))
    ends = [each.start() for each in found[1:]] + [len(pinned)]
    return [
        _Pin(each[1], each[2], frozenset(_HASH.findall(pinned, each.end(), end)))
        for each, end in zip(found, ends, strict=True)
    ]


def _found(folder: Path, pin: _Pin) -> list[Path]:
    return sorted(folder.glob(f"{pin.name.replace('-', '_')}-{pin.version}-*.whl"))


def _complete(folder: Path, pinned: str) -> bool:
    return all(_found(folder, pin) for pin in _pins(pinned))


def _verified(folder: Path, pin: _Pin) -> Wheel:
    found = _found(folder, pin)
    if len(found) != 1:
        raise AwsError(
            f"{folder} has {len(found)} wheels of {pin.name} {pin.version}",
            hint="delete that directory and try again",
        )
    try:
        data = found[0].read_bytes()
    except OSError as problem:
        raise AwsError(f"{found[0]} cannot be read ({type(problem).__name__})") from None
    digest = hashlib.sha256(data).hexdigest()
    if digest not in pin.hashes:
        raise AwsError(
            f"{found[0]} is not the file that was pinned (sha256 {digest[:16]}…)",
            hint="delete it and try again; if it comes back, do not use that source of packages",
        )
    return Wheel(found[0], data)


def _download(target: Target, folder: Path, find_links: Path | None, requirements: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    source = ["--no-index", f"--find-links={find_links}"] if find_links else []
    command = [
        # -P: without it a pip.py in the working directory would be run instead.
        *(sys.executable, "-P", "-m", "pip", "download", "--quiet", "--disable-pip-version-check"),
        *("--no-input", "--only-binary=:all:", "--no-deps", "--require-hashes"),
        *(f"--requirement={requirements}", f"--dest={folder}"),
        *target.pip_options(),
        *source,
    ]
    try:
        done = subprocess.run(  # noqa: S603  our own interpreter, no shell
            command, capture_output=True, text=True, timeout=300, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as problem:
        raise AwsError(f"pip could not be run: {type(problem).__name__}") from None
    if done.returncode:
        raise AwsError(
            f"the function's packages could not be fetched: {_last_error(done.stderr)}",
            hint="check the network, or give --wheels DIR with the wheels of "
            f"{REQUIREMENTS.name} for {target.runtime}, {target.architecture}",
        )


def _last_error(stderr: str) -> str:
    if "No module named pip" in stderr:
        return "this Python has no pip"
    lines = [line for line in stderr.splitlines() if line.startswith("ERROR:")]
    return lines[-1].removeprefix("ERROR:").strip()[:300] if lines else "pip gave no reason"
