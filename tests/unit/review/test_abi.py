"""eth-abi is the judge: what it encodes is read, and nothing it would not write is."""

from __future__ import annotations

from typing import Any

import pytest
from eth_abi.abi import encode
from hypothesis import given
from hypothesis import strategies as st

from bursar.chains.evm import checksum_address
from bursar.errors import Unverifiable
from bursar.review import abi

ADDRESS = st.binary(min_size=20, max_size=20).map(checksum_address)
UINT = st.integers(0, 2**256 - 1)
BYTES = st.binary(max_size=100)
CALL = st.tuples(ADDRESS, UINT, BYTES)

SHAPES: dict[str, tuple[list[str], tuple[abi.Type, ...], st.SearchStrategy[tuple[Any, ...]]]] = {
    "transfer": (["address", "uint256"], ("address", "uint256"), st.tuples(ADDRESS, UINT)),
    "execute": (
        ["bytes32", "bytes"],
        ("bytes32", "bytes"),
        st.tuples(st.binary(min_size=32, max_size=32), BYTES),
    ),
    "batch": (
        ["(address,uint256,bytes)[]"],
        (abi.Array(("address", "uint256", "bytes")),),
        st.tuples(st.lists(CALL, max_size=4).map(tuple)),
    ),
    "initialize": (
        ["bytes21", "address", "bytes", "bytes", "bytes[]"],
        ("bytes21", "address", "bytes", "bytes", abi.Array("bytes")),
        st.tuples(
            st.binary(min_size=21, max_size=21),
            ADDRESS,
            BYTES,
            BYTES,
            st.lists(BYTES, max_size=3).map(tuple),
        ),
    ),
}
every_shape = pytest.mark.parametrize("shape", SHAPES)


@every_shape
@given(data=st.data())
def test_what_eth_abi_writes_is_read_as_it_was_meant(shape: str, data: st.DataObject) -> None:
    names, types, values = SHAPES[shape]
    meant = data.draw(values)
    assert abi.decode(types, encode(names, meant), "callData") == meant


@every_shape
@given(data=st.data())
def test_changed_bytes_are_refused_or_are_what_eth_abi_writes_for_what_is_read(
    shape: str, data: st.DataObject
) -> None:
    names, types, values = SHAPES[shape]
    raw = bytearray(encode(names, data.draw(values)))
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(raw) - 1))
        raw[place] = data.draw(
            st.one_of(st.sampled_from([0, 1, 0x20, 0x40, 0xFF]), st.integers(0, 255))
        )
    try:
        read = abi.decode(types, bytes(raw), "callData")
    except Unverifiable:
        return
    assert encode(names, read) == bytes(raw)


@every_shape
@given(raw=st.binary(max_size=400))
def test_random_bytes_are_refused_or_canonical(shape: str, raw: bytes) -> None:
    names, types, _ = SHAPES[shape]
    try:
        read = abi.decode(types, raw, "callData")
    except Unverifiable:
        return
    assert encode(names, read) == raw


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        ((64).to_bytes(32, "big") + bytes(64), "leads elsewhere"),
        ((32).to_bytes(32, "big") + (1).to_bytes(32, "big") + b"a", "cut short"),
        ((32).to_bytes(32, "big") + (2**255).to_bytes(32, "big"), "longer than the data"),
        ((32).to_bytes(32, "big") + (33).to_bytes(32, "big") + bytes(32), "longer than the data"),
        ((32).to_bytes(32, "big") + (1).to_bytes(32, "big") + b"aa" + bytes(30), "not zero"),
        ((32).to_bytes(32, "big") + bytes(32) + b"x", "1 bytes after its end"),
        ((32).to_bytes(32, "big"), "end too early"),
        (b"", "end too early"),
    ],
)
def test_bytes_that_are_not_canonical_are_refused_with_the_reason(raw: bytes, why: str) -> None:
    with pytest.raises(Unverifiable, match=why) as refused:
        abi.decode(("bytes",), raw, "callData")
    assert refused.value.what == "callData"


@pytest.mark.parametrize("place", range(12))
def test_an_address_with_anything_before_it_is_refused(place: int) -> None:
    word = bytearray(32)
    word[place] = 1
    with pytest.raises(Unverifiable, match="something before it"):
        abi.decode(("address",), bytes(word), "callData")


@pytest.mark.parametrize("place", range(21, 32))
def test_short_bytes_with_anything_behind_them_are_refused(place: int) -> None:
    word = bytearray(32)
    word[place] = 1
    with pytest.raises(Unverifiable, match="behind the 21 bytes"):
        abi.decode(("bytes21",), bytes(word), "callData")


def test_an_array_of_a_length_the_data_does_not_hold_makes_no_work() -> None:
    huge = (32).to_bytes(32, "big") + (2**40).to_bytes(32, "big") + bytes(64)
    with pytest.raises(Unverifiable, match="an array longer than the data"):
        abi.decode((abi.Array("bytes"),), huge, "callData")


@pytest.mark.parametrize("length", [2, 31])
def test_an_array_may_be_as_long_as_the_data_and_no_longer(length: int) -> None:
    head, elements = (32).to_bytes(32, "big"), bytes(32 * length)
    full = head + length.to_bytes(32, "big") + elements
    assert abi.decode((abi.Array("uint256"),), full, "callData") == ((0,) * length,)
    longer = head + (length + 1).to_bytes(32, "big") + elements
    with pytest.raises(Unverifiable, match="an array longer than the data"):
        abi.decode((abi.Array("uint256"),), longer, "callData")


def test_two_parts_that_share_their_bytes_are_refused() -> None:
    # Both heads point at the one tail: contracts would read it twice.
    shared = (64).to_bytes(32, "big") * 2 + (0).to_bytes(32, "big")
    with pytest.raises(Unverifiable, match="leads elsewhere"):
        abi.decode(("bytes", "bytes"), shared, "callData")
