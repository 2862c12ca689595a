"""A transfer as the journal has it. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from bursar.amounts import to_base_units
from bursar.crossmint.grammar import is_evm_address
from bursar.crossmint.locators import RecipientLocator, TokenLocator, WalletLocator
from bursar.errors import BursarError, JournalError, TransferConflict
from bursar.transfers.batch import BatchPayment, BatchTransfer
from bursar.transfers.intent import TransferIntent, TransferType
from bursar.transfers.states import Standing

_DECIMALS = 40
# What can be asked for: one payment, or several in one transaction.
Asked = TransferIntent | BatchTransfer


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
    intent: Asked
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


def intent_text(intent: Asked) -> str:
    """Return an intent as the journal keeps it: canonical JSON, amounts as they were given."""
    if isinstance(intent, BatchTransfer):
        payments = [_payment(each) for each in intent.payments]
        return canonical({"wallet": str(intent.wallet), "payments": payments})
    body = _payment(intent) | {"wallet": str(intent.wallet), "type": intent.type.value}
    return canonical(body)


def read_intent(transfer_id: str, text: str) -> Asked:
    """Return the intent that `intent_text` wrote.

    Raises:
        JournalError: it is not one.
    """
    try:
        body = json.loads(text)
        wallet = WalletLocator.parse(body["wallet"])
        if "payments" in body:
            payments = tuple(BatchPayment.parse(**each) for each in body["payments"])
            return BatchTransfer(transfer_id, wallet, payments)
        return TransferIntent(
            transfer_id,
            wallet,
            TokenLocator.parse(body["token"]),
            RecipientLocator.parse(body["recipient"]),
            body["amount"],
            TransferType(body["type"]),
        )
    except (ValueError, KeyError, TypeError, BursarError):
        raise JournalError(f"what the journal has of {transfer_id} is no transfer") from None


def require_same(kept: Asked, asked: Asked) -> None:
    """Refuse an id that is another payment's. How an amount or an address is written makes no difference.

    Raises:
        TransferConflict: the first difference, with both values.
    """
    for had, wants, form in _pairs(kept, asked):
        if form(had) != form(wants):
            raise TransferConflict(
                f"{asked.id} is another payment's id: its {form.what} is {had}, but {wants} is asked for",
                hint="see it with: bursar transfer show; a new payment needs a new id",
            )


def require_same_place(kept: Transfer, place: Place | None) -> None:
    """Refuse an id that is paid elsewhere: by another payout, or by none.

    Raises:
        TransferConflict: where it is paid.
    """
    payouts = [each.payout if each else None for each in (kept.place, place)]
    if payouts[0] != payouts[1]:
        where = f"payout {payouts[0]}" if payouts[0] else "a transfer of its own"
        raise TransferConflict(
            f"{kept.id} is paid already by {where}",
            hint="see it with: bursar transfer show; a new payment needs a new id",
        )


@dataclass(frozen=True, slots=True)
class _Form:
    """A part of a payment, and how two ways to write it are found to be one."""

    what: str
    same: Callable[[str], object]

    def __call__(self, text: str) -> object:
        return self.same(text)


def _pairs(kept: Asked, asked: Asked) -> Iterator[tuple[str, str, _Form]]:
    if isinstance(kept, TransferIntent) and isinstance(asked, TransferIntent):
        yield from _payment_pairs(kept, asked)
        yield kept.type.value, asked.type.value, _Form("type", str)
        return
    counts = [
        str(len(each.payments)) if isinstance(each, BatchTransfer) else "1"
        for each in (kept, asked)
    ]
    yield counts[0], counts[1], _Form("number of payments", str)
    if isinstance(kept, BatchTransfer) and isinstance(asked, BatchTransfer):
        for one, other in zip(kept.payments, asked.payments, strict=True):
            yield from _payment_pairs(one, other)


def _payment_pairs(
    kept: TransferIntent | BatchPayment, asked: TransferIntent | BatchPayment
) -> Iterator[tuple[str, str, _Form]]:
    yield kept.amount, asked.amount, _Form("amount", _amount)
    yield str(kept.token), str(asked.token), _Form("token", _caseless)
    yield str(kept.recipient), str(asked.recipient), _Form("recipient", _caseless)


def _payment(payment: TransferIntent | BatchPayment) -> dict[str, Any]:
    return {
        "token": str(payment.token),
        "recipient": str(payment.recipient),
        "amount": payment.amount,
    }


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
