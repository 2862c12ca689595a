"""Whether Crossmint and the chain say the same of a payment. Pure.

Crossmint's status is one witness, the chain's verdict the other. Only where both say so is a payment made, or
failed; where they contradict each other a person has to look, and until then nothing is paid anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from bursar.crossmint.approvals import Status
from bursar.errors import SettlementContradicted
from bursar.settlement.judgement import Finding, Verdict


class Agreement(StrEnum):
    """Where a payment stands when Crossmint and the chain have both been heard.

    UNSEEN: Crossmint says that it failed, and the chain knows nothing of it. A signed operation can land as long
    as its nonce is free, so this is no proof that it will not be paid.
    """

    PAID = "paid"
    FAILED = "failed"
    WAIT = "wait"
    UNSEEN = "unseen"
    CONTRADICTION = "contradiction"


@dataclass(frozen=True, slots=True)
class Outcome:
    """Where a payment stands, and why, in a sentence for people."""

    agreement: Agreement
    words: str

    def require_consistent(self) -> Outcome:
        """Return itself, unless Crossmint and the chain contradict each other.

        Raises:
            SettlementContradicted: they do.
        """
        if self.agreement is Agreement.CONTRADICTION:
            raise SettlementContradicted(
                self.words,
                hint="pay nothing anew; look at the transaction in a block explorer, then ask Crossmint",
            )
        return self


_AGREEMENTS: Final = {
    (Status.SUCCESS, Finding.PAID): Agreement.PAID,
    (Status.SUCCESS, Finding.REVERTED): Agreement.CONTRADICTION,
    (Status.FAILED, Finding.PAID): Agreement.CONTRADICTION,
    (Status.FAILED, Finding.REVERTED): Agreement.FAILED,
    # Crossmint broadcasts what is approved, and nothing else.
    (Status.AWAITING_APPROVAL, Finding.PAID): Agreement.CONTRADICTION,
    (Status.AWAITING_APPROVAL, Finding.REVERTED): Agreement.CONTRADICTION,
}


def compare(status: Status, verdict: Verdict) -> Outcome:
    """Return where a payment stands by Crossmint's status and the chain's verdict, read in this order.

    Neither alone settles anything. A status that is not final, or unknown, waits, whatever the chain shows, unless
    that contradicts what was asked for.
    """
    said = f"Crossmint says {status.value}; the chain: {verdict.words}"
    if verdict.finding is Finding.CONTRADICTED:
        return Outcome(Agreement.CONTRADICTION, said)
    if status is Status.FAILED and verdict.found_nothing:
        return Outcome(Agreement.UNSEEN, said)
    return Outcome(_AGREEMENTS.get((status, verdict.finding), Agreement.WAIT), said)
