"""ERC-7579: eth-abi and the sandbox's own encoder write, the review reads."""

from __future__ import annotations

import pytest
from eth_abi.abi import encode
from hypothesis import given
from hypothesis import strategies as st

from bursar.chains.evm import checksum_address
from bursar.errors import Unverifiable
from bursar.review.calldata import MAX_CALLS, Call, decode_execution
from bursar.sandbox.chain import kernel
from bursar.sandbox.chain.abi import call_data
from tests.unit.review.scene import PAY, THIEF, batched, packed

CALLS = st.builds(
    kernel.Call,
    to=st.binary(min_size=20, max_size=20).map(checksum_address),
    value=st.integers(0, 2**256 - 1),
    data=st.binary(max_size=100),
)


def execute(mode: str, payload: bytes) -> bytes:
    return call_data("execute(bytes32,bytes)", bytes.fromhex(mode).ljust(32, b"\0"), payload)


def as_ours(call: kernel.Call) -> Call:
    return Call(call.to, call.value, call.data)


@given(calls=st.lists(CALLS, min_size=1, max_size=4))
def test_calls_are_read_as_the_sandbox_wrote_them(calls: list[kernel.Call]) -> None:
    execution = decode_execution(kernel.execute(calls))
    assert execution.calls == tuple(as_ours(call) for call in calls)
    assert not execution.may_fail


@given(calls=st.lists(CALLS, max_size=4))
def test_a_batch_of_any_size_is_read(calls: list[kernel.Call]) -> None:
    execution = decode_execution(execute("0100", batched(*calls)))
    assert execution.calls == tuple(as_ours(call) for call in calls)


@pytest.mark.parametrize("mode", ["0001", "0101"])
def test_a_try_variant_is_told(mode: str) -> None:
    payload = packed(PAY) if mode.startswith("00") else batched(PAY)
    execution = decode_execution(execute(mode, payload))
    assert execution.may_fail
    assert execution.calls == (as_ours(PAY),)


@pytest.mark.parametrize("mode", ["ff00", "ff01"])
def test_a_delegatecall_has_no_value_and_is_told(mode: str) -> None:
    execution = decode_execution(execute(mode, bytes.fromhex(THIEF[2:]) + b"code"))
    assert execution.calls == (Call(THIEF, 0, b"code", delegate=True),)


@pytest.mark.parametrize(
    "mode",
    [
        "fe00",  # staticcall
        "0200",
        "0002",
        "00ff",
        "000001",  # an unused byte
        "000000000001",  # another
        "0000000000000001",  # a mode selector
        "00000000000078210001",  # ERC-7821's
        "00" * 31 + "01",  # a payload
    ],
)
def test_an_unknown_mode_is_unverifiable(mode: str) -> None:
    with pytest.raises(Unverifiable, match="execution mode") as refused:
        decode_execution(execute(mode, packed(PAY)))
    assert refused.value.what == "callData"


@pytest.mark.parametrize("data", [b"", b"\xe9\xae\x5c", bytes.fromhex("8dd7712f") + bytes(64)])
def test_another_function_than_execute_is_unverifiable(data: bytes) -> None:
    with pytest.raises(Unverifiable, match="not told to execute"):
        decode_execution(data)


@pytest.mark.parametrize(("mode", "size"), [("0000", 51), ("ff00", 19), ("0000", 0)])
def test_a_call_that_is_cut_short_is_unverifiable(mode: str, size: int) -> None:
    with pytest.raises(Unverifiable, match="cut short"):
        decode_execution(execute(mode, bytes(size)))


@pytest.mark.parametrize("value", [2**256 - 1, 2**248, 1])
def test_a_value_is_read_to_its_last_bit(value: int) -> None:
    [call] = decode_execution(kernel.execute([kernel.Call(THIEF, value, b"data")])).calls
    assert call == Call(THIEF, value, b"data")


def test_the_smallest_delegated_call_is_a_target_alone() -> None:
    assert decode_execution(execute("ff00", bytes.fromhex(THIEF[2:]))).calls == (
        Call(THIEF, 0, b"", delegate=True),
    )


def test_the_smallest_call_is_one_without_data() -> None:
    [call] = decode_execution(execute("0000", bytes(20) + (7).to_bytes(32, "big"))).calls
    assert (call.value, call.data) == (7, b"")


@pytest.mark.parametrize(
    "payload",
    [
        batched(PAY) + bytes(32),
        bytes(31) + b"\x40" + bytes(32) + batched(PAY)[32:],
        batched(PAY)[:-32],
        encode(["address", "uint256", "bytes"], [PAY.to, 0, PAY.data]),
    ],
)
def test_a_batch_in_another_encoding_is_unverifiable(payload: bytes) -> None:
    with pytest.raises(Unverifiable, match="callData"):
        decode_execution(execute("0100", payload))


def test_bytes_after_the_execution_are_unverifiable() -> None:
    with pytest.raises(Unverifiable, match="32 bytes after its end"):
        decode_execution(kernel.execute([PAY]) + bytes(32))


def test_a_hundred_calls_are_read_and_no_more() -> None:
    nothing = kernel.Call(THIEF, 0, b"")
    assert len(decode_execution(kernel.execute([nothing] * MAX_CALLS)).calls) == MAX_CALLS
    with pytest.raises(Unverifiable, match="101 calls"):
        decode_execution(kernel.execute([nothing] * (MAX_CALLS + 1)))
