"""Compiling our own contracts, once per source text: Vyper takes longer to import than the chain to start."""

from __future__ import annotations

import hashlib
import os
import warnings
from importlib import metadata, resources
from pathlib import Path

from bursar.errors import SandboxError

NAMES = ("EcdsaValidator", "QuorumValidator", "Sponsor", "Usdc")


def creation_code(name: str, cache: Path) -> bytes:
    """Return a contract's creation code, from `cache` where this very source was compiled before.

    Raises:
        SandboxError: Vyper is not installed, or refuses the source.
    """
    source = (resources.files("bursar.sandbox.chain") / "contracts" / f"{name}.vy").read_text()
    cached = cache / f"{name}-{_fingerprint(source)}.hex"
    if cached.is_file():
        return bytes.fromhex(cached.read_text())
    code = _compile(name, source)
    cache.mkdir(parents=True, exist_ok=True)
    # Written aside and moved: two processes may compile the same contract at once.
    aside = cached.with_suffix(f".{os.getpid()}")
    aside.write_text(code.hex())
    aside.replace(cached)
    return code


def _fingerprint(source: str) -> str:
    try:
        version = metadata.version("vyper")
    except metadata.PackageNotFoundError:
        raise SandboxError("Vyper is not installed", hint="pip install 'bursar[sandbox]'") from None
    return hashlib.sha256(f"{version}\n{source}".encode()).hexdigest()[:16]


def _compile(name: str, source: str) -> bytes:
    with warnings.catch_warnings():
        # Vyper's own imports and advice; our sources are checked by tests on the chain.
        warnings.simplefilter("ignore")
        import vyper
        from vyper.exceptions import VyperException

        try:
            compiled = vyper.compile_code(source, output_formats=["bytecode"])
        except VyperException as error:
            raise SandboxError(f"{name}.vy does not compile: {error}") from None
    return bytes.fromhex(compiled["bytecode"][2:])
