"""Installing Crossmint's own SDK, once for each lock file, and running Node with it."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
from pathlib import Path

from bursar.home import home
from bursar.sandbox.setup import Tools

SOURCES = Path(__file__).parent / "sdk"
_NPM_FLAGS = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]


def installed_sdk(tools: Tools) -> Path:
    """Return a folder with the SDK's node_modules; the second time nothing is installed."""
    lock = (SOURCES / "package-lock.json").read_bytes()
    folder = home() / "tools" / f"sdk-{hashlib.sha256(lock).hexdigest()[:16]}"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        if not (folder / "complete").exists():
            for name in ("package.json", "package-lock.json"):
                shutil.copy(SOURCES / name, folder)
            subprocess.run(
                [*tools.npm, "ci", *_NPM_FLAGS],
                cwd=folder,
                env={**os.environ, **tools.npm_env},
                check=True,
                timeout=240,
            )
            (folder / "complete").touch()
    return folder


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
