"""How a batch ends, and its payments with it: in one write, so that none of them is paid twice or forgotten."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy.engine import Connection

from bursar.errors import (
    BursarError,
    PolicyViolation,
    SigningServiceRefused,
    TransactionFailed,
    TransferError,
)
from bursar.transfers.batch import BatchPayment, BatchTransfer, halves_of
from bursar.transfers.intent import TransferIntent
from bursar.transfers.journal import Journal, NewTransfer
from bursar.transfers.record import Key, Transfer
from bursar.transfers.states import Event, EventKind, Stage

_UNSIGNED: Final = frozenset({Stage.RECORDED, Stage.CREATED, Stage.REVIEWED})
# The policy's rules that one payment of several can break; hours, fees, callers are no payment's fault.
_OF_PAYMENTS: Final = ("tokens", "recipients", "limits", "calls")


def is_batch(transfer: Transfer) -> bool:
    """Tell whether a transfer pays several others."""
    return isinstance(transfer.intent, BatchTransfer)


def spoils(transfer: Transfer, error: BursarError) -> bool:
    """Tell whether one payment of an unsigned batch is what keeps all of it from being paid."""
    standing = transfer.standing
    # What was built anew may have been handed in as it was before: its payments must not be made besides.
    if not (is_batch(transfer) and standing.stage in _UNSIGNED and standing.is_cancellable):
        return False
    if isinstance(error, SigningServiceRefused):
        rule = str(error.details.get("rule", ""))
        return error.reason == PolicyViolation.code and rule.startswith(_OF_PAYMENTS)
    if isinstance(error, PolicyViolation):
        return error.rule.startswith(_OF_PAYMENTS)
    return isinstance(error, TransactionFailed)


def gather(
    journal: Journal, connection: Connection, new: NewTransfer, members: Sequence[Transfer]
) -> None:
    """Write a batch down and put transfers into it, in a transaction of `Journal.writing`.

    Raises:
        TransferError: one of them is past that.
    """
    journal.insert(connection, [new])
    for member in members:
        journal.write_event(connection, member, Event(EventKind.BATCHED, {"batch": new.key.id}))


def conclude(journal: Journal, batch: Transfer, event: Event) -> Transfer:
    """Write that a batch settled, or is contradicted, and all its payments with it; return the batch.

    Raises:
        Overtaken, JournalError: nothing was written.
    """
    with journal.writing() as connection:
        written = journal.write_event(connection, batch, event)
        told = {k: v for k, v in event.data.items() if k != "transaction"} | {"batch": batch.id}
        for member in journal.members(connection, batch.key):
            journal.write_event(connection, member, Event(event.kind, told))
    return written


def cancel(journal: Journal, transfer: Transfer, told: dict[str, Any]) -> Transfer:
    """End a transfer that nobody can have been paid by and, of a batch, its payments with it; return it.

    Raises:
        NotCancellable: a signature of it may have been handed in. TransferEnded: it is over.
        Overtaken, JournalError: nothing was written.
    """
    ended = Event(EventKind.CANCELLED, told)
    freed = Event(EventKind.UNBATCHED, {"reason": told.get("reason")})
    with journal.writing() as connection:
        written = journal.write_event(connection, transfer, ended)
        members = journal.members(connection, transfer.key) if is_batch(transfer) else []
        for member in members:
            free = journal.write_event(connection, member, freed)
            journal.write_event(connection, free, ended)
    return written


def split(journal: Journal, batch: Transfer, told: dict[str, Any]) -> Transfer:
    """End a batch that cannot be paid as it is, and pay its halves instead, until a bad payment is alone.

    Raises:
        TransferError: the transfer is no batch.
        Overtaken, JournalError: nothing was written.
    """
    if not isinstance(batch.intent, BatchTransfer):
        raise TransferError(f"{batch.id} is no batch")
    with journal.writing() as connection:
        written = journal.write_event(connection, batch, Event(EventKind.FAILED, told))
        members = journal.members(connection, batch.key)
        half = (len(members) + 1) // 2
        parts = (members[:half], members[half:])
        for name, some in zip(halves_of(batch.id), parts, strict=True):
            _pay_apart(journal, connection, batch, name, some)
    return written


def _pay_apart(
    journal: Journal,
    connection: Connection,
    batch: Transfer,
    name: str,
    members: Sequence[Transfer],
) -> None:
    reason = f"batch {batch.id} could not be paid as a whole"
    free = [
        journal.write_event(connection, each, Event(EventKind.UNBATCHED, {"reason": reason}))
        for each in members
    ]
    if len(free) < 2:
        return
    new = NewTransfer(
        Key(batch.key.treasury, name),
        batch_of(name, free),
        batch.lane,
        batch.place,
        batch.standing.known.get("confirmed_by"),
    )
    gather(journal, connection, new, free)


def batch_of(name: str, members: Sequence[Transfer]) -> BatchTransfer:
    """Return the batch that pays these transfers, in their order.

    Raises:
        RequestError, AddressError: one of them cannot be paid in a batch.
    """
    payments = [
        BatchPayment(each.intent.token, each.intent.recipient, each.intent.amount)
        for each in members
        if isinstance(each.intent, TransferIntent)
    ]
    return BatchTransfer(name, members[0].intent.wallet, tuple(payments))
