"""What `bursar payout plan` and `run` foresee, and how others agree to a plan, under a policy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bursar.sandbox.callers import create_caller
from bursar.sandbox.world import World
from tests.e2e.terminal import Terminal
from tests.e2e.test_cli_payouts import planned, write
from tests.fakes.owner import Owner

ACCOUNT = "arn:aws:iam::000000000000"
SETTINGS = """
[key]
id = "alias/outlook"
[wallet]
locator = "evm:smart:alias:outlook"
[ledger]
url = "ledger.sqlite3"
"""
POLICY = '[policy]\nfile = "policy.toml"\n'
# Whoever begins payouts here, the account's root, is named too, and may not agree to their own all the same.
APPROVALS = f"""
[[approvals]]
token = "usdc"
above = "35.00"
approvers = 1
by = ["{ACCOUNT}:user/outlook-ada", "{ACCOUNT}:root"]
within = "8h"
"""


class Desk(Terminal):
    """A treasury that has paid 4 of its 100 USDC, and of the day's 60. It may pay `payees`; one is registered."""

    payees: tuple[str, ...]

    def begin(self) -> None:
        (self.folder / "bursar.toml").write_text(SETTINGS)
        person = ("--first-name", "Ada", "--last-name", "L", "--born", "1990-12-10")
        ada = self.done("recipient", "register", "ada@outlook.example", *person, "--country", "GB")
        self.payees = (ada["address"], *(Owner().address for _ in range(2)))
        named = [f"--recipient=p{n}={each}" for n, each in enumerate(self.payees)]
        limits = ("--per-transfer", "50.00", "--per-day", "60.00", "--caller", f"{ACCOUNT}:root")
        self.done("policy", "new", *named, *limits, "--output", "policy.toml")
        policy = self.folder / "policy.toml"
        text = policy.read_text().replace("calls_at_most = 50 ", "calls_at_most = 10 ")
        policy.write_text(text + APPROVALS)
        (self.folder / "bursar.toml").write_text(SETTINGS + POLICY)
        self.done("key", "create")
        self.done("wallet", "create", "--yes")
        self.done("wallet", "fund", "100")
        payment = ("--to", self.payees[0], "--amount", "4.00", "--id", "before")
        self.done("transfer", "send", "--direct", "--yes", *payment)

    def file(self, name: str, *amounts: str, kind: str = "direct") -> Path:
        rows = [(f"{name}-{n}", to, each) for n, (to, each) in enumerate(self.paid(amounts))]
        return write(self.folder, f"{name}.csv", rows, kind)

    def paid(self, amounts: tuple[str, ...]) -> list[tuple[str, str]]:
        return [(self.payees[n % len(self.payees)], each) for n, each in enumerate(amounts)]

    def look(self, file: Path, *more: str) -> Any:
        return self.done("payout", "plan", str(file), *more)["outlook"]


@pytest.fixture(scope="module")
def desk(world: World, tmp_path_factory: pytest.TempPathFactory) -> Desk:
    made = Desk(world, tmp_path_factory.mktemp("outlook"))
    made.begin()
    for who in ("ada", "mallory"):
        made.people[who] = create_caller(world.environment, f"outlook-{who}")
    return made


def test_a_plan_says_which_line_is_the_first_over_the_day_s_limit_with_what_was_spent(desk):
    file = desk.file("month", "30.00", "25.00", "2.00", "1.00")
    shown = desk.shown("payout", "plan", str(file))
    assert "lines 2 to 3 pass" in shown
    assert "line 4 is the one that limits[usdc, 1 day] refuses: 61 usdc with this one" in shown
    assert "usdc: 58 needed, 96 held, enough" in shown
    found = desk.look(file)
    assert [(each["line"], each["column"]) for each in found["findings"]] == [(4, "")]
    assert (found["policy"]["allowed"], found["policy"]["refused"]) == (3, 1)
    run = ("payout", "run", str(file), "--plan", planned(desk, file), "--yes", "--no-work")
    status, said = desk.run(*run)
    assert (status, said["error"]["code"]) == (1, "payout_error")
    assert "line 4: limits[usdc, 1 day] refuses it" in said["error"]["message"]
    assert desk.run("payout", "status", "month")[1]["error"]["code"] == "unknown_payout"
    assert desk.done(*run, "--batch", "1", "--despite-findings")["state"] == "running"
    desk.done("payout", "cancel", "month", "--yes")


