"""What the chain says about one payment. Pure.

The question is narrow: did this very user operation land, did it succeed, and did it move exactly what was asked
for out of this wallet? Tokens are proved by their own `Transfer` events. The chain's coin leaves no event: there
the operation's success is the proof, for its hash covers recipient and amount, which the review has read.

Gas, and tokens that the operation's own paymaster takes for it, are not payments.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from bursar.chains.evm import parse_address
from bursar.errors import DigestError, RequestError
from bursar.review.actions import Transfer
from bursar.review.chains import chain_id
from bursar.settlement.answers import Receipt
from bursar.settlement.turns import Turn, operations_in

_SHOWN: Final = 3


class Finding(StrEnum):
    """What the chain shows."""

    PAID = "paid"
    NOT_YET = "not_yet"
    REVERTED = "reverted"
    CONTRADICTED = "contradicted"


class Proof(StrEnum):
    """By what a payment is proved: each by its token's event, or some only by the operation's success."""

    TRANSFERS = "transfers"
    SUCCESS = "success"


@dataclass(frozen=True, slots=True)
class Question:
    """Was exactly this paid?

    `chain` is Crossmint's name, `operation` the 32-byte user operation hash as it was signed, `payments` what was
    asked for, in base units (`Review.payments`). `from_block` is the chain's height before the approval: the
    operation cannot be in an earlier block. `named` is the transaction hash Crossmint gave, 0x hex, if it has.

    Raises:
        ConfigError: a chain whose id bursar does not know.
        AddressError: a wallet, token or recipient that is no address.
        DigestError: the hash is not 32 bytes.
        RequestError: no payment, an amount that is no positive int, or a block below 0.
    """

    chain: str
    wallet: str
    operation: bytes
    payments: tuple[Transfer, ...]
    from_block: int
    named: str | None = None

    def __post_init__(self) -> None:
        chain_id(self.chain)
        if not isinstance(self.operation, bytes) or len(self.operation) != 32:
            raise DigestError("a user operation hash is 32 bytes")
        if not self.payments or not all(_is_count(each.amount, 1) for each in self.payments):
            raise RequestError("a question about a payment has payments of positive base units")
        if not _is_count(self.from_block, 0):
            raise RequestError("a block's number is 0 or more")
        object.__setattr__(self, "wallet", parse_address(self.wallet))
        object.__setattr__(self, "payments", tuple(_checksummed(each) for each in self.payments))


@dataclass(frozen=True, slots=True)
class Verdict:
    """The chain's answer, in `words` for people.

    `transaction`, `block` and `logs` (indexes in the block: the transfers, and last the EntryPoint's event) say
    where; all are empty where nothing was found. `proof` is there once it is PAID.
    """

    finding: Finding
    words: str
    transaction: str | None = None
    block: int | None = None
    logs: tuple[int, ...] = ()
    proof: Proof | None = None

    @property
    def found_nothing(self) -> bool:
        """Whether the chain has no trace of the operation."""
        return self.finding is Finding.NOT_YET and self.transaction is None


NOTHING: Final = Verdict(Finding.NOT_YET, "the chain has no trace of the operation")


def judge(question: Question, receipt: Receipt) -> Verdict:
    """Return what a receipt shows, final or not: see `once_final`.

    Raises:
        ChainError: its logs are not EntryPoint v0.7's.
    """
    turn = Turn.of(receipt, question.operation)
    if not receipt.succeeded or any(log.removed for log in receipt.logs):
        return replace(NOTHING, words=f"transaction {receipt.transaction} was undone as a whole")
    if turn is None:
        held = f"holds {operations_in(receipt)} other user operations and not this one"
        words = f"transaction {receipt.transaction}, which Crossmint names, {held}"
        return Verdict(Finding.CONTRADICTED, words, receipt.transaction, receipt.block)
    where = f"transaction {receipt.transaction}, block {receipt.block}"
    verdict = _of_turn(question, turn)
    return replace(
        verdict,
        words=f"{verdict.words}: {where}",
        transaction=receipt.transaction,
        block=receipt.block,
    )


def once_final(
    verdict: Verdict, receipt: Receipt, height: int, block_hash: str | None, confirmations: int
) -> Verdict:
    """Return the verdict once its block counts; until then NOT_YET, with what to wait for.

    `height` is the chain's, `block_hash` that of the block now at the receipt's number, both read after the
    receipt. A block that is the head has one confirmation.
    """
    if verdict.transaction is None:
        return verdict
    have = max(0, height - receipt.block + 1)
    if block_hash != receipt.block_hash:
        why = f"block {receipt.block} is not the one it was in any more"
    elif have < confirmations:
        why = f"block {receipt.block} has {have} of {confirmations} confirmations"
    else:
        return verdict
    words = f"transaction {receipt.transaction} is not final: {why}"
    return Verdict(Finding.NOT_YET, words, receipt.transaction, receipt.block)


def _of_turn(question: Question, turn: Turn) -> Verdict:
    found = turn.moved_from(question.wallet)
    logs = (*(log.index for log, _ in found), turn.index)
    fees = _fees(question, turn)
    moved = Counter(one for _, one in found if one) - Counter(fees)
    wrong = [] if turn.sender == question.wallet else [f"it is wallet {turn.sender}'s"]
    if not turn.succeeded:
        if not wrong and len(found) == len(fees):
            return Verdict(Finding.REVERTED, "the operation landed and was reverted", logs=logs)
        wrong.append("it was reverted")
    wrong += _differences(question.payments, moved)
    wrong += [f"a Transfer of {log.address} is no ERC-20's" for log, one in found if one is None]
    if wrong:
        words = f"the operation landed, but {'; '.join(wrong)}"
        return Verdict(Finding.CONTRADICTED, words, logs=logs)
    return _paid(question, fees, logs)


def _fees(question: Question, turn: Turn) -> list[Transfer]:
    """Return what the paymaster took in tokens, unless it is somebody who was to be paid."""
    if turn.paymaster is None or turn.paymaster in {each.recipient for each in question.payments}:
        return []
    moved = [one for _, one in turn.moved_from(question.wallet) if one]
    return [one for one in moved if one.recipient == turn.paymaster]


def _paid(question: Question, fees: list[Transfer], logs: tuple[int, ...]) -> Verdict:
    is_shown = all(each.token for each in question.payments)
    words = "paid exactly as asked"
    if not is_shown:
        words = "the operation succeeded, which is all that shows of the chain's own coin"
    if fees:
        words += f"; its paymaster took {_listed(fees)}"
    proof = Proof.TRANSFERS if is_shown else Proof.SUCCESS
    return Verdict(Finding.PAID, words, logs=logs, proof=proof)


def _differences(payments: Iterable[Transfer], moved: Counter[Transfer]) -> list[str]:
    asked = Counter(each for each in payments if each.token)
    missing, besides = list((asked - moved).elements()), list((moved - asked).elements())
    wrong = [f"nothing shows {_listed(missing)}"] if missing else []
    return wrong + ([f"nobody asked for {_listed(besides)}"] if besides else [])


def _listed(payments: list[Transfer]) -> str:
    said = [f"{p.amount} base units of {p.token} to {p.recipient}" for p in payments[:_SHOWN]]
    return ", ".join(said) + (f" and {len(payments) - _SHOWN} more" if payments[_SHOWN:] else "")


def _checksummed(payment: Transfer) -> Transfer:
    token = None if payment.token is None else parse_address(payment.token)
    return Transfer(token, parse_address(payment.recipient), payment.amount)


def _is_count(value: object, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least
