"""`bursar payout cancel`: end what nobody can have been paid by."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING

import click

from bursar.cli import crewing, finding
from bursar.cli import office as offices
from bursar.cli.shell import Shell, shared_options

if TYPE_CHECKING:
    from bursar.crossmint.locators import SignerLocator
    from bursar.transfers.record import Transfer


@click.command("cancel")
@click.argument("payout_id", metavar="ID")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@finding.WALLET
@shared_options
@click.pass_obj
def cancel(shell: Shell, *, payout_id: str, yes: bool, wallet: str | None) -> None:
    """End a payout. The ids of the lines that are cancelled are used up.

    Lines whose approval was handed in go on to their end, also where somebody approved them at Crossmint: it is
    asked about each that has a transaction. Should it break off, cancel again. A payout that was never written
    down whole is taken out, and its ids are free. Scope, where anything is asked: wallets:transactions.read.
    """
    from bursar.payouts.book import WITHDRAWN, PayoutBook

    with offices.journal(shell) as journal, ExitStack() as stack:
        book = PayoutBook(journal)
        found = finding.payout(shell, book, payout_id, wallet)
        crewing.say(shell, book, found)
        shell.confirm("Cancel what is not paid?", yes=yes)
        look = _Asking(shell, offices.Late(shell, journal, stack))
        with shell.counting("cancelling", found.lines) as count:
            found, cancelled = book.cancel(found, offices.somebody(), look, count)
        told = crewing.data(found, book.counts(found)) | {"cancelled_now": cancelled}
    text = f"payout {found.id} is cancelled: {cancelled} lines"
    if found.state == WITHDRAWN:
        text = f"payout {found.id} was never all written down, and is taken out: none of its ids is used up"
    shell.result(told, text)


class _Asking:
    """Asks Crossmint about transfers of one wallet: its signer once, and then each transaction."""

    def __init__(self, shell: Shell, client: offices.Late) -> None:
        self._shell, self._client = shell, client
        self._lock = threading.Lock()
        self._signer: SignerLocator | None = None

    def __call__(self, transfer: Transfer) -> bool:
        from bursar.transfers import orders

        if "transaction" not in transfer.standing.known:
            return False
        with self._lock:
            if self._signer is None:
                wallet = transfer.intent.wallet
                self._signer = offices.signer_locator(self._shell, self._client(), wallet)
        return orders.look_at(self._client(), self._signer)(transfer)
