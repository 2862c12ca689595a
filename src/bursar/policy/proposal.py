"""What a policy judges, and what it is told about the moment. Pure.

A `Proposal` says what a transaction does, as far as somebody who decoded it knows: this package decodes nothing.
A field that is None is not known, and a rule that needs it refuses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

from bursar.errors import RequestError
from bursar.policy.times import zone_named

_MOST: Final = 2**256 - 1
# Texts come from somebody else's answer and end up in messages, logs and records.
_LONGEST: Final = 1024


class Kind(StrEnum):
    """What is to be signed.

    TRANSFER: payments and nothing else, each in `Proposal.payments`. BLIND_DIGEST: a bare hash. SIGNER_CHANGE: a
    verified change of the wallet's signers and nothing else. UNVERIFIABLE: what the review could not verify.
    OTHER: verified and none of these, such as an `approve`, or a mixture; no policy allows it.
    """

    TRANSFER = "transfer"
    BLIND_DIGEST = "blind_digest"
    SIGNER_CHANGE = "signer_change"
    UNVERIFIABLE = "unverifiable"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Payment:
    """One payment. `amount` is in base units.

    `token` is Crossmint's locator, `<chain>:<symbol>` or `<chain>:<contract>`. `contract` is the one the calldata
    names, None for the chain's own coin. `registered`: is the recipient one of Crossmint's registered ones?
    """

    token: str | None
    contract: str | None
    amount: int | None
    recipient: str | None
    decimals: int | None = None
    registered: bool | None = None

    def __post_init__(self) -> None:
        for what, value in (
            ("token", self.token),
            ("contract", self.contract),
            ("recipient", self.recipient),
        ):
            _require_text(what, value)
        _require_count("amount", self.amount)
        _require_count("decimals", self.decimals)
        if self.registered is not None and not isinstance(self.registered, bool):
            raise RequestError("registered is true, false or not known")


@dataclass(frozen=True, slots=True)
class Approval:
    """Somebody's consent to one digest. `principal` is an IAM ARN."""

    principal: str
    digest: str
    at: datetime

    def __post_init__(self) -> None:
        _require_text("an approval's principal", self.principal, known=True)
        _require_text("an approval's digest", self.digest, known=True)
        require_aware(self.at, "an approval's time")


@dataclass(frozen=True, slots=True)
class Proposal:
    """What somebody wants signed.

    `calls` is the number of calls in the transaction, `fee_at_most` its worst-case fee in wei, `requested_by` the
    IAM ARN of who asks. `digest` is what would be signed: consents count for that digest alone.
    """

    kind: Kind
    chain: str | None = None
    payments: tuple[Payment, ...] = ()
    calls: int | None = None
    fee_at_most: int | None = None
    requested_by: str | None = None
    approvals: tuple[Approval, ...] = ()
    digest: str | None = None
    transaction: str | None = None
    wallet: str | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.kind, Kind):
            raise RequestError("a proposal's kind is a Kind")
        for name in ("chain", "requested_by", "digest", "transaction", "wallet"):
            _require_text(name, getattr(self, name))
        _require_count("calls", self.calls)
        _require_count("fee_at_most", self.fee_at_most)


@dataclass(frozen=True, slots=True)
class Spent:
    """What went through a window: the sum of base units and the number of payments."""

    amount: int = 0
    count: int = 0

    def __post_init__(self) -> None:
        _require_count("a spent amount", self.amount, known=True)
        _require_count("a spent count", self.count, known=True)


@dataclass(frozen=True, slots=True)
class Spend:
    """One entry of what was spent under a window's key."""

    at: datetime
    amount: int
    count: int = 1
    transaction: str | None = None


def spent_in(
    entries: Iterable[Spend], now: datetime, seconds: int, *, but: str | None = None
) -> Spent:
    """Return what the entries put into the window (now - seconds, now].

    An entry exactly `seconds` old has left it. One from the future, by a clock that runs ahead, is counted: in
    doubt it was spent. The transaction `but` is left out, so that asking again does not spend twice.
    """
    counted = [
        entry
        for entry in entries
        if (now - entry.at).total_seconds() < seconds and (but is None or entry.transaction != but)
    ]
    return Spent(sum(entry.amount for entry in counted), sum(entry.count for entry in counted))


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What a decision depends on besides the proposal.

    `spent` maps a window (its key and its seconds, see `windows.windows`) to what went through it before, this
    transaction left out. `first_seen` maps recipients' addresses (EVM ones in lower case) to when each was first
    seen.
    `zones` returns the time zone of a name.
    """

    now: datetime
    spent: Mapping[tuple[str, int], Spent] = field(default_factory=lambda: MappingProxyType({}))
    first_seen: Mapping[str, datetime] = field(default_factory=lambda: MappingProxyType({}))
    zones: Callable[[str], tzinfo] = zone_named

    def __post_init__(self) -> None:
        require_aware(self.now, "the time of a decision")
        for at in self.first_seen.values():
            require_aware(at, "the time a recipient was first seen")


def require_aware(at: Any, what: str) -> datetime:
    """Return a moment in UTC.

    Raises:
        RequestError: no time, or one without a time zone.
    """
    if not isinstance(at, datetime) or at.tzinfo is None:
        raise RequestError(f"{what} is a time with a time zone")
    return at.astimezone(UTC)


def _require_text(what: str, value: Any, *, known: bool = False) -> None:
    if not isinstance(value, str) and (known or value is not None):
        raise RequestError(f"{what} is text")
    if value is not None and len(value) > _LONGEST:
        raise RequestError(f"{what} has more than {_LONGEST} characters")


def _require_count(what: str, value: Any, *, known: bool = False) -> None:
    if value is None and not known:
        return
    # True is an int to Python, and no amount.
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _MOST:
        raise RequestError(f"{what} is a whole number of at most 256 bits")
