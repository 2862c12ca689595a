"""Reading Crossmint's locators, as a server does. Written apart from the client's, so each checks the other."""

from __future__ import annotations

import re
from dataclasses import dataclass

from eth_utils.address import is_checksum_address, to_checksum_address

from bursar.sandbox.crossmint.replies import bad_request

CHAIN = "base-sepolia"
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}", re.ASCII)
_USER = re.compile(r"(email|userId|phoneNumber|twitter|x):([^:\s]+)")
_WALLET = re.compile(
    r"(?:(?P<owner>(?:email|userId|phoneNumber|twitter|x):[^:\s]+):)?"
    r"(?P<chain>evm|solana|stellar|aptos|sui)(?::(?P<type>smart|mpc))?(?::alias:(?P<alias>.+))?"
)


@dataclass(frozen=True, slots=True)
class WalletLocator:
    """A wallet by address, or by owner (None for the company's) and alias."""

    address: str | None = None
    owner: str | None = None
    alias: str | None = None
    evm_smart: bool = True


def explorer_link(transaction: str) -> str:
    """Return the link Crossmint gives for a base-sepolia transaction. It shows nothing of a local chain."""
    return f"https://sepolia.basescan.org/tx/{transaction}"


def address(text: str, what: str = "address") -> str:
    """Return an EVM address checksummed.

    Raises:
        ApiError: 400; not 20 bytes of hex, or a wrong EIP-55 checksum.
    """
    if not _ADDRESS.fullmatch(text):
        raise bad_request(f"Invalid {what}")
    mixed = text[2:] not in (text[2:].lower(), text[2:].upper())
    if mixed and not is_checksum_address(text):
        raise bad_request(f"Invalid {what}: wrong checksum")
    return str(to_checksum_address(text))


def same(one: str, other: str) -> bool:
    """Compare signer locators: EVM addresses differ only in case when they are the same."""
    return one.lower() == other.lower() if "0x" in one else one == other


def user(text: str) -> str:
    """Return a user locator; an email in lower case.

    Raises:
        ApiError: 400.
    """
    match = _USER.fullmatch(text)
    if match is None:
        raise bad_request(f"Invalid user locator: {text[:80]}")
    return text.lower() if match[1] == "email" else text


def is_user(text: str) -> bool:
    """Say whether this looks like a user locator."""
    return _USER.fullmatch(text) is not None


def wallet(text: str) -> WalletLocator:
    """Return a wallet locator in parts.

    Raises:
        ApiError: 400.
    """
    if text.startswith("0x"):
        return WalletLocator(address=address(text, "wallet locator"))
    if text.startswith("me:"):
        raise bad_request("The locator me: needs a client-side key and a user's token")
    match = _WALLET.fullmatch(text)
    if match is None or (match["owner"] is None and match["alias"] is None):
        raise bad_request(f"Invalid wallet locator: {text[:80]}")
    return WalletLocator(
        owner=user(match["owner"]) if match["owner"] else None,
        alias=match["alias"],
        evm_smart=match["chain"] == "evm" and match["type"] in (None, "smart"),
    )


def chain(name: object) -> str:
    """Return the one chain there is.

    Raises:
        ApiError: 400; another chain.
    """
    if name != CHAIN:
        raise bad_request(f"Unsupported chain: this stand-in runs {CHAIN} only")
    return CHAIN
