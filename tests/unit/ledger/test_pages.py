from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.errors import LedgerDamaged
from bursar.ledger.pages import (
    Claim,
    Lease,
    Operation,
    Page,
    Question,
    Seen,
    Signed,
    Taken,
    consent_name,
    consent_range,
    read_consent,
    read_first_seen,
    receipt_name,
    receipt_range,
    spend_range,
)
from bursar.ledger.receipts import Event, Head, canonical, moment_text
from bursar.policy.decision import Bound, Reservation
from bursar.policy.proposal import Approval, Spent
from tests.unit.ledger.test_receipts import NOW, moments

texts = st.text(max_size=20)
amounts = st.integers(0, 2**256 - 1)
entry_names = moments.map(lambda at: Taken(at, "0x1", {}).name)
operations = st.builds(
    Operation,
    texts,
    st.frozensets(texts),
    st.booleans(),
    st.none() | entry_names,
    st.none() | st.builds(Lease, texts, moments),
    st.dictionaries(texts, st.builds(Signed, texts, texts, texts)),
    st.booleans(),
)
entries = st.builds(
    Taken,
    moments,
    st.text("0123456789abcdefx", max_size=66),
    st.dictionaries(texts, st.tuples(amounts, amounts)),
)


@given(operations)
def test_an_operation_reads_back_as_it_was(operation: Operation) -> None:
    assert Operation.read(operation.to_text()) == operation


def test_an_operation_that_is_not_there_is_none() -> None:
    assert Operation.read(None) is None


@given(entries)
def test_what_was_taken_reads_back_as_it_was(taken: Taken) -> None:
    assert Taken.read(taken.name, taken.to_text()) == taken


@given(st.builds(Claim, texts, texts, st.booleans()))
def test_a_claim_reads_back_as_it_was(claim: Claim) -> None:
    assert Claim.read(claim.to_text()) == claim


@given(moments, st.text(max_size=500))
def test_a_consent_reads_back_as_it_was(at: datetime, principal: str) -> None:
    page = Page(Event.CONSENT, {}, consent=Approval(principal, "0x12", at))
    [(name, text)] = page.entries().items()
    assert read_consent(name, text) == page.consent


OPERATION = json.loads(
    Operation(
        "t",
        frozenset({"me"}),
        waiting=True,
        spend=Taken(NOW, "0x1", {}).name,
        lease=Lease("h", NOW),
        signed={"d": Signed("a", "b", "c")},
    ).to_text()
)


@pytest.mark.parametrize("field", OPERATION)
@pytest.mark.parametrize(
    "value",
    [
        7,
        1.5,
        "x",
        True,
        [],
        [1],
        ["a", "b"],
        ["a", 1],
        {},
        {"d": "abc"},
        {"d": ["a", "b"]},
        {"d": [1, 2, 3]},
    ],
    ids=repr,
)
def test_an_operation_with_a_field_of_another_kind_is_damage(field: str, value: Any) -> None:
    fits = {"transaction": str, "waiting": bool, "doubtful": bool, "reviewed": bool}.get(field, ())
    if isinstance(value, fits) or (field == "askedBy" and value in ([], ["a", "b"])):
        return
    if field in ("signed", "took") and value == {}:
        return
    with pytest.raises(LedgerDamaged):
        Operation.read(json.dumps({**OPERATION, field: value}))


@pytest.mark.parametrize("field", OPERATION)
def test_an_operation_without_a_field_is_damage(field: str) -> None:
    less = {name: value for name, value in OPERATION.items() if name != field}
    with pytest.raises(LedgerDamaged):
        Operation.read(json.dumps(less))


