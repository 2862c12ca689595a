"""Who can tell whether a transfer was paid: Crossmint alone, or somebody besides."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from bursar.crossmint.models import Transaction
from bursar.errors import BursarError
from bursar.transfers import batches
from bursar.transfers.record import Transfer
from bursar.transfers.states import MAY_STILL_LAND, UNDONE, EventKind, Hold

_ASK_A_NODE: Final = (
    "pay nobody anew yet: set chain.rpc_url and resume it, which asks the chain; or see for yourself what became "
    "of it, and say so: bursar transfer conclude"
)


@dataclass(frozen=True, slots=True)
class Sight:
    """What the chain says of a transaction: that it is paid, that it is not (yet), or that something is wrong."""

    event: EventKind | None
    data: dict[str, Any] = field(default_factory=dict)


class Witness(Protocol):
    """Somebody besides Crossmint who can tell whether a transfer was paid."""

    def height(self, transfer: Transfer) -> int:
        """Return how far the transfer's chain has come, to look no further back later."""
        ...

    def see(self, transfer: Transfer, transaction: Transaction) -> Sight:
        """Return what a final transaction of Crossmint's is, by the chain; no event means: look again later."""
        ...


class NoWitness:
    """Takes Crossmint's word; but nobody is paid anew on it whose first payment may still land."""

    def height(self, transfer: Transfer) -> int:
        """Return 0: nothing is looked for later."""
        del transfer
        return 0

    def see(self, transfer: Transfer, transaction: Transaction) -> Sight:
        """Return what Crossmint says."""
        if transaction.succeeded:
            return Sight(EventKind.SETTLED, {"chain_transaction": transaction.on_chain.tx_id})
        if _was_reverted(transaction) and not batches.is_batch(transfer):
            return Sight(EventKind.FAILED, _failure(transaction) | {UNDONE: True})
        told = {"hold": Hold.TROUBLE.value, "code": MAY_STILL_LAND, "hint": _ASK_A_NODE}
        return Sight(EventKind.HELD, _failure(transaction) | told)


def _failure(transaction: Transaction) -> dict[str, Any]:
    try:
        transaction.require_not_failed()
    except BursarError as failed:
        return {"code": failed.code, "reason": failed.message, "hint": failed.hint}
    return {"code": "transaction_failed", "reason": "Crossmint says that it failed"}


def _was_reverted(transaction: Transaction) -> bool:
    """Tell whether Crossmint says that it was on the chain and its calls undone there: its nonce is used then."""
    error = transaction.error
    if error is None or error.reason != "execution_reverted" or transaction.on_chain.tx_id is None:
        return False
    return (error.revert or {}).get("type") == "contract_call"
