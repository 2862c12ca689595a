"""Install the sandbox's tools: side by side, each built aside and renamed into place."""

from __future__ import annotations

import base64
import fcntl
import hashlib
import os
import shutil
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bursar.errors import SandboxError
from bursar.sandbox.setup import components, npm
from bursar.sandbox.setup.commands import Run, run
from bursar.sandbox.setup.components import Component, PinnedFile
from bursar.sandbox.setup.tools import Which, find_node, own_anvil, tools_folder

Report = Callable[[str], None]

_PIP_ENV = {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1", "PIP_USER": "0"}
_LARGEST_MEMBER = 16 * 1024 * 1024
_TASKS = {
    "ministack": "Installing ministack, the AWS emulator",
    "node": "Fetching Node, as there is no npm here",
    "anvil": "Fetching anvil, the chain",
    "contracts": "Fetching EntryPoint and Kernel, the contracts of others",
    "compiled": "Compiling our own contracts",
    "wheels": "Fetching the signing function's packages",
}


@dataclass(frozen=True, slots=True)
class _Installer:
    folder: Path
    report: Report
    run: Run
    which: Which

    def ministack(self) -> list[str]:
        return self._ensure(components.ministack(self.folder), self._python_environment)

    def chain(self) -> list[str]:
        anvil, contracts = components.anvil(self.folder), components.contracts(self.folder)
        brought = own_anvil() is not None
        if (brought or anvil.ready) and contracts.ready:
            return []
        installed = []
        if not (self.which("npm") and self.which("node")):
            installed += self._ensure(components.node(self.folder), self._python_environment)
        if not brought:
            installed += self._ensure(anvil, self._node_modules)
        return installed + self._ensure(contracts, self._contract_files)

    def compiled(self) -> list[str]:
        return self._ensure(components.compiled(self.folder), _compiled_contracts)

    def _ensure(self, part: Component, build: Callable[[Component, Path], None]) -> list[str]:
        if part.ready:
            return []
        with (
            _told(self.report, part.name),
            tempfile.TemporaryDirectory(prefix=".new-", dir=self.folder) as aside,
        ):
            fresh = Path(aside) / part.folder.name
            fresh.mkdir()
            build(part, fresh)
            shutil.rmtree(part.folder, ignore_errors=True)
            fresh.rename(part.folder)
        for old in self.folder.glob(f"{part.family}-*"):
            if old != part.folder:
                shutil.rmtree(old, ignore_errors=True)
        return [part.name]

    def _python_environment(self, part: Component, into: Path) -> None:
        self.run([sys.executable, "-m", "venv", str(into)], cwd=into)
        pins = into / "requirements.txt"
        pins.write_bytes(components.pinned(f"{part.name}.txt"))
        python = str(into / "bin" / "python")
        install = [python, "-m", "pip", "install", "-q", "--require-hashes", "-r", str(pins)]
        self.run(install, cwd=into, env=_PIP_ENV)

    def _node_modules(self, part: Component, into: Path) -> None:
        for name in ("package.json", "package-lock.json"):
            (into / name).write_bytes(components.pinned(name))
        node = find_node(self.folder, self.which)
        self.run([*node.npm, "ci", *npm.FLAGS], cwd=into, env=node.env)
        binary = into / part.needs[0]
        if not binary.exists():
            raise SandboxError(
                f"npm has no anvil for this platform ({binary.parent.parent.name})",
                hint="install Foundry's anvil 1.7 and name it in BURSAR_ANVIL",
            )
        self.run([str(binary), "--version"], cwd=into)

    def _contract_files(self, _part: Component, into: Path) -> None:
        node = find_node(self.folder, self.which)
        pins = components.pinned_files()
        with tempfile.TemporaryDirectory(prefix=".new-pack-", dir=self.folder) as aside:
            names = [pin.package for pin in pins]
            pack = [*node.npm, "pack", *names, *npm.FLAGS, "--pack-destination", aside]
            self.run(pack, cwd=Path(aside), env=node.env)
            for pin in pins:
                take_file(Path(aside) / pin.archive, pin, into)


def install(report: Report) -> list[str]:
    """Install what is missing under `BURSAR_HOME` and return the names of it.

    The tools, and this machine's wheels of the signing function, so that nothing after it needs a network.
    Costs network traffic through pip and npm for what is missing, none where nothing is. May be killed at
    any moment and run again; a second one waits for the first.

    Raises:
        SandboxError: the folder cannot be written, a command failed, or an archive is not the pinned one.
        AwsError: the function's wheels cannot be fetched.
    """
    from bursar.aws.wheels import cache_directory, host_target, prefetch

    installed = install_tools(report, tools_folder())
    if any((cache_directory() / host_target().folder).glob("*.whl")):
        prefetch()
        return installed
    with _told(report, "wheels"):
        prefetch()
    return [*installed, "wheels"]


def install_tools(
    report: Report, folder: Path, *, run: Run = run, which: Which = shutil.which
) -> list[str]:
    """Install the tools that are missing into `folder` and return their names. `run` and `which` are seams.

    Raises:
        SandboxError: the folder cannot be written, a command failed, or an archive is not the pinned one.
    """
    installer = _Installer(folder, report, run, which)
    with alone(folder):
        with ThreadPoolExecutor(3) as side_by_side:
            parts = (installer.ministack, installer.chain, installer.compiled)
            jobs = [side_by_side.submit(part) for part in parts]
        installed = [name for job in jobs for name in job.result()]
        shutil.rmtree(npm.npm_cache(folder), ignore_errors=True)
        return installed


def take_file(archive: Path, pin: PinnedFile, into: Path) -> None:
    """Copy the pinned member out of an npm archive; nothing else is unpacked.

    Raises:
        SandboxError: the archive's sha512 is not the pinned one, or it has no such regular file.
    """
    try:
        content = archive.read_bytes()
    except OSError:
        raise SandboxError(f"npm pack made no {archive.name}") from None
    digest = base64.b64encode(hashlib.sha512(content).digest()).decode()
    if f"sha512-{digest}" != pin.integrity:
        raise SandboxError(
            f"{pin.package} is not the package that was pinned: its sha512 is {digest}",
            hint="do not use it; find out where your npm registry got it from",
        )
    with tarfile.open(archive, "r:gz") as tar:
        found = [member for member in tar.getmembers() if member.name == pin.member]
        source = tar.extractfile(found[0]) if found and found[0].isreg() else None
        if source is None or found[0].size > _LARGEST_MEMBER:
            raise SandboxError(f"{pin.package}: {pin.member} is not a file of a sane size")
        (into / pin.file).write_bytes(source.read())


def _compiled_contracts(_part: Component, into: Path) -> None:
    from bursar.sandbox.chain.compiler import NAMES, creation_code

    for name in NAMES:
        creation_code(name, into)
    (into / "complete").touch()


@contextmanager
def _told(report: Report, name: str) -> Iterator[None]:
    """Report what is done, and afterwards how long it took."""
    report(f"{_TASKS[name]} …")
    began = time.monotonic()
    yield
    report(f"{_TASKS[name]}: {time.monotonic() - began:.0f} s")


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Hold a folder of tools against other installers; wait for them where they hold it.

    Raises:
        SandboxError: the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as problem:
        raise SandboxError(
            f"{folder} cannot be written: {problem.strerror}",
            hint="set BURSAR_HOME to a folder of yours",
        ) from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        for leftover in folder.glob(".new-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        yield
    finally:
        os.close(descriptor)