def test_a_balance_that_is_short_is_found_and_an_asker_whom_the_policy_does_not_name(desk):
    file = desk.file("short", "50.00", "47.00")
    found = desk.look(file, "--by", f"{ACCOUNT}:user/outlook-mallory")
    assert found["balances"] == [{"token": "usdc", "needed": "97", "held": "96", "missing": "1"}]
    whole, *lines = found["findings"]
    assert (whole["line"], whole["what"]) == (0, "usdc: 97 needed, 96 held, 1 are missing")
    assert [each["what"].partition(" ")[0] for each in lines] == ["callers.allow"] * 2


def test_a_wallet_that_pays_fees_needs_the_chain_s_coin_besides(desk):
    tokens = desk.world.environment["BURSAR_WALLET_TOKENS"]
    own = {"FEE_EACH": "0.001", "TOKENS": f"{tokens},base-sepolia:eth=native/18"}
    desk.people["payer"] = {f"BURSAR_WALLET_{name}": text for name, text in own.items()}
    file = desk.file("fees", "1.00", "2.00")
    found = desk.done("payout", "plan", str(file), by="payer")["outlook"]
    coin = {"needed": "0.002", "held": "0", "missing": "0.002"}
    assert found["balances"][1] == {"token": "the chain's own coin", **coin}
    assert [(each["line"], each["value"]) for each in found["findings"]] == [
        (0, "the chain's own coin")
    ]
    assert found["policy"]["summary"] == ["all 2 lines pass"]


def test_a_regulated_line_to_somebody_who_is_not_registered_is_found(desk):
    file = desk.file("people", "1.00", "1.00", kind="regulated")
    found = desk.look(file)
    assert (found["recipients_asked"], found["sure"]) == (2, 1)
    assert [(each["line"], each["column"]) for each in found["findings"]] == [(3, "recipient")]
    found = desk.look(file, "--no-recipients-check")
    assert (found["recipients_asked"], found["findings"]) == (None, [])
    assert found["left_out"] == ["whether recipients are registered, as you asked"]


def test_a_plan_waits_for_somebody_else_whom_the_policy_names(desk):
    file = desk.file("team", "20.00", "18.00")
    run = ("payout", "run", str(file), "--plan", planned(desk, file), "--yes", "--no-work")
    status, said = desk.run(*run)
    assert (status, said["error"]["message"]) == (
        1,
        "payout team waits for 1 more to agree to its plan",
    )
    approve = ("payout", "approve", "team", "--yes")
    for by, why in ((None, "nobody approves their own"), ("mallory", "approvers are those")):
        status, said = desk.run(*approve, by=by)
        assert (status, said["error"]["code"]) == (3, "policy_violation")
        assert why in said["error"]["message"]
        assert said["error"]["hint"] == f"it takes the word of one of: {ACCOUNT}:user/outlook-ada"
    assert desk.done("payout", "status", "team")["state"] == "waiting"
    given = desk.done(*approve, by="ada")
    assert (given["state"], given["approvals"][0]["by"]) == (
        "running",
        f"{ACCOUNT}:user/outlook-ada",
    )
    assert desk.done(*run)["state"] == "running"
    desk.done("payout", "cancel", "team", "--yes")


def test_the_key_s_policy_asks_for_each_transaction_besides(desk):
    file = desk.file("large", "36.00")
    run = ("payout", "run", str(file), "--plan", planned(desk, file), "--yes")
    assert "waits for 1 more" in desk.run(*run)[1]["error"]["message"]
    desk.done("payout", "approve", "large", "--yes", by="ada")
    status, said = desk.run(*run)
    assert (status, said["payout_state"]) == (1, "running"), said
    [line] = desk.done("transfer", "list", "--payout", "large")
    assert "it waits for approval: approvals[above 35 usdc]" in line["error"]
    desk.done("payout", "cancel", "large", "--yes")
