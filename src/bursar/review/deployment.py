"""A wallet that is born with its first operation: from which factory, with which validator, for whom. Pure.

Kernel 0.3.1 and later: a factory's `createAccount(bytes initData, bytes32 salt)`, called directly or through the
meta factory's `deployWithFactory(address factory, bytes initData, bytes32 salt)`. `initData` is the call
`initialize(bytes21 rootValidator, address hook, bytes validatorData, bytes hookData, bytes[] initConfig)`.
The factory derives the wallet's address from it, so it cannot change once the wallet has an address.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from bursar.chains.evm import checksum_address
from bursar.errors import Unverifiable
from bursar.review import abi
from bursar.review.nonce import Nonce
from bursar.review.operation import Factory
from bursar.review.terms import Terms

_CREATE: Final = abi.selector("createAccount(bytes,bytes32)")
_CREATE_WITH: Final = abi.selector("deployWithFactory(address,bytes,bytes32)")
_INITIALIZE: Final = abi.selector("initialize(bytes21,address,bytes,bytes,bytes[])")
_VALIDATOR: Final = 0x01  # Kernel's validation type of a plain validator module
# Kernel takes address 0 for "no hook"; address 1 is how it stores the same.
_NO_HOOK: Final = ("0x" + "00" * 20, "0x" + "00" * 19 + "01")
_WHAT: Final = "factoryData"


@dataclass(frozen=True, slots=True)
class Deployment:
    """A wallet's birth. `owner` is whom its validator obeys, None where that is not one address (a quorum)."""

    factory: str
    validator: str
    owner: str | None


def read_deployment(factory: Factory, nonce: Nonce, terms: Terms) -> Deployment:
    """Return what a wallet is deployed with.

    Raises:
        Unverifiable: an unknown factory, anything installed besides the root validator, a root validator other
            than the nonce's, or a wallet that has sent operations before.
    """
    if nonce.sequence:
        raise Unverifiable(
            f"the wallet is to be deployed by operation {nonce.sequence} of its nonce key, not by the first",
            what="factory",
        )
    account_factory, init_data = _creation(factory, terms)
    if init_data[:4] != _INITIALIZE:
        raise Unverifiable(
            f"the new wallet is set up by 0x{init_data[:4].hex()}, which is not Kernel's initialize",
            what=_WHAT,
        )
    types = ("bytes21", "address", "bytes", "bytes", abi.Array("bytes"))
    root, hook, owner, hook_data, config = abi.decode(types, init_data[4:], _WHAT)
    if hook not in _NO_HOOK or hook_data or config:
        raise Unverifiable("the new wallet is set up with more than a root validator", what=_WHAT)
    validator = checksum_address(root[1:])
    if root[0] != _VALIDATOR or validator != nonce.validator:
        raise Unverifiable(
            f"the new wallet's root validator is {validator} (type {root[0]}), the nonce's is {nonce.validator}",
            what=_WHAT,
        )
    return Deployment(
        account_factory, validator, checksum_address(owner) if len(owner) == 20 else None
    )


def _creation(factory: Factory, terms: Terms) -> tuple[str, bytes]:
    """Return the account factory that is called in the end, and what it sets the account up with."""
    called, data = factory.address, factory.data
    if called in terms.factories and data[:4] == _CREATE:
        init_data, _salt = abi.decode(("bytes", "bytes32"), data[4:], _WHAT)
        return called, init_data
    if called in terms.meta_factories and data[:4] == _CREATE_WITH:
        inner, init_data, _salt = abi.decode(("address", "bytes", "bytes32"), data[4:], _WHAT)
        called = inner
        if inner in terms.factories:
            return inner, init_data
    raise Unverifiable(
        f"the wallet would be deployed by {called}, which is not a factory known for this call",
        hint="a wallet of another kind of account cannot be verified",
        what="factory",
    )
