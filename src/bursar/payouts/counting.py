"""How many lines of a payout are at which stage."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from bursar.transfers.journal import Journal
from bursar.transfers.states import FINAL, Stage
from bursar.transfers.tables import TRANSFERS


@dataclass(frozen=True, slots=True)
class Counts:
    """How many lines of a payout are at which stage, and how many are held for people."""

    stages: dict[str, int]
    held: int

    @property
    def total(self) -> int:
        """All lines."""
        return sum(self.stages.values())

    @property
    def open(self) -> int:
        """Lines that are not over."""
        over = sum(self.stages.get(stage.value, 0) for stage in FINAL)
        return self.total - over

    def of(self, *stages: Stage) -> int:
        """Lines at any of these stages."""
        return sum(self.stages.get(stage.value, 0) for stage in stages)


def count_lines(journal: Journal, treasury: str, payout: str) -> Counts:
    """Return how many lines are at which stage. What waits with its batch is held as that is.

    Raises:
        JournalError: it could not be read.
    """
    t, batch = TRANSFERS.c, TRANSFERS.alias()
    pays = sa.and_(
        t.stage == Stage.BATCHED.value,
        batch.c.treasury == t.treasury,
        batch.c.id == t.batch,
    )
    hold = sa.or_(t.hold.is_not(None), batch.c.hold.is_not(None))
    query = (
        sa.select(t.stage, hold, sa.func.count())
        .select_from(TRANSFERS.outerjoin(batch, pays))
        .where(t.treasury == treasury, t.payout == payout, t.is_batch.is_(False))
        .group_by(t.stage, hold)
    )
    stages: dict[str, int] = {}
    held = 0
    with journal.reading() as connection:
        for stage, is_held, count in connection.execute(query):
            stages[stage] = stages.get(stage, 0) + count
            held += count if is_held and Stage(stage) not in FINAL else 0
    return Counts(stages, held)
