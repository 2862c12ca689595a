"""What the caller asked for, and whether a transaction is that. Pure.

The comparison stands between Crossmint's answer and the key: it reads what the answer says of itself (status,
our own pending entry, the user operation's hash, recipient, amount, token and chain). It does not recompute the
hash or decode the calldata.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from bursar.amounts import to_base_units
from bursar.chains.evm import parse_hash
from bursar.crossmint.locators import (
    RecipientLocator,
    SignerLocator,
    TokenLocator,
    WalletLocator,
)
from bursar.crossmint.models import Transaction
from bursar.errors import DigestError, InputError, IntentMismatch, RequestError

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}", re.ASCII)
_MESSAGE = re.compile(r"0x[0-9a-fA-F]{64}", re.ASCII)
# More fractional digits than any token has, so that two decimal texts compare as exact integers.
_COMPARISON_DECIMALS = 40


class TransferType(StrEnum):
    """How Crossmint treats a transfer: with compliance checks on the recipient, or straight from the wallet."""

    REGULATED = "regulated-transfer"
    DIRECT = "direct"


@dataclass(frozen=True, slots=True)
class TransferIntent:
    """A payment somebody asked for.

    `id` is the caller's own and is used as the idempotency key: the same id never makes a second transfer.
    `amount` is decimal text in whole tokens, as in "25.00".
    """

    id: str
    wallet: WalletLocator
    token: TokenLocator
    recipient: RecipientLocator
    amount: str
    type: TransferType = TransferType.REGULATED

    def __post_init__(self) -> None:
        if not isinstance(self.id, str) or not _ID.fullmatch(self.id):
            raise RequestError(
                "a transfer's id is 1 to 64 letters, digits, dots, colons, dashes or underscores",
                hint="for example payroll-2026-11:0042",
            )
        _exact(self.amount)

    @classmethod
    def parse(
        cls, transfer_id: str, *, wallet: str, token: str, recipient: str, amount: str
    ) -> Self:
        """Return a regulated transfer's intent from text.

        Raises:
            RequestError, LocatorError, AmountError: the part that is wrong.
        """
        return cls(
            transfer_id,
            WalletLocator.parse(wallet),
            TokenLocator.parse(token),
            RecipientLocator.parse(recipient),
            amount,
        )

    def __str__(self) -> str:
        return f"pay {self.amount} {self.token} to {self.recipient} from {self.wallet}"


def message_to_sign(transaction: Transaction, signer: SignerLocator) -> bytes:
    """Return the 32-byte message that waits for this signer.

    Raises:
        NotAwaitingApproval: nothing waits for it.
        IntentMismatch: the message is not the user operation's hash.
        DigestError: the message is not 32 bytes of hex.
    """
    message = transaction.pending_for(signer).message
    if not _MESSAGE.fullmatch(message):
        raise DigestError("Crossmint's message is not 0x and 64 hex digits")
    stated = transaction.user_operation_hash
    if stated is None or stated.lower() != message.lower():
        raise IntentMismatch(
            "the message to sign is not the transaction's user operation hash",
            hint="do not sign it; show the transaction and ask Crossmint",
        )
    return parse_hash(message)


def require_match(transaction: Transaction, intent: TransferIntent) -> None:
    """Refuse a transaction that says it is something else than the intent.

    Raises:
        IntentMismatch: the first difference, with both values.
    """
    try:
        _compare(transaction, intent)
    except InputError as unreadable:
        raise IntentMismatch(
            f"the transaction's own account of itself cannot be read: {unreadable.message}"
        ) from None


def _compare(transaction: Transaction, intent: TransferIntent) -> None:
    sent = transaction.send_params
    if sent is None:
        raise IntentMismatch("the transaction does not say what it transfers")
    _require_same("chain", transaction.chain, intent.token.chain)
    _require_same("token", _token(sent.token, intent), str(intent.token))
    if sent.params.amount is None or _exact(sent.params.amount) != _exact(intent.amount):
        raise IntentMismatch(_difference("amount", sent.params.amount, intent.amount))
    if intent.recipient.address is not None:
        stated = sent.params.recipient_address or sent.params.recipient
        stated = RecipientLocator.parse(stated).address or ""
        _require_same("recipient", stated.lower(), intent.recipient.address.lower())


def describe(transaction: Transaction) -> str:
    """Return what the transaction says it does, in one line."""
    sent = transaction.send_params
    if sent is None:
        return (
            f"transaction {transaction.id} on {transaction.chain}, which does not say what it pays"
        )
    recipient = sent.params.recipient_address or sent.params.recipient
    return f"pay {sent.params.amount} {sent.token} to {recipient}"


def _token(stated: str, intent: TransferIntent) -> str:
    token = TokenLocator.parse(stated)
    by_other_name = (token.symbol is None) != (intent.token.symbol is None)
    # A symbol asked for may be answered by its contract: only the chain can be compared then.
    if by_other_name and token.chain == intent.token.chain:
        return str(intent.token)
    if token.contract and intent.token.contract:
        same = token.contract.lower() == intent.token.contract.lower()
        return str(intent.token) if same and token.chain == intent.token.chain else stated
    return str(token)


def _require_same(what: str, stated: str | None, asked: str) -> None:
    if stated != asked:
        raise IntentMismatch(_difference(what, stated, asked))


def _difference(what: str, stated: str | None, asked: str) -> str:
    return f"the transaction's {what} is {str(stated)[:80]!r}, but {asked!r} was asked for"


def _exact(amount: str) -> int:
    return to_base_units(amount, _COMPARISON_DECIMALS)
