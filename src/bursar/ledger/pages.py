"""What a ledger remembers, and the names it keeps it under. Pure.

Amounts are base units, times aware datetimes, hashes and digests 0x hex in small letters, addresses keys as
`policy.model.address_key` gives them.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from bursar.errors import LedgerDamaged, RequestError
from bursar.ledger.receipts import (
    Event,
    Head,
    canonical,
    moment_of,
    moment_text,
    read_json,
)
from bursar.policy.decision import Reservation
from bursar.policy.proposal import Approval, Spend, Spent, spent_in

# After every name that begins so: the store's order is that of bytes, and names are ASCII.
_END: Final = "~"
_DIGITS: Final = re.compile(r"0|[1-9][0-9]{0,77}", re.ASCII)
# Names are ASCII, and no store has to keep long ones.
_PLAIN: Final = re.compile(r"[!-~]{1,400}", re.ASCII)
# A slow clock may have stamped an entry earlier than it was written.
_CLOCKS: Final = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Signed:
    """A signature that was made: 0x hex, whose, and KMS's id of the call."""

    signature: str
    address: str
    request_id: str


@dataclass(frozen=True, slots=True)
class Lease:
    """Who is having KMS sign an operation at this moment, and until when nobody else does."""

    holder: str
    until: datetime


@dataclass(frozen=True, slots=True)
class Operation:
    """What is remembered of one operation, by its hash: what must not happen twice is kept here.

    `transaction` is Crossmint's id of it. `asked_by` are the identities that asked for its signature: their own
    consent never counts. `spend` is the entry of what it took from the windows, None where it took nothing, and
    `took` what that was: keys to amount and count.
    `waiting`: it waits for consents. `signed` maps digests to signatures. `doubtful`: KMS may have signed it
    without our knowing, so that what it took is never given back. `reviewed`: it was looked at, so that a consent
    has to look too.
    """

    transaction: str
    asked_by: frozenset[str] = frozenset()
    waiting: bool = False
    spend: str | None = None
    lease: Lease | None = None
    signed: Mapping[str, Signed] = field(default_factory=dict)
    doubtful: bool = False
    reviewed: bool = False
    took: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def is_held(self) -> bool:
        """Whether it was allowed once, so that it may have been signed."""
        return bool(self.signed or self.lease or self.spend) or self.doubtful

    def to_text(self) -> str:
        """Return it as a store keeps it."""
        return canonical(
            {
                "transaction": self.transaction,
                "askedBy": sorted(self.asked_by),
                "waiting": self.waiting,
                "spend": self.spend,
                "lease": self.lease and [self.lease.holder, moment_text(self.lease.until)],
                "signed": {
                    digest: [each.signature, each.address, each.request_id]
                    for digest, each in self.signed.items()
                },
                "doubtful": self.doubtful,
                "reviewed": self.reviewed,
                "took": _uses_body(self.took),
            }
        )

    @classmethod
    def read(cls, text: str | None) -> Operation | None:
        """Return the operation in a store's text.

        Raises:
            LedgerDamaged: it is none.
        """
        if text is None:
            return None
        body = read_json(text, "an operation")
        try:
            lease = body["lease"]
            found = cls(
                body["transaction"],
                frozenset(_all_text(body["askedBy"])),
                body["waiting"],
                body["spend"],
                Lease(_text(lease[0]), moment_of(lease[1])) if lease is not None else None,
                {digest: Signed(*_all_text(each)) for digest, each in body["signed"].items()},
                body["doubtful"],
                body["reviewed"],
                _uses(body["took"]),
            )
            _text(found.transaction)
            if found.spend is not None:
                Taken.read(_text(found.spend), "{}")
        except (KeyError, TypeError, ValueError, IndexError, AttributeError):
            raise LedgerDamaged("an operation in the ledger is none") from None
        if any(type(each) is not bool for each in (found.waiting, found.doubtful, found.reviewed)):
            raise LedgerDamaged("an operation in the ledger is none")
        return found


