"""RLP alone. What transactions become is held to eth-account's output in tests/unit/test_accounts.py."""

from __future__ import annotations

import pytest
import rlp  # type: ignore[import-untyped]  # it ships no types; here it is the oracle
from hypothesis import given
from hypothesis import strategies as st

from bursar.chains.transactions import RlpItem, rlp_encode, type_of

LOREM = b"Lorem ipsum dolor sit amet, consectetur adipisicing elit"


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        (b"dog", b"\x83dog"),
        ([b"cat", b"dog"], b"\xc8\x83cat\x83dog"),
        (b"", b"\x80"),
        ([], b"\xc0"),
        (0, b"\x80"),
        (b"\x00", b"\x00"),
        (15, b"\x0f"),
        (1024, b"\x82\x04\x00"),
        ([[], [[]], [[], [[]]]], bytes.fromhex("c7c0c1c0c3c0c1c0")),
        (LOREM, b"\xb8\x38" + LOREM),
    ],
    ids=range(10),
)
def test_rlp_gives_the_examples_of_its_definition(item: RlpItem, expected: bytes) -> None:
    assert rlp_encode(item) == expected


items = st.recursive(
    st.one_of(st.binary(max_size=70), st.integers(0, 2**256)),
    lambda inner: st.lists(inner, max_size=6),
    max_leaves=20,
)


@given(items)
def test_rlp_equals_the_rlp_package(item: RlpItem) -> None:
    assert rlp_encode(item) == rlp.encode(item)


@pytest.mark.parametrize(
    ("names", "kind"),
    [
        ("gasPrice", 0),
        ("gasPrice accessList", 1),
        ("maxFeePerGas", 2),
        ("maxPriorityFeePerGas accessList", 2),
        ("maxFeePerGas maxFeePerBlobGas", 3),
        ("maxFeePerGas blobVersionedHashes", 3),
        ("maxFeePerGas authorizationList", 4),
    ],
)
def test_the_fields_tell_the_type(names: str, kind: int) -> None:
    assert type_of(dict.fromkeys(names.split(), 0)) == kind
