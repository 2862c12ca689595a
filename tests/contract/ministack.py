"""ministack as a process of its own, for the contract tests: free port, root credentials test/test.

It lives in a virtual environment of its own, because it pins botocore. BURSAR_TEST_MINISTACK names its executable.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def running_ministack(log: Path) -> Iterator[str]:
    """Yield the URL of a ministack that checks signatures and IAM policies; stop it afterwards."""
    executable = os.environ["BURSAR_TEST_MINISTACK"]
    port = _free_port()
    settings = {"AUTH": "true", "BIND_HOST": "127.0.0.1", "GATEWAY_PORT": str(port)}
    with log.open("wb") as out:
        process = subprocess.Popen(
            [executable], env={**os.environ, **settings}, stdout=out, stderr=out, cwd=log.parent
        )
    try:
        _wait_until_open(port, process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def _wait_until_open(port: int, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 30
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise AssertionError("ministack did not start; see its log")
