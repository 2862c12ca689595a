"""Who must still approve, who has, and finding our own entry among them.

A pending entry is flat (`signer`, `message`) or a quorum, whose members each have a message of their own.
Whether enough have approved is Crossmint's to say: nothing here counts thresholds.
Source: the 2025-06-09 transaction and signature objects; quorum signers as the wallets documentation has them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pydantic import Field

from bursar.crossmint.locators import SignerLocator
from bursar.crossmint.reading import Moment, Reading, Recorded, Signer, plain
from bursar.errors import CrossmintProtocolError, NotAwaitingApproval


class Status(StrEnum):
    """Where a transaction or signature stands. Anything Crossmint says beyond these is UNKNOWN, never success."""

    AWAITING_APPROVAL = "awaiting-approval"
    PENDING = "pending"
    SUCCESS = "success"
    FAILED = "failed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class PendingApproval:
    """One message that waits for one signer.

    `locator` is the signer as Crossmint wrote it, to be sent back unchanged. `message` is, on EVM, 0x and 64
    hex digits; on Solana base58; on Stellar base64. `quorum` is the quorum it is part of, if any.
    """

    locator: str
    message: str
    quorum: str | None = None


class SubmittedApproval(Reading):
    """A signature that was handed in. `signature` is kept as it came: text, or r and s."""

    signer: Signer
    signature: Any = None
    message: str | None = None
    submitted_at: Moment | None = None


class MemberMessage(Reading):
    """A quorum member that has not approved, with its own message."""

    signer: Signer
    message: str | None = None


class QuorumApprovals(Reading):
    """How far a quorum has come. `remaining` is Crossmint's count."""

    threshold: int | None = None
    remaining: int | None = None
    pending: tuple[MemberMessage, ...] = ()
    submitted: tuple[SubmittedApproval, ...] = ()


class PendingEntry(Reading):
    """An entry of `approvals.pending`: flat with a message, or a quorum with its members."""

    signer: Signer
    message: str | None = None
    quorum: QuorumApprovals | None = Field(default=None, alias="quorumApprovals")

    def waiting(self) -> list[tuple[Signer, str | None, str | None]]:
        """Return signer, message and quorum of everyone this entry waits for."""
        if self.quorum is None:
            return [(self.signer, self.message, None)]
        return [(m.signer, m.message, self.signer.locator) for m in self.quorum.pending]


class Approvals(Reading):
    """Pending and submitted approvals; `required` is absent on most EVM answers."""

    pending: tuple[PendingEntry, ...] = ()
    submitted: tuple[SubmittedApproval, ...] = ()
    required: int | None = None


class Approvable(Recorded):
    """What a transaction, a signature and a signer's registration have in common: an id, a status, approvals."""

    id: str = Field(min_length=1, max_length=256)
    status_text: str = Field(alias="status", max_length=100)
    approvals: Approvals = Approvals()

    @property
    def status(self) -> Status:
        """The status; UNKNOWN where Crossmint's word (`status_text`) is none of the documented ones."""
        known = self.status_text in {s.value for s in Status}
        return Status(self.status_text) if known else Status.UNKNOWN

    @property
    def succeeded(self) -> bool:
        """Whether Crossmint says `success`, in that word."""
        return self.status is Status.SUCCESS

    @property
    def is_final(self) -> bool:
        """Whether it will not change any more: success or failed."""
        return self.status in (Status.SUCCESS, Status.FAILED)

    def waiting_for(self) -> tuple[str, ...]:
        """Return the locators of everyone who still has to approve, quorum members one by one."""
        return tuple(s.locator for entry in self.approvals.pending for s, _, _ in entry.waiting())

    def pending_for(self, signer: SignerLocator | str) -> PendingApproval:
        """Return the one message that waits for this signer, in a flat entry or inside a quorum.

        It does not check the message: that is the review's task. EVM addresses compare without letter case.

        Raises:
            NotAwaitingApproval: not awaiting approval, or waiting for others; the message names them.
            CrossmintProtocolError: our entry has no message, or more than one message waits for us.
        """
        if self.status is not Status.AWAITING_APPROVAL:
            raise NotAwaitingApproval(
                f"{plain(self.id, 80)} is {plain(self.status_text, 40)}, not awaiting approval"
            )
        entries = [w for entry in self.approvals.pending for w in entry.waiting()]
        ours = {(s.locator, m, q) for s, m, q in entries if s.is_signer(signer)}
        if not ours:
            raise NotAwaitingApproval(*self._nobody_waits(signer), hint=self._hint(signer))
        locator, message, quorum = min(ours, key=str)
        if len({text for _, text, _ in ours}) > 1:
            raise CrossmintProtocolError(
                f"{plain(self.id, 80)} has more than one message for {plain(locator, 80)}",
                hint="which one the signature would be for is not clear; approve it in Crossmint's console",
            )
        if not message:
            raise CrossmintProtocolError(
                f"{plain(self.id, 80)} has no message for {plain(locator, 80)}"
            )
        return PendingApproval(locator, message, quorum)

    def submitted_by(self, signer: SignerLocator | str) -> tuple[SubmittedApproval, ...]:
        """Return what this signer has handed in, flat or as a member of a quorum; empty where nothing."""
        entries = list(self.approvals.submitted)
        for entry in self.approvals.pending:
            entries += entry.quorum.submitted if entry.quorum else ()
        return tuple(entry for entry in entries if entry.signer.is_signer(signer))

    def _nobody_waits(self, signer: SignerLocator | str) -> tuple[str]:
        others = ", ".join(plain(who, 80) for who in self.waiting_for()[:10]) or "nobody"
        return (
            f"{plain(self.id, 80)} does not wait for {plain(signer, 80)}; it waits for {others}",
        )

    def _hint(self, signer: SignerLocator | str) -> str:
        if self.submitted_by(signer):
            return "this signer has approved already"
        return "check that the signer is the wallet's admin signer or the one the transaction was made for"
