from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.errors import Unverifiable
from bursar.review.operation import ENTRY_POINT, read_operation
from bursar.sandbox.chain import deploy
from bursar.sandbox.chain.userop import UserOperation
from tests.unit.review.scene import FACTORY, OPERATION, SPONSOR
from tests.user_operations import OPERATIONS

VECTORS = json.loads((Path(__file__).parents[2] / "vectors/user_operations.json").read_text())
GOOD = replace(OPERATION, factory=FACTORY, factory_data=b"born").to_api()


@pytest.mark.parametrize("vector", VECTORS["operations"], ids=lambda vector: vector["note"])
def test_the_hash_is_the_vectors(vector: dict[str, Any]) -> None:
    operation = read_operation(vector["userOperation"])
    assert "0x" + operation.hash(vector["chainId"]).hex() == vector["userOperationHash"]


@given(operation=OPERATIONS, chain_id=st.integers(1, 2**64))
def test_the_hash_is_the_sandboxs_own_for_any_operation(
    operation: UserOperation, chain_id: int
) -> None:
    read = read_operation(operation.to_api())
    assert read.hash(chain_id) == operation.hash(deploy.ENTRY_POINT, chain_id)


def test_the_entry_point_is_the_canonical_one() -> None:
    assert ENTRY_POINT == deploy.ENTRY_POINT


def test_null_counts_as_absent_and_the_signature_is_not_read() -> None:
    fields = {**GOOD, "factory": None, "factoryData": None, "signature": 7}
    assert read_operation(fields) == read_operation(OPERATION.to_api())


# No bytes at all are bytes, and no number.
NOT_HEX: list[Any] = [
    7,
    True,
    1.5,
    [],
    {},
    "",
    "12",
    "0xg0",
    "0x 1",
    "0x1_0",
    "-0x1",
    "0X10",
    "0x٣٣",
]
NOT_HEX += ["0x" + "f" * 70_000]


@pytest.mark.parametrize("name", sorted(GOOD.keys() - {"signature"}))
@pytest.mark.parametrize("value", NOT_HEX)
def test_what_is_not_hex_of_the_right_size_is_refused_and_named(name: str, value: Any) -> None:
    with pytest.raises(Unverifiable) as refused:
        read_operation({**GOOD, name: value})
    assert refused.value.what == name
    assert len(refused.value.message) < 300


@pytest.mark.parametrize(
    "name",
    [
        "callGasLimit",
        "verificationGasLimit",
        "preVerificationGas",
        "maxFeePerGas",
        "maxPriorityFeePerGas",
        "paymasterVerificationGasLimit",
        "paymasterPostOpGasLimit",
    ],
)
def test_gas_that_the_entry_point_turns_down_is_refused(name: str) -> None:
    assert read_operation({**GOOD, name: hex(2**120 - 1)})
    with pytest.raises(Unverifiable, match="120 bits"):
        read_operation({**GOOD, name: hex(2**120)})


@pytest.mark.parametrize("name", ["nonce", "callGasLimit", "sender", "paymaster"])
def test_an_empty_number_or_address_is_refused(name: str) -> None:
    with pytest.raises(Unverifiable, match=name):
        read_operation({**GOOD, name: "0x"})


def test_half_a_byte_is_refused() -> None:
    with pytest.raises(Unverifiable, match="half a byte"):
        read_operation({**GOOD, "callData": "0x123"})


def test_a_wrong_checksum_is_refused() -> None:
    sender = GOOD["sender"]
    flipped = sender[:2] + sender[2:].swapcase()
    with pytest.raises(Unverifiable, match="sender"):
        read_operation({**GOOD, "sender": flipped})


@pytest.mark.parametrize(
    "name", ["initCode", "paymasterAndData", "eip7702Auth", "entryPoint", "accountGasLimits"]
)
def test_a_field_of_another_entry_point_is_refused(name: str) -> None:
    with pytest.raises(Unverifiable, match=name) as refused:
        read_operation({**GOOD, name: "0x"})
    assert refused.value.what == "userOperation"


@pytest.mark.parametrize("name", ["sender", "nonce", "callData", "maxFeePerGas"])
def test_a_missing_field_is_named(name: str) -> None:
    fields = {key: value for key, value in GOOD.items() if key != name}
    with pytest.raises(Unverifiable, match=f"has no {name}"):
        read_operation(fields)


def test_of_several_missing_fields_the_first_by_name_is_named() -> None:
    with pytest.raises(Unverifiable, match="has no callData") as refused:
        read_operation({})
    assert refused.value.what == "callData"
    with pytest.raises(Unverifiable, match="has no maxFeePerGas"):
        read_operation({k: v for k, v in GOOD.items() if k < "m" or k == "sender"})


def test_of_several_parts_of_what_is_not_there_the_first_by_name_is_named() -> None:
    bare = {key: value for key, value in GOOD.items() if key != "paymaster"}
    with pytest.raises(Unverifiable, match="has paymasterData but no paymaster"):
        read_operation(bare)


@pytest.mark.parametrize(
    ("whole", "part"),
    [
        ("factory", "factoryData"),
        ("paymaster", "paymasterData"),
        ("paymaster", "paymasterPostOpGasLimit"),
        ("paymaster", "paymasterVerificationGasLimit"),
    ],
)
def test_a_part_of_a_factory_or_paymaster_that_is_not_there_is_refused(
    whole: str, part: str
) -> None:
    bare = {key: value for key, value in GOOD.items() if not key.startswith(whole)}
    assert read_operation(bare)
    with pytest.raises(Unverifiable, match=f"has {part} but no {whole}$") as refused:
        read_operation({**bare, part: "0x00"})
    assert refused.value.what == whole


def test_a_factory_alone_has_no_data() -> None:
    factory = read_operation(
        {key: value for key, value in GOOD.items() if key != "factoryData"}
    ).factory
    assert factory is not None
    assert factory.data == b""


def test_a_paymaster_alone_has_no_gas_and_no_data() -> None:
    bare = {key: value for key, value in GOOD.items() if not key.startswith("paymaster")}
    paymaster = read_operation({**bare, "paymaster": SPONSOR}).paymaster
    assert paymaster is not None
    assert (paymaster.verification_gas, paymaster.post_op_gas, paymaster.data) == (0, 0, b"")


@pytest.mark.parametrize("value", [None, [], "0x", 7])
def test_what_is_no_object_is_refused(value: Any) -> None:
    with pytest.raises(Unverifiable, match="userOperation is not a JSON object"):
        read_operation(value)
