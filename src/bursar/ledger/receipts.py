"""Receipts: what was decided, signed or consented to, each bound to the one before by its hash. Pure.

A receipt is a JSON object of texts, whole numbers, booleans, nulls, lists and objects. Its hash is SHA-256 over
its canonical JSON without the `hash` itself: names sorted, no spaces, ASCII. `previous` is the hash of the receipt
before, so that none can be changed, left out or moved without every later hash changing too.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final, TypeGuard

from bursar.errors import LedgerDamaged
from bursar.strict_json import NotStrictJson, loads

GENESIS: Final = "0" * 64
_HASH: Final = re.compile(r"\A[0-9a-f]{64}\Z", re.ASCII)
_FIELDS: Final = {"book", "number", "previous", "at", "event", "body", "hash"}


class Event(StrEnum):
    """What a receipt is about.

    DECISION: something was allowed, refused, or has to wait. SIGNATURE: KMS signed what a decision allowed.
    FAILURE: it did not. CONSENT: somebody approved a digest.
    """

    DECISION = "decision"
    SIGNATURE = "signature"
    FAILURE = "failure"
    CONSENT = "consent"


@dataclass(frozen=True, slots=True)
class Head:
    """Where a chain ends: the last receipt's number, counted from 1, and its hash. Number 0 is an empty chain."""

    number: int = 0
    hash: str = GENESIS

    def __str__(self) -> str:
        return f"{self.number}:{self.hash}"

    def to_text(self, recent: Sequence[Mapping[str, str]] = ()) -> str:
        """Return the head as a store keeps it, with the entries that the last pages wrote, oldest first."""
        return canonical({"number": self.number, "hash": self.hash, "recent": list(recent)})

    @classmethod
    def read(cls, text: str | None) -> Head:
        """Return the head in a store's text; without one, that of an empty chain.

        Raises:
            LedgerDamaged: it is none.
        """
        if text is None:
            return cls()
        body = read_json(text, "the head")
        number, digest = body.get("number"), body.get("hash")
        if not _is_number(number) or not isinstance(digest, str) or not _HASH.match(digest):
            raise LedgerDamaged("the head of the ledger is not one")
        return cls(number, digest)


def read_recent(text: str | None) -> list[dict[str, str]]:
    """Return the entries that the last pages wrote, oldest page first, of a head's text.

    Raises:
        LedgerDamaged: they are none.
    """
    found = [] if text is None else read_json(text, "the head").get("recent", [])
    if not isinstance(found, list) or not all(_is_entries(each) for each in found):
        raise LedgerDamaged("what the head of the ledger says of the last pages is not that")
    return found


def _is_entries(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(text, str) for text in value.values())


@dataclass(frozen=True, slots=True)
class Receipt:
    """One record of a book. `body` is what its event says; see `docs/reference/ledger.md`."""

    book: str
    number: int
    previous: str
    at: str
    event: str
    body: Mapping[str, Any]

    @property
    def hash(self) -> str:
        """SHA-256 of the canonical form, 64 hex digits."""
        return hashlib.sha256(canonical(self._sealed()).encode()).hexdigest()

    @property
    def head(self) -> Head:
        """The head of a chain that ends here."""
        return Head(self.number, self.hash)

    def to_dict(self) -> dict[str, Any]:
        """Return the receipt as JSON has it, its hash included."""
        return self._sealed() | {"hash": self.hash}

    def _sealed(self) -> dict[str, Any]:
        return {
            "book": self.book,
            "number": self.number,
            "previous": self.previous,
            "at": self.at,
            "event": self.event,
            "body": self.body,
        }


def following(
    head: Head, book: str, at: datetime, event: Event, body: Mapping[str, Any]
) -> Receipt:
    """Return the receipt that follows a head."""
    return Receipt(book, head.number + 1, head.hash, moment_text(at), event.value, body)


def read_receipt(text: str | bytes) -> tuple[Receipt, str]:
    """Return the receipt in its JSON and the hash that is stated in it, which is not compared here.

    Raises:
        LedgerDamaged: it is not a receipt.
    """
    body = read_json(text, "a receipt")
    wrong = (
        set(body) != _FIELDS
        or not _is_number(body["number"])
        or not isinstance(body["body"], dict)
        or not all(isinstance(body[name], str) for name in _FIELDS - {"number", "body"})
    )
    if wrong:
        raise LedgerDamaged("a receipt does not have the fields of one")
    stated = body.pop("hash")
    return Receipt(**body), stated


def read_json(text: str | bytes, what: str) -> dict[str, Any]:
    """Return the JSON object in a store's text.

    Raises:
        LedgerDamaged: it is none.
    """
    try:
        body = loads(text.encode() if isinstance(text, str) else text, parse_float=_no_float)
    except (NotStrictJson, UnicodeEncodeError):
        raise LedgerDamaged(f"{what} in the ledger is not JSON") from None
    if not isinstance(body, dict):
        raise LedgerDamaged(f"{what} in the ledger is not a JSON object")
    return body


def canonical(value: Any) -> str:
    """Return the one JSON text of a value.

    Raises:
        TypeError: a float is in it, or something JSON has not.
    """
    _refuse_floats(value)
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def moment_text(at: datetime) -> str:
    """Return a moment in UTC with microseconds, so that texts sort as times do."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def moment_of(text: Any) -> datetime:
    """Return the moment that `moment_text` wrote.

    Raises:
        LedgerDamaged: it is none.
    """
    try:
        at = datetime.fromisoformat(text)
        if moment_text(at) == text:
            return at
    except (TypeError, ValueError, OverflowError):
        pass
    raise LedgerDamaged("a time in the ledger is none")


def _is_number(value: Any) -> TypeGuard[int]:
    return type(value) is int and value >= 1  # True is an int to Python


def _no_float(_: str) -> Any:
    raise NotStrictJson("a number with a point")


def _refuse_floats(value: Any) -> None:
    # Two programs may write one float in two ways, and then it has two hashes.
    if isinstance(value, float):
        raise TypeError("a receipt holds no floats")
    if isinstance(value, Mapping):
        for part in value.values():
            _refuse_floats(part)
    elif isinstance(value, list | tuple):
        for part in value:
            _refuse_floats(part)
