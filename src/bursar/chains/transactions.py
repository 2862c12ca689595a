"""EVM transactions: from a dict of fields to the digest that is signed and the bytes that are sent. Pure.

Fields carry the names of JSON-RPC. They are read strictly: each type has its own set, nothing is guessed,
coerced or left out in silence, and a quantity is an integer or 0x hex, never a float or decimal text.

Sources: EIP-155 (legacy with chain id), EIP-2718 (envelope), EIP-2930 (type 1), EIP-1559 (type 2), EIP-4844 and
EIP-7594 (type 3), EIP-7702 (type 4 and authorizations), the Yellow Paper's appendix B (RLP).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from bursar.chains import evm
from bursar.chains.evm import Signature
from bursar.errors import AddressError, TransactionError

LEGACY, ACCESS_LIST, DYNAMIC_FEE, BLOB, SET_CODE = range(5)

_CALL = ("gas", "to", "value", "data")
_FEES = ("maxPriorityFeePerGas", "maxFeePerGas")
_BLOB_FIELDS = ("maxFeePerBlobGas", "blobVersionedHashes")
# In the order they are encoded.
_FIELDS: dict[int, tuple[str, ...]] = {
    LEGACY: ("nonce", "gasPrice", *_CALL),
    ACCESS_LIST: ("chainId", "nonce", "gasPrice", *_CALL, "accessList"),
    DYNAMIC_FEE: ("chainId", "nonce", *_FEES, *_CALL, "accessList"),
    BLOB: ("chainId", "nonce", *_FEES, *_CALL, "accessList", *_BLOB_FIELDS),
    SET_CODE: ("chainId", "nonce", *_FEES, *_CALL, "accessList", "authorizationList"),
}
_DEFAULTS: dict[str, Any] = {"to": None, "value": 0, "data": b"", "accessList": ()}
_AUTHORIZATION = ("chainId", "address", "nonce")
_SIGNED_AUTHORIZATION = (*_AUTHORIZATION, "yParity", "r", "s")
_BITS = {"type": 8, "nonce": 64, "gas": 64, "yParity": 1}

_HEX_QUANTITY = re.compile(r"\A0x[0-9a-fA-F]{1,64}\Z", re.ASCII)
_HEX_BYTES = re.compile(r"\A(?:0x(?:[0-9a-fA-F]{2})*)?\Z", re.ASCII)

RlpItem: TypeAlias = "bytes | int | Sequence[RlpItem]"


@dataclass(frozen=True, slots=True)
class SignedBytes:
    """A signed transaction. `raw` is what is sent; `hash` is the 32 bytes that the chain knows it by."""

    raw: bytes
    hash: bytes
    v: int


@dataclass(frozen=True, slots=True)
class UnsignedTransaction:
    """A transaction that may be signed: its type, its chain and its RLP items in order.

    `chain_id` is None for a legacy transaction that any chain accepts, as before EIP-155.
    """

    kind: int
    chain_id: int | None
    body: list[Any]

    def digest(self) -> bytes:
        """Return the 32 bytes to sign. A blob transaction's sidecar is never part of them (EIP-4844)."""
        replay_protection = self.kind == LEGACY and self.chain_id is not None
        tail = [self.chain_id, 0, 0] if replay_protection else []
        return evm.keccak256(self._envelope([*self.body, *tail]))

    def signed(self, signature: Signature, sidecar: Sequence[Any] = ()) -> SignedBytes:
        """Return the bytes to send: the canonical form, or with a sidecar the network form of EIP-7594.

        The hash is the canonical form's in both cases.
        """
        v = self.v(signature)
        body = [*self.body, v, signature.r, signature.s]
        canonical = self._envelope(body)
        raw = self._envelope([body, *sidecar]) if sidecar else canonical
        return SignedBytes(raw, evm.keccak256(canonical), v)

    def v(self, signature: Signature) -> int:
        """Return v as this type carries it: 27 or 28; 35 + 2 x chain id + parity; or the parity alone."""
        if self.kind != LEGACY:
            return signature.recovery_id
        if self.chain_id is None:
            return signature.v
        return 35 + 2 * self.chain_id + signature.recovery_id

    def _envelope(self, items: list[Any]) -> bytes:
        prefix = b"" if self.kind == LEGACY else bytes([self.kind])
        return prefix + rlp_encode(items)


