from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from Crypto.PublicKey import ECC
from Crypto.Signature import eddsa
from hypothesis import given
from hypothesis import strategies as st

from bursar.errors import SandboxError
from bursar.sandbox.crossmint import StandInConfig, approvals, locators, mint_api_key, tokens
from bursar.sandbox.crossmint.faults import Fault, Faults
from bursar.sandbox.crossmint.keys import base58
from bursar.sandbox.crossmint.limits import RateLimits
from bursar.sandbox.crossmint.replies import ApiError
from bursar.sandbox.crossmint.requests import (
    Approval,
    CreateTransfer,
    CreateWallet,
    parse,
    parse_json,
)
from bursar.sandbox.crossmint.store import Store
from tests.fakes.owner import Owner

_ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


def decode58(text: str) -> bytes:
    number = 0
    for letter in text:
        number = number * 58 + _ALPHABET.index(letter)
    zeros = len(text) - len(text.lstrip("1"))
    return bytes(zeros) + number.to_bytes((number.bit_length() + 7) // 8, "big")


@given(st.binary(max_size=64))
def test_base58_can_be_read_back(data: bytes) -> None:
    assert decode58(base58(data)) == data


def test_a_minted_key_has_crossmints_shape_and_proves_itself() -> None:
    minted = mint_api_key("my-project")
    prefix, _, body = minted.key.rpartition("_")
    data, _, signature = decode58(body).decode().partition(":")
    assert (prefix, data.split(".")[0]) == ("sk_staging", "my-project")
    key = ECC.import_key(
        b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00" + decode58(minted.public_key)
    )
    eddsa.new(key, "rfc8032").verify(f"{prefix}.{data}".encode(), decode58(signature))
    assert minted.key not in repr(minted)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0x12",
        "me:evm",
        "evm:smart",
        "email:a@b.c",
        "COMPANY",
        "evm:smart:alias:",
        "x" * 500,
        "0x" + "zz" * 20,
    ],
)
def test_a_locator_that_cannot_be_read_is_a_400(text: str) -> None:
    with pytest.raises(ApiError) as refusal:
        locators.wallet(text)
    assert refusal.value.reply.status == 400


def test_an_address_with_a_wrong_checksum_is_a_400() -> None:
    good = Owner().address
    assert locators.address(good.lower()) == locators.address(good) == good
    with pytest.raises(ApiError):
        locators.address(good.swapcase().replace("0X", "0x"))


@given(st.text(max_size=60))
def test_hostile_locators_raise_only_api_errors(text: str) -> None:
    for read in (locators.wallet, locators.user, locators.address, locators.chain):
        with contextlib.suppress(ApiError):
            read(text)


@pytest.mark.parametrize(
    ("amount", "units"), [("1", 10**6), ("0.000001", 1), ("1.", 10**6), ("007.50", 7_500_000)]
)
def test_amounts_are_decimal_text(amount: str, units: int) -> None:
    assert tokens.units(amount, 6) == units


@pytest.mark.parametrize("amount", ["0", "0.0000001", "0.0", "9" * 90])
def test_amounts_the_token_cannot_carry_are_400(amount: str) -> None:
    with pytest.raises(ApiError):
        tokens.units(amount, 6)


@given(st.integers(1, 2**200), st.integers(0, 18))
def test_amounts_survive_the_round_trip(units: int, decimals: int) -> None:
    assert tokens.units(tokens.text(units, decimals), decimals) == units


def test_limits_forget_calls_after_a_minute() -> None:
    now = [0.0]
    limits = RateLimits(0.02, lambda: now[0])
    limits.count("a", write=True)
    limits.count("a", write=True)
    limits.count("a", write=False)
    limits.count("b", write=True)
    now[0] = 20.5
    with pytest.raises(ApiError) as refusal:
        limits.count("a", write=True)
    assert refusal.value.reply.headers == {"Retry-After": "40"}
    now[0] = 60.0
    limits.count("a", write=True)


def test_limits_can_have_a_shorter_minute_and_ask_for_whole_seconds() -> None:
    now = [0.0]
    limits = RateLimits(0.01, lambda: now[0], window=0.5)
    limits.count("a", write=True)
    now[0] = 0.4
    with pytest.raises(ApiError) as refusal:
        limits.count("a", write=True)
    assert refusal.value.reply.headers == {"Retry-After": "1"}
    now[0] = 0.5
    limits.count("a", write=True)


@pytest.mark.parametrize(("scale", "refused"), [(0.025, 2), (0, 0)])
def test_limits_tell_how_many_came_at_most_in_any_window(scale: float, refused: int) -> None:
    now = [0.0]
    limits = RateLimits(scale, lambda: now[0])
    limits.count("a", write=False)
    for moment in (0.0, 30.0, 59.0, 59.5, 59.9, 60.0, 119.9):
        now[0] = moment
        with contextlib.suppress(ApiError):
            limits.count("b", write=True)
    assert limits.to_json() == {
        "a": {"reads": {"calls": 1, "mostInAWindow": 1, "refused": 0}},
        "b": {"writes": {"calls": 7, "mostInAWindow": 5, "refused": refused}},
    }


