from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest

from bursar.errors import LedgerDamaged, LedgerUnavailable, PolicyViolation
from bursar.ledger.book import Book, Pace
from bursar.ledger.pages import Claim, Operation, Page, Question, Seen, Taken, operation_name
from bursar.ledger.receipts import Event, Head
from bursar.ledger.store import HEAD, Change, OutcomeUnknown, OutOfTurn, Store
from bursar.policy.proposal import Approval
from tests.fakes.memory_store import Fault, MemoryStore
from tests.unit.ledger.test_receipts import NOW


class Clock:
    """A clock that only sleeping moves; each page is written a microsecond later."""

    def __init__(self) -> None:
        self.seconds, self.asked = 0.0, 0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.seconds += seconds

    def now(self) -> Any:
        self.asked += 1
        return NOW + timedelta(seconds=self.seconds, microseconds=self.asked)

    def pace(self) -> Pace:
        return Pace(
            deadline=5.0,
            first_wait=0.1,
            longest_wait=1.0,
            monotonic=lambda: self.seconds,
            sleep=self.sleep,
            now=self.now,
            random=lambda: 1.0,
        )


def made(store: Store, clock: Clock | None = None) -> Book:
    return Book(store, "key", (clock or Clock()).pace())


def plan(seen: Seen) -> Page:
    return Page(Event.DECISION, {"after": seen.head.number})


def counting(calls: list[Seen]) -> Callable[[Seen], Page]:
    def counted(seen: Seen) -> Page:
        calls.append(seen)
        return plan(seen)

    return counted


def test_what_one_page_remembers_the_next_one_sees() -> None:
    book = made(MemoryStore())
    taken = Taken(NOW, "0x1", {"k": (5, 1)})
    consent = Approval("arn", "0xd", NOW)
    operation = Operation("t", spend=taken.name)
    book.write(
        Question("0x1"),
        lambda _: Page(
            Event.DECISION,
            {},
            "0x1",
            operation,
            {"id": Claim("0x1", "7")},
            {"0xa": NOW},
            taken,
            consent,
        ),
    )
    question = Question("0x1", ("id", "other"), ("0xa", "0xb"), "0xd", 3600)
    seen, head_text = book.look(question)
    assert seen.head == book.head() == Head.read(head_text)
    assert seen.operation == operation
    assert seen.claims == {"id": Claim("0x1", "7")}
    assert seen.first_seen == {"0xa": NOW}
    assert (seen.consents, seen.taken) == ((consent,), (taken,))


def test_nothing_is_read_that_was_not_asked_for() -> None:
    book = made(MemoryStore())
    book.write(Question("0x1"), lambda _: Page(Event.DECISION, {}, taken=Taken(NOW, "0x1", {})))
    seen, _ = book.look(Question("0x2"))
    assert (seen.operation, seen.claims, seen.consents, seen.taken) == (None, {}, (), ())


def test_the_head_is_read_first_so_that_whoever_writes_in_between_is_noticed() -> None:
    """Were it read last, the page would be planned on what was there before and written all the same."""
    store = MemoryStore()
    planned: list[Seen] = []

    def interrupt() -> None:
        store.after_get = None
        other = Operation("theirs")
        made(store).write(Question("0x1"), lambda _: Page(Event.DECISION, {}, "0x1", other))

    for at in range(3):  # after the head, after the names, and after nothing
        store.books.clear()
        planned.clear()
        reads = iter([None] * at)

        def after(reads: Any = reads) -> None:
            if next(reads, "now") == "now":
                interrupt()

        store.after_get = after
        page, receipt = made(store).write(Question("0x1"), counting(planned))
        assert planned[-1].operation == (Operation("theirs") if at < 2 else None)
        assert receipt.number == (2 if at < 2 else 1)
        assert page.body == {"after": receipt.number - 1}


def test_out_of_turn_it_looks_and_plans_again() -> None:
    store, planned = MemoryStore(), list[Seen]()
    store.faults.extend([Fault.TAKEN, Fault.TAKEN])
    _, receipt = made(store).write(Question("0x1"), counting(planned))
    assert (len(planned), receipt.number, len(store.puts)) == (3, 1, 1)