@dataclass(frozen=True, slots=True)
class Authorization:
    """An EIP-7702 authorization: the account that signs it will run the code at `address` (20 bytes).

    `chain_id` 0 means every chain.
    """

    chain_id: int
    address: bytes
    nonce: int

    def digest(self) -> bytes:
        """Return the 32 bytes to sign."""
        return evm.keccak256(b"\x05" + rlp_encode([self.chain_id, self.address, self.nonce]))


def read_transaction(fields: Mapping[str, Any], *, replayable: bool = False) -> UnsignedTransaction:
    """Return the transaction these fields describe, ready to be signed.

    `type` may be left out where the fields tell it. `to`, `value`, `data` and `accessList` have defaults; all
    others of the type are demanded. `from` is not a field here: compare it with the account and take it out first.

    Raises:
        TransactionError: a field is missing, unknown or malformed; no chain is named (or, with
            `replayable`, one is); a type 3 or 4 has no recipient; there is neither a recipient nor code.
    """
    if not isinstance(fields, Mapping):
        raise TransactionError("a transaction is a dict of its fields")
    kind = type_of(fields)
    if replayable:
        _require_no_chain(kind, fields)
    chain_id = None if replayable else _chain_id(fields)
    body = _body(kind, fields)
    if not body["to"] and (kind in {BLOB, SET_CODE} or not body["data"]):
        raise TransactionError(
            "the transaction has no recipient",
            hint="set to; only types 0, 1 and 2 create a contract, whose code goes into data",
        )
    return UnsignedTransaction(kind, chain_id, list(body.values()))


def read_authorization(fields: Mapping[str, Any]) -> Authorization:
    """Return the EIP-7702 authorization in a dict of exactly chainId, address and nonce.

    Raises:
        TransactionError: a field is missing, unknown or malformed.
    """
    return Authorization(*_exact_fields(fields, _AUTHORIZATION, "an authorization"))


def read_versioned_hashes(value: Any) -> list[bytes]:
    """Return blobVersionedHashes as bytes: at least one, each 32 bytes beginning with 1 (EIP-4844).

    Raises:
        TransactionError: anything else.
    """
    return _versioned_hashes("blobVersionedHashes", value)


def type_of(fields: Mapping[str, Any]) -> int:
    """Return a transaction's type, 0 to 4: the one it names, else the one its fields tell.

    Raises:
        TransactionError: the type it names does not exist.
    """
    if "type" in fields:
        kind = _quantity("type", fields["type"])
        if kind not in _FIELDS:
            raise TransactionError(f"transaction type {kind} is not one of 0 to 4")
        return kind
    if not fields.keys() & set(_FEES):
        return ACCESS_LIST if "accessList" in fields else LEGACY
    if fields.keys() & set(_BLOB_FIELDS):
        return BLOB
    return SET_CODE if "authorizationList" in fields else DYNAMIC_FEE


def read_address(name: str, value: Any) -> bytes:
    """Return the 20 bytes of the address, given as bytes or as text (checksummed or in one letter case).

    Raises:
        TransactionError: neither, or the checksum is wrong; the message names the field.
    """
    if isinstance(value, bytes | bytearray) and len(value) == 20:
        return bytes(value)
    try:
        return bytes.fromhex(evm.parse_address(value)[2:])
    except AddressError as error:
        raise TransactionError.at(name, error.message, hint=error.hint) from None


