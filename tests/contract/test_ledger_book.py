"""A key's book over every store: writers at once make one chain, and no limit is passed by asking many times."""

from __future__ import annotations

import itertools
import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from bursar.ledger.book import Book, Pace, Plan
from bursar.ledger.pages import Operation, Page, Question, Seen, Taken
from bursar.ledger.receipts import GENESIS, Event, read_receipt
from bursar.policy.decision import Bound, Reservation
from tests.contract.stores import StoreWorld, finish

PATIENT = Pace(deadline=60.0)
DAY = 86_400
KEY = "window"


def require_one_chain(book: Book, length: int) -> None:
    """Every receipt follows the one before, its hash is its own, and the head is the last."""
    previous, number = GENESIS, 0
    for number, text in enumerate(book.receipts(), start=1):
        receipt, stated = read_receipt(text)
        assert (receipt.number, receipt.previous, receipt.hash) == (number, previous, stated)
        previous = receipt.hash
    assert number == length
    assert (book.head().number, book.head().hash) == (length, previous)


def write_pages(book: Book, writer: int, count: int) -> None:
    for each in range(count):
        body = {"writer": writer, "page": each}
        book.write(Question(f"0x{writer}-{each}"), lambda _, body=body: Page(Event.DECISION, body))  # type: ignore[misc]  # a default binds it


def test_writers_at_once_make_one_chain_without_gaps(stores: StoreWorld, book: str) -> None:
    books = [Book(stores.open(), book, PATIENT) for _ in range(6)]
    with ThreadPoolExecutor(6) as threads:
        jobs = [threads.submit(write_pages, each, n, 8) for n, each in enumerate(books)]
        for job in jobs:
            job.result()
    require_one_chain(books[0], 48)
    bodies = [json.loads(text)["body"] for text in books[0].receipts()]
    assert sorted((each["writer"], each["page"]) for each in bodies) == list(
        itertools.product(range(6), range(8))
    )
    for writer in range(6):  # each one's pages are in the order it wrote them
        pages = [each["page"] for each in bodies if each["writer"] == writer]
        assert pages == sorted(pages)


WRITER = """
from bursar.ledger.book import Book
from tests.contract.test_ledger_book import PATIENT, write_pages
write_pages(Book(store, arguments[0], PATIENT), int(arguments[1]), 8)
"""


def test_processes_at_once_make_one_chain_without_gaps(stores: StoreWorld, book: str) -> None:
    if stores.elsewhere is None:
        assert stores.name == "memory"
        return
    processes = [stores.start(WRITER, book, str(writer)) for writer in range(4)]
    for each in processes:
        finish(each)
    require_one_chain(Book(stores.open(), book), 32)


def paying(operation: str, amount: int, limit: int) -> tuple[Question, Plan]:
    """Ask to take an amount from a day's window: the page says whether it was allowed."""
    wanted = [Reservation(KEY, amount, 1, (Bound(DAY, limit, None, "per_day"),))]

    def plan(seen: Seen) -> Page:
        spent = seen.spent(wanted, operation)[KEY, DAY].amount
        if spent + amount > limit:
            return Page(Event.DECISION, {"outcome": "refused", "spent": str(spent)})
        taken = Taken(seen.now, operation, {KEY: (amount, 1)})
        remembered = Operation(operation, spend=taken.name)
        return Page(
            Event.DECISION,
            {"outcome": "allowed"},
            about=operation,
            operation=remembered,
            taken=taken,
        )

    return Question(operation, seconds=DAY), plan


def test_asking_at_once_never_passes_a_limit(stores: StoreWorld, book: str) -> None:
    many, limit = 10, 1000
    amount = limit // many + 1  # so that one of them is always too many
    books = [Book(stores.open(), book, PATIENT) for _ in range(many)]

    def ask(number: int) -> str:
        page, _ = books[number].write(*paying(f"0x{number:02x}", amount, limit))
        return str(page.body["outcome"])

    with ThreadPoolExecutor(many) as threads:
        outcomes = sorted(threads.map(ask, range(many)))
    assert outcomes == ["allowed"] * (many - 1) + ["refused"]
    require_one_chain(books[0], many)


def test_asking_again_spends_once(stores: StoreWorld, book: str) -> None:
    ledger = Book(stores.open(), book, PATIENT)
    for _ in range(3):
        page, _ = ledger.write(*paying("0x01", 600, 1000))
        assert page.body["outcome"] == "allowed"
    assert ledger.write(*paying("0x02", 600, 1000))[0].body["outcome"] == "refused"


PAYER = """
from bursar.ledger.book import Book
from tests.contract.test_ledger_book import PATIENT, paying
page, _ = Book(store, arguments[0], PATIENT).write(*paying(arguments[1], 201, 1000))
print(page.body["outcome"])
"""


def test_processes_that_ask_at_once_never_pass_a_limit(stores: StoreWorld, book: str) -> None:
    if stores.elsewhere is None:
        assert stores.name == "memory"
        return
    processes = [stores.start(PAYER, book, f"0x0{number}") for number in range(5)]
    outcomes = sorted(finish(each).strip() for each in processes)
    assert outcomes == ["allowed"] * 4 + ["refused"]
    require_one_chain(Book(stores.open(), book), 5)


def test_what_was_taken_before_the_window_makes_room_again(stores: StoreWorld, book: str) -> None:
    ledger = Book(stores.open(), book, PATIENT)
    ledger.write(*paying("0x01", 1000, 1000))
    later = Pace(now=lambda: PATIENT.now() + timedelta(seconds=DAY))
    page, _ = Book(stores.open(), book, later).write(*paying("0x02", 1000, 1000))
    assert page.body["outcome"] == "allowed"
