"""`bursar transfer` as another program runs it, while Crossmint misbehaves."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from bursar.sandbox.world import World
from tests.e2e.terminal import Terminal
from tests.fakes.owner import Owner


@pytest.fixture(scope="module")
def terminal(world: World, tmp_path_factory: pytest.TempPathFactory) -> Terminal:
    """A treasury of its own with 100 USDC, signed for with KMS from here."""
    folder = tmp_path_factory.mktemp("project")
    settings = '[key]\nid = "alias/cli"\n[wallet]\nlocator = "evm:smart:alias:cli"\n'
    (folder / "bursar.toml").write_text(settings)
    opened = Terminal(world, folder)
    opened.done("key", "create")
    opened.done("wallet", "create", "--yes")
    opened.done("wallet", "fund", "100")
    opened.done(*pay(Owner().address, "0.01", "first"))
    return opened


def pay(recipient: str, amount: str, transfer_id: str) -> list[str]:
    return [
        *("transfer", "send", "--direct", "--yes"),
        *("--to", recipient, "--amount", amount, "--id", transfer_id),
    ]


@pytest.mark.parametrize("operation", ["transfers.create", "transactions.approve"])
def test_a_lost_answer_is_looked_up_and_the_same_command_again_pays_no_more(terminal, operation):
    recipient, transfer_id = Owner().address, f"lost-{operation}"
    terminal.fault(operation, "error_after")
    answer = terminal.done(*pay(recipient, "1.00", transfer_id))
    assert (answer["status"], answer["stage"]) == ("success", "settled")
    assert terminal.units(recipient) == 1_000_000
    told = terminal.done("transfer", "show", transfer_id)
    delays = [each for each in told["history"] if each["event"] == "delayed"]
    assert [each["code"] for each in delays] == ["crossmint_outcome_unknown"]
    terminal.done(*pay(recipient, "1.00", transfer_id))
    assert terminal.units(recipient) == 1_000_000


def test_a_command_that_does_not_wait_leaves_a_transfer_that_can_be_resumed(terminal):
    recipient = Owner().address
    status, said = terminal.run(*pay(recipient, "1.00", "hasty"), "--wait", "0")
    assert (status, said["error"]["code"]) == (5, "settlement_timeout")
    assert said["transfer_id"] == "hasty"
    assert terminal.done("transfer", "resume", "hasty")["stage"] == "settled"
    assert terminal.units(recipient) == 1_000_000


def test_an_id_that_is_another_payments_is_refused_and_says_what_differs(terminal):
    recipient = Owner().address
    terminal.done(*pay(recipient, "1.00", "taken"))
    status, said = terminal.run(*pay(recipient, "1.01", "taken"))
    assert (status, said["error"]["code"]) == (2, "transfer_conflict")
    assert "its amount is 1.00, but 1.01 is asked for" in said["error"]["message"]
    assert terminal.done(*pay(recipient, "1.0", "taken"))["stage"] == "settled"
    assert terminal.units(recipient) == 1_000_000


def test_a_transfer_is_cancelled_before_its_approval_and_not_after(terminal):
    recipient = Owner().address
    start = ("transfer", "start", "--direct", "--to", recipient, "--amount", "1.00", "--id")
    terminal.done(*start, "unwanted")
    assert terminal.done("transfer", "cancel", "unwanted", "--yes")["stage"] == "cancelled"
    status, said = terminal.run(*pay(recipient, "1.00", "unwanted"))
    assert (status, said["error"]["code"]) == (3, "transfer_ended")
    terminal.done(*pay(recipient, "1.00", "wanted"))
    status, said = terminal.run("transfer", "cancel", "wanted", "--yes")
    assert (status, said["error"]["code"]) == (3, "transfer_ended")
    assert terminal.units(recipient) == 1_000_000


def test_the_journal_lists_what_there_is(terminal):
    recipient = Owner().address
    terminal.done(
        "transfer", "start", "--direct", "--to", recipient, "--amount", "1", "--id", "l-1"
    )
    [listed] = terminal.done("transfer", "list", "--recipient", recipient, "--held")
    assert (listed["id"], listed["stage"], listed["held_for"]) == (
        "l-1",
        "reviewed",
        "confirmation",
    )
    assert terminal.done("transfer", "list", "--recipient", recipient, "--stage", "settled") == []


def test_only_what_was_asked_for_is_signed_step_by_step(terminal):
    recipient, other = Owner().address, Owner().address
    started = terminal.done(
        *("transfer", "start", "--direct", "--to", recipient, "--amount", "2.00", "--id", "steps")
    )
    sign = ("transfer", "sign", started["transaction_id"])
    for wrong in (("--to", other, "--amount", "2.00"), ("--to", recipient, "--amount", "2.01")):
        status, said = terminal.run(*sign, *wrong)
        assert (status, said["error"]["code"]) == (4, "intent_mismatch")
    signed = terminal.done(*sign, "--to", recipient, "--amount", "2")
    approve = ("transfer", "approve", started["transaction_id"], "--signature")
    status, said = terminal.run(*approve, "0x" + "11" * 64 + "1b")
    assert (status, said["error"]["code"]) == (4, "wrong_key")
    assert terminal.done(*approve, signed["signature"])["status"] == "success"
    assert terminal.done(*approve, signed["signature"])["status"] == "success"
    assert terminal.units(recipient) == 2_000_000
    assert terminal.done("transfer", "show", started["transaction_id"])["status"] == "success"


def test_a_tampered_message_is_not_signed(terminal):
    terminal.fault("transfers.create", "tamper", tamper="message")
    status, said = terminal.run(*pay(Owner().address, "1.00", "tampered"))
    assert (status, said["error"]["code"]) == (4, "unverifiable")


def reads_reserved(terminal):
    """Return the moment up to which reads are given away in the budget that the journal's processes share."""
    with closing(sqlite3.connect(terminal.world.environment["BURSAR_JOURNAL_URL"])) as database:
        query = "SELECT line FROM crossmint_budget WHERE kind = 'read'"
        [line] = database.execute(query).fetchone()
    return line


def test_whatever_a_command_asks_crossmint_comes_out_of_the_shared_budget(terminal):
    recipient = Owner().address
    start = ("transfer", "start", "--direct", "--to", recipient, "--amount", "1.00", "--id")
    transaction = terminal.done(*start, "budgeted")["transaction_id"]
    file = terminal.folder / "budgeted.csv"
    file.write_text(f"id,recipient,amount,type\nbudgeted-1,{recipient},1,direct\n")
    for command in (
        ("transfer", "show", "known-to-nobody"),
        ("transfer", "sign", transaction, "--to", recipient, "--amount", "1.00"),
        ("transfer", "cancel", "budgeted", "--yes"),
        ("payout", "plan", str(file)),
    ):
        before = reads_reserved(terminal)
        terminal.run(*command)
        assert reads_reserved(terminal) > before, command


def test_a_bursar_package_in_the_working_directory_is_not_run(terminal):
    hostile = terminal.folder / "bursar"
    hostile.mkdir()
    (hostile / "__init__.py").write_text("raise SystemExit('hostile')")
    try:
        script = Path(sys.executable).parent / "bursar"
        done = subprocess.run(
            [script, "--version"], cwd=terminal.folder, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0
        assert "hostile" not in done.stdout + done.stderr
    finally:
        (hostile / "__init__.py").unlink()
        hostile.rmdir()
