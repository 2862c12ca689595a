"""What a ledger needs of whatever keeps it, over every store there is."""

from __future__ import annotations

import itertools
from contextlib import suppress

import pytest

from bursar.errors import LedgerError
from bursar.ledger.store import HEAD, Change, OutOfTurn
from tests.contract.stores import StoreWorld, fill

# In the order of their bytes, which is neither a dictionary's nor that of UTF-16.
NAMES = ["A", "Z#", "a", "a#", "a#1", "a#10", "a#2", "aa", "b", "~", "é", "\uff5e", "\U0001f600"]
WHOLE = ("\x01", "\U0010ffff")


def test_an_empty_book_holds_nothing(stores: StoreWorld, book: str) -> None:
    store = stores.open()
    assert store.get(book, [HEAD, "a"]) == {}
    assert store.get(book, [HEAD]) == {}
    assert store.get(book, []) == {}
    assert list(store.between(book, *WHOLE)) == []


def test_what_was_written_is_read_at_once_over_any_handle(stores: StoreWorld, book: str) -> None:
    writer, reader = stores.open(), stores.open()
    assert reader.get(book, [HEAD]) == {}
    writer.put(book, Change(None, "1", {"receipt": "r"}, {"entry": "e"}))
    assert reader.get(book, [HEAD]) == {HEAD: "1"}
    assert reader.get(book, ["receipt", "entry", "receipt", "absent"]) == {
        "receipt": "r",
        "entry": "e",
    }
    assert list(reader.between(book, "e", "f")) == [("entry", "e")]


def test_entries_are_overwritten_and_the_rest_stays(stores: StoreWorld, book: str) -> None:
    store = stores.open()
    store.put(book, Change(None, "1", entries={"a": "1", "b": "1"}))
    store.put(book, Change("1", "2", entries={"a": "2"}))
    assert store.get(book, [HEAD, "a", "b"]) == {HEAD: "2", "a": "2", "b": "1"}


@pytest.mark.parametrize("seen", [None, "0", "1 ", "é"])
def test_out_of_turn_nothing_is_written(stores: StoreWorld, book: str, seen: str | None) -> None:
    store = stores.open()
    store.put(book, Change(None, "1", entries={"a": "1"}))
    with pytest.raises(OutOfTurn):
        store.put(book, Change(seen, "2", {"new": "n"}, {"a": "2", "b": "2"}))
    assert list(store.between(book, *WHOLE)) == [("a", "1"), (HEAD, "1")]


def test_a_head_that_was_never_written_cannot_have_been_seen(stores: StoreWorld, book: str) -> None:
    store = stores.open()
    with pytest.raises(OutOfTurn):
        store.put(book, Change("1", "2", {"new": "n"}, {"a": "2"}))
    assert list(store.between(book, *WHOLE)) == []


def test_what_must_be_new_and_is_there_keeps_everything_from_being_written(
    stores: StoreWorld, book: str
) -> None:
    store = stores.open()
    store.put(book, Change(None, "1", {"receipt": "first"}))
    with pytest.raises(OutOfTurn):
        store.put(book, Change("1", "2", {"other": "x", "receipt": "second"}, {"a": "2"}))
    assert store.get(book, [HEAD, "receipt", "other", "a"]) == {HEAD: "1", "receipt": "first"}


def test_a_change_may_be_made_back_and_made_again(stores: StoreWorld, book: str) -> None:
    store = stores.open()
    store.put(book, Change(None, "1"))
    store.put(book, Change("1", "2"))
    store.put(book, Change("2", "1"))
    with pytest.raises(OutOfTurn):
        store.put(book, Change("2", "3"))
    assert store.get(book, [HEAD]) == {HEAD: "1"}


def test_ranges_hold_both_ends_in_the_order_of_bytes(stores: StoreWorld, book: str) -> None:
    store = stores.open()
    fill(store, book, {name: f"of {name}" for name in reversed(NAMES)})
    for first, last in itertools.combinations_with_replacement(range(len(NAMES)), 2):
        found = [name for name, _ in store.between(book, NAMES[first], NAMES[last])]
        assert [name for name in found if name != HEAD] == NAMES[first : last + 1]
    assert dict(store.between(book, *WHOLE)) | {HEAD: ""} == {
        name: f"of {name}" for name in NAMES
    } | {HEAD: ""}


def test_a_range_that_ends_before_it_begins_is_empty(stores: StoreWorld, book: str) -> None:
    store = stores.open()
    fill(store, book, dict.fromkeys(NAMES, "x"))
    assert list(store.between(book, "b", "a")) == []


