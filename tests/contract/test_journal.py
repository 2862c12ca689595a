"""The journal keeps its word on SQLite and on PostgreSQL alike."""

from __future__ import annotations

import stat
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from bursar.errors import (
    ConfigError,
    JournalError,
    JournalUnavailable,
    TransferConflict,
    TransferEnded,
    UnknownTransfer,
)
from bursar.transfers.batch import BatchPayment, BatchTransfer
from bursar.transfers.intent import TransferIntent
from bursar.transfers.journal import Filter, Journal, NewTransfer, Overtaken
from bursar.transfers.record import Key, Lane, Place, Transfer
from bursar.transfers.states import Event, EventKind, Hold, Stage

WALLET = "evm:smart:alias:treasury"
TOKEN = "base-sepolia:usdc"
ADA = "0x52908400098527886E0F7030069857D2E4169EE7"
BOB = "0x8617E340B3D01FA5F11F306F4090FD50E238070D"


class Moments:
    """A clock that goes on by a second whenever it is read."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now


@pytest.fixture(params=["sqlite", "postgresql"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return str(tmp_path / "journal.sqlite3")
    return str(request.getfixturevalue("postgres_url"))


@pytest.fixture
def journal(where: str) -> Iterator[Journal]:
    with Journal.open(where, Moments()) as opened:
        yield opened


@pytest.fixture
def treasury() -> str:
    """A wallet of the test's own: on PostgreSQL all tests share one journal."""
    return f"0x{uuid.uuid4().hex}{uuid.uuid4().hex[:8]}"


@pytest.fixture
def new(treasury: str) -> Callable[..., NewTransfer]:
    def make(
        name: str = "rent", recipient: str = ADA, amount: str = "1.50", **more: object
    ) -> NewTransfer:
        intent = TransferIntent.parse(
            name, wallet=WALLET, token=TOKEN, recipient=recipient, amount=amount
        )
        return NewTransfer(Key(treasury, name), intent, **more)  # type: ignore[arg-type]

    return make


def events(journal: Journal, transfer: Transfer) -> list[str]:
    return [each.kind for each in journal.history(transfer.key)]


def created(journal: Journal, transfer: Transfer, transaction: str) -> Transfer:
    asked = journal.append(transfer, Event(EventKind.ASKED))
    return journal.append(asked, Event(EventKind.CREATED, {"transaction": transaction}))


def test_what_was_written_down_is_read_as_it_was(journal, new):
    place = Place("payroll", 7, "a “note”, 注")
    written = journal.record(new(lane=Lane.PAYOUT, place=place, confirmed_by="Ada"))
    found = journal.get(written.key)
    assert found == written
    assert (found.intent, found.place, found.lane) == (new().intent, place, Lane.PAYOUT)
    assert (found.version, found.turn, found.standing.stage) == (1, 0, Stage.RECORDED)
    assert found.standing.is_confirmed
    assert found.created_at == found.updated_at
    [first] = journal.history(written.key)
    assert first.kind == "recorded"
    assert first.data["intent"]["recipient"] == str(found.intent.recipient)


def test_a_batch_is_read_as_it_was(journal, new, treasury):
    payments = tuple(
        BatchPayment.parse(token=TOKEN, recipient=who, amount="2") for who in (ADA, BOB)
    )
    batch = BatchTransfer("b-1", new().intent.wallet, payments)
    written = journal.record(NewTransfer(Key(treasury, "b-1"), batch))
    assert journal.get(written.key).intent == batch


def test_the_same_payment_under_the_same_id_is_the_same_transfer(journal, new):
    first = journal.record(new())
    assert journal.record(new(amount="1.5", recipient=ADA.lower())) == first
    assert events(journal, first) == ["recorded"]


@pytest.mark.parametrize(
    ("changed", "difference"),
    [
        ({"amount": "1.51"}, "its amount is 1.50, but 1.51 is asked for"),
        ({"recipient": BOB}, "its recipient is"),
        ({"place": Place("payroll", 1)}, "paid already by a transfer of its own"),
    ],
    ids=str,
)
def test_another_payment_under_the_same_id_is_a_conflict_that_says_what_differs(
    journal, new, changed, difference
):
    first = journal.record(new())
    with pytest.raises(TransferConflict, match=difference):
        journal.record(new(**changed))
    assert journal.get(first.key) == first


def test_of_several_all_are_written_or_none(journal, new):
    journal.record(new("taken"))
    with pytest.raises(TransferConflict):
        journal.record_all([new("one"), new("taken", amount="9"), new("two")])
    assert journal.find(new("one").key) is None
    assert journal.find(new("two").key) is None
    several = [new(f"n-{number}") for number in range(1_200)]
    assert [each.id for each in journal.record_all([*several, several[0]])][-1] == "n-0"


def test_an_event_is_written_on_what_was_read_or_not_at_all(journal, new):
    read = journal.record(new())
    asked = journal.append(read, Event(EventKind.ASKED))
    assert (asked.version, journal.get(read.key)) == (2, asked)
    with pytest.raises(Overtaken):
        journal.append(read, Event(EventKind.ASKED))
    assert events(journal, read) == ["recorded", "asked"]


def test_what_the_states_do_not_allow_is_not_written(journal, new):
    ended = journal.append(journal.record(new()), Event(EventKind.CANCELLED, {"reason": "no"}))
    with pytest.raises(TransferEnded):
        journal.append(ended, Event(EventKind.ASKED))
    assert journal.get(ended.key) == ended


