"""What people say about a transfer: yes, go on, stop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bursar.crossmint.client import CrossmintClient
from bursar.crossmint.locators import SignerLocator
from bursar.errors import NotCancellable, TransferEnded, TransferError
from bursar.transfers import batches
from bursar.transfers.intent import is_handed_in
from bursar.transfers.journal import Journal
from bursar.transfers.record import Transfer
from bursar.transfers.states import (
    ELSEWHERE,
    MAY_STILL_LAND,
    UNDONE,
    UNPAID,
    Event,
    EventKind,
    Hold,
    Stage,
)

# Tells of a transfer whether Crossmint has an approval of it.
Look = Callable[[Transfer], bool]


def again(journal: Journal, transfer: Transfer, confirmed_by: str | None = None) -> Transfer:
    """Have a transfer go on that somebody asked for once more; one that settled stays as it is.

    Raises:
        TransferEnded: it failed or was cancelled: its id is used up.
        Overtaken, JournalError: it could not be written.
    """
    standing = transfer.standing
    if standing.stage in {Stage.FAILED, Stage.CANCELLED}:
        raise TransferEnded(
            f"transfer {transfer.id} {_ended(standing.stage)}: {standing.reason or 'no reason is known'}",
            hint="a new payment needs a new id",
        )
    if standing.is_final:
        return transfer
    if confirmed_by and not standing.is_confirmed and standing.stage in UNPAID:
        return confirm(journal, transfer, confirmed_by)
    if standing.hold in {Hold.TROUBLE, Hold.APPROVAL} or standing.retry_at:
        return journal.append(transfer, Event(EventKind.RELEASED))
    return transfer


def confirm(journal: Journal, transfer: Transfer, by: str) -> Transfer:
    """Write down that somebody said yes to a transfer.

    Raises:
        TransferError: it is past that. Overtaken, JournalError: it could not be written.
    """
    return journal.append(transfer, Event(EventKind.CONFIRMED, {"confirmed_by": by}))


def signed_elsewhere(
    journal: Journal, transfer: Transfer, signature: str, signer: SignerLocator, by: str
) -> Transfer:
    """Write down a signature that was made elsewhere and is proved to be over this transfer's transaction.

    Whoever hands it in says yes to the transfer by that; both are written, or neither.

    Raises:
        TransferError: it was not reviewed, or is past that. Overtaken, JournalError: it could not be written.
    """
    said = Event(EventKind.CONFIRMED, {"confirmed_by": by})
    signed = Event(EventKind.SIGNED, {"signature": signature, "signed_by": signer.value})
    with journal.writing() as connection:
        if not transfer.standing.is_confirmed:
            transfer = journal.write_event(connection, transfer, said)
        if transfer.standing.stage is not Stage.SIGNED:
            transfer = journal.write_event(connection, transfer, signed)
    return transfer


def cancel(
    journal: Journal,
    client: CrossmintClient,
    signer: SignerLocator,
    transfer: Transfer,
    by: str,
) -> Transfer:
    """End a transfer that nobody can have been paid by, of a batch its payments with it. At most one GET.

    Crossmint's transaction stays where it is, awaiting an approval that will not come.

    Raises:
        NotCancellable: its approval was handed in, or a batch pays it. TransferEnded: it is over.
        CrossmintError: it is not known whether the approval was handed in.
        Overtaken, JournalError: it could not be written.
    """
    told = {"reason": f"cancelled by {by}", "code": "cancelled"}
    return stop(journal, look_at(client, signer), transfer, told)


def look_at(client: CrossmintClient, signer: SignerLocator) -> Look:
    """Return how Crossmint is asked whether it has an approval of a transfer. At most one GET each.

    What is returned raises CrossmintError: it is not known whether the approval was handed in.
    """

    def is_in(transfer: Transfer) -> bool:
        known = transfer.standing.known.get("transaction")
        if known is None:
            return False
        seen = client.get_transaction(transfer.intent.wallet, str(known))
        return is_handed_in(seen, signer)

    return is_in


def stop(journal: Journal, look: Look, transfer: Transfer, told: dict[str, str]) -> Transfer:
    """Do `cancel` with `look`, and with what is `told` of it. What Crossmint has an approval of goes on.

    Raises:
        As `cancel`.
    """
    if transfer.standing.stage is Stage.BATCHED:
        raise NotCancellable(
            f"{transfer.id} is paid by batch {transfer.batch}", hint=_out_of(transfer)
        )
    if transfer.standing.is_cancellable and look(transfer):
        transfer = _approved_elsewhere(journal, transfer)
    return batches.cancel(journal, transfer, told)


def _out_of(transfer: Transfer) -> str:
    payout = (
        f"; or its payout: bursar payout cancel {transfer.place.payout}" if transfer.place else ""
    )
    return f"cancel all of that batch: bursar transfer cancel {transfer.batch}{payout}"


def _approved_elsewhere(journal: Journal, transfer: Transfer) -> Transfer:
    if transfer.standing.hold is not None:  # somebody has to see how it ends
        transfer = journal.append(transfer, Event(EventKind.RELEASED))
    return journal.append(transfer, Event(EventKind.APPROVED))


def _ended(stage: Stage) -> str:
    return "failed" if stage is Stage.FAILED else "was cancelled"


def conclude(journal: Journal, transfer: Transfer, told: Conclusion) -> Transfer:
    """End a transfer, or a batch with its payments, by a person's word, where no witness can tell.

    Raises:
        TransferError: it does not wait for that. Only what may still land, was approved elsewhere or is
            contradicted is ended so.
        Overtaken, JournalError: it could not be written.
    """
    standing = transfer.standing
    waits = standing.hold is Hold.TROUBLE and standing.code in {MAY_STILL_LAND, ELSEWHERE}
    if not waits and standing.stage is not Stage.CONTRADICTED:
        raise TransferError(
            f"transfer {transfer.id} is {standing.stage}, and not for people to conclude",
            hint="see what it waits for: bursar transfer show",
        )
    event = told.event()
    if batches.is_batch(transfer):
        return batches.conclude(journal, transfer, event)
    return journal.append(transfer, event)


@dataclass(frozen=True, slots=True)
class Conclusion:
    """What a person found out about a transfer: the chain's transaction that paid it; None: it can never land."""

    by: str
    because: str
    paid_by: str | None = None

    def event(self) -> Event:
        """Return it as the journal keeps it."""
        reason = f"by the word of {self.by}: {self.because}"
        if self.paid_by is not None:
            return Event(EventKind.SETTLED, {"reason": reason, "chain_transaction": self.paid_by})
        return Event(EventKind.FAILED, {"reason": reason, "code": "concluded", UNDONE: True})
