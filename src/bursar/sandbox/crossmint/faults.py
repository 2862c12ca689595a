"""Faults a test asks for: the next n calls of an operation go wrong in a named way."""

from __future__ import annotations

import threading
from typing import Annotated, Literal

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


# The deliveries of webhooks, which are no calls, by the name that faults know them by, and what can befall them.
DELIVERIES = "webhooks.deliver"
DELIVERY_KINDS = frozenset({"slow", "duplicate", "forge", "lose"})


class Fault(BaseModel):
    """One kind of trouble for the next `count` calls of an operation, such as `transfers.create`.

    error_before, error_after: an HTTP `status` (500) before or after the effect. drop_before, drop_after: the
    connection is reset. slow: the answer waits `seconds`. tamper: the transaction made, or read, is altered.
    Of webhook deliveries: slow; duplicate: sent twice; forge: an altered one comes first; lose: it never comes.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    operation: str
    kind: Literal[
        "error_before",
        "error_after",
        "drop_before",
        "drop_after",
        "slow",
        "tamper",
        "duplicate",
        "forge",
        "lose",
    ]
    count: Annotated[int, Field(ge=1, le=1000)] = 1
    status: Annotated[int, Field(ge=500, le=599)] = 500
    seconds: Annotated[float, Field(ge=0, le=120, strict=False)] = 1.0
    tamper: Tamper = "recipient"


class Faults:
    """The faults still to come, first asked first served."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[tuple[Fault, int]] = []

    def add(self, fault: Fault) -> None:
        """Queue a fault."""
        with self._lock:
            self._waiting.append((fault, fault.count))

    def take(self, operation: str) -> Fault | None:
        """Return the fault for this call and use it up once, or None."""
        with self._lock:
            for index, (fault, left) in enumerate(self._waiting):
                if fault.operation == operation:
                    self._waiting[index : index + 1] = [(fault, left - 1)] if left > 1 else []
                    return fault
        return None

    def clear(self) -> None:
        """Forget all faults."""
        with self._lock:
            self._waiting.clear()

    def to_json(self) -> list[Json]:
        """Return what is still to come."""
        with self._lock:
            return [fault.model_dump() | {"count": left} for fault, left in self._waiting]
