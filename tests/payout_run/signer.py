"""A signer of which every signature is written down, whichever process made it and however that ended."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from bursar.chains import evm
from bursar.chains.evm import Scheme
from bursar.signer import SignedHash
from tests.fakes.owner import Owner


@dataclass(frozen=True, slots=True)
class Signature:
    """A signature that was made: over which message, and by which process."""

    message: str
    process: int


@dataclass(frozen=True, slots=True)
class NotedSigner:
    """An `Owner` behind the signer seam. A signature is in the file before it is given away."""

    owner: Owner
    file: Path

    @property
    def address(self) -> str:
        return self.owner.address

    def sign_hash(self, message_hash: bytes, scheme: Scheme) -> SignedHash:
        digest = evm.digest_of(message_hash, scheme)
        made = evm.parse_signature(self.owner.sign(digest, raw=True), digest, self.address)
        note(self.file, message_hash)
        return SignedHash(made, digest, self.address, "local")


def note(file: Path, message_hash: bytes) -> None:
    line = json.dumps({"message": "0x" + message_hash.hex(), "process": os.getpid()}) + "\n"
    # One write to the end: lines of several processes do not mix, and a kill leaves none half.
    descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, line.encode())
    finally:
        os.close(descriptor)


def noted(file: Path) -> list[Signature]:
    if not file.exists():
        return []
    return [Signature(**json.loads(line)) for line in file.read_text().splitlines()]