def test_the_waits_grow_and_end_with_the_deadline() -> None:
    store, clock = MemoryStore(), Clock()
    store.faults.extend([Fault.TAKEN] * 100)
    with pytest.raises(LedgerUnavailable, match="first") as caught:
        made(store, clock).write(Question("0x1"), plan)
    assert not isinstance(caught.value, OutcomeUnknown | OutOfTurn)
    assert clock.slept[:5] == pytest.approx([0.2, 0.4, 0.8, 1.0, 1.0])
    assert clock.seconds < 5.0
    assert store.puts == []


@pytest.mark.parametrize("fault", [Fault.LOST_AFTER, Fault.LOST_BEFORE])
def test_a_write_whose_answer_is_lost_is_one_page(fault: Fault) -> None:
    store = MemoryStore()
    store.faults.append(fault)
    book = made(store)
    _, receipt = book.write(Question("0x1"), plan)
    assert book.head() == receipt.head
    assert len(store.puts) == len(list(book.receipts())) == 1


class Late(MemoryStore):
    """A store in which the first put arrives only after `late` more reads."""

    def __init__(self, late: int) -> None:
        super().__init__()
        self.late: list[Change] = []
        self.reads = late

    def put(self, book: str, change: Change) -> None:
        if self.reads >= 0 and not self.late:
            self.late.append(change)
            raise OutcomeUnknown("no answer")
        super().put(book, change)

    def get(self, book: str, names: Any) -> dict[str, str]:
        if self.late and self.reads >= 0:
            self.reads -= 1
            if self.reads < 0:
                with suppress(OutOfTurn):  # it may come too late to be written
                    super().put(book, self.late[0])
        return super().get(book, names)


@pytest.mark.parametrize("late", range(4))
def test_a_write_that_arrives_late_is_known_again_and_not_repeated(late: int) -> None:
    store = Late(late)
    book = made(store)
    page, receipt = book.write(Question("0x1"), plan)
    assert book.head() == receipt.head
    assert page.body == {"after": 0}
    assert len(store.puts) == len(list(book.receipts())) == 1


def test_a_late_write_that_others_came_after_is_known_again() -> None:
    store = Late(1)
    ours = made(store)

    def theirs_follows() -> None:
        if not store.puts or len(store.puts) > 1:
            return
        store.after_get = None
        made(store).write(Question("0x2"), plan)

    store.after_get = theirs_follows
    _, receipt = ours.write(Question("0x1"), plan)
    assert receipt.number == 1
    assert ours.head().number == 2
    assert len(list(ours.receipts())) == 2


def test_an_outcome_that_stays_unknown_is_said_to_be() -> None:
    store = MemoryStore()
    store.faults.extend([Fault.LOST_BEFORE] * 100)
    with pytest.raises(OutcomeUnknown):
        made(store).write(Question("0x1"), plan)


def test_an_outcome_that_cannot_be_looked_up_is_unknown() -> None:
    store = MemoryStore()
    store.faults.extend([Fault.LOST_BEFORE, Fault.DOWN])
    with pytest.raises(OutcomeUnknown):
        made(store).write(Question("0x1"), plan)


def test_a_store_that_is_down_wrote_nothing() -> None:
    store = MemoryStore()
    store.faults.append(Fault.DOWN)
    with pytest.raises(LedgerUnavailable) as caught:
        made(store).write(Question("0x1"), plan)
    assert type(caught.value) is LedgerUnavailable
    assert store.puts == []


def test_a_plan_that_refuses_writes_nothing() -> None:
    store = MemoryStore()

    def refuse(_: Seen) -> Page:
        raise PolicyViolation("no")

    with pytest.raises(PolicyViolation):
        made(store).write(Question("0x1"), refuse)
    assert store.books == {}


@pytest.mark.parametrize("name", [HEAD, operation_name("0x1")])
def test_a_damaged_entry_is_damage_and_nothing_is_written_over_it(name: str) -> None:
    store = MemoryStore(books={"key": {name: "{"}})
    with pytest.raises(LedgerDamaged):
        made(store).write(Question("0x1"), plan)
    assert store.books == {"key": {name: "{"}}


def test_receipts_may_be_read_from_the_middle() -> None:
    book = made(MemoryStore())
    for each in range(5):
        book.write(Question(f"0x{each}"), plan)
    assert len(list(book.receipts())) == 5
    assert len(list(book.receipts(4))) == 2
    assert list(book.receipts(6)) == []
