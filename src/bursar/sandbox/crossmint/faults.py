"""Faults a test asks for: the next n calls of an operation go wrong in a named way, or any call by chance."""

from __future__ import annotations

import random
import threading
from dataclasses import dataclass, field
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from bursar.sandbox.crossmint.replies import Json

# What `alterations` knows how to do.
Tamper = Literal[
    "recipient",
    "amount",
    "extra_call",
    "token",
    "chain",
    "delegatecall",
    "approve",
    "fee",
    "hash",
    "message",
    "other_message",
    "replay",
    "other_wallet",
]
# What chance chooses from.
_BY_CHANCE: Final = ("error_before", "error_after", "drop_before", "drop_after", "slow")
EVERY_OPERATION: Final = "*"


class Fault(BaseModel):
    """One kind of trouble for the next `count` calls of an operation, such as `transfers.create`.

    error_before, error_after: an HTTP `status` (500) before or after the effect. drop_before, drop_after: the
    connection is reset. slow: the answer waits `seconds`. duplicate: the call is served twice, and the second
    answer given. tamper: the transaction made, or read, is altered. random: until cleared, each call fails with
    probability `rate` in one of the first five ways, slow by `seconds` at most; `seed` decides which.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    operation: str = EVERY_OPERATION
    kind: Literal[
        "error_before",
        "error_after",
        "drop_before",
        "drop_after",
        "slow",
        "duplicate",
        "tamper",
        "random",
    ]
    count: Annotated[int, Field(ge=1, le=1000)] = 1
    status: Annotated[int, Field(ge=500, le=599)] = 500
    seconds: Annotated[float, Field(ge=0, le=120, strict=False)] = 1.0
    tamper: Tamper = "recipient"
    rate: Annotated[float, Field(ge=0, le=1, strict=False)] = 0.05
    seed: int = 0


@dataclass(frozen=True, slots=True)
class _Chance:
    """A random fault, with dice for each operation: its n-th call fares the same whatever else is called."""

    fault: Fault
    dice: dict[str, random.Random] = field(default_factory=dict)

    def draw(self, operation: str) -> Fault | None:
        fault = self.fault
        if fault.operation not in (operation, EVERY_OPERATION):
            return None
        dice = self.dice.setdefault(operation, random.Random(f"{fault.seed} {operation}"))  # noqa: S311
        if dice.random() >= fault.rate:
            return None
        changes = {"kind": dice.choice(_BY_CHANCE), "seconds": dice.uniform(0, fault.seconds)}
        return fault.model_copy(update={"operation": operation, **changes})


class Faults:
    """The faults still to come, first asked first served; those by chance strike where no other does."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[tuple[Fault, int]] = []
        self._chances: list[_Chance] = []

    def add(self, fault: Fault) -> None:
        """Queue a fault."""
        with self._lock:
            if fault.kind == "random":
                self._chances.append(_Chance(fault))
            else:
                self._waiting.append((fault, fault.count))

    def take(self, operation: str) -> Fault | None:
        """Return the fault for this call and use it up once, or None."""
        with self._lock:
            for index, (fault, left) in enumerate(self._waiting):
                if fault.operation == operation:
                    self._waiting[index : index + 1] = [(fault, left - 1)] if left > 1 else []
                    return fault
            drawn = [chance.draw(operation) for chance in self._chances]
        return next((fault for fault in drawn if fault), None)

    def clear(self) -> None:
        """Forget all faults."""
        with self._lock:
            self._waiting.clear()
            self._chances.clear()

    def to_json(self) -> list[Json]:
        """Return what is still to come."""
        with self._lock:
            waiting = [fault.model_dump() | {"count": left} for fault, left in self._waiting]
            return [*waiting, *(chance.fault.model_dump() for chance in self._chances)]
