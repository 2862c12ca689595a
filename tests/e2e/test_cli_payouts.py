"""`bursar payout` and `bursar worker` as another program runs them."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx2
import pytest

from bursar.sandbox.world import World
from tests.e2e.terminal import Terminal
from tests.fakes.owner import Owner


@pytest.fixture(scope="module")
def terminal(world: World, tmp_path_factory: pytest.TempPathFactory) -> Terminal:
    """A treasury of its own with 100 USDC, signed for with KMS from here."""
    folder = tmp_path_factory.mktemp("payouts")
    settings = '[key]\nid = "alias/payouts"\n[wallet]\nlocator = "evm:smart:alias:payouts"\n'
    (folder / "bursar.toml").write_text(settings)
    opened = Terminal(world, folder)
    opened.done("key", "create")
    opened.done("wallet", "create", "--yes")
    opened.done("wallet", "fund", "100")
    return opened


def payees(count: int) -> list[str]:
    return [Owner().address for _ in range(count)]


def write(folder: Path, name: str, rows: list[tuple[str, str, str]], kind: str = "direct") -> Path:
    lines = ["id,recipient,amount,type", *(",".join((*row, kind)) for row in rows)]
    file = folder / name
    file.write_text("\n".join(lines) + "\n")
    return file


def planned(terminal: Terminal, file: Path) -> str:
    found = terminal.done("payout", "plan", str(file))
    return str(found["hash"])


def test_a_file_is_paid_exactly_as_it_was_planned(terminal: Terminal) -> None:
    to = payees(5)
    rows = [(f"s-{number}", each, f"0.0{number + 1}") for number, each in enumerate(to)]
    file = write(terminal.folder, "salaries.csv", rows)
    made = terminal.done("payout", "plan", str(file))
    assert made["totals"] == [
        {"token": "usdc", "payments": 5, "amount": "0.15", "units": "150000"}
    ], made
    run = ("payout", "run", str(file), "--plan", made["hash"], "--yes")
    ended = terminal.done(*run)
    assert (ended["payout"], ended["state"], ended["paid"]) == ("salaries", "done", 5)
    assert [terminal.units(each) for each in to] == [10_000, 20_000, 30_000, 40_000, 50_000]
    assert terminal.done(*run)["paid"] == 5
    assert sum(terminal.units(each) for each in to) == 150_000
    listed = terminal.done("transfer", "list", "--payout", "salaries")
    [batch] = {each["batch"] for each in listed if each["type"] != "batch"}
    assert re.fullmatch(r"salaries\.[0-9a-f]{8}\.2", batch)


def test_the_report_of_a_payout_adds_up_with_what_the_chain_shows(terminal: Terminal) -> None:
    to = payees(4)
    rows = [(f"q-{number}", each, "0.25") for number, each in enumerate(to)]
    rows.append(("q-bad", Owner().address, "5000"))
    file = write(terminal.folder, "quarter.csv", rows)
    run = ("payout", "run", str(file), "--plan", planned(terminal, file), "--yes")
    terminal.run(*run, "--despite-findings")
    page, table = terminal.folder / "quarter.html", terminal.folder / "quarter-report.csv"
    told = terminal.done(
        *("payout", "report", "quarter", "--html", str(page), "--csv", str(table), "--chain")
    )
    assert told["sound"], told
    [total] = told["totals"]
    assert (total["units"], total["on_chain"]) == ("5001000000", "1000000")
    assert total["states"]["paid"] == {"lines": 4, "units": "1000000"}
    assert total["states"]["pending"] == {"lines": 1, "units": "5000000000"}
    assert "q-bad" in page.read_text()
    assert len(table.read_text().splitlines()) == 6
    terminal.people["patient"] = {"BURSAR_CHAIN_CONFIRMATIONS": "1000000"}
    status, told = terminal.run("payout", "report", "quarter", "--chain", by="patient")
    assert (status, told["totals"][0]["on_chain"]) == (4, "0")


def approved_at_crossmint(terminal: Terminal, line: dict[str, str]) -> None:
    """Hand the key's signature of a line in, past the journal: as somebody does in Crossmint's console."""
    sign = ("transfer", "sign", line["transaction_id"], "--to", line["recipient"])
    signed = terminal.done(*sign, "--amount", line["amount"])
    given = {"signer": f"external-wallet:{signed['signed_by']}", "signature": signed["signature"]}
    variables = terminal.world.environment
    where = f"wallets/{line['wallet']}/transactions/{line['transaction_id']}/approvals"
    httpx2.post(
        f"{variables['BURSAR_CROSSMINT_URL']}/api/2025-06-09/{where}",
        json={"approvals": [given]},
        headers={"X-API-KEY": variables["BURSAR_CROSSMINT_API_KEY"]},
        trust_env=False,
    ).raise_for_status()


def test_what_was_approved_elsewhere_goes_on_when_its_payout_is_cancelled_and_later_is_an_alarm(
    terminal: Terminal,
) -> None:
    to = payees(2)
    rows = [(f"e-{number}", each, "0.50") for number, each in enumerate(to)]
    file = write(terminal.folder, "elsewhere.csv", rows)
    # Of two operations that put the wallet on the chain one fails: it has to be there.
    send = ("transfer", "send", "--direct", "--yes", "--to", payees(1)[0], "--amount", "0.01")
    terminal.done(*send, "--id", "e-before")
    # A function that is not there signs nothing: both lines are held, and have a transaction.
    terminal.people["unsigned"] = {"BURSAR_SIGNER_VIA": "lambda", "BURSAR_SIGNER_FUNCTION": "none"}
    run = ("payout", "run", str(file), "--plan", planned(terminal, file), "--yes", "--batch", "1")
    terminal.run(*run, by="unsigned")
    first, second = (terminal.done("transfer", "show", name) for name in ("e-0", "e-1"))
    assert [each["stage"] for each in (first, second)] == ["reviewed"] * 2, first
    approved_at_crossmint(terminal, first)
    cancelled = terminal.done("payout", "cancel", "elsewhere", "--yes")
    assert (cancelled["cancelled_now"], cancelled["cancelled"]) == (1, 1)
    assert terminal.done("transfer", "resume", "e-0")["stage"] == "settled"
    report = ("payout", "report", "elsewhere", "--chain")
    assert terminal.done(*report)["sound"]
    approved_at_crossmint(terminal, second)
    deadline = time.monotonic() + 30
    while terminal.units(to[1]) == 0:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    status, told = terminal.run(*report)
    assert (status, told["sound"], told["totals"][0]["on_chain"]) == (4, False, "1000000")
    assert told["faults"][0] == "e-1 is called cancelled, and the chain shows that it was paid"
    assert told["totals"][0]["states"]["contradicted"]["lines"] == 1


def test_a_paused_payout_says_so_when_it_is_run_again(terminal: Terminal) -> None:
    file = write(terminal.folder, "later.csv", [("paused-1", payees(1)[0], "0.01")])
    run = ("payout", "run", str(file), "--plan", planned(terminal, file), "--yes")
    terminal.done(*run, "--no-work")
    terminal.done("payout", "pause", "later")
    status, said = terminal.run(*run)
    assert (status, said["error"]["code"]) == (1, "payout_error")
    assert "payout later is paused: 0 of 1 lines are over" in said["error"]["message"]
    assert said["error"]["hint"] == "let it go on with: bursar payout resume later"
    assert terminal.done("payout", "resume", "later")["paid"] == 1


def test_a_changed_file_is_refused(terminal: Terminal) -> None:
    [to] = payees(1)
    file = write(terminal.folder, "rent.csv", [("r-1", to, "0.01")])
    agreed = planned(terminal, file)
    write(terminal.folder, "rent.csv", [("r-1", to, "0.02")])
    status, said = terminal.run("payout", "run", str(file), "--plan", agreed, "--yes")
    assert (status, said["error"]["code"]) == (4, "plan_changed")
    assert terminal.units(to) == 0


def test_one_bad_line_fails_alone_and_the_others_are_paid(terminal: Terminal) -> None:
    to = payees(3)
    rows = [("b-1", to[0], "0.01"), ("b-2", to[1], "100000"), ("b-3", to[2], "0.03")]
    file = write(terminal.folder, "mixed.csv", rows)
    run = ("payout", "run", str(file), "--plan", planned(terminal, file), "--yes")
    status, said = terminal.run(*run, "--despite-findings")
    assert (status, said["error"]["code"]) == (1, "payout_error"), said
    assert [terminal.units(each) for each in to] == [10_000, 0, 30_000]
    told = terminal.done("payout", "status", "mixed")
    assert (told["paid"], told["held"]) == (2, 1)


def test_a_payout_survives_its_worker_and_another_finishes_it(terminal: Terminal) -> None:
    to = payees(12)
    rows = [(f"w-{number}", each, "0.01") for number, each in enumerate(to)]
    file = write(terminal.folder, "work.csv", rows)
    terminal.done(
        *("payout", "run", str(file), "--plan", planned(terminal, file), "--yes"),
        *("--no-work", "--batch", "1"),
    )
    first = worker(terminal)
    while terminal.done("payout", "status", "work")["paid"] < 2:
        time.sleep(0.1)
    first.send_signal(signal.SIGKILL)
    first.wait()
    second = worker(terminal)
    deadline = time.monotonic() + 60
    while terminal.done("payout", "status", "work")["paid"] < 12:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    second.send_signal(signal.SIGTERM)
    assert second.wait(20) == 0
    assert [terminal.units(each) for each in to] == [10_000] * 12


def worker(terminal: Terminal) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "bursar", "worker"],
        env={**os.environ, **terminal.world.environment, "BURSAR_SIGNER_VIA": "kms"},
        cwd=terminal.folder,
        text=True,
    )
