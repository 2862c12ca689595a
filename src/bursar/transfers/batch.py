"""Payments in one transaction: what was asked for, what Crossmint is asked, and whether it answers that. Pure.

A batch is a transaction of calls, one for each payment, under one signature: all of it lands or none. Crossmint
screens nobody in it, so it pays addresses, straight from the wallet.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Any, Final, Self

from bursar.chains.evm import parse_address
from bursar.crossmint.locators import (
    RecipientLocator,
    SignerLocator,
    TokenLocator,
    WalletLocator,
)
from bursar.crossmint.models import Transaction
from bursar.crossmint.requests import ContractCall, NewTransaction
from bursar.errors import AddressError, IntentMismatch, RequestError
from bursar.review.actions import Transfer, payment_call
from bursar.review.calldata import Call
from bursar.review.intent import MOST_PAYMENTS, BatchIntent
from bursar.transfers.intent import require_amount, require_id, require_same

_PART: Final = re.compile(r"(.+)\.part-(\d{1,3})", re.ASCII)
# With a part's number behind it, it is still an id.
_LONGEST: Final = 52


@dataclass(frozen=True, slots=True)
class BatchPayment:
    """One payment of a batch. `amount` is decimal text in whole tokens, as in "25.00".

    Raises:
        RequestError: the token is an NFT, or the recipient is a user, or on another chain.
        AddressError: the recipient is no EVM address, or its checksum is wrong.
        AmountError: the amount is no positive decimal text.
    """

    token: TokenLocator
    recipient: RecipientLocator
    amount: str

    def __post_init__(self) -> None:
        if self.recipient.address is None:
            raise RequestError(
                f"a batch cannot pay {self.recipient}: which address is a user's only Crossmint knows",
                hint="pay to the address of their wallet, or by a transfer of its own",
            )
        parse_address(self.recipient.address)
        if self.token.token_id is not None:
            raise RequestError(f"a batch cannot pay {self.token}, which is an NFT")
        if self.recipient.chain not in (None, self.token.chain):
            raise RequestError(
                f"{self.token} cannot be paid to {self.recipient}, which is on another chain"
            )
        require_amount(self.amount)

    @classmethod
    def parse(cls, *, token: str, recipient: str, amount: str) -> Self:
        """Return a payment from text.

        Raises:
            RequestError, LocatorError, AddressError, AmountError: the part that is wrong.
        """
        return cls(TokenLocator.parse(token), RecipientLocator.parse(recipient), amount)

    def __str__(self) -> str:
        return f"pay {self.amount} {self.token} to {self.recipient}"


@dataclass(frozen=True, slots=True)
class BatchTransfer:
    """Payments somebody asked for in one transaction, in this order; two of them may be the same.

    `id` is the caller's own, of the batch as a whole, and is used as the idempotency key: the same id never makes
    a second one.

    Raises:
        RequestError: the id is none, there are not 2 to `MOST_PAYMENTS` payments, or not all are on one chain.
    """

    id: str
    wallet: WalletLocator
    payments: tuple[BatchPayment, ...]

    def __post_init__(self) -> None:
        require_id(self.id)
        object.__setattr__(self, "payments", tuple(self.payments))
        if not 2 <= len(self.payments) <= MOST_PAYMENTS:
            raise RequestError(
                f"a batch has 2 to {MOST_PAYMENTS} payments, and {self.id} has {len(self.payments)}",
                hint="send one payment as a transfer, and more in several batches",
            )
        chains = sorted({each.token.chain for each in self.payments})
        if len(chains) > 1:
            raise RequestError(f"the payments of a batch are on one chain, not {', '.join(chains)}")

    @property
    def chain(self) -> str:
        """The chain of all its payments, by Crossmint's name."""
        return self.payments[0].token.chain

    def __str__(self) -> str:
        return f"{len(self.payments)} payments on {self.chain} from {self.wallet}"


def halves_of(batch_id: str) -> tuple[str, str]:
    """Return the ids of a batch's two halves: parts 2 and 3 of the whole, 4 and 5 of part 2, and so on.

    Numbered like that no part has another's id, and however often a batch is split, its parts' ids are ids.
    """
    part = _PART.fullmatch(batch_id)
    whole, number = (part[1], int(part[2])) if part else (batch_id, 1)
    if len(whole) > _LONGEST:
        digest = hashlib.sha256(whole.encode()).hexdigest()[:8]
        whole = f"{whole[: _LONGEST - 9]}.{digest}"
    return f"{whole}.part-{2 * number}", f"{whole}.part-{2 * number + 1}"


def new_transaction(intent: BatchIntent, signer: SignerLocator) -> NewTransaction:
    """Return what Crossmint is asked for: one call for each payment, in order, encoded here.

    `intent` is the batch in the review's words, as `Reading.batch` gives it.
    """
    calls = tuple(
        ContractCall(to=call.to, value=str(call.value), data=_hex(call.data))
        for call in _calls(intent)
    )
    return NewTransaction(calls=calls, chain=intent.chain, signer=signer)


def require_batch(transaction: Transaction, intent: BatchIntent, sender: str) -> None:
    """Refuse a transaction that says it is something else than this batch.

    `sender` is the address of the batch's wallet, from which the user operation must come. As `require_match`, it
    reads what the answer says of itself: that the operation does it is the review's to show.

    Raises:
        IntentMismatch: the first difference, with both values; a call is named by its number, counted from 1.
    """
    require_same("chain", transaction.chain, intent.chain)
    operation = transaction.on_chain.user_operation or {}
    require_same("wallet", str(operation.get("sender")).lower(), sender.lower())
    stated = transaction.params.get("calls")
    if not isinstance(stated, list):
        raise IntentMismatch("the transaction does not say which calls it makes")
    require_same("number of calls", str(len(stated)), str(len(intent.payments)))
    for number, (said, asked) in enumerate(zip(stated, _calls(intent), strict=True), 1):
        found = _stated(said, number)
        require_same(f"contract or recipient in call {number}", found.to, asked.to)
        require_same(f"value in call {number}", str(found.value), str(asked.value))
        require_same(f"data in call {number}", _hex(found.data), _hex(asked.data))


def _calls(intent: BatchIntent) -> tuple[Call, ...]:
    paid = (Transfer(each.token.contract, each.recipient, each.amount) for each in intent.payments)
    return tuple(payment_call(each) for each in paid)


def _hex(data: bytes) -> str:
    return f"0x{data.hex()}"


def _stated(said: Any, number: int) -> Call:
    """Return a call as `params.calls` shows it: `to`, `value` in wei as text, decimal or hex, `data` in hex."""
    try:
        value, data = said.get("value", "0"), said.get("data", "0x")
        units = int(value, 16 if value.startswith("0x") else 10)
        return Call(parse_address(said["to"]), units, bytes.fromhex(data.removeprefix("0x")))
    except (AttributeError, KeyError, TypeError, ValueError, AddressError):
        raise IntentMismatch(
            f"the transaction's own account of call {number} cannot be read"
        ) from None
