"""What the shared budget costs: takes a second of it and of the in-process allowance, in one run.

No take waits: the limits are far above what is taken, and sleeping takes no time. Rounds are interleaved and the
best of them counts: absolute times vary with machine and disk, ratios less. What Crossmint allows is 8 a second.

    python benchmarks/budget.py
    python benchmarks/budget.py --postgres postgresql+psycopg://user@host/database
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import sqlalchemy as sa

from bursar.crossmint.limits import CallAllowance, Clock, Limits, OwnAllowance
from bursar.transfers.budget import SharedBudget
from bursar.transfers.pace import Lane

ALLOWED = 8.0
LIMITS = Limits(writes_per_minute=10**9, longest_wait=1e6)
CLOCK = Clock(sleep=lambda _: None)


def over(url: str) -> SharedBudget:
    engine = sa.create_engine(url)
    if engine.dialect.name == "sqlite":
        with engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA journal_mode = WAL")
    project = f"benchmark-{uuid.uuid4().hex}"
    budget = SharedBudget(engine, project, lane=Lane.BULK, limits=LIMITS, clock=CLOCK)
    budget.prepare()
    return budget


def per_second(allowance: CallAllowance, count: int, threads: int) -> float:
    with ThreadPoolExecutor(threads) as pool:
        began = time.perf_counter()
        list(pool.map(lambda _: allowance.take(write=True), range(count)))
        return count / (time.perf_counter() - began)


def measure(
    makers: dict[str, Callable[[], CallAllowance]], rounds: int, count: int, threads: int
) -> dict[str, float]:
    allowances = {name: make() for name, make in makers.items()}
    best = dict.fromkeys(allowances, 0.0)
    for _ in range(rounds):
        for name, allowance in allowances.items():
            best[name] = max(best[name], per_second(allowance, count, threads))
    return best


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--postgres", metavar="URL")
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--count", type=int, default=200)
    arguments.add_argument("--threads", type=int, default=4)
    arguments.add_argument("--json", action="store_true")
    chosen = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        file = f"sqlite+pysqlite:///{Path(folder) / 'budget.sqlite3'}"
        makers: dict[str, Callable[[], CallAllowance]] = {
            "in process": lambda: OwnAllowance(LIMITS, CLOCK),
            "SQLite": lambda: over(file),
        }
        if chosen.postgres:
            makers["PostgreSQL"] = lambda: over(chosen.postgres)
        found = measure(makers, chosen.rounds, chosen.count, chosen.threads)
    own = found["in process"]
    rows = {
        name: {"per_second": rate, "cost": own / rate, "of_what_is_allowed": rate / ALLOWED}
        for name, rate in found.items()
    }
    if chosen.json:
        print(json.dumps(rows, indent=2))
        return
    print(f"{'':<12}{'takes/s':>10}{'cost':>9}{'allowed':>9}")
    for name, row in rows.items():
        print(
            f"{name:<12}{row['per_second']:>10.0f}{row['cost']:>8.0f}x{row['of_what_is_allowed']:>8.1f}x"
        )


if __name__ == "__main__":
    main()
