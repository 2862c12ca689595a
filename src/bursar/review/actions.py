"""What a call does, as far as its bytes say. What they do not say is unknown, and never guessed. Pure.

Sources: ERC-20; Kernel v3 (`installModule`, `changeRootValidator` and the other functions by which an account
changes itself); ERC-7579. `addSigner` and `removeSigner` are functions of a validator that keeps a list of
signers.

An ERC-20's name is not in its calls: that `token` is one, and which, is for the comparison with the intent to say.
ERC-721 shares `approve` and `transferFrom` with ERC-20; there the amount is a token's id.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from bursar.review import abi
from bursar.review.calldata import Call

_WHAT: Final = "callData"
MAX_UINT256: Final = 2**256 - 1


@dataclass(frozen=True, slots=True)
class Transfer:
    """The wallet pays. `token` is a contract, None for the chain's own coin; `amount` is in base units."""

    token: str | None
    recipient: str
    amount: int


@dataclass(frozen=True, slots=True)
class Approve:
    """The wallet lets somebody take up to `amount` of its tokens, at any later time."""

    token: str
    spender: str
    amount: int


@dataclass(frozen=True, slots=True)
class TransferFrom:
    """The wallet moves tokens of `owner`, who let it."""

    token: str
    owner: str
    recipient: str
    amount: int


@dataclass(frozen=True, slots=True)
class SignerChange:
    """The wallet's root validator gets another signer, or loses one."""

    added: bool
    signer: str
    validator: str


@dataclass(frozen=True, slots=True)
class AccountChange:
    """The wallet changes itself: its modules, its validators or its code. The arguments are not decoded."""

    function: str


@dataclass(frozen=True, slots=True)
class Delegated:
    """Other code runs as the wallet, and may do anything to it."""

    code: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """A call nobody here can read. `selector` is None where there are not even four bytes of it."""

    to: str
    selector: str | None


Action = Transfer | Approve | TransferFrom | SignerChange | AccountChange | Delegated | Unknown

_TRANSFER: Final = abi.selector("transfer(address,uint256)")
_ERC20: Final[dict[bytes, tuple[abi.Type, ...]]] = {
    _TRANSFER: ("address", "uint256"),
    abi.selector("approve(address,uint256)"): ("address", "uint256"),
    abi.selector("transferFrom(address,address,uint256)"): ("address", "address", "uint256"),
}
_ERC20_ACTIONS: Final[dict[bytes, type[Transfer | Approve | TransferFrom]]] = dict(
    zip(_ERC20, (Transfer, Approve, TransferFrom), strict=True)
)
_SIGNER_CHANGES: Final = {
    abi.selector("addSigner(address)"): True,
    abi.selector("removeSigner(address)"): False,
}
_ACCOUNT_CHANGES: Final = {
    abi.selector(signature): signature.partition("(")[0]
    for signature in (
        "installModule(uint256,address,bytes)",
        "uninstallModule(uint256,address,bytes)",
        "installValidations(bytes21[],(uint32,address)[],bytes[],bytes[])",
        "uninstallValidation(bytes21,bytes,bytes)",
        "changeRootValidator(bytes21,address,bytes,bytes)",
        "grantAccess(bytes21,bytes4,bool)",
        "invalidateNonce(uint32)",
        "upgradeTo(address)",
        "upgradeToAndCall(address,bytes)",
    )
}


def read_action(call: Call, wallet: str, validator: str) -> Action:
    """Return what a call of this wallet, with this root validator, does.

    Raises:
        Unverifiable: a function that is known, with arguments not in the ABI's canonical form.
    """
    selector, arguments = call.data[:4], call.data[4:]
    if call.delegate:
        return Delegated(call.to)
    if not call.data:
        return Transfer(None, call.to, call.value)
    if call.to == wallet:
        return _of_the_wallet(call, selector)
    if call.to == validator:
        return _of_the_validator(call, selector)
    if selector in _ERC20:
        values: tuple[Any, ...] = abi.decode(_ERC20[selector], arguments, _WHAT)
        return _ERC20_ACTIONS[selector](call.to, *values)
    return _unknown(call)


def payment_call(paid: Transfer) -> Call:
    """Return the call that makes a payment, as `read_action` reads it back."""
    if paid.token is None:
        return Call(paid.recipient, paid.amount, b"")
    recipient = bytes.fromhex(paid.recipient[2:])
    return Call(paid.token, 0, _TRANSFER + bytes(12) + recipient + paid.amount.to_bytes(32, "big"))


def _of_the_wallet(call: Call, selector: bytes) -> Action:
    # The wallet is no token, whatever a call of it looks like.
    function = _ACCOUNT_CHANGES.get(selector)
    return AccountChange(function) if function else _unknown(call)


def _of_the_validator(call: Call, selector: bytes) -> Action:
    added = _SIGNER_CHANGES.get(selector)
    if added is None:
        return _unknown(call)
    [signer] = abi.decode(("address",), call.data[4:], _WHAT)
    return SignerChange(added, signer, call.to)


def _unknown(call: Call) -> Unknown:
    selector = call.data[:4]
    return Unknown(call.to, "0x" + selector.hex() if len(selector) == 4 else None)
