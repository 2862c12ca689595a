"""What the chain itself shows to have been paid, over many transfers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bursar.amounts import to_base_units
from bursar.chains.evm import parse_address
from bursar.review.actions import Transfer as Moved
from bursar.settlement.chain_witness import ChainWitness
from bursar.settlement.judgement import Finding, Question
from bursar.transfers.batch import BatchTransfer
from bursar.transfers.reading import Reading
from bursar.transfers.record import Transfer
from bursar.transfers.witness import chain_of


def paid_on_chain(
    chain: ChainWitness,
    settled: Sequence[Transfer],
    reading: Reading,
    progress: Callable[[int], None] = lambda _done: None,
) -> dict[str | None, int]:
    """Return the base units that the chain shows to have been paid, by token contract; None is the chain's coin.

    Each transfer is asked about alone, so that none counts twice: one that is not shown, or shows something else,
    counts as nothing. Some reads a transfer.

    Raises:
        ChainUnavailable, ChainError: nothing is known.
    """
    sums: dict[str | None, int] = {}
    for number, transfer in enumerate(settled, 1):
        payments = _payments(transfer, reading)
        known = transfer.standing.known
        question = Question(
            chain_of(transfer),
            transfer.key.treasury,
            bytes.fromhex(str(known["message"]).removeprefix("0x")),
            payments,
            int(known.get("block") or 0),
            known.get("chain_transaction"),
        )
        shown = chain.verdict(question).finding is Finding.PAID
        for payment in payments:
            sums[payment.token] = sums.get(payment.token, 0) + (payment.amount if shown else 0)
        progress(number)
    return sums


def _payments(transfer: Transfer, reading: Reading) -> tuple[Moved, ...]:
    asked = transfer.intent
    each_asked = asked.payments if isinstance(asked, BatchTransfer) else (asked,)
    found = []
    for each in each_asked:
        token = reading.token(each.token)
        units = to_base_units(each.amount, token.decimals or 0)
        found.append(Moved(token.contract, parse_address(each.recipient.address or ""), units))
    return tuple(found)