def rlp_encode(item: RlpItem) -> bytes:
    """Return the RLP of bytes, an unsigned integer, or a list of such items."""
    if isinstance(item, int):
        item = item.to_bytes((item.bit_length() + 7) // 8, "big")
    if isinstance(item, bytes):
        if len(item) == 1 and item[0] < 0x80:
            return item
        return _rlp_header(0x80, len(item)) + item
    payload = b"".join(rlp_encode(part) for part in item)
    return _rlp_header(0xC0, len(payload)) + payload


def _rlp_header(offset: int, length: int) -> bytes:
    if length <= 55:
        return bytes([offset + length])
    size = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes([offset + 55 + len(size)]) + size


def _body(kind: int, fields: Mapping[str, Any]) -> dict[str, Any]:
    names = _FIELDS[kind]
    if unknown := fields.keys() - {*names, "type", "chainId"}:
        raise TransactionError(f"a type {kind} transaction has no field {_listed(unknown)}")
    filled = {**_DEFAULTS, **fields}
    if missing := set(names) - filled.keys():
        raise TransactionError(f"the type {kind} transaction lacks {_listed(missing)}")
    return {name: _parse(name, filled[name]) for name in names}


def _chain_id(fields: Mapping[str, Any]) -> int:
    if fields.get("chainId") is None:
        raise TransactionError(
            "the transaction names no chainId, so it could be replayed on another chain",
            hint="set chainId; web3.py does so when it sends",
        )
    chain_id = _quantity("chainId", fields["chainId"])
    if chain_id == 0:
        raise TransactionError("chainId is 0, which is no chain")
    return chain_id


def _require_no_chain(kind: int, fields: Mapping[str, Any]) -> None:
    if kind != LEGACY or fields.get("chainId") is not None:
        raise TransactionError("only a legacy transaction without a chainId is replayable")


def _parse(name: str, value: Any) -> Any:
    reader: Callable[[str, Any], Any] = _READERS.get(name, _quantity)
    return reader(name, value)


def _quantity(name: str, value: Any) -> int:
    number = int(value, 16) if isinstance(value, str) and _HEX_QUANTITY.match(value) else value
    if not isinstance(number, int) or isinstance(number, bool):
        raise TransactionError(
            f"{name} is neither an integer nor 0x hex",
            hint="amounts are integers in wei, never a float or decimal text",
        )
    bits = _BITS.get(name, 256)
    if not 0 <= number < 2**bits:
        raise TransactionError(f"{name} is not an unsigned integer of {bits} bits")
    return int(number)


def _recipient(name: str, value: Any) -> bytes:
    if value is None or (isinstance(value, str | bytes | bytearray) and not value):
        return b""
    return read_address(name, value)


def _bytes(name: str, value: Any) -> bytes:
    if isinstance(value, bytes | bytearray):
        return bytes(value)
    if isinstance(value, str) and _HEX_BYTES.match(value):
        return bytes.fromhex(value[2:])
    raise TransactionError(f"{name} is neither bytes nor 0x hex of whole bytes")


def _items(name: str, value: Any) -> Sequence[Any]:
    if not isinstance(value, list | tuple):
        raise TransactionError(f"{name} is not a list")
    return value


def _access_list(name: str, value: Any) -> list[Any]:
    entry_fields = ("address", "storageKeys")
    return [_exact_fields(item, entry_fields, f"an item of {name}") for item in _items(name, value)]


def _storage_keys(name: str, value: Any) -> list[bytes]:
    return [_storage_key(name, key) for key in _items(name, value)]


def _storage_key(name: str, key: Any) -> bytes:
    if isinstance(key, bytes) and len(key) == 32:
        return bytes(key)
    return _quantity(name, key).to_bytes(32, "big")


def _versioned_hashes(name: str, value: Any) -> list[bytes]:
    hashes = [_bytes(name, item) for item in _items(name, value)]
    if not hashes or any(len(item) != 32 or item[0] != 1 for item in hashes):
        raise TransactionError(f"{name} is not a list of 32-byte hashes of version 1")
    return hashes


def _authorization_list(name: str, value: Any) -> list[Any]:
    items = _items(name, value)
    if not items:
        raise TransactionError(f"{name} is empty, which EIP-7702 forbids")
    return [_exact_fields(item, _SIGNED_AUTHORIZATION, f"an item of {name}") for item in items]


def _exact_fields(entry: Any, names: tuple[str, ...], what: str) -> list[Any]:
    if not isinstance(entry, Mapping) or entry.keys() != set(names):
        raise TransactionError(f"{what} is not a dict of exactly {_listed(names)}")
    return [_parse(name, entry[name]) for name in names]


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(map(str, names)))[:200]


_READERS: dict[str, Callable[[str, Any], Any]] = {
    "to": _recipient,
    "data": _bytes,
    "accessList": _access_list,
    "address": read_address,
    "storageKeys": _storage_keys,
    "blobVersionedHashes": _versioned_hashes,
    "authorizationList": _authorization_list,
}
