from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.errors import LedgerDamaged
from bursar.ledger.receipts import (
    GENESIS,
    Event,
    Head,
    canonical,
    following,
    moment_of,
    moment_text,
    read_json,
    read_receipt,
)

NOW = datetime(2026, 11, 24, 12, 0, 0, 1, tzinfo=UTC)
moments = st.datetimes(
    min_value=datetime(1970, 1, 1),  # noqa: DTZ001  hypothesis adds the zone
    timezones=st.sampled_from([UTC, timezone(timedelta(hours=-9))]),
    max_value=datetime(9998, 1, 1),  # noqa: DTZ001  the same
)
names = st.text(max_size=8)
leaves = st.none() | st.booleans() | st.integers() | st.text(max_size=20)
bodies = st.dictionaries(
    names,
    st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
        max_leaves=8,
    ),
    max_size=4,
)
events = st.sampled_from(Event)


@given(bodies, events, moments, st.text())
def test_a_receipt_reads_back_as_it_was_with_its_own_hash(
    body: dict[str, Any], event: Event, at: datetime, book: str
) -> None:
    made = following(Head(), book, at, event, body)
    read, stated = read_receipt(canonical(made.to_dict()))
    assert read == made
    assert stated == made.hash == read.hash
    assert canonical(read.to_dict()) == canonical(made.to_dict())


@given(bodies)
def test_canonical_json_is_one_text_for_one_value(body: dict[str, Any]) -> None:
    text = canonical(body)
    assert text.isascii()
    assert canonical(dict(reversed(body.items()))) == text
    assert canonical(json.loads(text)) == text


@pytest.mark.parametrize("value", [1.0, float("nan"), {"a": [1, {"b": 0.5}]}, (1.5,), {"a": b"x"}])
def test_what_two_programs_may_write_differently_is_refused(value: Any) -> None:
    with pytest.raises(TypeError):
        canonical(value)


def test_receipts_follow_one_another_by_number_and_hash() -> None:
    first = following(Head(), "key", NOW, Event.DECISION, {"a": 1})
    second = following(first.head, "key", NOW, Event.SIGNATURE, {"a": 1})
    assert (first.number, first.previous) == (1, GENESIS)
    assert (second.number, second.previous) == (2, first.hash)


@pytest.mark.parametrize(
    "change",
    [
        {"book": "other"},
        {"number": 2},
        {"previous": "1" * 64},
        {"at": "2026-11-24T12:00:00.000002Z"},
        {"event": "consent"},
        {"body": {"a": 2}},
        {"body": {"a": "1"}},
        {"body": {"a": True}},
    ],
)
def test_every_part_of_a_receipt_is_in_its_hash(change: dict[str, Any]) -> None:
    made = following(Head(), "key", NOW, Event.DECISION, {"a": 1})
    changed, stated = read_receipt(canonical(made.to_dict() | change))
    assert stated == made.hash
    assert changed.hash != stated


@given(moments)
def test_a_moment_reads_back_to_the_microsecond(at: datetime) -> None:
    assert moment_of(moment_text(at)) == at


@given(moments, moments)
def test_moments_sort_as_their_texts_do(one: datetime, other: datetime) -> None:
    assert (one < other) == (moment_text(one) < moment_text(other))


@given(st.integers(1), st.text("0123456789abcdef", min_size=64, max_size=64))
def test_a_head_reads_back_as_it_was(number: int, digest: str) -> None:
    assert Head.read(Head(number, digest).to_text()) == Head(number, digest)


def test_without_a_head_the_chain_is_empty() -> None:
    assert Head.read(None) == Head(0, GENESIS)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[]",
        "1",
        "null",
        '{"number":1}',
        '{"number":0,"hash":"%s"}' % ("a" * 64),
        '{"number":true,"hash":"%s"}' % ("a" * 64),
        '{"number":1.0,"hash":"%s"}' % ("a" * 64),
        '{"number":"1","hash":"%s"}' % ("a" * 64),
        '{"number":1,"number":2,"hash":"%s"}' % ("a" * 64),
        '{"number":1,"hash":"%s"}' % ("A" * 64),
        '{"number":1,"hash":"%s"}' % ("a" * 63),
        '{"number":1,"hash":7}',
        "\ud800",
        '{"number":%s,"hash":""}' % ("9" * 5000),
        "[" * 200,
    ],
)
def test_a_damaged_head_is_damage(text: str) -> None:
    with pytest.raises(LedgerDamaged):
        Head.read(text)


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-24T12:00:00Z",
        "2026-11-24T12:00:00.000000",
        "2026-11-24T12:00:00.000000+00:00",
        "0001-01-01T00:00:00.000000+23:59",
        "9999-12-31T23:59:59.999999-23:59",
        "yesterday",
        "",
        None,
        7,
        [],
    ],
)
def test_a_moment_that_was_not_written_here_is_damage(text: Any) -> None:
    with pytest.raises(LedgerDamaged):
        moment_of(text)


GOOD = following(Head(), "key", NOW, Event.DECISION, {"a": 1}).to_dict()


@pytest.mark.parametrize("field", GOOD)
@pytest.mark.parametrize("value", [None, 1.5, True, [], 0, -1, "missing"])
def test_a_receipt_with_a_field_of_another_kind_is_damage(field: str, value: Any) -> None:
    changed = {**GOOD, field: value}
    if value == "missing":
        del changed[field]
    with pytest.raises(LedgerDamaged):
        read_receipt(json.dumps(changed))


def test_a_receipt_with_a_field_too_many_is_damage() -> None:
    with pytest.raises(LedgerDamaged):
        read_receipt(json.dumps({**GOOD, "more": 1}))


@given(st.text() | st.binary())
def test_arbitrary_texts_raise_only_damage(text: str | bytes) -> None:
    for read in (lambda: read_receipt(text), lambda: read_json(text, "it")):
        try:
            read()
        except LedgerDamaged:
            continue


@given(st.data())
def test_one_wrong_character_is_damage_or_another_hash(data: st.DataObject) -> None:
    text = canonical(GOOD)
    at = data.draw(st.integers(0, len(text) - 1))
    changed = text[:at] + data.draw(st.characters()) + text[at + 1 :]
    try:
        receipt, stated = read_receipt(changed)
    except LedgerDamaged:
        return
    assert canonical(receipt.to_dict()) == text or receipt.hash != stated
