"""The chain as the second witness of a transfer: paid is what both it and Crossmint say."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Final

from bursar.crossmint.models import Transaction
from bursar.errors import ConfigError
from bursar.review.actions import Transfer as Moved
from bursar.settlement.agreement import Agreement, Outcome, compare
from bursar.settlement.chain_witness import ChainWitness
from bursar.settlement.judgement import Question, Verdict
from bursar.transfers.batch import BatchTransfer
from bursar.transfers.desk import MAY_LAND, Sight
from bursar.transfers.intent import TransferIntent
from bursar.transfers.journal import utc_now
from bursar.transfers.reading import Reading
from bursar.transfers.record import Transfer
from bursar.transfers.states import EventKind, Hold

# For how long Crossmint may call paid what the chain has no trace of: nodes lag by seconds.
_LAG: Final = timedelta(minutes=15)
_LOOK: Final = "pay nothing anew; look at the transaction in a block explorer, then ask Crossmint"
# How far back is looked where nobody noted the chain's height before the approval.
_BLOCKS: Final = 10_000


class BothWitnesses:
    """`transfers.desk.Witness` that hears the chain as well, through one node."""

    def __init__(
        self,
        chain: ChainWitness,
        reading: Reading,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._chain, self._reading, self._clock = chain, reading, clock

    def height(self) -> int:
        """Return how far the chain has come. One or two reads.

        Raises:
            ChainUnavailable, ChainError: it is not known; nothing is handed in then.
        """
        return self._chain.height()

    def see(self, transfer: Transfer, transaction: Transaction) -> Sight:
        """Return what Crossmint's final word and the chain's say together. Some reads.

        Raises:
            ConfigError: it is on another chain than the node's.
            ChainUnavailable, ChainError: the chain cannot be asked; nothing is settled then.
        """
        verdict = self._chain.verdict(self._question(transfer, transaction))
        found = compare(transaction.status, verdict)
        told = {"chain_transaction": verdict.transaction, "reason": found.words}
        if found.agreement is Agreement.PAID:
            proof = verdict.proof.value if verdict.proof else None
            paid = {"chain_transaction": verdict.transaction, "block_landed": verdict.block}
            return Sight(EventKind.SETTLED, paid | {"proof": proof})
        if found.agreement is Agreement.FAILED:
            return Sight(EventKind.FAILED, told | {"code": "transaction_failed", "undone": True})
        if found.agreement is Agreement.UNSEEN:
            held = {"hold": Hold.TROUBLE.value, "code": "may_still_land", "hint": MAY_LAND}
            return Sight(EventKind.HELD, told | held)
        if self._is_contradiction(transfer, found, verdict):
            code = {"code": "settlement_contradicted", "hint": _LOOK}
            return Sight(EventKind.CONTRADICTED, told | code)
        return Sight(None)

    def _is_contradiction(self, transfer: Transfer, found: Outcome, verdict: Verdict) -> bool:
        if found.agreement is Agreement.CONTRADICTION:
            return True
        since = self._clock() - datetime.fromisoformat(transfer.updated_at)
        return verdict.found_nothing and since > _LAG

    def _question(self, transfer: Transfer, transaction: Transaction) -> Question:
        message = transfer.standing.known.get("message") or transaction.user_operation_hash
        if message is None:
            raise ConfigError("Crossmint does not say which user operation the transaction is")
        block = transfer.standing.known.get("block")
        first = max(0, self._chain.height() - _BLOCKS) if block is None else int(block)
        return Question(
            chain_of(transfer),
            transfer.key.treasury,
            bytes.fromhex(str(message).removeprefix("0x")),
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


def chain_of(transfer: Transfer) -> str:
    """Return the chain a transfer is paid on, by Crossmint's name."""
    asked = transfer.intent
    return asked.token.chain if isinstance(asked, TransferIntent) else asked.chain
