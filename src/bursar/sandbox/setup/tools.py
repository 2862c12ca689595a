"""Where the installed tools are."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bursar.errors import SandboxError
from bursar.home import home
from bursar.sandbox.setup import components
from bursar.sandbox.setup.npm import npm_environment

Which = Callable[[str], str | None]

_HINT = "run `bursar sandbox setup`"


@dataclass(frozen=True, slots=True)
class Node:
    """A Node and its npm. `env` is laid over the environment of both."""

    node: Path
    npm: list[str]
    env: dict[str, str]


@dataclass(frozen=True, slots=True)
class Tools:
    """Paths of one complete set-up.

    `ministack` is the command of the Python that has it; `compiled` is where our own contracts' creation code is.
    """

    folder: Path
    anvil: Path
    ministack: list[str]
    entry_point_artifact: Path
    kernel_precompiles: Path
    compiled: Path

    @property
    def node(self) -> Path:
        """Node: the machine's own, or the one from PyPI."""
        return find_node(self.folder).node

    @property
    def npm(self) -> list[str]:
        """The command that is npm."""
        return find_node(self.folder).npm

    @property
    def npm_env(self) -> dict[str, str]:
        """Variables to lay over the environment when running `node` or `npm`."""
        return find_node(self.folder).env


def tools(folder: Path | None = None) -> Tools:
    """Return where the tools are. Reads a few file names; starts nothing.

    Raises:
        SandboxError: they are not installed, not completely, or not in the pinned versions.
    """
    folder = tools_folder() if folder is None else folder
    aws = components.ministack(folder)
    contracts = components.contracts(folder)
    compiled = components.compiled(folder)
    if missing := [part.name for part in (aws, contracts, compiled) if not part.ready]:
        raise SandboxError(f"the sandbox's tools are not installed: {missing[0]}", hint=_HINT)
    return Tools(
        folder=folder,
        anvil=find_anvil(folder),
        ministack=[str(aws.folder / "bin" / "python")],
        entry_point_artifact=contracts.folder / "EntryPoint.json",
        kernel_precompiles=contracts.folder / "KernelPrecompiles.sol",
        compiled=compiled.folder,
    )


def tools_folder() -> Path:
    """Return the folder the tools are installed in. It need not exist yet."""
    return home() / "tools"


def find_anvil(folder: Path) -> Path:
    """Return the anvil that `BURSAR_ANVIL` names, or else the installed one.

    Raises:
        SandboxError: there is none.
    """
    if own := own_anvil():
        return own
    part = components.anvil(folder)
    if not part.ready:
        raise SandboxError("the sandbox's tools are not installed: anvil", hint=_HINT)
    return part.folder / part.needs[0]


def own_anvil() -> Path | None:
    """Return the anvil the user brought along in `BURSAR_ANVIL`, for platforms npm has none for."""
    named = os.environ.get("BURSAR_ANVIL")
    return Path(named) if named else None


def find_node(folder: Path, which: Which = shutil.which) -> Node:
    """Return the Node and npm of this machine, or those installed from PyPI.

    Raises:
        SandboxError: there are none.
    """
    env = npm_environment(folder)
    if (npm := which("npm")) and (own := which("node")):
        return Node(Path(own), [npm], env)
    part = components.node(folder)
    if not part.ready:
        hint = f"put node and npm on PATH, or remove {folder} and run `bursar sandbox setup`"
        raise SandboxError("there is no npm on this machine", hint=hint)
    binary, npm_cli = (part.folder / need for need in part.needs)
    path = os.pathsep.join([str(binary.parent), os.environ.get("PATH", os.defpath)])
    return Node(binary, [str(binary), str(npm_cli)], {**env, "PATH": path})
