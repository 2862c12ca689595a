"""Run pip and npm, and turn their failures into one readable error."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from bursar.errors import SandboxError

_LAST_LINES = 8
# A proxy's or an index's user and password, as pip and npm may quote them.
_USERINFO = re.compile(r"(?<=://)[^/@\s]+@")
# How Node and Python name a certificate nobody they trust has signed.
_UNTRUSTED = re.compile(
    rb"SELF_SIGNED_CERT|UNABLE_TO_(?:GET_ISSUER|VERIFY)|CERTIFICATE_VERIFY_FAILED"
)


class Run(Protocol):
    """Runs a command to its end; raises `SandboxError` where it fails."""

    def __call__(
        self, command: Sequence[str], *, cwd: Path, env: Mapping[str, str] | None = None
    ) -> None:
        """Run `command` in `cwd` with `env` laid over this process's environment."""


def run(command: Sequence[str], *, cwd: Path, env: Mapping[str, str] | None = None) -> None:
    """Run `command` in `cwd` with `env` laid over this process's environment.

    Raises:
        SandboxError: it cannot be started or ends with another status than 0; the last lines of what it
            said are in the message.
    """
    environment = {**os.environ, **(env or {})}
    # What the caller's Python imports from is not the new environment's business.
    for name in ("PYTHONPATH", "PYTHONHOME", "__PYVENV_LAUNCHER__"):
        environment.pop(name, None)
    try:
        done = subprocess.run(  # noqa: S603  our own pinned commands
            list(command),
            cwd=cwd,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
    except OSError as problem:
        raise SandboxError(
            f"{Path(command[0]).name} cannot be run: {problem.strerror}",
            hint="run `bursar sandbox setup` again",
        ) from None
    if done.returncode:
        raise SandboxError(
            f"`{_short(command)}` failed:\n{_tail(done.stdout)}",
            hint=_hint(done.stdout),
        )


def _hint(output: bytes) -> str:
    if _UNTRUSTED.search(output):
        return (
            "a proxy signs with an authority that npm or pip does not know: name the file of your company's "
            "certificates in NODE_EXTRA_CA_CERTS and PIP_CERT, then try again"
        )
    return "mend what the last lines name (often the network or a proxy), then try again"


def _short(command: Sequence[str]) -> str:
    return " ".join(Path(word).name if Path(word).is_absolute() else word for word in command[:4])


def _tail(output: bytes) -> str:
    lines = output.decode(errors="replace").strip().splitlines() or ["(it said nothing)"]
    return "\n".join("  " + _USERINFO.sub("…@", line) for line in lines[-_LAST_LINES:])
