"""What was asked for: a payment or many, in base units, or a change of a wallet's signers. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from bursar.amounts import to_decimal_text
from bursar.chains.evm import parse_address
from bursar.errors import AddressError, AmountError, InputError, RequestError
from bursar.review.chains import CHAINS
from bursar.review.fields import shown

_SYMBOL: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_")
_MOST: Final = 2**256 - 1
_REQUIRED: Final = {"chain", "token", "recipient", "amount"}
_OPTIONAL: Final = {"symbol", "decimals"}
NATIVE: Final = "native"
# The ledger writes a decision in one transaction of at most 100 entries (DynamoDB, TransactWriteItems): one for
# each recipient who is new to it, and seven more.
MOST_PAYMENTS: Final = 90


@dataclass(frozen=True, slots=True)
class Token:
    """A token on a chain. `contract` is None for the chain's own coin.

    `symbol` and `decimals` are words for people, and decide nothing: they must come from the operator's own list,
    for a wrong number of decimals makes a large payment read as a small one. Without both, base units are shown.

    Raises:
        AddressError: the contract is no address.
        RequestError: a symbol that is not 1 to 20 letters, digits, dots, dashes or underscores, or decimals that
            are not 0 to 255.
    """

    contract: str | None
    symbol: str | None = None
    decimals: int | None = None

    def __post_init__(self) -> None:
        if self.contract is not None:
            object.__setattr__(self, "contract", _address(self.contract))
        if self.symbol is not None and not _is_symbol(self.symbol):
            raise RequestError(f"{shown(self.symbol)} is not a token's symbol")
        if self.decimals is not None and not _is_count(self.decimals, 255):
            raise RequestError("a token has 0 to 255 decimals")

    def amount(self, units: int) -> str:
        """Return base units as people read them: `0.2 USDC`, or the units where the token has no name here."""
        if self.decimals is None or self.symbol is None:
            return f"{units} base units"
        return f"{to_decimal_text(units, self.decimals)} {self.symbol}"


@dataclass(frozen=True, slots=True)
class Intent:
    """One payment somebody asked for. `chain` is Crossmint's name, `amount` counts base units.

    Raises:
        AddressError: the recipient is no EVM address.
        AmountError: the amount is not a positive int that fits 256 bits.
        RequestError: the chain is not in the table of `review.chains`.
    """

    chain: str
    token: Token
    recipient: str
    amount: int

    def __post_init__(self) -> None:
        if not isinstance(self.chain, str) or self.chain not in CHAINS:
            raise RequestError(f"{shown(self.chain)} is not an EVM chain whose id bursar knows")
        if not isinstance(self.token, Token):
            raise RequestError("an intent's token is a Token")
        if not _is_count(self.amount, _MOST) or self.amount == 0:
            raise AmountError("an amount is a positive count of base units that fits 256 bits")
        object.__setattr__(self, "recipient", _address(self.recipient))

    @property
    def tokens(self) -> tuple[Token, ...]:
        """The token that is paid."""
        return (self.token,)

    @classmethod
    def read(cls, body: Mapping[str, Any]) -> Intent:
        """Return the intent that `to_dict` wrote.

        Raises:
            RequestError, AddressError, AmountError: a field is missing, unknown or wrong.
        """
        if not isinstance(body, dict) or not _REQUIRED <= set(body) <= _REQUIRED | _OPTIONAL:
            raise RequestError(
                "an intent has chain, token, recipient and amount, and may have symbol and decimals"
            )
        contract = body["token"]
        if not isinstance(contract, str):
            raise AddressError(f"a token is a contract's address, or {NATIVE}")
        token = Token(
            None if contract == NATIVE else contract, body.get("symbol"), body.get("decimals")
        )
        return cls(body["chain"], token, body["recipient"], _units(body["amount"]))

    def to_dict(self) -> dict[str, Any]:
        """Return the intent as JSON: `token` is a contract or `native`, `amount` base units in decimal digits."""
        body: dict[str, Any] = {
            "chain": self.chain,
            "token": self.token.contract or NATIVE,
            "recipient": self.recipient,
            "amount": str(self.amount),
        }
        named = {"symbol": self.token.symbol, "decimals": self.token.decimals}
        return body | {name: value for name, value in named.items() if value is not None}


@dataclass(frozen=True, slots=True)
class BatchIntent:
    """Payments that somebody asked for in one transaction: these, in this order, and as often as each stands here.

    Raises:
        RequestError: not 2 to `MOST_PAYMENTS` payments, or not all on one chain.
    """

    payments: tuple[Intent, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "payments", tuple(self.payments))
        if not all(isinstance(each, Intent) for each in self.payments):
            raise RequestError("a batch is made of payments")
        if not 2 <= len(self.payments) <= MOST_PAYMENTS:
            raise RequestError(
                f"a batch has 2 to {MOST_PAYMENTS} payments, and this one has {len(self.payments)}",
                hint="ask for one payment by itself, and for more in several batches",
            )
        chains = sorted({each.chain for each in self.payments})
        if len(chains) > 1:
            raise RequestError(f"the payments of a batch are on one chain, not {', '.join(chains)}")

    @property
    def chain(self) -> str:
        """The chain of all its payments."""
        return self.payments[0].chain

    @property
    def tokens(self) -> tuple[Token, ...]:
        """The tokens that are paid, each once, in the order of the payments."""
        return tuple(dict.fromkeys(each.token for each in self.payments))

    @classmethod
    def read(cls, body: Mapping[str, Any]) -> BatchIntent:
        """Return the batch that `to_dict` wrote.

        Raises:
            RequestError, AddressError, AmountError: it is none; which payment is wrong, counted from 1.
        """
        listed = body["payments"] if set(body) == {"payments"} else None
        # Whoever asks for too many is not made to wait for each to be read.
        if not isinstance(listed, list) or len(listed) > MOST_PAYMENTS:
            raise RequestError(f"a batch has payments, a list of 2 to {MOST_PAYMENTS}, and no more")
        return cls(tuple(_numbered(number, each) for number, each in enumerate(listed, 1)))

    def to_dict(self) -> dict[str, Any]:
        """Return the batch as JSON: `payments`, each as `Intent.to_dict` has it."""
        return {"payments": [each.to_dict() for each in self.payments]}


@dataclass(frozen=True, slots=True)
class SignerChangeIntent:
    """One change of a wallet's signers that somebody asked for: an address to add or to remove.

    `validator` is the contract that keeps the wallet's signers. Which one that is nothing in an operation proves,
    so whoever asks has to know it.

    Raises:
        AddressError: the signer or the validator is no EVM address.
        RequestError: the chain is not in the table of `review.chains`.
    """

    chain: str
    added: bool
    signer: str
    validator: str

    def __post_init__(self) -> None:
        if not isinstance(self.chain, str) or self.chain not in CHAINS:
            raise RequestError(f"{shown(self.chain)} is not an EVM chain whose id bursar knows")
        object.__setattr__(self, "signer", _address(self.signer))
        object.__setattr__(self, "validator", _address(self.validator))

    def to_dict(self) -> dict[str, Any]:
        """Return the intent as JSON: `chain`, `validator`, and `addSigner` or `removeSigner`."""
        change = {"addSigner" if self.added else "removeSigner": self.signer}
        return {"chain": self.chain, "validator": self.validator, **change}


AnyIntent = Intent | BatchIntent | SignerChangeIntent


def read_intent(body: Mapping[str, Any]) -> AnyIntent:
    """Return the intent that `to_dict` wrote, of any kind.

    Raises:
        RequestError, AddressError, AmountError: a field is missing, unknown or wrong.
    """
    for name, added in (("addSigner", True), ("removeSigner", False)):
        if isinstance(body, dict) and set(body) == {"chain", "validator", name}:
            return SignerChangeIntent(body["chain"], added, body[name], body["validator"])
    if isinstance(body, dict) and "payments" in body:
        return BatchIntent.read(body)
    return Intent.read(body)


def _numbered(number: int, body: Any) -> Intent:
    try:
        return Intent.read(body)
    except InputError as wrong:
        raise type(wrong)(f"payment {number}: {wrong.message}", hint=wrong.hint) from None


def _address(value: Any) -> str:
    if not isinstance(value, str):
        raise AddressError("an EVM address is text: 0x and 40 hex digits")
    return parse_address(value)


def _units(text: Any) -> int:
    is_digits = isinstance(text, str) and text.isascii() and text.isdecimal() and len(text) <= 78
    if not is_digits or text.startswith("0"):
        raise AmountError("an intent's amount is base units, written in decimal digits")
    return int(text)


def _is_symbol(value: Any) -> bool:
    return isinstance(value, str) and 1 <= len(value) <= 20 and _SYMBOL.issuperset(value)


def _is_count(value: Any, most: int) -> bool:
    # True is an int to Python.
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= most
