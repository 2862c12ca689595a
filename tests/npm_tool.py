"""Tools of others that only tests run, on Node. `make test` fetches them before the tests, once for a lock file.

None is part of bursar, none is imported by it, and none is in this repository but by name and hash.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from bursar.errors import SandboxError
from bursar.sandbox.setup.commands import Run, run
from bursar.sandbox.setup.install import alone
from bursar.sandbox.setup.npm import FLAGS, npm_cache
from bursar.sandbox.setup.tools import find_node, tools_folder

_TESTS = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class NpmTool:
    """What the lock file in `sources` names, installed as a folder `family-HASH` among the sandbox's tools."""

    family: str
    title: str
    size: str
    sources: Path

    def folder(self, tools: Path) -> Path:
        """Return where it is, or would be, among the tools in `tools`."""
        lock = (self.sources / "package-lock.json").read_bytes()
        return tools / f"{self.family}-{hashlib.sha256(lock).hexdigest()[:16]}"

    def is_installed(self, tools: Path) -> bool:
        """Tell whether all of it is there."""
        return (self.folder(tools) / "complete").exists()

    def installed(self, tools: Path | None = None) -> Path:
        """Return the folder with its node_modules. Installs nothing.

        Raises:
            SandboxError: it is not there.
        """
        tools = tools_folder() if tools is None else tools
        if not self.is_installed(tools):
            raise SandboxError(
                f"{self.title} is not installed: `make test` fetches it before the tests"
            )
        return self.folder(tools)

    def install(self, tools: Path, run: Run = run) -> Path:
        """Fetch it unless it is there. Network: npm's registry. `run` is a seam.

        Raises:
            SandboxError: the folder cannot be written, there is no npm, or it failed.
        """
        folder = self.folder(tools)
        with alone(tools):
            if self.is_installed(tools):
                return folder
            with tempfile.TemporaryDirectory(prefix=".new-", dir=tools) as aside:
                fresh = Path(aside) / folder.name
                fresh.mkdir()
                for name in ("package.json", "package-lock.json"):
                    shutil.copy(self.sources / name, fresh)
                node = find_node(tools)
                run([*node.npm, "ci", *FLAGS], cwd=fresh, env=node.env)
                (fresh / "complete").touch()
                for old in tools.glob(f"{self.family}-*"):
                    shutil.rmtree(old)
                fresh.rename(folder)
            shutil.rmtree(npm_cache(tools), ignore_errors=True)
        return folder

    def run_node(self, script: str, text: str = "", arguments: tuple[str, ...] = ()) -> str:
        """Run one script in the tool's folder, with `text` as its stdin, and return its stdout."""
        folder, node = self.installed(), find_node(tools_folder())
        done = subprocess.run(
            [str(node.node), script, *arguments],
            cwd=folder,
            env={**os.environ, **node.env},
            input=text,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        assert done.returncode == 0, f"{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
        return done.stdout


SDK = NpmTool("sdk", "Crossmint's SDK", "131 MB", _TESTS / "e2e" / "sdk")
# AGPL-3.0: run as a process of its own, beside bursar and never as a part of it.
ORACLE = NpmTool("oracle", "the policy simulator", "19 MB", _TESTS / "oracle")


def main(wanted: Iterable[NpmTool] = (SDK, ORACLE)) -> int:
    """Fetch what is missing and say so; 1 with the reason where that fails."""
    tools = tools_folder()
    for tool in wanted:
        if not tool.is_installed(tools):
            print(f"Fetching {tool.title} for the tests ({tool.size}, once) ...")  # noqa: T201
        try:
            tool.install(tools)
        except SandboxError as problem:
            print(f"error: {problem.message}\nhint: {problem.hint}", file=sys.stderr)  # noqa: T201
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
