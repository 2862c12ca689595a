"""What the parts of a Crossmint locator may look like. Pure.

Everything a locator is made of is checked here before it becomes part of a URL path, so no value can hold a
separator, a control character or a path step. Sources: the locator descriptions of the 2025-06-09 API.
"""

from __future__ import annotations

import re
from urllib.parse import quote

from bursar.chains.evm import parse_address
from bursar.errors import AddressError, LocatorError

CHAIN_TYPES = ("evm", "solana", "stellar", "aptos", "sui")
WALLET_TYPES = ("smart", "mpc")
# The wallet types of API version 2022-06-09, which name the chain as well.
LEGACY_WALLET_TYPES = (
    "evm-smart-wallet",
    "evm-mpc-wallet",
    "solana-smart-wallet",
    "solana-mpc-wallet",
    "solana-custodial-wallet",
    "aptos-mpc-wallet",
    "sui-mpc-wallet",
)

MAX_LOCATOR = 512

_EVM = re.compile(r"0x[0-9a-fA-F]{40}", re.ASCII)
_MOVE = re.compile(r"0x[0-9a-fA-F]{64}", re.ASCII)
_BASE58 = re.compile(r"[1-9A-HJ-NP-Za-km-z]{32,44}", re.ASCII)
_STELLAR = re.compile(r"[GC][A-Z2-7]{55}", re.ASCII)
_CHAIN = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*", re.ASCII)
_EMAIL = re.compile(r"[^@]{1,64}@[^@]+\.[^@.]{2,}")
_PHONE = re.compile(r"\+[1-9][0-9]{6,14}", re.ASCII)


def segment(text: str) -> str:
    """Return text as one URL path segment: everything but letters, digits and `-._~` percent-encoded.

    Raises:
        LocatorError: the text is empty or a path step, which no encoding makes harmless.
    """
    if text in ("", ".", ".."):
        raise LocatorError(f"{text!r} cannot be part of a path")
    try:
        return quote(text, safe="")
    except UnicodeEncodeError:
        raise LocatorError("a locator holds a lone surrogate, which UTF-8 cannot carry") from None


def shown(text: object) -> str:
    """Return a value as it may appear in a message: short, on one line."""
    return repr(str(text)[:60])


def split(text: str) -> list[str]:
    """Return the colon-separated parts of a locator.

    Raises:
        LocatorError: not text, too long, or a part is empty.
    """
    if not isinstance(text, str):
        raise LocatorError("a locator is text")
    if len(text) > MAX_LOCATOR:
        raise LocatorError(f"a locator has at most {MAX_LOCATOR} characters")
    parts = text.split(":")
    if "" in parts:
        raise LocatorError(f"{shown(text)} has an empty part")
    return parts


def is_evm_address(text: str) -> bool:
    """Tell whether text has the form of an EVM address; the checksum is not looked at."""
    return bool(_EVM.fullmatch(text))


def is_address(text: str) -> bool:
    """Tell whether text has the form of an EVM, Solana, Stellar, Aptos or Sui address."""
    return any(form.fullmatch(text) for form in (_EVM, _STELLAR, _BASE58, _MOVE))


def check_address(text: str) -> None:
    """Refuse text that is not an address; a mixed-case EVM address must carry the right checksum (EIP-55).

    Raises:
        LocatorError: not an address.
    """
    if not isinstance(text, str) or not is_address(text):
        raise LocatorError(
            f"{shown(text)} is not an address",
            hint="an EVM address is 0x and 40 hex digits",
        )
    if is_evm_address(text):
        try:
            parse_address(text)
        except AddressError as error:
            raise LocatorError(error.message, hint=error.hint) from None


def check_chain(text: str) -> None:
    """Refuse text that does not have the form of a chain's name.

    The name need not be one this version knows: Crossmint adds chains.

    Raises:
        LocatorError: not of that form.
    """
    if not isinstance(text, str) or len(text) > 64 or not _CHAIN.fullmatch(text):
        raise LocatorError(
            f"{shown(text)} is not a chain's name", hint="for example base-sepolia or polygon"
        )


def check_value(text: str, what: str) -> None:
    """Refuse a free value (user id, handle, alias, signer id) that could not be told apart from a separator.

    Raises:
        LocatorError: empty, or holds a colon, slash, space or character that does not print.
    """
    if not isinstance(text, str) or not text or len(text) > MAX_LOCATOR:
        raise LocatorError(f"{what} is empty, too long or not text")
    if not text.isprintable() or any(c in ':/\\?#%"<>' or c.isspace() for c in text):
        raise LocatorError(
            f"{what} has a character that a locator cannot hold",
            hint="spaces, colons, slashes and control characters are not allowed",
        )


def check_email(text: str) -> None:
    """Refuse text that is not an e-mail address.

    Raises:
        LocatorError: not of the form name@host.domain.
    """
    check_value(text, "the e-mail address")
    if not _EMAIL.fullmatch(text):
        raise LocatorError("not an e-mail address", hint="for example ada@example.com")


def check_phone(text: str) -> None:
    """Refuse text that is not a telephone number of E.164.

    Raises:
        LocatorError: not + and 7 to 15 digits.
    """
    if not isinstance(text, str) or not _PHONE.fullmatch(text):
        raise LocatorError(
            "not a telephone number",
            hint="write it as E.164 does: + and 7 to 15 digits, country code first",
        )
