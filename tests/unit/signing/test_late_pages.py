"""A page whose fate was unknown lands late, after time has changed what would be decided."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from bursar.errors import PolicyViolation
from bursar.ledger.store import Change, OutcomeUnknown
from tests.fakes.memory_store import MemoryStore
from tests.unit.signing.scene import CALLER, DAILY, POLICY, Desk


@dataclass
class LateStore(MemoryStore):
    """The first put after `lose` gets no answer, and lands just before the next one."""

    meanwhile: Callable[[], None] | None = None
    _late: tuple[str, Change] | None = None

    def lose(self, meanwhile: Callable[[], None]) -> None:
        self.meanwhile = meanwhile

    def put(self, book: str, change: Change) -> None:
        if self.meanwhile is not None:
            meanwhile, self.meanwhile = self.meanwhile, None
            self._late = (book, change)
            meanwhile()
            raise OutcomeUnknown("no answer")
        if self._late is not None:
            late, self._late = self._late, None
            super().put(*late)
        super().put(book, change)


def test_a_refusal_that_lands_late_is_a_refusal_though_it_would_be_allowed_by_now():
    store = LateStore()
    desk = Desk(store=store)
    requests = desk.payments(DAILY + 1)
    for request in requests[:DAILY]:
        desk.treasury.sign(request, CALLER)
    desk.clock.step(hours=24, microseconds=-1)
    store.lose(lambda: desk.clock.step(seconds=1))
    with pytest.raises(PolicyViolation):
        desk.treasury.sign(requests[DAILY], CALLER)
    assert desk.kms.signatures == DAILY
    assert desk.receipts[-1][1]["outcome"] == "refused"


def test_a_leave_that_lands_late_is_a_leave_though_it_would_be_refused_by_now():
    store = LateStore()
    hours = '\n[hours]\nzone = "UTC"\nopen = ["mon-fri 09:00-17:30"]\n'
    desk = Desk(store=store, policy=POLICY + hours)
    desk.clock.now = desk.clock.now.replace(hour=17, minute=29, second=59)
    store.lose(lambda: desk.clock.step(seconds=2))
    desk.treasury.sign(desk.request(), CALLER)
    assert desk.kms.signatures == 1
    assert [body.get("outcome") for _, body in desk.receipts] == ["allowed", None]
