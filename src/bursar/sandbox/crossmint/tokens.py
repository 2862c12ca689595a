"""The tokens of the sandbox, by symbol or contract, and amounts in their units."""

from __future__ import annotations

from dataclasses import dataclass

from bursar.sandbox.chain import kernel
from bursar.sandbox.chain.token import transfer_data
from bursar.sandbox.crossmint import locators
from bursar.sandbox.crossmint.locators import CHAIN
from bursar.sandbox.crossmint.replies import bad_request
from bursar.sandbox.crossmint.stand_in import StandIn


@dataclass(frozen=True, slots=True)
class Asset:
    """A token a wallet can hold. `contract` is None for the chain's own coin."""

    symbol: str
    name: str
    decimals: int
    contract: str | None

    @property
    def locator(self) -> str:
        """Its locator by symbol."""
        return f"{CHAIN}:{self.symbol}"

    def balance(self, stand_in: StandIn, holder: str) -> int:
        """Return a balance in base units."""
        if self.contract is None:
            return stand_in.rpc.balance(holder)
        return stand_in.token.balance_of(holder)

    def transfer(self, receiver: str, units: int) -> kernel.Call:
        """Return the call that moves it."""
        if self.contract is None:
            return kernel.Call(receiver, units, b"")
        return kernel.Call(self.contract, 0, transfer_data(receiver, units))


def asset(stand_in: StandIn, name: str) -> Asset:
    """Return a token by symbol or contract address. usdc and usdxm are the same contract here.

    Raises:
        ApiError: 400; no such token.
    """
    usdc = stand_in.contracts.usdc
    symbol = (
        "usdc"
        if name.startswith("0x") and locators.address(name, "token") == usdc
        else name.lower()
    )
    known = {
        "usdc": Asset("usdc", "USD Coin", 6, usdc),
        "usdxm": Asset("usdxm", "Crossmint USD", 6, usdc),
        "eth": Asset("eth", "Ether", 18, None),
    }
    if symbol not in known:
        raise bad_request(f"Unsupported token: {name[:80]}")
    return known[symbol]


def by_locator(stand_in: StandIn, locator: str) -> Asset:
    """Return a token by its locator, such as base-sepolia:usdc.

    Raises:
        ApiError: 400; another chain, or no such token.
    """
    chain, _, name = locator.partition(":")
    locators.chain(chain)
    return asset(stand_in, name)


def units(amount: str, decimals: int) -> int:
    """Return decimal text, already checked to be digits with at most one dot, in base units.

    Raises:
        ApiError: 400; nothing, or finer than the token divides.
    """
    whole, _, fraction = amount.partition(".")
    fraction = fraction.rstrip("0")
    if len(fraction) > decimals:
        raise bad_request(f"Invalid amount: the token has {decimals} decimals")
    value = int(whole + fraction.ljust(decimals, "0"))
    if not 0 < value < 2**256:
        raise bad_request("Invalid amount: it must be positive and fit 256 bits")
    return value


def text(value: int, decimals: int) -> str:
    """Return base units as decimal text, without trailing zeros."""
    whole, fraction = divmod(value, 10**decimals)
    digits = str(fraction).rjust(decimals, "0").rstrip("0")
    return f"{whole}.{digits}" if digits else str(whole)
