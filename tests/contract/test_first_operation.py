"""Whose operation puts a wallet on the chain, and when another's may instead, on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bursar.errors import BursarError, ComplianceInProgress, CrossmintOutcomeUnknown
from bursar.payouts.book import Payout
from bursar.transfers import deployment
from bursar.transfers.record import Transfer
from bursar.transfers.states import EventKind, Stage
from bursar.transfers.troubles import happened
from tests.contract.payday import Office


@pytest.fixture(params=["sqlite", "postgres"])
def office(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Office]:
    where = tmp_path / "journal.sqlite3"
    if request.param == "postgres":
        where = request.getfixturevalue("postgres_url")
    with Office.open(where) as made:
        yield made


def may_go(office: Office, name: str) -> bool:
    return deployment.may_go(office.journal, office.get(name).key)


def delay(office: Office, name: str, error: BursarError) -> Transfer:
    """Ask for a transfer and have it fail, so that it is asked for again after a while."""
    asked = office.happen(office.get(name), EventKind.ASKED)
    event = happened(error, Stage.RECORDED, 9, office.clock(), 0.0)
    return office.journal.append(asked, event)


def test_one_goes_and_the_others_wait_until_it_is_over(office: Office) -> None:
    office.payout("a", 2)
    assert [may_go(office, name) for name in ("a-1", "a-1", "a-2")] == [True, True, False]
    office.happen(office.get("a-1"), EventKind.FAILED)
    assert [may_go(office, name) for name in ("a-2", "a-1")] == [True, False]


def test_once_the_wallet_is_there_all_go(office: Office) -> None:
    office.payout("a", 2)
    assert may_go(office, "a-1")
    assert not deployment.is_known(office.journal, office.treasury)
    deployment.is_there(office.journal, office.treasury)
    assert deployment.is_known(office.journal, office.treasury)
    assert may_go(office, "a-2")


def test_once_the_wallet_is_there_those_that_were_put_off_until_then_are_due(
    office: Office,
) -> None:
    office.payout("a", 3)
    for name in ("a-1", "a-2", "a-3"):
        may_go(office, name)
    office.put_off(office.get("a-2"), 5)
    office.put_off(delay(office, "a-3", CrossmintOutcomeUnknown("no answer")), 30)
    deployment.is_there(office.journal, office.treasury)
    assert office.hungry() == ["a-2", "a-1"]


def test_one_whose_recipient_is_being_checked_lets_another_go(office: Office) -> None:
    office.payout("a", 3)
    assert may_go(office, "a-1")
    delay(office, "a-1", ComplianceInProgress("identity checks are running", status=400))
    assert [may_go(office, name) for name in ("a-2", "a-3", "a-1")] == [True, False, False]


def test_one_that_is_asked_for_again_keeps_the_others_waiting(office: Office) -> None:
    office.payout("a", 2)
    assert may_go(office, "a-1")
    delayed = delay(office, "a-1", ComplianceInProgress("identity checks are running", status=400))
    office.clock.forward(61)
    assert not may_go(office, "a-2")
    office.happen(delayed, EventKind.ASKED, EventKind.CREATED)
    office.clock.forward(86_400)
    assert not may_go(office, "a-2")


def test_one_that_crossmint_may_have_built_keeps_the_others_waiting(office: Office) -> None:
    office.payout("a", 2)
    assert may_go(office, "a-1")
    delay(office, "a-1", CrossmintOutcomeUnknown("no answer"))
    assert not may_go(office, "a-2")


@pytest.mark.parametrize("end", ["pause", "cancel"])
def test_one_whose_payout_stands_still_lets_another_go(office: Office, end: str) -> None:
    office.payout("a", 1)
    office.payout("b", 1)
    assert may_go(office, "a-1")
    stop(office, end)
    assert may_go(office, "b-1")


def stop(office: Office, end: str) -> Payout:
    found = office.book.find(office.treasury, "a")
    assert found is not None
    return (
        office.book.pause(found)
        if end == "pause"
        else office.book.cancel(found, "Ada", lambda _: False)[0]
    )


def test_a_call_that_is_under_way_while_its_payout_is_paused_is_waited_for(office: Office) -> None:
    office.payout("a", 1)
    office.payout("b", 1)
    assert may_go(office, "a-1")
    office.happen(office.get("a-1"), EventKind.ASKED)
    stop(office, "pause")
    assert not may_go(office, "b-1")
    office.clock.forward(180)
    assert may_go(office, "b-1")


def test_one_that_has_a_transaction_goes_on_though_its_payout_is_paused(office: Office) -> None:
    office.payout("a", 1)
    office.payout("b", 1)
    assert may_go(office, "a-1")
    office.happen(office.get("a-1"), EventKind.ASKED, EventKind.CREATED)
    stop(office, "pause")
    office.clock.forward(86_400)
    assert not may_go(office, "b-1")
