"""What the chain itself shows to have been paid, over many transfers that are over."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from bursar.amounts import to_base_units
from bursar.chains.evm import parse_address, parse_hash
from bursar.crossmint.grammar import is_evm_address
from bursar.crossmint.models import Transaction
from bursar.review.actions import Transfer as Moved
from bursar.settlement.chain_witness import ChainWitness
from bursar.settlement.judgement import Finding, Question
from bursar.transfers.batch import BatchPayment, BatchTransfer
from bursar.transfers.intent import TransferIntent
from bursar.transfers.reading import Reading
from bursar.transfers.record import Transfer
from bursar.transfers.states import Stage
from bursar.transfers.witness import chain_of, operations_of

# How far back is looked where nobody noted the chain's height before the approval.
_BLOCKS: Final = 10_000
# Returns Crossmint's transaction of a transfer, by one GET.
Fetch = Callable[[Transfer], Transaction]


@dataclass(frozen=True, slots=True)
class Tally:
    """What the chain shows: base units by token contract, None for the chain's coin; and what must not be.

    `alarms` are the ids of transfers that ended unpaid, by the journal, and are paid, by the chain.
    """

    units: dict[str | None, int]
    alarms: tuple[str, ...] = ()


def to_be_asked_about(transfers: Sequence[Transfer]) -> list[Transfer]:
    """Return those that are over and had a transaction: they were paid, or might have been all the same."""
    unpaid = {Stage.FAILED, Stage.CANCELLED}
    return [
        each
        for each in transfers
        if each.standing.stage is Stage.SETTLED
        or (each.standing.stage in unpaid and "transaction" in each.standing.known)
    ]


@dataclass(frozen=True, slots=True)
class Counting:
    """Counts at a node what was paid.

    `fetch` is asked where the journal does not know which operation to look for, or whom it pays: of what was
    approved elsewhere, is paid to a user, or ended unpaid.
    """

    chain: ChainWitness
    reading: Reading
    fetch: Fetch

    def count(
        self,
        transfers: Sequence[Transfer],
        progress: Callable[[int], None] = lambda _done: None,
    ) -> Tally:
        """Return what the chain shows of transfers that are `to_be_asked_about`. Some reads a transfer.

        Each is asked about alone, so that none counts twice: one that is not shown, or shows something else,
        counts as nothing. What nobody noted the chain's height for is looked for in the last 10,000 blocks, and in
        the transaction that Crossmint names.

        Raises:
            ChainUnavailable, ChainError, CrossmintError: nothing is known.
        """
        sums: Counter[str | None] = Counter()
        alarms = []
        for number, transfer in enumerate(transfers, 1):
            paid = self._paid(transfer)
            for payment in paid:
                sums[payment.token] += payment.amount
            if paid and transfer.standing.stage is not Stage.SETTLED:
                alarms.append(transfer.id)
            progress(number)
        return Tally(dict(sums), tuple(alarms))

    def _paid(self, transfer: Transfer) -> tuple[Moved, ...]:
        for question in self._questions(transfer):
            if self.chain.verdict(question).finding is Finding.PAID:
                return question.payments
        return ()

    def _questions(self, transfer: Transfer) -> Iterator[Question]:
        read, named = operations_of(transfer), transfer.standing.known.get("chain_transaction")
        payments = self._payments(transfer)
        asked: list[str] = []
        if payments and transfer.standing.stage is Stage.SETTLED:
            asked = read
            for operation in asked:
                yield self._question(transfer, payments, operation, named)
        # Once it was reviewed it may have been built anew, and then approved elsewhere.
        seen = self.fetch(transfer)
        payments = payments or self._payments(transfer, seen)
        rest = dict.fromkeys(
            each for each in (*read, seen.user_operation_hash) if each not in asked
        )
        for each in rest if payments else ():
            if each is not None:
                yield self._question(transfer, payments, each, named or seen.on_chain.tx_id)

    def _question(
        self, transfer: Transfer, payments: tuple[Moved, ...], operation: str, named: str | None
    ) -> Question:
        noted = transfer.standing.known.get("block")
        first = max(0, self.chain.height() - _BLOCKS) if noted is None else int(noted)
        chain, wallet = chain_of(transfer), transfer.key.treasury
        return Question(chain, wallet, parse_hash(operation), payments, first, named)

    def _payments(self, transfer: Transfer, seen: Transaction | None = None) -> tuple[Moved, ...]:
        """Return what a transfer pays; nothing where only Crossmint knows whom, and `seen` does not say."""
        asked = transfer.intent
        if isinstance(asked, BatchTransfer):
            return tuple(self._moved(each, each.recipient.address or "") for each in asked.payments)
        address = asked.recipient.address or _stated(seen)
        return () if address is None else (self._moved(asked, address),)

    def _moved(self, asked: TransferIntent | BatchPayment, address: str) -> Moved:
        token = self.reading.token(asked.token)
        units = to_base_units(asked.amount, token.decimals or 0)
        return Moved(token.contract, parse_address(address), units)


def _stated(seen: Transaction | None) -> str | None:
    sent = seen.send_params if seen else None
    address = sent.params.recipient_address if sent else None
    return address if address is not None and is_evm_address(address) else None