@dataclass(frozen=True, slots=True)
class Taken:
    """What one operation took from the windows, and when: keys to amount and count. Given back, it is empty."""

    at: datetime
    operation: str
    uses: Mapping[str, tuple[int, int]]

    @property
    def name(self) -> str:
        """The entry's name; by the time, so that a window is a range of names."""
        return f"spend#{moment_text(self.at)}#{self.operation}"

    def to_text(self) -> str:
        """Return it as a store keeps it."""
        return canonical(_uses_body(self.uses))

    @classmethod
    def read(cls, name: str, text: str) -> Taken:
        """Return what is in an entry.

        Raises:
            LedgerDamaged: it is none.
        """
        try:
            _, at, operation = name.split("#")
            body = read_json(text, "an entry of a window")
            uses = _uses(body)
        except (ValueError, TypeError):
            raise LedgerDamaged("an entry of a window in the ledger is none") from None
        found = cls(moment_of(at), operation, uses)
        if found.name != name:
            raise LedgerDamaged("an entry of a window in the ledger is none")
        return found


@dataclass(frozen=True, slots=True)
class Claim:
    """Which operation an id was used for.

    One id pays once. Operations of one nonce exclude each other on the chain, so only another nonce pays again.
    `shared`: more than one operation of the nonce was allowed under the id, so that it is never free again.
    """

    operation: str
    nonce: str
    shared: bool = False

    def to_text(self) -> str:
        """Return it as a store keeps it."""
        body = {"operation": self.operation, "nonce": self.nonce, "shared": self.shared}
        return canonical(body)

    @classmethod
    def read(cls, text: str) -> Claim:
        """Return the claim in a store's text.

        Raises:
            LedgerDamaged: it is none.
        """
        body = read_json(text, "a claim")
        kinds = {name: type(value) for name, value in body.items()}
        if kinds != {"operation": str, "nonce": str, "shared": bool}:
            raise LedgerDamaged("a claim in the ledger is none")
        return cls(**body)


@dataclass(frozen=True, slots=True)
class Question:
    """What one page needs to know.

    `operation` is the hash it is about; `claims` the ids it would use; `recipients` those it would pay; `digest`
    whose consents count; `seconds` how far back windows reach, 0 where there are none.
    """

    operation: str
    claims: tuple[str, ...] = ()
    recipients: tuple[str, ...] = ()
    digest: str | None = None
    seconds: int = 0

    @property
    def names(self) -> list[str]:
        """The entries to get one by one."""
        return [
            operation_name(self.operation),
            *(claim_name(each) for each in self.claims),
            *(recipient_name(each) for each in self.recipients),
        ]


@dataclass(frozen=True, slots=True)
class Seen:
    """What the ledger holds at a moment, as far as it was asked. It is true as long as `head` is the head."""

    now: datetime
    head: Head
    operation: Operation | None = None
    claims: Mapping[str, Claim] = field(default_factory=dict)
    first_seen: Mapping[str, datetime] = field(default_factory=dict)
    consents: tuple[Approval, ...] = ()
    taken: tuple[Taken, ...] = ()

    def spent(
        self, reservations: Iterable[Reservation], operation: str
    ) -> dict[tuple[str, int], Spent]:
        """Return what went through the windows of these reservations, this operation's own left out.

        Raises:
            LedgerDamaged: it is more than any number of a chain.
        """
        needed = tuple(reservations)
        spends = self._spends({each.key for each in needed})
        try:
            return {
                (each.key, bound.seconds): spent_in(
                    spends[each.key], self.now, bound.seconds, but=operation
                )
                for each in needed
                for bound in each.bounds
            }
        except RequestError:
            raise LedgerDamaged("what was spent, by the ledger, cannot have been") from None

    def _spends(self, keys: set[str]) -> dict[str, list[Spend]]:
        """Return what went through these windows, reading each entry once however many there are."""
        found: dict[str, list[Spend]] = {key: [] for key in keys}
        for entry in self.taken:
            for key in keys & entry.uses.keys():
                amount, count = entry.uses[key]
                found[key].append(Spend(entry.at, amount, count, entry.operation))
        return found