def test_one_transaction_is_bound_to_one_transfer(journal, new, treasury):
    one = created(journal, journal.record(new("one")), "tx-1")
    with pytest.raises(TransferConflict, match="another transfer's already"):
        created(journal, journal.record(new("two")), "tx-1")
    assert journal.by_transaction(treasury, "tx-1") == one
    assert journal.by_transaction(treasury, "tx-2") is None
    assert one in journal.named("one")
    assert one in journal.named("tx-1")


def test_an_error_in_the_middle_undoes_all_of_it(journal, new):
    first = journal.record(new())

    class Stop(Exception):
        pass

    def both() -> None:
        with journal.writing() as connection:
            journal.write_event(connection, first, Event(EventKind.ASKED))
            raise Stop

    with pytest.raises(Stop):
        both()
    assert journal.get(first.key) == first
    assert events(journal, first) == ["recorded"]


def test_transfers_are_listed_by_what_is_asked_for(journal, new, treasury):
    recorded = [
        journal.record(new("a")),
        journal.record(new("b", recipient=BOB, place=Place("payroll", 2))),
        journal.record(new("c", place=Place("payroll", 1))),
    ]
    held = journal.append(recorded[0], Event(EventKind.HELD, {"hold": "trouble", "reason": "x"}))

    def listed(**wanted: object) -> list[str]:
        return [each.id for each in journal.transfers(Filter(treasury=treasury, **wanted))]  # type: ignore[arg-type]

    assert listed() == ["c", "b", "a"]
    assert listed(payout="payroll") == ["c", "b"]
    assert listed(held=True) == ["a"]
    assert listed(held=False) == ["c", "b"]
    assert listed(recipient=BOB) == listed(recipient=BOB.lower()[2:20]) == ["b"]
    assert listed(recipient="%") == listed(recipient="_") == []
    assert listed(stages=frozenset({Stage.SETTLED})) == []
    assert listed(since=recorded[1].created_at) == ["c", "b"]
    assert listed(limit=1) == ["c"]
    assert held.standing.hold is Hold.TROUBLE


def test_a_long_list_is_whole_though_it_changes_meanwhile(journal, new, treasury):
    journal.record_all([new(f"n-{number:04}") for number in range(1_100)])
    seen = []
    for number, each in enumerate(journal.transfers(Filter(treasury=treasury))):
        seen.append(each.id)
        if number == 499:
            journal.record(new("new"))
    assert sorted(seen) == [f"n-{number:04}" for number in range(1_100)]


def test_what_is_not_there_is_said_so(journal, treasury):
    key = Key(treasury, "nothing")
    assert journal.find(key) is None
    assert journal.history(key) == []
    assert journal.named(f"{treasury}-nothing") == []
    with pytest.raises(UnknownTransfer):
        journal.get(key)


def test_of_many_who_write_the_same_transfer_at_once_one_is_first(where, new):
    journals = [Journal.open(where) for _ in range(6)]
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda each: each.record(new()), journals))
        assert found == [found[0]] * 6
        start = threading.Barrier(6)

        def ask(each: Journal) -> bool:
            start.wait()
            try:
                each.append(found[0], Event(EventKind.ASKED))
            except Overtaken:
                return False
            return True

        assert sum(pool.map(ask, journals)) == 1
    assert events(journals[0], found[0]) == ["recorded", "asked"]
    for each in journals:
        each.close()


def test_many_open_a_new_journal_at_once(tmp_path, new):
    path = tmp_path / "new" / "journal.sqlite3"
    with ThreadPoolExecutor(8) as pool:
        journals = list(pool.map(lambda _: Journal.open(path), range(8)))
        found = list(pool.map(lambda each: each.record(new()), journals))
        assert found == [found[0]] * 8
    for each in journals:
        each.close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_row_that_somebody_spoiled_is_an_error_and_not_guessed_at(journal, new):
    written = journal.record(new())
    with journal.writing() as connection:
        spoiled = sa.text("UPDATE transfers SET stage = 'paid' WHERE treasury = :treasury")
        connection.execute(spoiled, {"treasury": written.key.treasury})
    with pytest.raises(JournalError, match="is no transfer"):
        journal.get(written.key)


def test_a_file_that_cannot_be_written_is_unavailable_and_nothing_is_lost(tmp_path, new):
    path = tmp_path / "journal.sqlite3"
    with Journal.open(path) as journal:
        first = journal.record(new())
        with sa.create_engine(f"sqlite:///{path}").connect() as other:
            other.exec_driver_sql("BEGIN EXCLUSIVE")
            with pytest.raises(JournalUnavailable, match="keeps the journal's file locked"):
                journal.append(first, Event(EventKind.ASKED))
            other.exec_driver_sql("ROLLBACK")
        assert journal.append(first, Event(EventKind.ASKED)).version == 2


def test_a_server_that_is_away_is_unavailable_and_its_password_not_shown():
    with pytest.raises(JournalUnavailable) as caught:
        Journal.open("postgresql://me:k3y@127.0.0.1:1/none")
    assert "k3y" not in f"{caught.value}{caught.value.hint}"


@pytest.mark.parametrize("url", ["mysql://somewhere/db", "sqlite://", "nonsense://", "://"])
def test_what_is_no_place_for_a_journal_is_refused(url):
    with pytest.raises(ConfigError):
        Journal.open(url)


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "new").write_text("a file, where the folder would be")
    with pytest.raises(JournalError, match="cannot be opened"):
        Journal.open(tmp_path / "new" / "journal.sqlite3")


def test_a_text_that_the_database_cannot_keep_is_refused_whole(journal, new):
    first = journal.record(new())
    with pytest.raises(JournalError):
        journal.append(first, Event(EventKind.HELD, {"hold": "trouble", "reason": "\ud800"}))
    assert journal.get(first.key) == replace(first)
