"""One row of a file as one payment, or all that is wrong with it. Pure.

What an id, an address, a token or an amount may look like is not said here: the types that later carry them judge.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeVar

from bursar.amounts import to_base_units, to_decimal_text
from bursar.chains.evm import parse_address
from bursar.crossmint.locators import RecipientLocator, TokenLocator, WalletLocator
from bursar.errors import AddressError, AmountError, InputError, LocatorError, RequestError
from bursar.payouts.problems import Problem, shown
from bursar.payouts.table import Row
from bursar.policy.model import address_key
from bursar.review.intent import Token
from bursar.transfers.intent import TransferIntent, TransferType
from bursar.transfers.reading import Reading

T = TypeVar("T")
TYPES: Final = {"regulated": TransferType.REGULATED, "direct": TransferType.DIRECT}
_ZERO: Final = "0x" + "00" * 20


@dataclass(frozen=True, slots=True)
class Payer:
    """Who pays, and what lines leave out.

    `address` is the wallet's. One file pays on one chain, that of `token`. `reading` says what tokens are,
    `denied` whom the policy never pays: addresses, EVM ones in small letters, and their names. With `id_prefix`
    a file without ids gets them: the prefix, a colon and the payment's place, `payroll-2026-11:000042`.

    Raises:
        AddressError: the wallet's address is none.
        RequestError: the prefix cannot begin an id.
        ConfigError: nobody has said what the token is.
    """

    wallet: WalletLocator
    address: str
    token: TokenLocator
    type: TransferType = TransferType.REGULATED
    reading: Reading = field(default_factory=Reading)
    denied: Mapping[str, str] = field(default_factory=dict)
    id_prefix: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "address", parse_address(self.address))
        self.reading.token(self.token)
        if self.id_prefix is not None:
            require_id(self.id_for(1), self)

    @property
    def chain(self) -> str:
        """The chain that is paid on, by Crossmint's name."""
        return self.token.chain

    def id_for(self, place: int) -> str:
        """Return the id of the payment at a place of the file, counted from 1."""
        return f"{self.id_prefix}:{place:06d}"


@dataclass(frozen=True, slots=True)
class Line:
    """One payment to make. `number` is where the file has it, `units` the amount in base units.

    `meant` is what `token`, as Crossmint is told it, stands for: contract and decimals.
    """

    number: int
    id: str
    recipient: RecipientLocator
    token: TokenLocator
    meant: Token
    units: int
    type: TransferType
    note: str = ""

    @property
    def amount(self) -> str:
        """The amount as decimal text in whole tokens, without needless zeros: the same for the same units."""
        return to_decimal_text(self.units, self.meant.decimals or 0)

    def intent(self, wallet: WalletLocator) -> TransferIntent:
        """Return what a transfer of this line is asked for with. The same line gives the same intent."""
        return TransferIntent(self.id, wallet, self.token, self.recipient, self.amount, self.type)


def require_id(text: str, payer: Payer) -> str:
    """Return text that can be a transfer's id.

    Raises:
        RequestError: it cannot.
    """
    # The rule is the intent's own; all else in this one is known to be right.
    TransferIntent(text, payer.wallet, payer.token, RecipientLocator(payer.address), "1")
    return text