CHANCE = Fault(kind="random", rate=0.3, seed=7, seconds=2.0, status=503)


def test_chance_strikes_again_and_again_in_every_way_until_it_is_cleared() -> None:
    faults = Faults()
    faults.add(CHANCE)
    drawn = [faults.take("a") for _ in range(1000)]
    struck = [fault for fault in drawn if fault]
    assert {fault.kind for fault in struck} == {
        "error_before",
        "error_after",
        "drop_before",
        "drop_after",
        "slow",
    }
    assert 200 < len(struck) < 400
    assert all(fault.status == 503 and 0 <= fault.seconds <= 2 for fault in struck)
    assert [fault["kind"] for fault in faults.to_json()] == ["random"]
    faults.clear()
    assert faults.take("a") is None
    assert faults.to_json() == []


def test_chance_is_the_same_for_each_operation_whatever_else_is_called() -> None:
    one, other = Faults(), Faults()
    one.add(CHANCE)
    other.add(CHANCE)
    alone = [one.take("a") for _ in range(50)]
    between = []
    for _ in range(50):
        other.take("b")
        between.append(other.take("a"))
    assert alone == between


def test_chance_of_one_operation_leaves_the_others_alone() -> None:
    faults = Faults()
    faults.add(Fault(operation="a", kind="random", rate=1.0))
    assert faults.take("b") is None
    assert faults.take("a") is not None


def test_a_fault_that_was_asked_for_comes_before_chance() -> None:
    faults = Faults()
    faults.add(Fault(kind="random", rate=1))
    faults.add(Fault(operation="a", kind="duplicate"))
    first, then = faults.take("a"), faults.take("a")
    assert first is not None
    assert first.kind == "duplicate"
    assert then is not None


def test_faults_are_used_up_in_order() -> None:
    faults = Faults()
    faults.add(Fault(operation="a", kind="slow", count=2))
    faults.add(Fault(operation="a", kind="drop_after"))
    assert faults.take("b") is None
    found = [faults.take("a") for _ in range(4)]
    assert [fault.kind if fault else None for fault in found] == [
        "slow",
        "slow",
        "drop_after",
        None,
    ]


def test_a_store_remembers_and_undoes(tmp_path: Path) -> None:
    store = Store(tmp_path / "deep" / "state")
    store.save("wallet", "p", "1", {"n": 1})
    failing = pytest.raises(TypeError)
    with failing, store.transaction():
        store.save("wallet", "p", "2", {"n": 2})
        store.save("wallet", "p", "3", {"n": {("a key JSON lacks",): 1}})
    store.close()
    again = Store(tmp_path / "deep" / "state")
    assert again.all("wallet") == again.all("wallet", "p") == [{"n": 1}]
    assert again.find("wallet", "other", "1") is None
    again.clear()
    assert again.all("wallet") == []
    again.close()


def test_a_damaged_store_says_what_to_do(tmp_path: Path) -> None:
    damaged = tmp_path / "state"
    damaged.write_text("not a database, and long enough to be read as one" * 50)
    with pytest.raises(SandboxError, match="cannot use"):
        Store(damaged)


def test_a_configuration_error_repeats_no_values(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"api_keys": [{"key": "sk_staging_private"}], "port": "x"}))
    with pytest.raises(SandboxError) as refusal:
        StandInConfig.read(path)
    assert "private" not in refusal.value.message


def test_one_owners_signature_completes_an_approval() -> None:
    owner = Owner()
    signer = {"type": "external-wallet", "address": owner.address, "locator": owner.locator}
    record = approvals.awaiting(signer, "0x" + "ab" * 32)
    item = Approval(**owner.approval(record["pending"][0]))
    approvals.submit(record, item)
    assert approvals.is_complete(record)
    assert approvals.signature(record).hex() == item.signature[2:]


HOSTILE = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(HOSTILE)
def test_hostile_bodies_raise_only_api_errors(body: Any) -> None:
    for model in (CreateWallet, CreateTransfer):
        with pytest.raises(ApiError):
            parse(model, body)


@given(st.binary(max_size=200))
def test_hostile_bytes_raise_only_api_errors(raw: bytes) -> None:
    with contextlib.suppress(ApiError):
        parse_json(raw)


@pytest.mark.parametrize("raw", [b"", b"{", b"[" * 100_000, b'"\\ud800"', b"NaN", b"\xff"])
def test_bytes_that_are_no_json_are_a_400(raw: bytes) -> None:
    with pytest.raises(ApiError) as refusal:
        parse_json(raw)
    assert refusal.value.reply.status == 400
