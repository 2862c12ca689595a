"""The sandbox's AWS: ministack, an emulator that signs, judges IAM policies and runs functions.

Facts of its version 1.5.33 that the rest relies on:

- Access key `test`/`test` is the root of account 000000000000. Its own variables decide that, so it never sees
  the caller's environment.
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
import shutil
import sys
from pathlib import Path

from bursar.sandbox.processes import HOST, Command

REGION = "us-east-1"
ACCESS_KEY_ID = "test"
SECRET_ACCESS_KEY = "test"  # noqa: S105  the emulator's fixed root key
# Variables of the caller's that would send requests elsewhere or sign them as somebody else.
FOREIGN_VARIABLES = ("AWS_PROFILE", "AWS_SESSION_TOKEN")
_READY_SECONDS = 2.0


def command(ministack: list[str], port: int, folder: Path, log: Path) -> Command:
    """Return the command that runs AWS with its state in `folder`, on loopback only."""
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
    }
    return Command("AWS (ministack)", ministack, env, folder, log)


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


def environment(port: int) -> dict[str, str]:
    """Return the variables that point AWS clients and bursar's deployment at this AWS."""
    return {
        "AWS_ENDPOINT_URL": f"http://{HOST}:{port}",
        "AWS_ACCESS_KEY_ID": ACCESS_KEY_ID,
        "AWS_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY,
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
