"""`bursar payout` about a journal alone: no command here asks Crossmint or AWS."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bursar.cli.main import run
from bursar.crossmint.locators import WalletLocator
from bursar.payouts.book import Beginning, PayoutBook
from bursar.payouts.plan import Plan
from bursar.transfers.journal import Journal
from tests.unit.payouts.payroll import ADA, WALLET, csv_of, planned

OTHER = "0x52908400098527886E0F7030069857D2E4169EE7"
Tell = Callable[..., tuple[int, Any]]


@pytest.fixture
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Journal]:
    file = tmp_path / "journal.sqlite3"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BURSAR_JOURNAL_URL", str(file))
    monkeypatch.setenv("BURSAR_WALLET_LOCATOR", "evm:smart:alias:treasury")
    with Journal.open(file) as opened:
        yield opened


@pytest.fixture
def tell(capsys: pytest.CaptureFixture[str]) -> Tell:
    def told(*words: str) -> tuple[int, Any]:
        status = run(["--json", "payout", *words])
        return status, json.loads(capsys.readouterr().out)

    return told


def plan(wallet: str, alias: str) -> Plan:
    body = csv_of(f"p-1,{ADA},1", f"p-2,{ADA},2")
    return planned(body, wallet=WalletLocator.treasury(alias), address=wallet)


@pytest.fixture
def two(journal: Journal) -> None:
    """One payout id, of the settings' wallet and of another."""
    for wallet, alias in ((WALLET, "treasury"), (OTHER, "other")):
        PayoutBook(journal).begin(plan(wallet, alias), Beginning("payroll", "Ada"))


@pytest.mark.usefixtures("two")
@pytest.mark.parametrize(
    ("words", "wallet"),
    [
        ((), WALLET),
        (("--wallet", "evm:smart:alias:other"), OTHER),
        (("--wallet", OTHER), OTHER),
        (("--wallet", OTHER.lower()), OTHER),
        (("--wallet", "evm:smart:alias:treasury"), WALLET),
    ],
)
@pytest.mark.parametrize("command", ["status", "pause", "cancel", "report", "resume"])
def test_a_payout_of_two_wallets_is_the_named_one_s_else_the_settings_wallet_s(
    tell: Tell, journal: Journal, command: str, words: tuple[str, ...], wallet: str
) -> None:
    more = {"cancel": ["--yes"], "resume": ["--no-work"]}.get(command, [])
    status, told = tell(command, "payroll", *more, *words)
    assert status == 0, told
    assert told.get("wallet", wallet.lower()) == wallet.lower()
    states = {each.treasury: each.state for each in PayoutBook(journal).having("payroll")}
    after = {"pause": "paused", "cancel": "cancelled"}.get(command, "running")
    assert states.pop(wallet.lower()) == after
    assert set(states.values()) == {"running"}


@pytest.mark.usefixtures("two")
def test_where_the_settings_wallet_has_none_of_that_id_it_says_whose_there_are(
    tell: Tell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BURSAR_WALLET_LOCATOR", ADA)
    status, told = tell("pause", "payroll")
    assert (status, told["error"]["code"]) == (2, "unknown_payout")
    assert WALLET.lower() in told["error"]["message"]
    assert OTHER.lower() in told["error"]["message"]
    assert told["error"]["hint"] == "name one with --wallet"


@pytest.mark.usefixtures("journal")
def test_a_payout_that_is_nobody_s_is_unknown_without_a_word_of_crossmint(tell: Tell) -> None:
    status, told = tell("pause", "payroll", "--wallet", "evm:smart:alias:new")
    assert (status, told["error"]["message"]) == (2, "payout payroll is not in the journal")


def test_the_only_payout_of_an_id_needs_no_wallet(
    tell: Tell, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    PayoutBook(journal).begin(plan(OTHER, "other"), Beginning("payroll", "Ada"))
    monkeypatch.setenv("BURSAR_WALLET_LOCATOR", WALLET)
    assert tell("pause", "payroll")[1]["wallet"] == OTHER.lower()


def test_what_never_was_all_written_down_is_taken_out_and_that_is_said(
    tell: Tell, journal: Journal
) -> None:
    class Died(Exception):
        pass

    def die(_lines: int) -> None:
        raise Died

    book = PayoutBook(journal)
    with pytest.raises(Died):
        book.begin(plan(WALLET, "treasury"), Beginning("payroll", "Ada"), die)
    status, told = tell("cancel", "payroll", "--yes")
    assert (status, told["state"], told["cancelled_now"]) == (0, "withdrawn", 0)
    assert book.having("payroll") == []


def test_a_payout_is_cancelled_again_as_often_as_one_likes(tell: Tell, journal: Journal) -> None:
    PayoutBook(journal).begin(plan(WALLET, "treasury"), Beginning("payroll", "Ada"))
    told = [tell("cancel", "payroll", "--yes") for _ in range(2)]
    assert [(status, each["cancelled_now"]) for status, each in told] == [(0, 2), (0, 0)]


@pytest.mark.parametrize("name", ["November payroll", "_payroll", "x" * 65])
def test_an_id_that_is_none_is_refused_before_anything_is_asked(
    tell: Tell, journal: Journal, name: str
) -> None:
    words = ("--plan", "sha256:0", "--yes", "--id", name)
    status, told = tell("run", "no-such-file.csv", *words)
    assert (status, told["error"]["code"]) == (2, "invalid_request")
    assert "--id" in told["error"]["hint"]
    assert PayoutBook(journal).all() == []
