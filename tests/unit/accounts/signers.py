"""A signer with a local key, and transactions to sign, for the account's tests."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

import coincurve
from eth_account import Account

from bursar.accounts import SignerAccount
from bursar.chains import evm
from bursar.chains.evm import Scheme, Signature
from bursar.signer import SignedHash

VECTORS = json.loads(
    (Path(__file__).parents[2] / "vectors" / "transactions.json").read_text(encoding="utf-8")
)
TO = "0xCcCCccccCCCCcCCCCCCcCcCccCcCCCcCcccccccC"
KEY = secrets.token_bytes(32)
LOCAL = Account.from_key(KEY)


class DeterministicSigner:
    """A signer with a local key and RFC 6979 nonces, so that its bytes equal eth-account's. It records calls."""

    def __init__(self, key: bytes) -> None:
        self._key = coincurve.PrivateKey(key)
        self.address = evm.PublicKey(self._key.public_key.format(compressed=False)[1:]).address
        self.asked: list[bytes] = []

    def sign_hash(self, message_hash: bytes, scheme: Scheme) -> SignedHash:
        assert type(message_hash) is bytes
        assert len(message_hash) == 32
        assert scheme is Scheme.RAW
        self.asked.append(message_hash)
        raw = self._key.sign_recoverable(message_hash, hasher=None)
        r, s = int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:64], "big")
        return SignedHash(Signature(r, s, raw[64]), message_hash, self.address, "request-1")


class AnotherKeysSigner(DeterministicSigner):
    """A signer whose key has been changed behind its address."""

    def __init__(self) -> None:
        super().__init__(secrets.token_bytes(32))
        self.address = LOCAL.address


def vector_account() -> SignerAccount:
    return SignerAccount(DeterministicSigner(bytes.fromhex(VECTORS["key"][2:])))


def legacy(**changes: Any) -> dict[str, Any]:
    fields = {"nonce": 1, "gasPrice": 10**9, "gas": 21000, "to": TO, "value": 5, "chainId": 1}
    return fields | changes


def dynamic(**changes: Any) -> dict[str, Any]:
    fees = {"maxFeePerGas": 2 * 10**9, "maxPriorityFeePerGas": 10**9}
    return {"nonce": 1, "gas": 21000, "to": TO, "value": 5, "chainId": 1} | fees | changes


def blob(**changes: Any) -> dict[str, Any]:
    hashes = [b"\x01" + bytes(31)]
    return dynamic(type=3, maxFeePerBlobGas=7, blobVersionedHashes=hashes) | changes


def authorization(**changes: Any) -> dict[str, Any]:
    return {"chainId": 1, "address": TO, "nonce": 2} | changes


def set_code(**changes: Any) -> dict[str, Any]:
    return dynamic(authorizationList=[LOCAL.sign_authorization(authorization())]) | changes


def each(make: Callable[..., dict[str, Any]], name: str, *values: Any) -> list[dict[str, Any]]:
    return [make(**{name: value}) for value in values]


def without(fields: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name not in names}
