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
from bursar.crossmint.approvals import Status
from bursar.crossmint.locators import (
    RecipientLocator,
    SignerLocator,
    TokenLocator,
    WalletLocator,
)
from bursar.crossmint.models import SendDetails, Transaction
from bursar.crossmint.reading import plain
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
        require_id(self.id)
        require_amount(self.amount)
        if self.recipient.chain not in (None, self.token.chain):
            raise RequestError(
                f"{self.token} cannot be paid to {self.recipient}, which is on another chain"
            )

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


def require_id(text: str) -> None:
    """Refuse what cannot be the caller's own id of a transfer.

    Raises:
        RequestError: not 1 to 64 letters, digits, dots, colons, dashes or underscores.
    """
    if not isinstance(text, str) or not _ID.fullmatch(text):
        raise RequestError(
            "a transfer's id is 1 to 64 letters, digits, dots, colons, dashes or underscores",
            hint="for example payroll-2026-11:0042",
        )


def require_amount(text: str) -> None:
    """Refuse what is no amount of any token.

    Raises:
        AmountError: not positive decimal text.
    """
    _exact(text)


def require_same(what: str, stated: str | None, asked: str) -> None:
    """Refuse a transaction that says something else than was asked for.

    Raises:
        IntentMismatch: the two differ.
    """
    if stated != asked:
        raise IntentMismatch(_difference(what, stated, asked))


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


def is_handed_in(transaction: Transaction, signer: SignerLocator) -> bool:
    """Tell whether this signer's approval may be in: Crossmint shows it, or says that it waits for none."""
    # In a word that is none of the documented ones it says nothing.
    is_past = transaction.status not in (Status.AWAITING_APPROVAL, Status.UNKNOWN)
    return is_past or bool(transaction.submitted_by(signer))


def require_match(transaction: Transaction, intent: TransferIntent, sender: str) -> None:
    """Refuse a transaction that says it is something else than the intent.

    `sender` is the address of the intent's wallet, from which the user operation must come.

    Raises:
        IntentMismatch: the first difference, with both values.
    """
    try:
        _compare(transaction, intent)
        operation = transaction.on_chain.user_operation or {}
        require_same("wallet", str(operation.get("sender")).lower(), sender.lower())
    except InputError as unreadable:
        raise IntentMismatch(
            f"the transaction's own account of itself cannot be read: {unreadable.message}"
        ) from None


def _compare(transaction: Transaction, intent: TransferIntent) -> None:
    sent = transaction.send_params
    if sent is None:
        raise IntentMismatch("the transaction does not say what it transfers")
    require_same("chain", transaction.chain, intent.token.chain)
    _compare_token(sent.token, intent.token)
    if sent.params.amount is None or _exact(sent.params.amount) != _exact(intent.amount):
        raise IntentMismatch(_difference("amount", sent.params.amount, intent.amount))
    _compare_recipient(sent.params, intent)


def _compare_token(stated: str, asked: TokenLocator) -> None:
    token = TokenLocator.parse(stated)
    if _token_key(token) == _token_key(asked):
        return
    hint = None
    if asked.symbol and token.contract and token.chain == asked.chain:
        hint = f"if {token.contract} is the contract you mean, name the token by it: {token}"
    raise IntentMismatch(_difference("token", stated, str(asked)), hint=hint)


def _token_key(token: TokenLocator) -> tuple[str | None, ...]:
    return (token.chain, token.symbol, (token.contract or "").lower(), token.token_id)


def _compare_recipient(sent: SendDetails, intent: TransferIntent) -> None:
    named = RecipientLocator.parse(sent.recipient)
    addresses = {address.lower() for address in (named.address, sent.recipient_address) if address}
    require_same("recipient's chain", named.chain or intent.token.chain, intent.token.chain)
    if intent.recipient.address is None:
        # Which address is a user's only Crossmint knows: the user must at least be the one asked for.
        if named.user != intent.recipient.user:
            raise IntentMismatch(
                _difference("recipient", sent.recipient, str(intent.recipient)),
                hint="pay to the address of the recipient's wallet instead",
            )
    elif addresses != {intent.recipient.address.lower()}:
        stated = " and ".join(sorted(addresses)) or sent.recipient
        raise IntentMismatch(_difference("recipient", stated, intent.recipient.address))


def _difference(what: str, stated: str | None, asked: str) -> str:
    return f"the transaction's {what} is {plain(stated, 100)}, but {asked} was asked for"


def _exact(amount: str) -> int:
    return to_base_units(amount, _COMPARISON_DECIMALS)
