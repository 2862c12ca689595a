"""Whatever JSON comes, nothing but our own errors leaves."""

from __future__ import annotations

import copy
import pickle
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bursar.errors import BursarError, IntentMismatch, NotAwaitingApproval, Unverifiable
from bursar.review.actions import Transfer
from bursar.review.intent import Intent
from bursar.review.signatures import review_signature
from bursar.review.transaction import explain, review
from tests.unit.review.scene import (
    INTENT,
    PAY,
    RECIPIENT,
    SIGNER,
    TERMS,
    UNITS,
    USDC,
    WALLET,
    asked,
    born,
    doing,
)
from tests.unit.review.scene import OPERATION as OP

HEX = st.text("0123456789abcdefxX_ ", max_size=200).map(lambda text: "0x" + text)
LEAF = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=40), HEX,
    st.sampled_from([SIGNER, WALLET, "awaiting-approval", "base-sepolia", 10**4000, "\ud800", "0x"]),
)  # fmt: skip
JSON = st.recursive(
    LEAF,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4)
    ),
)
GOOD = [doing(PAY), doing(PAY, PAY), born()]


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the way to every value in a JSON document."""
    found = [path] if path else []
    if isinstance(value, dict | list):
        steps = value.items() if isinstance(value, dict) else enumerate(value)
        for step, inner in steps:
            found += places(inner, (*path, step))
    return found


def changed(transaction: dict[str, Any], path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    result = copy.deepcopy(transaction)
    place: Any = result
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return result


def survives(transaction: Any) -> None:
    try:
        found = review(transaction, INTENT, signer=SIGNER, wallet=WALLET, terms=TERMS)
    except (Unverifiable, IntentMismatch, NotAwaitingApproval) as error:
        said = error.message
    else:
        assert found.payments == (Transfer(USDC, RECIPIENT, UNITS),)
        return
    assert said.isprintable()
    assert len(said) < 700


@given(value=JSON)
def test_any_json_at_all(value: Any) -> None:
    survives(value)


@settings(max_examples=300)
@given(data=st.data())
def test_a_good_transaction_with_any_value_anywhere(data: st.DataObject) -> None:
    transaction = data.draw(st.sampled_from(GOOD))
    path = data.draw(st.sampled_from(places(transaction)))
    survives(changed(transaction, path, data.draw(JSON)))


@settings(max_examples=300)
@given(raw=st.binary(max_size=500), start=st.sampled_from([b"", b"\xe9\xae\x5c\x53"]))
def test_any_call_data_under_a_right_hash(raw: bytes, start: bytes) -> None:
    survives(asked(replace(OP, call_data=start + raw)))


@settings(max_examples=300)
@given(data=st.data())
def test_any_changed_byte_of_call_data_or_factory_data_under_a_right_hash(
    data: st.DataObject,
) -> None:
    name = data.draw(st.sampled_from(["call_data", "factory_data"]))
    fields = born()["onChain"]["userOperation"]
    factory: dict[str, Any] = {
        "factory": fields["factory"],
        "factory_data": bytes.fromhex(fields["factoryData"][2:]),
    }
    operation = replace(OP, **factory)
    raw = bytearray(getattr(operation, name))
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    change: dict[str, Any] = {name: bytes(raw)}
    survives(asked(replace(operation, **change)))


@given(value=JSON, data=st.data())
def test_any_json_as_a_signature(value: Any, data: st.DataObject) -> None:
    params = {"chain": "base-sepolia", "message": value, "typedData": value}
    shape = {
        "id": "s",
        "type": data.draw(st.sampled_from(["message", "typed-data"])),
        "params": params,
    }
    for signature in (value, shape, {**shape, "params": value}):
        with pytest.raises(BursarError):
            review_signature(signature, signer=SIGNER, wallet=WALLET)


@given(value=JSON)
def test_any_json_as_an_intent(value: Any) -> None:
    with pytest.raises(BursarError):
        Intent.read(value)


def test_a_number_too_long_for_python_to_print_is_refused_wherever_it_stands() -> None:
    for transaction in GOOD:
        for path in places(transaction):
            survives(changed(transaction, path, 10**5000))


def test_an_answer_nested_a_thousand_deep_is_read_no_deeper_than_needed() -> None:
    deep: Any = []
    for _ in range(1000):
        deep = [deep]
    transaction = doing(PAY)
    transaction["params"]["calls"] = deep
    survives(transaction)
    survives(changed(transaction, ("onChain", "userOperation"), deep))


def test_call_data_of_the_largest_size_is_read_and_larger_refused() -> None:
    transaction = doing(PAY)
    for size in (32_768, 32_769, 10_000_000):
        large = changed(transaction, ("onChain", "userOperation", "callData"), "0x" + "00" * size)
        with pytest.raises(Unverifiable):
            explain(large, signer=SIGNER, wallet=WALLET)


def test_unverifiable_pickles_with_all_it_says() -> None:
    error = Unverifiable("no", hint="ask", what="nonce")
    again = pickle.loads(pickle.dumps(error))  # noqa: S301  our own bytes
    assert (str(again), again.hint, again.what, again.code) == (
        "no",
        "ask",
        "nonce",
        "unverifiable",
    )
