"""The shared budget over each database there is, and the database's own record of what was done to its row."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from bursar.crossmint.limits import Clock, Limits
from bursar.transfers.budget import SharedBudget
from bursar.transfers.pace import MICROSECONDS, Lane, Pace, Row, next_slot

_ROOT_FOLDER = Path(__file__).parents[2]
_HEAD = """
import sys
from tests.contract.budgets import BudgetWorld, unhurried
from bursar.transfers.pace import Lane
world = BudgetWorld(*sys.argv[1:3])
arguments = sys.argv[3:]
"""
_MOMENTS = ("line", "reserve", "refused_until", "seen")
_RECORD = sa.Table(
    "record",
    sa.MetaData(),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("project", sa.Text),
    sa.Column("kind", sa.Text),
    *(sa.Column(name, sa.BigInteger) for name in _MOMENTS),
)
_BUDGET = sa.table("crossmint_budget", *(sa.column(name) for name in _MOMENTS))
# A trigger writes down each state of a row, in the transaction that makes it and while the row is locked.
_WRITE_DOWN = """
INSERT INTO record (project, kind, line, reserve, refused_until, seen)
VALUES (NEW.project, NEW.kind, NEW.line, NEW.reserve, NEW.refused_until, NEW.seen);
"""
_ON_UPDATE = "CREATE TRIGGER each_state AFTER UPDATE ON crossmint_budget "
_FUNCTION = "CREATE FUNCTION write_down() RETURNS trigger LANGUAGE plpgsql AS "
_TRIGGERS = {
    "sqlite": [_ON_UPDATE + "BEGIN " + _WRITE_DOWN + "END"],
    "postgresql": [
        _FUNCTION + "$$ BEGIN " + _WRITE_DOWN + "RETURN NULL; END $$",
        _ON_UPDATE + "FOR EACH ROW EXECUTE FUNCTION write_down()",
    ],
}


@dataclass
class Sleeper:
    """A clock whose sleeps take no time, and are remembered."""

    sleeps: list[float] = field(default_factory=list)

    def clock(self) -> Clock:
        return Clock(sleep=self.sleeps.append)


def unhurried() -> Clock:
    return Sleeper().clock()


class BudgetWorld:
    """A database, and a project in it that nobody used yet."""

    def __init__(self, url: str, project: str) -> None:
        self.url, self.project = url, project
        sqlite = url.startswith("sqlite")
        arguments: dict[str, Any] = {"timeout": 30, "isolation_level": None} if sqlite else {}
        self.engine = sa.create_engine(url, connect_args=arguments)

    def budget(
        self, lane: Lane = Lane.BULK, clock: Clock | None = None, **limits: Any
    ) -> SharedBudget:
        given = Limits(**{"longest_wait": 1e6, **limits})
        return SharedBudget(self.engine, self.project, lane=lane, limits=given, clock=clock)

    def prepare(self) -> None:
        """Make the table, and have the database keep a record."""
        with self.engine.connect() as connection:
            if self.engine.dialect.name == "sqlite":
                connection.exec_driver_sql("PRAGMA journal_mode = WAL")
        self.budget().prepare()
        with self.engine.connect() as connection:
            if not sa.inspect(connection).has_table("record"):
                connection.execute(sa.schema.CreateTable(_RECORD))
                for statement in _TRIGGERS[self.engine.dialect.name]:
                    connection.exec_driver_sql(statement)
            connection.commit()

    def rows(self, *, write: bool) -> list[Row]:
        """Return every state of the row since it was made, oldest first."""
        its = _RECORD.c
        query = (
            sa.select(*(its[name] for name in _MOMENTS))
            .where(its.project == self.project, its.kind == ("write" if write else "read"))
            .order_by(its.number)
        )
        with self.engine.connect() as connection:
            return [Row(), *(Row(*found) for found in connection.execute(query))]

    def slots(self, pace: Pace, *, write: bool) -> list[tuple[int, Lane]]:
        """Return the slot of each take in the record, having seen that each began where the last one ended."""
        found = []
        for before, after in pairwise(self.rows(write=write)):
            from_reserve = after.reserve != before.at(after.seen).reserve
            lane = Lane.PRIORITY if from_reserve else Lane.BULK
            slot, row = next_slot(pace, before, after.seen, lane)
            assert row == after
            found.append((slot, lane))
        return found

    def now(self) -> int:
        """Return the time that the budget goes by."""
        with self.engine.connect() as connection:
            return self.budget()._look(connection, write=True)[1]

    def start(self, code: str, *arguments: str) -> subprocess.Popen[str]:
        """Run code in another process, with `world` and `arguments` in place."""
        return subprocess.Popen(
            [sys.executable, "-c", _HEAD + code, self.url, self.project, *arguments],
            cwd=_ROOT_FOLDER,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def set_clock_back(self, seconds: int) -> None:
        """Make the row look as if everything had been written by a clock that was so far ahead."""
        ahead = seconds * MICROSECONDS
        moved = {name: _BUDGET.c[name] + ahead for name in _MOMENTS}
        with self.engine.connect() as connection:
            connection.execute(sa.update(_BUDGET).values(moved))
            connection.commit()

    def close(self) -> None:
        self.engine.dispose()
