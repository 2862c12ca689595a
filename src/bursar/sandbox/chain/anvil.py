"""Running anvil: loopback only, Prague rules, its state in one file.

Without CORS its HTTP is closed to web pages. It looks at no `Host`, though, and its WebSocket at no `Origin`, and
neither can be set: a page that finds the port can ask this chain, which has no value and runs no programs.
"""

from __future__ import annotations

import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Self

from bursar.errors import SandboxError
from bursar.sandbox.chain.rpc import Rpc

BASE_SEPOLIA_CHAIN_ID = 84532
START_SECONDS = 20.0
# anvil writes its state file on the way out, which takes longer the more blocks there are.
STOP_SECONDS = 20.0
_HOST = "127.0.0.1"


def anvil_command(
    binary: Path, port: int, state_file: Path | None = None, chain_id: int = BASE_SEPOLIA_CHAIN_ID
) -> list[str]:
    """Return the command line that runs the chain.

    The code size limit is off because the npm build of Kernel is larger than EIP-170 allows. With a state file the
    chain is read from it, where it exists, and written to it on SIGTERM or SIGINT.
    """
    command = [str(binary), "--host", _HOST, "--port", str(port), "--chain-id", str(chain_id)]
    command += ["--hardfork", "prague", "--disable-code-size-limit", "--silent", "--no-cors"]
    return command + (["--state", str(state_file)] if state_file else [])


class Anvil:
    """A running anvil, stopped when the `with` block ends.

    ```
    with Anvil.start(binary, port) as chain:
        chain.rpc.chain_id()
    ```
    """

    def __init__(self, process: subprocess.Popen[bytes], rpc: Rpc) -> None:
        self.process = process
        self.rpc = rpc

    @classmethod
    def start(
        cls,
        binary: Path,
        port: int = 0,
        state_file: Path | None = None,
        chain_id: int = BASE_SEPOLIA_CHAIN_ID,
    ) -> Self:
        """Start anvil and wait until it answers. Port 0 takes a free one.

        Raises:
            SandboxError: it cannot be run, or stops at once, or does not answer in START_SECONDS.
        """
        port = port or free_port()
        command = anvil_command(binary, port, state_file, chain_id)
        try:
            # A session of its own: Ctrl-C reaches us alone, and we let anvil write its state.
            process = subprocess.Popen(  # noqa: S603  our own command, no shell
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError as error:
            raise SandboxError(
                f"cannot run anvil at {binary}: {error.strerror}", hint="run: bursar sandbox setup"
            ) from None
        chain = cls(process, Rpc(f"http://{_HOST}:{port}"))
        chain._wait_until_up(chain_id)
        return chain

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """Where it answers JSON-RPC."""
        return self.rpc.url

    def stop(self) -> None:
        """Stop it and wait for its state to be written. Stopping twice does nothing."""
        self.rpc.close()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _wait_until_up(self, chain_id: int) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                found = self.rpc.chain_id()
            except SandboxError:
                time.sleep(0.01)
                continue
            if found == chain_id and self.process.poll() is None:
                return
            self.stop()
            raise SandboxError(f"{self.url} is another chain, {found}")
        self.stop()
        raise SandboxError(
            f"anvil did not come up at {self.url} (exit status {self.process.returncode})",
            hint="its port may be taken or its state file damaged: bursar sandbox up --fresh",
        )


def free_port() -> int:
    """Return a loopback port that was free a moment ago."""
    with socket.socket() as listener:
        listener.bind((_HOST, 0))
        return int(listener.getsockname()[1])
