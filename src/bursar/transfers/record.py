"""A transfer as the journal has it. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from bursar.amounts import to_base_units
from bursar.crossmint.grammar import is_evm_address
from bursar.crossmint.locators import RecipientLocator, TokenLocator, WalletLocator
from bursar.errors import BursarError, JournalError, TransferConflict
from bursar.transfers.intent import TransferIntent, TransferType
from bursar.transfers.states import Standing

_DECIMALS = 40


class Lane(IntEnum):
    """How urgent a transfer is: what somebody waits for goes before what a payout does."""

    SINGLE = 1
    PAYOUT = 5


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """What names a transfer: the wallet's address, in lower case, and the caller's own id."""

    treasury: str
    id: str

    def __str__(self) -> str:
        return f"{self.treasury}/{self.id}"


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a payout a transfer stands: the payout's id, its line, the caller's note."""

    payout: str
    line: int
    note: str = ""


@dataclass(frozen=True, slots=True)
class Transfer:
    """A transfer: what was asked for, and where it stands.

    `version` counts its events, `turn` how often its work was begun anew; `batch` is the id of the transfer that
    pays it. Times are ISO 8601 in UTC.
    """

    key: Key
    intent: TransferIntent
    standing: Standing
    version: int
    turn: int
    lane: Lane
    created_at: str
    updated_at: str
    place: Place | None = None
    batch: str | None = None

    @property
    def id(self) -> str:
        """The caller's own id."""
        return self.key.id


@dataclass(frozen=True, slots=True)
class Happening:
    """An event of the journal: its number in the transfer, when, what, and what is told of it."""

    number: int
    at: str
    kind: str
    data: Mapping[str, Any]


def intent_text(intent: TransferIntent) -> str:
    """Return an intent as the journal keeps it: canonical JSON, the amount as it was given."""
    return canonical(
        {
            "wallet": str(intent.wallet),
            "token": str(intent.token),
            "recipient": str(intent.recipient),
            "amount": intent.amount,
            "type": intent.type.value,
        }
    )


def read_intent(transfer_id: str, text: str) -> TransferIntent:
    """Return the intent that `intent_text` wrote.

    Raises:
        JournalError: it is not one.
    """
    try:
        body = json.loads(text)
        return TransferIntent(
            transfer_id,
            WalletLocator.parse(body["wallet"]),
            TokenLocator.parse(body["token"]),
            RecipientLocator.parse(body["recipient"]),
            body["amount"],
            TransferType(body["type"]),
        )
    except (ValueError, KeyError, TypeError, BursarError):
        raise JournalError(f"what the journal has of {transfer_id} is no transfer") from None


def require_same(kept: TransferIntent, asked: TransferIntent) -> None:
    """Refuse an id that is another payment's. How an amount or an address is written makes no difference.

    Raises:
        TransferConflict: the first difference, with both values.
    """
    pairs = (
        ("amount", kept.amount, asked.amount, _amount),
        ("token", str(kept.token), str(asked.token), _caseless),
        ("recipient", str(kept.recipient), str(asked.recipient), _caseless),
        ("type", kept.type.value, asked.type.value, str),
    )
    for what, had, wants, form in pairs:
        if form(had) != form(wants):
            raise TransferConflict(
                f"{asked.id} is another payment's id: its {what} is {had}, but {wants} is asked for",
                hint="see it with: bursar transfer show; a new payment needs a new id",
            )


def canonical(value: Mapping[str, Any]) -> str:
    """Return JSON text that is the same for the same value."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def digest_of(text: str) -> str:
    """Return the SHA-256 of a text, in hex."""
    return hashlib.sha256(text.encode()).hexdigest()


def _caseless(locator: str) -> str:
    # Only an EVM address means the same in any letter case: a user's id does not, nor does base58.
    return ":".join(part.lower() if is_evm_address(part) else part for part in locator.split(":"))


def _amount(text: str) -> int:
    return to_base_units(text, _DECIMALS)