NAME = f"spend#{moment_text(NOW)}#0x1"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (NAME, '{"k":["-1",1]}'),
        (NAME, '{"k":["1",-1]}'),
        (NAME, '{"k":["1_0",1]}'),
        (NAME, '{"k":["٣",1]}'),
        (NAME, '{"k":[1,1]}'),
        (NAME, '{"k":["1","1"]}'),
        (NAME, '{"k":["1",true]}'),
        (NAME, '{"k":["1"]}'),
        (NAME, '{"k":"12"}'),
        (NAME, '{"k":null}'),
        (NAME, '{"k":["%s",1]}' % ("9" * 5000)),
        (NAME, "[]"),
        (NAME, ""),
        (NAME + "#", "{}"),
        ("spend#yesterday#0x1", "{}"),
        (NAME.replace("spend", "spent"), "{}"),
        ("spend", "{}"),
    ],
)
def test_a_window_s_entry_that_was_not_written_here_is_damage(name: str, text: str) -> None:
    with pytest.raises(LedgerDamaged):
        Taken.read(name, text)


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"operation":"a"}', '{"operation":"a","nonce":1}']
)
def test_a_claim_that_was_not_written_here_is_damage(text: str) -> None:
    with pytest.raises(LedgerDamaged):
        Claim.read(text)


AT = canonical({"at": moment_text(NOW)})


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("consent#0x1", AT),
        ("claim#0x1#me", AT),
        (f"consent#0x1#{'x' * 1100}", AT),
        ("consent#0x1#me", "{}"),
        ("consent#0x1#me", '{"at":7}'),
        ("consent#0x1#me", "x"),
    ],
)
def test_a_consent_that_was_not_written_here_is_damage(name: str, text: str) -> None:
    with pytest.raises(LedgerDamaged):
        read_consent(name, text)


@given(st.text(), st.text())
def test_arbitrary_texts_raise_only_damage(name: str, text: str) -> None:
    reads: list[Callable[[], object]] = [
        lambda: Operation.read(text),
        lambda: Taken.read(name, text),
        lambda: Claim.read(text),
        lambda: read_consent(name, text),
        lambda: read_first_seen(text),
    ]
    for read in reads:
        try:
            read()
        except LedgerDamaged:
            continue


@given(st.integers(1, 10**12 - 2))
def test_receipts_sort_by_their_numbers_and_are_in_their_range(number: int) -> None:
    name = receipt_name(number)
    assert name < receipt_name(number + 1)
    first, last = receipt_range(number)
    assert first == name <= last
    assert receipt_range(number, number + 1) == (name, receipt_name(number + 1))


def test_a_consent_is_in_the_range_of_its_digest_and_no_other() -> None:
    first, last = consent_range("0x12")
    arn = "arn:aws:iam::111122223333:role/Treasurer"
    assert first < consent_name("0x12", arn) < last
    assert not first <= consent_name("0x123", arn) <= last


@given(st.integers(-600, 3600))
def test_what_may_be_in_a_window_is_in_its_range_whatever_the_clocks(age: int) -> None:
    first, last = spend_range(NOW, 3600)
    assert first <= Taken(NOW - timedelta(seconds=age), "0x1", {}).name <= last


def test_what_was_spent_counts_by_window_and_leaves_the_operation_s_own_out() -> None:
    def taken(seconds: int, operation: str, amount: int) -> Taken:
        return Taken(NOW - timedelta(seconds=seconds), operation, {"k": (amount, 1)})

    seen = Seen(
        NOW,
        Head(),
        taken=(taken(0, "a", 1), taken(59, "b", 2), taken(60, "c", 4), taken(1, "me", 8)),
    )
    asked = [
        Reservation("k", 1, 1, (Bound(60, 1, 1, "r"), Bound(3600, 1, 1, "r"))),
        Reservation("other", 1, 1, (Bound(60, 1, 1, "r"),)),
    ]
    assert seen.spent(asked, "me") == {
        ("k", 60): Spent(3, 2),
        ("k", 3600): Spent(7, 3),
        ("other", 60): Spent(0, 0),
    }


def test_a_page_s_entries_are_under_the_names_that_a_question_asks_for() -> None:
    page = Page(
        Event.DECISION,
        {},
        about="0x1",
        operation=Operation("t"),
        claims={"id": Claim("0x1", "7")},
        first_seen={"0xabc": NOW},
    )
    asked = Question("0x1", claims=("id",), recipients=("0xabc",)).names
    assert set(page.entries()) == set(asked)
    assert read_first_seen(page.entries()["recipient#0xabc"]) == NOW.astimezone(UTC)