@dataclass(frozen=True, slots=True)
class Page:
    """One receipt, and what is remembered differently from then on. `emptied` names what is given back.

    `verdict` is for whoever had the page written, and is kept nowhere: of several plans the one that was written
    counts, so what was decided is asked of the page and never of the planner.
    """

    event: Event
    body: Mapping[str, Any]
    about: str | None = None
    operation: Operation | None = None
    claims: Mapping[str, Claim] = field(default_factory=dict)
    first_seen: Mapping[str, datetime] = field(default_factory=dict)
    taken: Taken | None = None
    consent: Approval | None = None
    emptied: str | None = None
    verdict: Any = None

    def entries(self) -> dict[str, str]:
        """Return the entries to write besides the receipt and the head."""
        found = {claim_name(each): claim.to_text() for each, claim in self.claims.items()}
        for address, at in self.first_seen.items():
            found[recipient_name(address)] = canonical({"firstSeen": moment_text(at)})
        if self.operation is not None and self.about is not None:
            found[operation_name(self.about)] = self.operation.to_text()
        if self.emptied is not None:
            found[self.emptied] = canonical({})
        if self.taken is not None:
            found[self.taken.name] = self.taken.to_text()
        if self.consent is not None:
            found[consent_name(self.consent.digest, self.consent.principal)] = canonical(
                {"at": moment_text(self.consent.at)}
            )
        return found


def receipt_name(number: int) -> str:
    """Return the name of a receipt; names sort as numbers do."""
    return f"receipt#{number:012d}"


def operation_name(operation: str) -> str:
    """Return the name under which an operation is remembered."""
    return f"operation#{operation}"


def claim_name(identity: str) -> str:
    """Return the name under which an id's use is remembered. Ids that are not plain text are hashed."""
    if _PLAIN.fullmatch(identity):
        return f"claim#{identity}"
    return f"claim#sha256:{hashlib.sha256(identity.encode(errors='surrogatepass')).hexdigest()}"


def recipient_name(address: str) -> str:
    """Return the name under which it is remembered since when a recipient is known."""
    return f"recipient#{address}"


def consent_name(digest: str, principal: str) -> str:
    """Return the name of a consent."""
    return f"consent#{digest}#{principal}"


def consent_range(digest: str) -> tuple[str, str]:
    """Return the first and the last name that a consent to a digest can have."""
    return f"consent#{digest}#", f"consent#{digest}#{_END}"


def spend_range(now: datetime, seconds: int) -> tuple[str, str]:
    """Return the first and the last name of what can still be in a window; what a clock ahead wrote is in it."""
    begin = now - timedelta(seconds=seconds) - _CLOCKS
    return f"spend#{moment_text(begin)}", f"spend#{_END}"


def receipt_range(first: int = 1, last: int | None = None) -> tuple[str, str]:
    """Return the names from one receipt to another, or to the last there is."""
    return receipt_name(first), f"receipt#{_END}" if last is None else receipt_name(last)


def read_first_seen(text: str) -> datetime:
    """Return since when a recipient is known.

    Raises:
        LedgerDamaged: the entry is none.
    """
    return moment_of(read_json(text, "a recipient").get("firstSeen"))


def read_consent(name: str, text: str) -> Approval:
    """Return the consent in an entry.

    Raises:
        LedgerDamaged: it is none.
    """
    parts = name.split("#", 2)
    if len(parts) != 3 or parts[0] != "consent":
        raise LedgerDamaged("a consent in the ledger is none")
    at = moment_of(read_json(text, "a consent").get("at"))
    try:
        return Approval(parts[2], parts[1], at)
    except RequestError:
        raise LedgerDamaged("a consent in the ledger is none") from None


def _uses_body(uses: Mapping[str, tuple[int, int]]) -> dict[str, list[Any]]:
    return {key: [str(amount), count] for key, (amount, count) in uses.items()}


def _uses(body: Mapping[str, Any]) -> dict[str, tuple[int, int]]:
    return {key: _use(*use) for key, use in body.items()}


def _use(amount: Any, count: Any) -> tuple[int, int]:
    # A negative amount would make room where there is none.
    if not isinstance(amount, str) or not _DIGITS.fullmatch(amount):
        raise ValueError(amount)
    if type(count) is not int or count < 0:
        raise ValueError(count)
    return int(amount), count


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value


def _all_text(value: Any) -> list[str]:
    if not isinstance(value, list):
        raise TypeError(value)
    return [_text(each) for each in value]
