"""Crossmint's own SDK: fetched once for each lock file, as `make test` does before the tests, and run by Node."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from bursar.errors import SandboxError
from bursar.sandbox.setup import Tools
from bursar.sandbox.setup.commands import Run, run
from bursar.sandbox.setup.install import alone
from bursar.sandbox.setup.npm import FLAGS, npm_cache
from bursar.sandbox.setup.tools import find_node, tools_folder

SOURCES = Path(__file__).parent / "sdk"


def installed_sdk(folder: Path | None = None) -> Path:
    """Return the folder with the SDK's node_modules, among the tools in `folder`. Installs nothing.

    Raises:
        SandboxError: it is not there.
    """
    sdk = _sdk(tools_folder() if folder is None else folder)
    if not (sdk / "complete").exists():
        raise SandboxError(
            "Crossmint's SDK is not installed: `make test` fetches it before the tests"
        )
    return sdk


def install_sdk(folder: Path, run: Run = run) -> Path:
    """Fetch the SDK unless it is there. Network: npm's registry. `run` is a seam.

    Raises:
        SandboxError: the folder cannot be written, there is no npm, or it failed.
    """
    sdk = _sdk(folder)
    with alone(folder):
        if (sdk / "complete").exists():
            return sdk
        with tempfile.TemporaryDirectory(prefix=".new-", dir=folder) as aside:
            fresh = Path(aside) / sdk.name
            fresh.mkdir()
            for name in ("package.json", "package-lock.json"):
                shutil.copy(SOURCES / name, fresh)
            node = find_node(folder)
            run([*node.npm, "ci", *FLAGS], cwd=fresh, env=node.env)
            (fresh / "complete").touch()
            for old in folder.glob("sdk-*"):
                shutil.rmtree(old)
            fresh.rename(sdk)
        shutil.rmtree(npm_cache(folder), ignore_errors=True)
    return sdk


def run_node(
    tools: Tools, folder: Path, script: str, text: str = "", arguments: tuple[str, ...] = ()
) -> str:
    """Run one script among the SDK's modules and return its stdout."""
    done = subprocess.run(
        [str(tools.node), script, *arguments],
        cwd=folder,
        env={**os.environ, **tools.npm_env},
        input=text,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done.stdout


def main() -> int:
    """Fetch the SDK and say so; 1 with the reason where that fails."""
    folder = tools_folder()
    if not (_sdk(folder) / "complete").exists():
        print("Fetching Crossmint's SDK for the tests (131 MB, once) ...")  # noqa: T201
    try:
        install_sdk(folder)
    except SandboxError as problem:
        print(f"error: {problem.message}\nhint: {problem.hint}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


def _sdk(folder: Path) -> Path:
    lock = (SOURCES / "package-lock.json").read_bytes()
    return folder / f"sdk-{hashlib.sha256(lock).hexdigest()[:16]}"


if __name__ == "__main__":
    sys.exit(main())
