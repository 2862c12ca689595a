"""One listing for all that are waited for: how many those are, and for how long."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from bursar.transfers.watch import Watch
from tests.fakes.scripted_crossmint import WALLET, Held, ScriptedCrossmint
from tests.unit.review import scene


@dataclass
class Looking:
    """A watch over three transactions that have not landed, and a clock that is told the time."""

    crossmint: ScriptedCrossmint
    seconds: float = 100.0

    def __post_init__(self) -> None:
        for number in (1, 2, 3):
            asked = {"amount": "1", "recipient": scene.RECIPIENT}
            self.crossmint.keys[f"t-{number}"] = Held(f"tx-{number}", asked, number, 0, "pending")
        self.watch = Watch(self.crossmint.client(), now=lambda: self.seconds)

    def look(self, *numbers: int) -> list[str]:
        """Look at transactions, and return the calls that took."""
        self.crossmint.calls.clear()
        for number in numbers:
            assert self.watch.look(WALLET, f"tx-{number}").id == f"tx-{number}"
        return list(self.crossmint.calls)

    def later(self, seconds: float = 5.0) -> None:
        self.seconds += seconds


@pytest.fixture
def looking() -> Looking:
    return Looking(ScriptedCrossmint())


def test_many_that_are_waited_for_are_looked_at_by_one_listing(looking: Looking) -> None:
    assert looking.look(1, 2, 3) == ["read", "read", "list"]
    looking.later()
    assert looking.look(1, 2, 3) == ["list"]


def test_what_is_forgotten_is_waited_for_no_more(looking: Looking) -> None:
    looking.look(1, 2, 3)
    looking.watch.forget(WALLET, "tx-1")
    looking.watch.forget(WALLET, "tx-2")
    looking.later()
    assert looking.look(3) == ["read"]


def test_what_has_landed_is_waited_for_no_more(looking: Looking) -> None:
    looking.look(1, 2, 3)
    for number in (1, 2):
        looking.crossmint.of(f"t-{number}").status = "success"
    looking.later()
    assert looking.look(1, 2) == ["list"]
    looking.later()
    assert looking.look(3) == ["read"]


def test_what_nobody_here_looks_at_any_more_is_forgotten_after_a_minute(looking: Looking) -> None:
    looking.look(1, 2, 3)
    for _ in range(5):
        looking.later(15)
        calls = looking.look(3)
    assert calls == ["read"]
