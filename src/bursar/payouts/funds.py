"""Whether the wallet holds what a plan pays, fees included. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from bursar.amounts import to_decimal_text
from bursar.crossmint.locators import TokenLocator
from bursar.crossmint.models import Balance
from bursar.payouts.plan import Plan
from bursar.policy.model import NATIVE_DECIMALS
from bursar.review.intent import Token

_COIN: Final = "the chain's own coin"
_MOST: Final = 2**256 - 1


class FeePayer(StrEnum):
    """Who pays the chain's fees: the wallet in the chain's coin, or somebody else (a paymaster, Crossmint)."""

    WALLET = "wallet"
    SPONSOR = "sponsor"


@dataclass(frozen=True, slots=True)
class Fees:
    """Who pays fees, and the most that one payment may cost in wei; None where nobody can tell."""

    payer: FeePayer
    each: int | None = None


@dataclass(frozen=True, slots=True)
class Need:
    """What a plan needs of one token and what there is, in base units; None where it is not known."""

    name: str
    decimals: int
    needed: int | None
    held: int | None

    @property
    def missing(self) -> int | None:
        """How much is missing, 0 where there is enough; None where that cannot be told."""
        if self.needed is None or self.held is None:
            return None
        return max(self.needed - self.held, 0)

    def __str__(self) -> str:
        if self.missing is None:
            return f"{self.name}: it is not known whether there is enough"
        needed = to_decimal_text(self.needed or 0, self.decimals)
        held = to_decimal_text(self.held or 0, self.decimals)
        rest = to_decimal_text(self.missing, self.decimals)
        enough = f"{rest} are missing" if self.missing else "enough"
        return f"{self.name}: {needed} needed, {held} held, {enough}"


@dataclass(frozen=True, slots=True)
class Wanted:
    """A token whose balance is asked for: as Crossmint is told it, and what that means."""

    locator: TokenLocator
    meant: Token


def held_of(wanted: Iterable[Wanted], balances: Iterable[Balance]) -> dict[str | None, int]:
    """Return what a wallet holds of these tokens by their contracts, in base units, as `needs` takes it.

    `balances` are those of one chain. One that names another contract, or other decimals, says nothing.
    """
    answers = list(balances)
    return {
        each.meant.contract: found.units
        for each in wanted
        for found in answers
        if _is_of(found, each)
    }


def _is_of(balance: Balance, wanted: Wanted) -> bool:
    if balance.decimals != wanted.meant.decimals or balance.units > _MOST:
        return False
    entry = balance.chains.get(wanted.locator.chain)
    contract = entry.contract_address if entry else None
    if contract is not None:
        return contract.lower() == (wanted.meant.contract or "").lower()
    return (balance.symbol or "").lower() == (wanted.locator.symbol or "").lower() != ""


def needs(plan: Plan, held: Mapping[str | None, int], fees: Fees) -> tuple[Need, ...]:
    """Return what a plan needs of each of its tokens, and last of the chain's own coin where fees take of it.

    `held` maps contracts (None for the chain's own coin) to what the wallet holds in base units; what is not in it
    is not known.
    """
    found = [
        Need(total.name, total.token.decimals or 0, total.units, held.get(total.token.contract))
        for total in plan.totals
        if total.token.contract is not None
    ]
    paid = sum(total.units for total in plan.totals if total.token.contract is None)
    fee: int | None = 0
    if fees.payer is FeePayer.WALLET:
        fee = None if fees.each is None else fees.each * len(plan.lines)
    if paid or fee != 0:
        needed = None if fee is None else paid + fee
        found.append(Need(_COIN, NATIVE_DECIMALS, needed, held.get(None)))
    return tuple(found)
