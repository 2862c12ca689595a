"""A policy as data: what `policy.toml` means. Pure.

Amounts are integers in base units, times are whole seconds, EVM addresses are in lower case, principals are the
identities `principals.identity_of` gives. Every tuple and frozenset is a set: its order means nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

NATIVE_DECIMALS: Final = 18
SWITCHES: Final = ("blind_signing", "unverifiable", "signer_changes")
# Whoever keeps what was spent keeps it this long: no window is longer.
LONGEST_WINDOW: Final = 31 * 86_400

Registered = Literal["no", "enough", "required"]

_EVM = re.compile(r"0x[0-9a-fA-F]{40}", re.ASCII)
_OTHER_ADDRESS = re.compile(
    r"[1-9A-HJ-NP-Za-km-z]{32,44}|[GC][A-Z2-7]{55}|0x[0-9a-f]{64}", re.ASCII
)


def is_evm_address(text: str) -> bool:
    """Tell whether text has the form of an EVM address; the checksum is not looked at."""
    return _EVM.fullmatch(text) is not None


def address_key(text: str | None) -> str | None:
    """Return what two spellings of one address share, None where the text is no address.

    An EVM address means the same in any letter case; a Solana, Stellar, Aptos or Sui address is itself.
    """
    if not isinstance(text, str):
        return None
    if is_evm_address(text):
        return text.lower()
    return text if _OTHER_ADDRESS.fullmatch(text) else None


@dataclass(frozen=True, slots=True)
class Chain:
    """A chain that may be paid on. `fee_at_most` is in wei of the chain's own coin."""

    fee_at_most: int


@dataclass(frozen=True, slots=True)
class Token:
    """A token that may be paid, and the most one payment may move, in base units.

    `locators` are `<chain>:<contract>` or, for a chain's own coin, `<chain>:<symbol>`.
    """

    decimals: int
    per_transfer: int
    locators: frozenset[str]


@dataclass(frozen=True, slots=True)
class Recipients:
    """Who may be paid. `allow` and `deny` map addresses to names; `new_delay` is in seconds.

    `registered`: a registered recipient's standing counts for nothing, is enough, or is required as well.
    """

    allow: Mapping[str, str]
    deny: Mapping[str, str]
    registered: Registered = "no"
    new_delay: int | None = None


@dataclass(frozen=True, slots=True)
class Callers:
    """Who may ask, as identities."""

    allow: frozenset[str]
    deny: frozenset[str]


@dataclass(frozen=True, slots=True)
class Limit:
    """A rolling window: at most `amount` base units of `token` and `count` payments in `seconds`.

    Without a token it counts payments of every token. With `each_recipient` every recipient has a window of
    their own; with `recipient`, an address, it is that one's alone. With `fees_on`, a chain, it is `amount` wei of
    worst-case fees on it, whatever is paid.
    """

    seconds: int
    token: str | None = None
    recipient: str | None = None
    each_recipient: bool = False
    amount: int | None = None
    count: int | None = None
    fees_on: str | None = None


@dataclass(frozen=True, slots=True)
class Span:
    """Open from minute `start` of the week up to, but without, minute `end`. Monday begins at 0."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Hours:
    """When something may be signed, on the clock of a time zone. Spans neither overlap nor touch."""

    zone: str
    open: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class ApprovalRule:
    """What moves more than `above` base units of `token` needs `approvers` of `by`, none older than `within`.

    `within` is in seconds. Without a token, every transaction needs them.
    """

    approvers: int
    by: frozenset[str]
    within: int
    token: str | None = None
    above: int = 0


@dataclass(frozen=True, slots=True)
class Policy:
    """Everything one `policy.toml` says. What it does not mention is refused.

    `wallet_factories` may deploy a wallet besides those every review knows.
    """

    version: int
    chains: Mapping[str, Chain]
    tokens: Mapping[str, Token]
    recipients: Recipients
    callers: Callers
    limits: tuple[Limit, ...] = ()
    hours: Hours | None = None
    approvals: tuple[ApprovalRule, ...] = ()
    calls_at_most: int = 1
    allow: frozenset[str] = frozenset()
    wallet_factories: frozenset[str] = frozenset()
