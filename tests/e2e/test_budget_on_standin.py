"""Processes that share a budget against a server that counts: none of their calls is turned away."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from bursar.sandbox.chain import Anvil, Contracts
from tests.contract.budgets import BudgetWorld
from tests.e2e.standin import configure, running
from tests.fakes.owner import Owner

ROOT = Path(__file__).parents[2]
# The budget's window is longer than the server's by what a call may take to get there on a busy machine.
READ = """
import sys
from concurrent.futures import ThreadPoolExecutor
from bursar.crossmint.client import CrossmintClient
from tests.contract.budgets import BudgetWorld
database, project, url, key, wallet = sys.argv[1:]
budget = BudgetWorld(database, project).budget(reads_per_minute=30, window=5.0)
with CrossmintClient(key, base_url=url, allowance=budget) as crossmint, ThreadPoolExecutor(4) as threads:
    found = list(threads.map(lambda _: crossmint.get_wallet(wallet).address, range(30)))
assert found == [wallet] * 30
"""


def test_no_call_of_processes_that_share_a_budget_is_over_the_servers_limit(
    chain: Anvil, contracts: Contracts, tmp_path: Path
) -> None:
    short = {"rate_limit_scale": 1 / 12, "rate_limit_window": 3.0}
    config = configure(chain, contracts, tmp_path / "state", **short)
    database = f"sqlite+pysqlite:///{tmp_path / 'journal.sqlite3'}"
    budgets = BudgetWorld(database, "project-a")
    budgets.prepare()
    with running(chain, contracts, config) as world:
        wallet = world.client.treasury(Owner(), "budget")["address"]
        arguments = [database, "project-a", config.url, world.client.key, wallet]
        command = [sys.executable, "-c", READ, *arguments]
        processes = [subprocess.Popen(command, cwd=ROOT) for _ in range(2)]
        assert [process.wait(100) for process in processes] == [0, 0]
        counted = world.client.call(200, "GET", "/_sandbox/calls")["project-a"]["reads"]
    budgets.close()
    assert counted["calls"] == 60
    assert counted["refused"] == 0
    assert counted["mostInAWindow"] <= 30
