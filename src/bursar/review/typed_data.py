"""Typed data (EIP-712) of the two kinds that token contracts act upon: permits and authorised transfers. Pure.

Both move tokens by a signature alone, later and sent by anybody, so they are payments in all but name. Only these
exact structs are read; of any other typed data the hash could be proved, but not what some contract makes of it.
Sources: EIP-712, ERC-2612 (`Permit`), ERC-3009 (`TransferWithAuthorization`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from bursar.chains.evm import eip712_digest, keccak256
from bursar.errors import Unverifiable
from bursar.review import fields
from bursar.review.actions import Action, Approve, Transfer

_WHAT: Final = "typedData"
Members = tuple[tuple[str, str], ...]

_STRUCTS: Final[dict[str, Members]] = {
    "Permit": (
        ("owner", "address"),
        ("spender", "address"),
        ("value", "uint256"),
        ("nonce", "uint256"),
        ("deadline", "uint256"),
    ),
    "TransferWithAuthorization": (
        ("from", "address"),
        ("to", "address"),
        ("value", "uint256"),
        ("validAfter", "uint256"),
        ("validBefore", "uint256"),
        ("nonce", "bytes32"),
    ),
}
# All that EIP-712 allows, in its order.
_DOMAIN: Final[Members] = (
    ("name", "string"),
    ("version", "string"),
    ("chainId", "uint256"),
    ("verifyingContract", "address"),
    ("salt", "bytes32"),
)


@dataclass(frozen=True, slots=True)
class TypedData:
    """Typed data that was read: what it lets happen, until when (seconds since 1970), and its EIP-712 digest."""

    action: Action
    expires: int
    digest: bytes


def read_typed_data(value: Any, chain_id: int, wallet: str) -> TypedData:
    """Return what typed data of this wallet, on this chain, lets happen.

    Raises:
        Unverifiable: another struct than the two, another chain's, another owner's, or a value of the wrong form.
    """
    body = fields.mapping(value, _WHAT)
    types = fields.mapping(body.get("types"), "types")
    kind = fields.text(body.get("primaryType"), "primaryType")
    if kind not in _STRUCTS or _members(types.get(kind)) != _STRUCTS[kind]:
        raise Unverifiable(
            f"typed data of type {fields.shown(kind)} is not a permit or an authorised transfer",
            what=_WHAT,
        )
    domain = fields.mapping(body.get("domain"), "domain")
    message = fields.mapping(body.get("message"), "message")
    members = _domain_members(domain, types)
    if _number(domain.get("chainId"), "chainId") != chain_id:
        raise Unverifiable("the typed data is for another chain", what="chainId")
    token = fields.address(domain.get("verifyingContract"), "verifyingContract")
    action, owner, expires = _action(kind, token, message)
    if owner != wallet:
        raise Unverifiable(
            f"the typed data is about tokens of {owner}, not of this wallet", what=_WHAT
        )
    digest = eip712_digest(
        _struct_hash("EIP712Domain", members, domain), _struct_hash(kind, _STRUCTS[kind], message)
    )
    return TypedData(action, expires, digest)


def _action(kind: str, token: str, message: Mapping[str, Any]) -> tuple[Action, str, int]:
    def address(name: str) -> str:
        return fields.address(message.get(name), name)

    def number(name: str) -> int:
        return _number(message.get(name), name)

    if kind == "Permit":
        permit = Approve(token, address("spender"), number("value"))
        return permit, address("owner"), number("deadline")
    payment = Transfer(token, address("to"), number("value"))
    return payment, address("from"), number("validBefore")


def _domain_members(domain: Mapping[str, Any], types: Mapping[str, Any]) -> Members:
    """Return the domain's own members, which `types` may list or leave out."""
    members = tuple(member for member in _DOMAIN if member[0] in domain)
    if len(members) != len(domain):
        raise Unverifiable(
            "the typed data's domain has a member that EIP-712 has not", what="domain"
        )
    if "EIP712Domain" in types and _members(types["EIP712Domain"]) != members:
        raise Unverifiable("the typed data's domain is not of its stated type", what="domain")
    return members


def _members(value: Any) -> Members | None:
    if not isinstance(value, list) or len(value) > 10:
        return None
    if not all(isinstance(each, dict) and set(each) == {"name", "type"} for each in value):
        return None
    return tuple((each["name"], each["type"]) for each in value)


def _struct_hash(name: str, members: Members, values: Mapping[str, Any]) -> bytes:
    listed = ",".join(f"{kind} {member}" for member, kind in members)
    encoded = [keccak256(f"{name}({listed})".encode())]
    encoded += [_encoded(kind, values.get(member), member) for member, kind in members]
    return keccak256(b"".join(encoded))


def _encoded(kind: str, value: Any, name: str) -> bytes:
    if kind == "address":
        return bytes(12) + bytes.fromhex(fields.address(value, name)[2:])
    if kind == "uint256":
        return _number(value, name).to_bytes(32, "big")
    if kind == "bytes32":
        return fields.word(value, name)
    return keccak256(utf8(value, name))


def utf8(value: Any, name: str, limit: int = 4096) -> bytes:
    """Return text as UTF-8.

    Raises:
        Unverifiable: no text of 1 to `limit` characters, or a lone surrogate in it.
    """
    try:
        return fields.text(value, name, limit).encode()
    except UnicodeEncodeError:
        raise Unverifiable(f"{name} is not text that UTF-8 can carry", what=name) from None


def _number(value: Any, name: str) -> int:
    """Return a number as JSON has it: a number, decimal digits, or 0x and hex digits."""
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) <= 78:
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        if 0 <= value < 2**256:
            return value
        raise Unverifiable(f"{name} does not fit 256 bits", what=name)
    return fields.unsigned(value, name, 256)
