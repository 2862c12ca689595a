"""bursar as another program runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx2

from bursar.sandbox.chain import Rpc, Token
from bursar.sandbox.world import World


class Terminal:
    """Runs bursar with `--json` against a world, in a folder of its own.

    It is the account's root, or `by` one of the `people`, who are named with their credentials' variables.
    """

    def __init__(self, world: World, folder: Path) -> None:
        self.world = world
        self.folder = folder
        self.people: dict[str, dict[str, str]] = {}

    def run(self, *words: str, by: str | None = None) -> tuple[int, Any]:
        done = self._run("--json", *words, by=by)
        return done.returncode, json.loads(done.stdout)

    def done(self, *words: str, by: str | None = None) -> Any:
        status, answer = self.run(*words, by=by)
        assert status == 0, answer
        return answer

    def shown(self, *words: str) -> str:
        """Return what a person sees."""
        done = self._run(*words)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def _run(self, *words: str, by: str | None = None) -> subprocess.CompletedProcess[str]:
        who = self.people[by] if by else {}
        return subprocess.run(
            [sys.executable, "-m", "bursar", *words],
            env={**os.environ, **self.world.environment, "BURSAR_SIGNER_VIA": "kms", **who},
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def fault(self, operation: str, kind: str, **more: str) -> None:
        httpx2.post(
            f"{self.world.environment['BURSAR_CROSSMINT_URL']}/_sandbox/faults",
            json={"operation": operation, "kind": kind, **more},
            headers={"X-API-KEY": self.world.environment["BURSAR_CROSSMINT_API_KEY"]},
            trust_env=False,
        ).raise_for_status()

    def units(self, account: str) -> int:
        with Rpc(self.world.environment["BURSAR_CHAIN_RPC_URL"]) as rpc:
            return Token(rpc, self.world.contracts.usdc).balance_of(account)
