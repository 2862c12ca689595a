from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from bursar.crossmint.client import CrossmintClient
from bursar.signing_contract import BareSigner
from bursar.transfers.desk import Desk, Next, Tools
from bursar.transfers.journal import Journal, NewTransfer
from bursar.transfers.record import Transfer
from bursar.transfers.states import Stage, Standing
from tests.fakes.scripted_crossmint import READING, Moments, ScriptedCrossmint, intent, key


@dataclass
class Scene:
    """A journal and a scripted Crossmint; `desk` makes one more who drives the same transfers."""

    journal: Journal
    crossmint: ScriptedCrossmint
    clock: Moments
    clients: list[CrossmintClient] = field(default_factory=list)

    def desk(self, **more: Any) -> Desk:
        self.clients.append(self.crossmint.client())
        tools = Tools(
            self.clients[-1],
            BareSigner(self.crossmint.signer),
            reading=READING,
            clock=self.clock,
            **{"dice": lambda: 0.0, **more},
        )
        return Desk(self.journal, tools)

    def record(self, transfer_id: str = "rent", *, confirmed: bool = True, **asked: str) -> None:
        by = "the test" if confirmed else None
        new = NewTransfer(key(transfer_id), intent(transfer_id, **asked), confirmed_by=by)
        self.journal.record(new)

    def get(self, transfer_id: str = "rent") -> Transfer:
        return self.journal.get(key(transfer_id))

    def standing(self, transfer_id: str = "rent") -> Standing:
        return self.get(transfer_id).standing

    def kinds(self, transfer_id: str = "rent") -> list[str]:
        return [each.kind for each in self.journal.history(key(transfer_id))]

    def until(self, desk: Desk, stage: Stage, transfer_id: str = "rent") -> Next:
        """Take steps until the transfer is at a stage."""
        for _ in range(20):
            found = desk.advance(key(transfer_id))
            if self.standing(transfer_id).stage is stage:
                return found
            self.clock.forward(found.wait or 0)
        raise AssertionError(f"never {stage}: {self.standing(transfer_id)}")

    def finish(self, desk: Desk, transfer_id: str = "rent") -> Standing:
        """Take steps until there is none, waiting by the scene's clock."""
        for _ in range(60):
            wait = desk.advance(key(transfer_id)).wait
            if wait is None:
                return self.standing(transfer_id)
            self.clock.forward(wait)
        raise AssertionError(f"no end: {self.standing(transfer_id)}")


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    clock = Moments()
    with Journal.open(tmp_path / "journal.sqlite3", clock) as journal:
        made = Scene(journal, ScriptedCrossmint(), clock)
        made.record()
        yield made
        for each in made.clients:
            each.close()
