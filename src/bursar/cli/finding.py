"""Which payout a command is about, where more than one wallet may have one of that id."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from bursar.cli import connect
from bursar.cli import office as offices
from bursar.cli.shell import Shell

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bursar.crossmint.locators import WalletLocator
    from bursar.payouts.book import Payout, PayoutBook

WALLET = click.option(
    "--wallet",
    metavar="LOCATOR",
    help="The wallet whose payout it is [default: the only one, else the settings'].",
)


def payout(shell: Shell, book: PayoutBook, payout_id: str, wallet: str | None) -> Payout:
    """Return the payout of an id: the named wallet's, else the only one, else that of the settings' wallet.

    Which wallet a locator means the journal knows where it has a payout by it; otherwise one GET asks Crossmint.

    Raises:
        UnknownPayout: there is none.
        CrossmintError: it is not known which wallet is meant.
    """
    found = book.having(payout_id)
    if not found or (wallet is None and len(found) == 1):
        return book.named(payout_id)
    meant = connect.wallet_locator(shell, wallet)
    return book.named(payout_id, _treasury(shell, book, meant, found))


def _treasury(shell: Shell, book: PayoutBook, meant: WalletLocator, found: Sequence[Payout]) -> str:
    if meant.address is not None:
        return meant.address.lower()
    for each in found:
        if each.header["wallet"] == str(meant):
            return each.treasury
    with offices.crossmint(shell, book.journal) as client:
        return connect.treasury_wallet(client, meant).address.lower()
