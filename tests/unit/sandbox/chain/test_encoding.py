from __future__ import annotations

from pathlib import Path

import pytest
from eth_abi.abi import decode

from bursar.errors import InputError
from bursar.sandbox.chain import Contracts, kernel
from bursar.sandbox.chain.abi import call_data, revert_reason
from bursar.sandbox.chain.compiler import NAMES, creation_code
from bursar.sandbox.chain.userop import Gas, Paymaster, UserOperation

ONE, TWO = "0x" + "11" * 20, "0x" + "22" * 20


def test_call_data_is_the_selector_and_the_arguments() -> None:
    data = call_data("transfer(address,uint256)", ONE, 5)
    assert data[:4].hex() == "a9059cbb"
    assert decode(["address", "uint256"], data[4:]) == (ONE, 5)
    assert call_data("accountId()").hex() == "9cfd7cff"


@pytest.mark.parametrize(
    ("signature", "arguments"),
    [
        ("transfer(address,uint256)", (ONE, -1)),
        ("transfer(address,uint256)", (ONE,)),
        ("transfer(nonsense)", (1,)),
        ("transfer", ()),
        ("f(uint8)", (256,)),
        ("f(bytes4)", (b"12345",)),
        ("f(string)", (b"\xff",)),
    ],
)
def test_a_call_that_cannot_be_encoded_is_an_input_error(
    signature: str, arguments: tuple[object, ...]
) -> None:
    with pytest.raises(InputError, match=r"cannot encode|not a list"):
        call_data(signature, *arguments)


def test_a_revert_says_its_reason_its_panic_or_its_bytes() -> None:
    text = call_data("Error(string)", "no money")
    assert revert_reason(text) == "no money"
    assert revert_reason(call_data("Panic(uint256)", 0x11)) == "Panic(0x11)"
    assert revert_reason(b"\x01\x02") == "0x0102"
    assert revert_reason(b"") == "execution reverted"


def test_one_call_is_packed_and_several_are_a_batch() -> None:
    one = kernel.Call(ONE, 3, b"\xaa")
    mode, packed = decode(["bytes32", "bytes"], kernel.execute([one])[4:])
    assert (mode, packed.hex()) == (bytes(32), "11" * 20 + "00" * 31 + "03" + "aa")
    mode, batch = decode(["bytes32", "bytes"], kernel.execute([one, kernel.Call(TWO, 0, b"")])[4:])
    assert mode == b"\x01" + bytes(31)
    assert decode(["(address,uint256,bytes)[]"], batch)[0] == ((ONE, 3, b"\xaa"), (TWO, 0, b""))
    with pytest.raises(InputError):
        kernel.execute([])


def test_the_nonce_key_is_mode_type_validator_and_lane() -> None:
    assert f"{kernel.nonce_key(ONE, 0x0203):048x}" == "0000" + "11" * 20 + "0203"


@pytest.mark.parametrize(("threshold", "members"), [(0, 2), (3, 2), (1, 11), (1, 0)])
def test_an_impossible_quorum_is_refused(threshold: int, members: int) -> None:
    contracts = Contracts(*[ONE] * 7)
    with pytest.raises(InputError, match="cannot be formed"):
        kernel.Root.quorum(contracts, threshold, [TWO] * members)


def test_a_user_operation_packs_two_numbers_to_a_word() -> None:
    op = UserOperation(
        sender=ONE,
        nonce=1,
        call_data=b"call",
        gas=Gas(call=2, verification=3, pre_verification=4, max_fee=5, max_priority_fee=6),
        paymaster=Paymaster(TWO, 7, 8, b"pay"),
        factory=TWO,
        factory_data=b"born",
        signature=b"sig",
    )
    packed = op.packed()
    assert packed[2].hex() == "22" * 20 + b"born".hex()
    assert packed[4].hex() == f"{3:032x}{2:032x}"
    assert packed[6].hex() == f"{6:032x}{5:032x}"
    assert packed[7].hex() == "22" * 20 + f"{7:032x}{8:032x}" + b"pay".hex()
    assert UserOperation.from_api(op.to_api()) == op


def test_a_contract_is_compiled_once_for_its_source(tmp_path: Path) -> None:
    code = creation_code("Sponsor", tmp_path)
    (cached,) = tmp_path.iterdir()
    cached.write_text("6000")
    assert code != creation_code("Sponsor", tmp_path) == bytes.fromhex("6000")
    assert "Sponsor" in NAMES
