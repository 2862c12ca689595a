"""ERC-20, judged by eth-abi, and the wallet's changes of itself."""

from __future__ import annotations

from typing import Any

import pytest
from eth_abi.abi import encode
from eth_utils.crypto import keccak
from hypothesis import given
from hypothesis import strategies as st

from bursar.chains.evm import checksum_address
from bursar.errors import Unverifiable
from bursar.review import actions
from bursar.review.actions import (
    AccountChange,
    Approve,
    Delegated,
    SignerChange,
    Transfer,
    TransferFrom,
    Unknown,
    read_action,
)
from bursar.review.calldata import Call
from bursar.sandbox.chain.abi import call_data
from tests.unit.review.scene import OTHER, OWNER, RECIPIENT, THIEF, USDC, VALIDATOR, WALLET

ADDRESS = st.binary(min_size=20, max_size=20).map(checksum_address)
AMOUNT = st.integers(0, 2**256 - 1)


def read(to: str, data: bytes = b"", value: int = 0, *, delegate: bool = False) -> actions.Action:
    return read_action(Call(to, value, data, delegate), WALLET, VALIDATOR)


@given(to=ADDRESS, amount=AMOUNT)
def test_transfer_and_approve_are_read_as_eth_abi_writes_them(to: str, amount: int) -> None:
    body = encode(["address", "uint256"], [to, amount])
    transfer, approve = (
        keccak(text="transfer(address,uint256)")[:4],
        keccak(text="approve(address,uint256)")[:4],
    )
    assert read(USDC, transfer + body) == Transfer(USDC, to, amount)
    assert read(USDC, approve + body) == Approve(USDC, to, amount)


@given(owner=ADDRESS, to=ADDRESS, amount=AMOUNT)
def test_transfer_from_is_read_as_eth_abi_writes_it(owner: str, to: str, amount: int) -> None:
    data = keccak(text="transferFrom(address,address,uint256)")[:4]
    data += encode(["address", "address", "uint256"], [owner, to, amount])
    assert read(USDC, data) == TransferFrom(USDC, owner, to, amount)


BODY = encode(["address", "uint256"], [RECIPIENT, 1])
OTHER_BODIES = {
    "a byte more": BODY + bytes(1),
    "a word more": BODY + bytes(32),
    "a byte less": BODY[:-1],
    "something before the address": b"\x01" + BODY[1:],
    "nothing": b"",
}


@pytest.mark.parametrize("signature", ["transfer(address,uint256)", "approve(address,uint256)"])
@pytest.mark.parametrize("body", OTHER_BODIES)
def test_a_known_function_in_another_encoding_is_unverifiable(signature: str, body: str) -> None:
    with pytest.raises(Unverifiable) as refused:
        read(USDC, keccak(text=signature)[:4] + OTHER_BODIES[body])
    assert refused.value.what == "callData"


def test_a_call_without_data_pays_the_chains_coin() -> None:
    assert read(RECIPIENT, value=5) == Transfer(None, RECIPIENT, 5)


def test_what_is_unknown_is_unknown() -> None:
    assert read(USDC, bytes.fromhex("deadbeef") + bytes(64)) == Unknown(USDC, "0xdeadbeef")
    assert read(USDC, b"\xde\xad") == Unknown(USDC, None)


def test_a_delegated_call_is_never_read_as_what_its_data_says() -> None:
    data = call_data("transfer(address,uint256)", RECIPIENT, 1)
    assert read(THIEF, data, delegate=True) == Delegated(THIEF)


@pytest.mark.parametrize("function", ["addSigner", "removeSigner"])
def test_a_signer_change_of_the_root_validator_is_read(function: str) -> None:
    data = call_data(f"{function}(address)", OWNER)
    assert read(VALIDATOR, data) == SignerChange(function == "addSigner", OWNER, VALIDATOR)
    assert isinstance(read(OTHER, data), Unknown)
    with pytest.raises(Unverifiable):
        read(VALIDATOR, data + b"\0")


@pytest.mark.parametrize(
    ("signature", "arguments"),
    [
        ("installModule(uint256,address,bytes)", (1, THIEF, b"")),
        ("uninstallModule(uint256,address,bytes)", (1, THIEF, b"")),
        ("changeRootValidator(bytes21,address,bytes,bytes)", (bytes(21), THIEF, b"", b"")),
        ("installValidations(bytes21[],(uint32,address)[],bytes[],bytes[])", ([], [], [], [])),
        ("uninstallValidation(bytes21,bytes,bytes)", (bytes(21), b"", b"")),
        ("grantAccess(bytes21,bytes4,bool)", (bytes(21), bytes(4), True)),
        ("invalidateNonce(uint32)", (1,)),
        ("upgradeTo(address)", (THIEF,)),
        ("upgradeToAndCall(address,bytes)", (THIEF, b"")),
    ],
)
def test_a_wallet_that_changes_itself_is_named(signature: str, arguments: tuple[Any, ...]) -> None:
    data = call_data(signature, *arguments)
    assert read(WALLET, data) == AccountChange(signature.partition("(")[0])
    assert isinstance(read(OTHER, data), Unknown)


@pytest.mark.parametrize("target", [WALLET, VALIDATOR])
def test_the_wallet_and_its_validator_are_no_tokens(target: str) -> None:
    data = call_data("transfer(address,uint256)", RECIPIENT, 1)
    assert read(target, data) == Unknown(target, "0xa9059cbb")
