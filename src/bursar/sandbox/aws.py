"""The sandbox's AWS: ministack, an emulator that signs, judges IAM policies and runs functions.

Facts of its version 1.5.33 that the rest relies on:

- Its own variables decide who is the root of account 000000000000, so it never sees the caller's environment.
  Root is a key made up for each sandbox, and no other: `guarded_ministack.py`, which runs it, sees to that.
- Functions run as workers of the same machine, under ministack's Python, with credentials of their role and
  `AWS_ENDPOINT_URL` in their environment. A function's wheels must fit this machine.
- State is written on SIGTERM and read at the start: keys, IAM, functions, APIs, stacks, logs. CloudTrail's
  event history is not kept.
- It would listen on all interfaces, and for MQTT on port 8883, if it were not told otherwise.
"""

from __future__ import annotations

import http.client
import os
import platform
import secrets
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from bursar.sandbox.processes import HOST, Command

REGION = "us-east-1"
# Variables of the caller's that would send requests elsewhere or sign them as somebody else.
FOREIGN_VARIABLES = ("AWS_PROFILE", "AWS_SESSION_TOKEN")
_READY_SECONDS = 2.0
_LAUNCHER = Path(__file__).with_name("guarded_ministack.py")


@dataclass(frozen=True, slots=True)
class RootKey:
    """The access key of one sandbox's root. Nobody else's sandbox has it, and no real AWS account."""

    access_key_id: str
    secret_access_key: str = field(repr=False)

    @classmethod
    def new(cls) -> Self:
        """Make one up."""
        return cls(f"SANDBOX{secrets.token_hex(16).upper()}", secrets.token_urlsafe(30))

    @property
    def environment(self) -> dict[str, str]:
        """The variables AWS clients take it from."""
        return {
            "AWS_ACCESS_KEY_ID": self.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.secret_access_key,
        }


def command(python: list[str], port: int, folder: Path, root: RootKey, log: Path) -> Command:
    """Return the command that runs AWS with its state in `folder`, on loopback only.

    `python` is the command of the Python that has ministack (`Tools.ministack`).
    """
    temporary = folder / "tmp"
    # Unpacked functions of earlier runs.
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(mode=0o700, parents=True)
    env = {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(folder),
        "TMPDIR": str(temporary),
        "LANG": "C.UTF-8",
        "AUTH": "true",
        "CLOUDTRAIL_RECORDING": "1",
        "BIND_HOST": HOST,
        "GATEWAY_PORT": str(port),
        "PERSIST_STATE": "1",
        "STATE_DIR": str(folder / "state"),
        "S3_DATA_DIR": str(folder / "s3"),
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        # It would tidy up containers it believes to be its own.
        "DOCKER_HOST": "unix:///nonexistent/docker.sock",
        **root.environment,
    }
    # Isolated: the launcher's folder holds modules of ours with everyday names.
    argv = [*python, "-I", str(_LAUNCHER)]
    return Command("AWS (ministack)", argv, env, folder, log)


def answers(port: int, log: Path) -> bool:
    """Return whether this ministack listens and is ready; another server on the port does not count."""
    if f"Running on http://{HOST}:{port}" not in log.read_text(errors="replace"):
        return False
    connection = http.client.HTTPConnection(HOST, port, timeout=_READY_SECONDS)
    try:
        connection.request("GET", "/_ministack/ready")
        return connection.getresponse().status == http.client.OK
    except OSError:
        return False
    finally:
        connection.close()


def environment(port: int, root: RootKey) -> dict[str, str]:
    """Return the variables that point AWS clients and bursar's deployment at this AWS."""
    return {
        "AWS_ENDPOINT_URL": f"http://{HOST}:{port}",
        **root.environment,
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "BURSAR_FUNCTION_ARCHITECTURE": host_architecture(),
        "BURSAR_FUNCTION_RUNTIME": host_runtime(),
    }


def host_architecture() -> str:
    """Return this machine's architecture in Lambda's words."""
    return "arm64" if platform.machine().lower() in {"arm64", "aarch64"} else "x86_64"


def host_runtime() -> str:
    """Return Lambda's runtime for the interpreter that functions run under here."""
    return f"python{sys.version_info.major}.{sys.version_info.minor}"
