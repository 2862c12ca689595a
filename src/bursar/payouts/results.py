"""What became of each line of a plan. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final


class State(StrEnum):
    """Where a payment stands, worst first.

    CONTRADICTED: the chain and Crossmint disagree about whether it was paid. FAILED: it ended unpaid. PENDING: it
    was begun, and how it ends is not known yet. CANCELLED: it was called off before it was approved. NOT_STARTED:
    nothing was done about it. PAID: it is final.
    """

    CONTRADICTED = "contradicted"
    FAILED = "failed"
    PENDING = "pending"
    CANCELLED = "cancelled"
    NOT_STARTED = "not_started"
    PAID = "paid"

    @property
    def words(self) -> str:
        """The state as people say it."""
        return self.value.replace("_", " ")


NEXT_STEPS: Final = {
    State.CONTRADICTED: "do not pay it again; compare the wallet on the chain with Crossmint's record",
    State.FAILED: "put right what the reason says, and pay it under a new id",
    State.PENDING: "run the payout again; what is held goes on once its reason is put right: payout resume --held",
    State.CANCELLED: "to pay it after all, give it a new id",
    State.NOT_STARTED: "run the payout again",
    State.PAID: "",
}


@dataclass(frozen=True, slots=True)
class LineResult:
    """What became of the payment of an id, and what proves it.

    `units` is what was asked for in base units, by whoever kept the payment's record; None where they do not say.
    `transaction` is Crossmint's id, `chain_transaction` the hash on the chain, `kms_request` KMS's id of the call
    that signed `digest` (0x hex), `batch` the payout's id. Whatever is not known is empty. Times are aware.
    """

    id: str
    state: State
    reason: str = ""
    next_step: str = ""
    units: int | None = None
    transaction: str = ""
    chain_transaction: str = ""
    kms_request: str = ""
    digest: str = ""
    batch: str = ""
    started: datetime | None = None
    ended: datetime | None = None

    @property
    def advice(self) -> str:
        """What to do next: what was said about this one, otherwise what its state asks for."""
        return self.next_step or NEXT_STEPS[self.state]