class LineReader:
    """Makes lines of rows, and gathers what is wrong or worth knowing."""

    def __init__(self, payer: Payer) -> None:
        self.payer = payer
        self.problems: list[Problem] = []
        self.warnings: list[Problem] = []

    def read(self, row: Row, place: int) -> Line | None:
        """Return the payment of a row, the file's `place`th; None where anything is wrong with it."""
        before = len(self.problems)
        payer = self.payer
        own_id = payer.id_for(place) if payer.id_prefix is not None else None
        transfer_id = own_id or self._take(row, "id", lambda text: require_id(text, payer))
        token = self._take(row, "token", self._token, str(payer.token))
        meant = None if token is None else self._take(row, "token", self._meant(token), "")
        units = self._take(row, "amount", lambda text: _units(text, meant))
        recipient = self._take(row, "recipient", self._recipient)
        kind = self._take(row, "type", _type, "") if "type" in row.cells else payer.type
        if len(self.problems) > before:
            return None
        if not (transfer_id and token and meant and units and recipient and kind):
            raise AssertionError("a line without problems is whole")
        self._remark(row, recipient)
        note = row.cells.get("note", "")
        return Line(row.number, transfer_id, recipient, token, meant, units, kind, note)

    def _take(
        self, row: Row, column: str, read: Callable[[str], T], default: str | None = None
    ) -> T | None:
        text = row.cells.get(column, default)
        if text is None:
            self._note(row, column, "", f"{column} is missing", f"fill in the {column}")
            return None
        try:
            return read(text)
        except InputError as problem:
            fix = problem.hint or _fix(column, number=column in row.numbers)
            self._note(row, column, text, problem.message, fix)
            return None

    def _token(self, text: str) -> TokenLocator:
        named = text if ":" in text else f"{self.payer.chain}:{text}"
        token = TokenLocator.parse(named)
        if token.chain != self.payer.chain:
            raise RequestError(
                f"{shown(text)} is on {token.chain}, and this file pays on {self.payer.chain}",
                hint="one file pays on one chain: put the line into another file",
            )
        if token.token_id is not None:
            raise RequestError(
                f"{shown(text)} is a single piece, and no amount", hint="send it as a transfer"
            )
        return token

    def _meant(self, token: TokenLocator) -> Callable[[str], Token]:
        def read(_: str) -> Token:
            meant = self.payer.reading.token(token)
            if meant.decimals is None:
                raise RequestError(
                    f"nothing says how many decimals {token} has",
                    hint="list it in the policy or in the settings, with its decimals",
                )
            return meant

        return read

    def _recipient(self, text: str) -> RecipientLocator:
        named = RecipientLocator.parse(text)
        if named.chain not in (None, self.payer.chain):
            raise LocatorError(
                f"{shown(text)} is on {named.chain}, and this file pays on {self.payer.chain}",
                hint="take the chain away, or put the line into another file",
            )
        if named.address is None:
            return RecipientLocator(user=named.user)
        address = parse_address(named.address)
        self._require_payable(address)
        return RecipientLocator(address)

    def _require_payable(self, address: str) -> None:
        """Refuse addresses at which money is lost, or that are never to be paid."""
        if address == _ZERO:
            raise AddressError("this is the zero address: what goes there is lost")
        if address == self.payer.address:
            raise AddressError("this is the wallet that pays")
        for token in self.payer.reading.tokens.values():
            if token.contract == address:
                named = f" ({token.symbol})" if token.symbol else ""
                raise AddressError(
                    f"this is a token's own contract{named}: what goes there is lost"
                )
        denied = self.payer.denied.get(address_key(address) or "")
        if denied is not None:
            raise AddressError(f"the policy never pays it ({denied})", hint="take the line away")

    def _remark(self, row: Row, recipient: RecipientLocator) -> None:
        text = row.cells["recipient"]
        # In mixed case it was the checksummed form, or it would not be here.
        if recipient.address is not None and recipient.address not in text:
            what = "the address has no checksum, so a typing mistake would not show"
            fix = "copy it in mixed case from where it came from"
            self.warnings.append(Problem(row.number, "recipient", text, what, fix))

    def _note(self, row: Row, column: str, text: str, what: str, fix: str) -> None:
        self.problems.append(Problem(row.number, column, text, what, fix))


def _units(text: str, token: Token | None) -> int:
    # An amount whose token is not known is still looked at, with as many decimals as it has.
    decimals = token.decimals if token else min(len(text.partition(".")[2]), 255)
    try:
        return to_base_units(text, decimals or 0)
    except AmountError as problem:
        if "," in text:
            hint = "write a dot before the decimals, and nothing between thousands"
            raise AmountError(problem.message, hint=hint) from None
        raise


def _type(text: str) -> TransferType:
    found = TYPES.get(text.lower())
    if found is None:
        raise RequestError(
            f"{shown(text)!r} is no type", hint=f"one of {', '.join(TYPES)}, or empty"
        )
    return found


def _fix(column: str, *, number: bool) -> str:
    if number:
        return "format the column as text, type what is to be paid, and save"
    return f"write another {column}"
