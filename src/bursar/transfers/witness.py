"""The chain as the second witness of a transfer: paid is what both it and Crossmint say."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any, Final

from bursar.crossmint.approvals import Status
from bursar.crossmint.models import Transaction
from bursar.errors import ConfigError
from bursar.review.actions import Transfer as Moved
from bursar.settlement.agreement import Agreement, Outcome, compare
from bursar.settlement.chain_witness import ChainWitness
from bursar.settlement.judgement import NOTHING, Question, Verdict
from bursar.transfers.batch import BatchTransfer
from bursar.transfers.intent import TransferIntent
from bursar.transfers.journal import utc_now
from bursar.transfers.reading import Reading
from bursar.transfers.record import Key, Transfer
from bursar.transfers.sight import Sight
from bursar.transfers.states import ELSEWHERE, MAY_STILL_LAND, UNDONE, EventKind, Hold

# For how long Crossmint may call paid what the chain has no trace of: nodes lag by seconds.
_LAG: Final = timedelta(minutes=15)
_LOOK: Final = "pay nothing anew; look at the transaction in a block explorer, then ask Crossmint"
_MAY_LAND: Final = (
    "pay nobody anew: its nonce is free, so it can land. Once anything else of the wallet has landed, resume "
    "it: it is known to be void then"
)
_EARLIER: Final = (
    "it was approved by somebody else, before it was asked for here: see in a block explorer whether it is this "
    "payment, and say so: bursar transfer conclude"
)
_REPLACED: Final = "another operation took the wallet's nonce, so this one can never land"
# How far back is looked where nobody noted the chain's height before the approval.
_BLOCKS: Final = 10_000


class BothWitnesses:
    """`transfers.desk.Witness` that hears the chain as well, through one node. Threads may share it."""

    def __init__(
        self,
        chain: ChainWitness,
        reading: Reading,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._chain, self._reading, self._clock = chain, reading, clock
        # Since when Crossmint calls paid, to this process, what the chain has no trace of.
        self._unseen: dict[Key, datetime] = {}

    def height(self, transfer: Transfer) -> int:
        """Return how far the chain has come. One or two reads.

        Raises:
            ConfigError: the transfer is on another chain than the node.
            ChainUnavailable, ChainError: it is not known; nothing is asked for or handed in then.
        """
        if chain_of(transfer) != self._chain.chain:
            raise ConfigError(
                f"{transfer.id} is paid on {chain_of(transfer)}, and chain.rpc_url is of {self._chain.chain}",
                hint="set chain.rpc_url and chain.name to the chain that is paid on, then resume it",
            )
        return self._chain.height()

    def see(self, transfer: Transfer, transaction: Transaction) -> Sight:
        """Return what Crossmint's final word and the chain's say together. Some reads.

        Raises:
            ConfigError: it is on another chain than the node's.
            ChainUnavailable, ChainError: the chain cannot be asked; nothing is settled then.
        """
        # Read first, so that what is searched afterwards reaches at least as far.
        is_void = transaction.status is Status.FAILED and self._is_used(transfer)
        verdict, is_read = self._verdict(transfer, transaction)
        found = compare(transaction.status, verdict)
        told = {"chain_transaction": verdict.transaction, "reason": found.words}
        if found.agreement is Agreement.PAID:
            return self._paid(transfer, verdict, told, is_read=is_read)
        if found.agreement is Agreement.FAILED:
            return Sight(EventKind.FAILED, told | {"code": "transaction_failed", UNDONE: True})
        if found.agreement is Agreement.UNSEEN:
            return _unseen(told, is_void=is_void)
        if self._is_contradiction(transfer, found, verdict):
            code = {"code": "settlement_contradicted", "hint": _LOOK}
            return Sight(EventKind.CONTRADICTED, told | code)
        return Sight(None)

    def _paid(
        self, transfer: Transfer, verdict: Verdict, told: dict[str, Any], *, is_read: bool
    ) -> Sight:
        self._unseen.pop(transfer.key, None)
        since = transfer.standing.known.get("block")
        if not is_read and (since is None or (verdict.block or 0) < int(since)):
            # Nobody here has read it: it may be a payment of the same amount that was made long ago.
            held = {"hold": Hold.TROUBLE.value, "code": ELSEWHERE, "hint": _EARLIER}
            return Sight(EventKind.HELD, told | held)
        proof = verdict.proof.value if verdict.proof else None
        paid = {"chain_transaction": verdict.transaction, "block_landed": verdict.block}
        return Sight(EventKind.SETTLED, paid | {"proof": proof})

    def _is_used(self, transfer: Transfer) -> bool:
        """Tell whether its nonce was used since the chain's height was noted: by it, or by something else."""
        known = transfer.standing.known
        if "nonce" not in known or known.get("block") is None:
            return False
        return self._chain.is_used(transfer.key.treasury, int(str(known["nonce"]), 16))

    def _is_contradiction(self, transfer: Transfer, found: Outcome, verdict: Verdict) -> bool:
        if found.agreement is Agreement.CONTRADICTION:
            return True
        if not verdict.found_nothing:
            return False
        first = self._unseen.setdefault(transfer.key, self._clock())
        return self._clock() - first > _LAG

    def _verdict(self, transfer: Transfer, transaction: Transaction) -> tuple[Verdict, bool]:
        """Return what the chain shows of the transfer, and whether of an operation that was read here.

        Whichever it has of those; and of the one that Crossmint names where it has none of them.
        """
        read = operations_of(transfer)
        named = transaction.user_operation_hash
        if not read and named is None:
            raise ConfigError("Crossmint does not say which user operation the transaction is")
        for operation in (*read, *([named] if named and named not in read else [])):
            found = self._chain.verdict(self._question(transfer, transaction, operation))
            if not found.found_nothing:
                return found, operation in read
        return NOTHING, bool(read)

    def _question(self, transfer: Transfer, transaction: Transaction, operation: str) -> Question:
        block = transfer.standing.known.get("block")
        first = max(0, self._chain.height() - _BLOCKS) if block is None else int(block)
        return Question(
            chain_of(transfer),
            transfer.key.treasury,
            bytes.fromhex(operation.removeprefix("0x")),
            tuple(self._meant(transfer, transaction)),
            first,
            transaction.on_chain.tx_id,
        )

    def _meant(self, transfer: Transfer, transaction: Transaction) -> Iterator[Moved]:
        asked = transfer.intent
        if isinstance(asked, BatchTransfer):
            meant = self._reading.batch(asked).payments
        else:
            meant = (self._reading.intent(transaction, asked),)
        for each in meant:
            yield Moved(each.token.contract, each.recipient, each.amount)


def operations_of(transfer: Transfer) -> list[str]:
    """Return the hashes of operations that were read here and may have been carried out, the last one first."""
    standing = transfer.standing
    last = standing.known.get("message")
    several = [*([str(last)] if last else []), *reversed(standing.handed_in)]
    return list(dict.fromkeys(several))


def _unseen(told: dict[str, Any], *, is_void: bool) -> Sight:
    if is_void:
        void = {"code": "transaction_failed", "reason": _REPLACED, UNDONE: True}
        return Sight(EventKind.FAILED, told | void)
    held = {"hold": Hold.TROUBLE.value, "code": MAY_STILL_LAND, "hint": _MAY_LAND}
    return Sight(EventKind.HELD, told | held)


def chain_of(transfer: Transfer) -> str:
    """Return the chain a transfer is paid on, by Crossmint's name."""
    asked = transfer.intent
    return asked.token.chain if isinstance(asked, TransferIntent) else asked.chain
