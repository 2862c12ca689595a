"""Write signatures.json: the signatures that chance gives once in 2⁸ to 2¹²⁷ times.

Run from the checkout: `python tests/vectors/make_signatures.py`. It is deterministic. Every key in it is public.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import coincurve

P = 2**256 - 2**32 - 977
N = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
KEY = int.from_bytes(hashlib.sha256(b"bursar test vectors").digest(), "big")
ORIGIN = (
    "tests/vectors/make_signatures.py. Short r: found by search, or made with the nonce 1/2, whose "
    "point has the known short x. Short s: the digest is solved for from a chosen s. Recovery ids 2 "
    "and 3: a point with x >= n is chosen and the public key is solved for (SEC 1, 4.1.6), so nobody "
    "knows that key. Judged by pyca/cryptography in the tests."
)


def b32(value: int) -> bytes:
    return value.to_bytes(32, "big")


def point(scalar: int) -> coincurve.PublicKey:
    return coincurve.PrivateKey(b32(scalar % N)).public_key


def x_of(key: coincurve.PublicKey) -> int:
    return int.from_bytes(key.format(compressed=False)[1:33], "big")


def entry(note: str, r: int, s: int, digest: int, key: coincurve.PublicKey) -> dict[str, Any]:
    return {
        "note": note,
        "r": hex(r),
        "s": hex(s),
        "digest": b32(digest).hex(),
        "public_key": key.format(compressed=False)[1:].hex(),
    }


def with_nonce(note: str, nonce: int, digest: int) -> dict[str, Any]:
    r = x_of(point(nonce)) % N
    s = pow(nonce, -1, N) * (digest + r * KEY) % N
    return entry(note, r, s, digest, point(KEY))


def with_s(note: str, s: int) -> dict[str, Any]:
    nonce = int.from_bytes(hashlib.sha256(note.encode()).digest(), "big") % N
    r = x_of(point(nonce)) % N
    return entry(note, r, s, (s * nonce - r * KEY) % N, point(KEY))


def with_short_r(note: str, limit: int) -> dict[str, Any]:
    for count in range(1 << 22):
        nonce = int.from_bytes(hashlib.sha256(f"{note} {count}".encode()).digest(), "big") % N
        if x_of(point(nonce)) % N < limit:
            return with_nonce(
                note, nonce, int.from_bytes(hashlib.sha256(b"digest").digest(), "big")
            )
    raise AssertionError(note)


def wrapping(recovery_id: int, high_s: bool) -> dict[str, Any]:  # noqa: FBT001
    """Take a point R with x >= n, and the public key under which (x - n, s) is a signature."""
    r = 1
    while pow(pow(N + r, 3, P) + 7, (P - 1) // 2, P) != 1:
        r += 1
    nonce_point = coincurve.PublicKey(bytes([2 + (recovery_id & 1)]) + b32(N + r))
    digest = int.from_bytes(hashlib.sha256(f"wrap {recovery_id}".encode()).digest(), "big") % N
    low = int.from_bytes(hashlib.sha256(b"any s").digest(), "big") % (N // 2)
    part = nonce_point.multiply(b32(low))
    key = coincurve.PublicKey.combine_keys([part, point(-digest)]).multiply(b32(pow(r, -1, N)))
    note = f"needs recovery id {recovery_id}, s {'high' if high_s else 'low'} in the answer"
    return entry(note, r, N - low if high_s else low, digest, key)


def ordinary() -> Iterator[dict[str, Any]]:
    for zeros in (1, 2):
        yield with_short_r(f"r with {zeros} leading zero bytes", 1 << (256 - 8 * zeros))
    digest = int.from_bytes(hashlib.sha256(b"half nonce").digest(), "big")
    yield with_nonce("r with 11 leading zero bytes", (N + 1) // 2, digest)
    for zeros in (1, 2, 8, 30):
        yield with_s(
            f"s with {zeros} leading zero bytes", (1 << (256 - 8 * zeros)) - 12345 % (1 << 8)
        )
    half = N // 2
    edges = {"1": 1, "n // 2": half, "n // 2 + 1": half + 1, "n - 1": N - 1, "2": 2, "n - 2": N - 2}
    for name, s in edges.items():
        yield with_s(f"s of {name}", s)


def main() -> None:
    vectors = {
        "origin": ORIGIN,
        "carried": list(ordinary()),
        "not carried": [wrapping(i, high) for i in (2, 3) for high in (False, True)],
    }
    path = Path(__file__).with_name("signatures.json")
    path.write_text(json.dumps(vectors, indent=2) + "\n")


if __name__ == "__main__":
    main()