def test_a_range_of_several_megabytes_is_whole_and_in_order(stores: StoreWorld, book: str) -> None:
    store = stores.open()
    entries = {f"receipt#{number:06d}": f'{{"number":"{number}"}}' * 400 for number in range(400)}
    fill(store, book, entries)
    assert sum(map(len, entries.values())) > 2 << 20
    assert list(store.between(book, "receipt#", "receipt#~")) == list(entries.items())
    assert next(iter(store.between(book, "receipt#000007", "receipt#~")))[0] == "receipt#000007"


def test_a_range_that_nobody_reads_to_its_end_is_no_hindrance(
    stores: StoreWorld, book: str
) -> None:
    store = stores.open()
    fill(store, book, {f"{number:04d}": "x" * 1000 for number in range(300)})
    ranges = [store.between(book, "0", "9") for _ in range(30)]
    assert {next(each)[0] for each in ranges} == {"0000"}
    seen = store.get(book, [HEAD])[HEAD]
    stores.open().put(book, Change(seen, "next"))
    assert store.get(book, [HEAD]) == {HEAD: "next"}


def test_hundreds_of_entries_are_found_by_their_names(stores: StoreWorld, book: str) -> None:
    store = stores.open()
    entries = {f"claim#{number}": f"claimed {number}" for number in range(250)}
    fill(store, book, entries)
    assert store.get(book, [*entries, "absent"]) == entries


def test_books_do_not_mix(stores: StoreWorld, book: str) -> None:
    store, other = stores.open(), f"{book}2"
    store.put(book, Change(None, "1", {"receipt": "r"}, {"a": "1"}))
    store.put(other, Change(None, "other", {"receipt": "s"}))
    assert store.get(book, [HEAD, "receipt", "a"]) == {HEAD: "1", "receipt": "r", "a": "1"}
    assert list(store.between(other, *WHOLE)) == [(HEAD, "other"), ("receipt", "s")]


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "é\u0301 中文 \U0001f600",
        "'; DROP TABLE x; --",
        '"\\\n\r\t',
        "%s :seen ? $1",
        "x" * 300_000,
    ],
    ids=range(7),
)
def test_any_text_comes_back_as_it_was(stores: StoreWorld, book: str, text: str) -> None:
    store = stores.open()
    store.put(book, Change(None, f"head{text}", entries={f"n{text[:20]}": text}))
    store.put(book, Change(f"head{text}", "2"))
    assert store.get(book, [HEAD, f"n{text[:20]}"]) == {HEAD: "2", f"n{text[:20]}": text}


@pytest.mark.parametrize("text", ["\ud800", "a\udfffb"])
def test_what_is_not_unicode_is_refused_and_nothing_is_written(
    stores: StoreWorld, book: str, text: str
) -> None:
    store = stores.open()
    changes = [
        Change(None, text),
        Change(None, "1", {text: "1"}),
        Change(None, "1", {}, {"a": text}),
    ]
    for change in changes:
        with pytest.raises(LedgerError) as caught:
            store.put(book, change)
        assert not caught.value.retryable
    with pytest.raises(LedgerError):
        store.get(book, [text])
    assert list(store.between(book, *WHOLE)) == []


def test_a_nul_is_kept_or_refused_but_never_changed(stores: StoreWorld, book: str) -> None:
    store = stores.open()
    with suppress(LedgerError):
        store.put(book, Change(None, "1", entries={"a": "b\x00c"}))
    assert store.get(book, [HEAD, "a"]) in ({}, {HEAD: "1", "a": "b\x00c"})


WRITE = """
from bursar.ledger.store import Change
store.put(arguments[0], Change(arguments[1], "theirs", {"receipt#2": "theirs"}, {"é": "中"}))
print("written")
"""


def test_another_process_writes_the_same_book(stores: StoreWorld, book: str) -> None:
    if stores.elsewhere is None:
        assert stores.name == "memory"
        return
    store = stores.open()
    store.put(book, Change(None, "1", {"receipt#1": "ours"}))
    assert stores.run(WRITE, book, "1") == "written\n"
    assert store.get(book, [HEAD, "é"]) == {HEAD: "theirs", "é": "中"}
    with pytest.raises(OutOfTurn):
        store.put(book, Change("1", "ours", {"receipt#3": "ours"}))
    assert [name for name, _ in store.between(book, "receipt#", "receipt#~")] == [
        "receipt#1",
        "receipt#2",
    ]
