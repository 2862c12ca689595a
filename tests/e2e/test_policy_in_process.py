"""A signer on this machine goes by the same policy, with its ledger in a file or in PostgreSQL."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from bursar.sandbox.callers import recorded_signatures
from bursar.sandbox.world import World
from tests.fakes.owner import Owner


class Machine:
    """Runs bursar here, as root of the sandbox's account, with KMS asked directly."""

    def __init__(self, world: World, folder: Path) -> None:
        self.world = world
        self.folder = folder
        self.recipient = Owner().address

    def run(self, *words: str) -> tuple[int, Any]:
        ran = subprocess.run(
            [sys.executable, "-m", "bursar", "--json", *words],
            env={
                **os.environ,
                **self.world.environment,
                "BURSAR_SIGNER_VIA": "kms",
                "BURSAR_LEDGER_URL": str(self.folder / "ledger.db"),
                "BURSAR_KEY_ID": "alias/own",
                "BURSAR_WALLET_LOCATOR": "evm:smart:alias:own",
                "BURSAR_POLICY_FILE": "policy.toml",
            },
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=100,
        )
        return ran.returncode, json.loads(ran.stdout)

    def done(self, *words: str) -> Any:
        status, answer = self.run(*words)
        assert status == 0, (words, answer)
        return answer

    def pay(self, amount: str, transfer_id: str) -> tuple[int, Any]:
        payment = ("--to", self.recipient, "--amount", amount, "--id", transfer_id)
        return self.run("transfer", "send", "--direct", "--yes", *payment)

    @property
    def signatures(self) -> int:
        key = self.done("key", "show")["key_arn"]
        return len(recorded_signatures(self.world.environment, key))


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with World.temporary() as world:
        made = Machine(world, tmp_path_factory.mktemp("own"))
        # The settings name the policy; one that nobody has written yet signs nothing.
        made.folder.joinpath("policy.toml").write_text("version = 1\n")
        made.done("key", "create")
        made.done("wallet", "create", "--yes")
        made.done("wallet", "fund", "100")
        limits = ("--per-transfer", "10.00", "--per-day", "12.00")
        recipient = ("--recipient", f"acme={made.recipient}")
        text = made.done("policy", "new", *recipient, *limits)["policy"]
        made.folder.joinpath("policy.toml").write_text(text)
        yield made


def test_payments_are_signed_within_the_policy_and_no_further(machine):
    assert machine.pay("10.00", "first")[1]["status"] == "success"
    again = machine.pay("10.00", "first")[1]
    assert (again["status"], machine.signatures) == ("success", 1)
    status, said = machine.pay("2.01", "second")
    assert (status, said["error"]["code"]) == (3, "policy_violation")
    assert said["error"]["limit"] == "at most 12 usdc"
    assert machine.signatures == 1
    checked = machine.done("audit", "verify")
    assert (checked["sound"], checked["counts"]["signatures"]) == (True, 1)


def test_processes_at_the_same_moment_share_one_limit(machine):
    amounts = [("0.50", f"small-{number}") for number in range(6)]
    with ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(lambda each: machine.pay(*each), amounts))
    # 10 of the day's 12 are spent: four more of 0.50 fit.
    assert sorted(status for status, _ in answers) == [0, 0, 0, 0, 3, 3]
    assert machine.signatures == 5
    assert machine.done("audit", "verify")["sound"]


def test_a_bare_hash_asks_the_policy_too(machine):
    before = machine.signatures
    status, said = machine.run("sign", "--hash", "0x" + "11" * 32)
    assert (status, said["error"]["code"]) == (3, "policy_violation")
    assert said["error"]["rule"] == "allow.blind_signing"
    payment = ("--to", machine.recipient, "--amount", "0.01", "--id", "blind")
    status, said = machine.run("transfer", "send", "--direct", "--yes", "--blind", *payment)
    assert (status, said["error"]["code"]) == (3, "policy_violation")
    assert machine.signatures == before
