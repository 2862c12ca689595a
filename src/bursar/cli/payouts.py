"""`bursar payout list|status|pause|resume|approve`: a payout that was begun."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from bursar.cli import agreeing, crewing, finding
from bursar.cli import office as offices
from bursar.cli.paying import VIA
from bursar.cli.shell import Shell, listing, shared_options

if TYPE_CHECKING:
    from bursar.payouts.book import PayoutBook

_COLUMNS = ("payout", "state", "paid", "failed", "held", "lines", "began")


@click.command("list")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True)
@shared_options
@click.pass_obj
def list_(shell: Shell, *, limit: int) -> None:
    """List payouts, the newest first."""
    with _book(shell) as book:
        found = [crewing.data(each, book.counts(each)) for each in book.all(limit)]
    names = ("payout", "state", "paid", "failed", "held", "lines", "created_at")
    rows = [[each[name] for name in names] for each in found]
    shell.result(found, listing(_COLUMNS, rows) if found else "no payouts")


@click.command("status")
@click.argument("payout_id", metavar="ID")
@click.option("--follow", is_flag=True, help="Look on until it is over.")
@finding.WALLET
@shared_options
@click.pass_obj
def status(shell: Shell, *, payout_id: str, follow: bool, wallet: str | None) -> None:
    """Show how a payout stands."""
    with _book(shell) as book:
        found = finding.payout(shell, book, payout_id, wallet)
        if follow:
            crewing.follow(shell, book, found)
            return
        counts = book.counts(found)
        found = book.finish(found, counts)
        shell.result(crewing.data(found, counts), crewing.text(found, counts))


@click.command("pause")
@click.argument("payout_id", metavar="ID")
@finding.WALLET
@shared_options
@click.pass_obj
def pause(shell: Shell, *, payout_id: str, wallet: str | None) -> None:
    """Let no more lines begin. Those that Crossmint has built a transaction for go on to their end."""
    with _book(shell) as book:
        found = book.pause(finding.payout(shell, book, payout_id, wallet))
        shell.result(crewing.data(found, book.counts(found)), f"payout {found.id} is paused")


@click.command("resume")
@click.argument("payout_id", metavar="ID")
@click.option("--held", is_flag=True, help="Also try again what trouble stopped.")
@click.option("--no-work", is_flag=True, help="Only let it go on; `bursar worker` pays it.")
@VIA
@crewing.CONCURRENCY
@finding.WALLET
@shared_options
@click.pass_obj
def resume(
    shell: Shell,
    /,
    *,
    payout_id: str,
    held: bool,
    no_work: bool,
    via: str | None,
    concurrency: int,
    wallet: str | None,
) -> None:
    """Go on with a payout, and follow it to its end."""
    shell.context["payout"] = payout_id
    with _book(shell) as book:
        found = agreeing.recounted(shell, book, finding.payout(shell, book, payout_id, wallet))
        found = book.resume(found, held=held)
        if no_work:
            shell.result(crewing.data(found, book.counts(found)))
            return
    crewing.work(shell, found, via, concurrency)


@click.command("approve")
@click.argument("payout_id", metavar="ID")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@finding.WALLET
@shared_options
@click.pass_obj
def approve(shell: Shell, *, payout_id: str, yes: bool, wallet: str | None) -> None:
    """Agree to a payout's plan, which somebody else began. Who you are AWS says.

    It takes somebody whom the policy's approval rules name for anything in it; how many, is counted by the present
    policy again. What the policy asks of each transaction is asked besides, where the key is.

    Permission: sts:GetCallerIdentity.
    """
    with _book(shell) as book:
        found = finding.payout(shell, book, payout_id, wallet)
        crewing.say(shell, book, found)
        shell.confirm(f"Agree to plan {found.hash}?", yes=yes)
        found = agreeing.agreed(shell, book, found)
        missing = found.approvals_missing
        text = f"{found.state}, {missing} more must agree" if missing else found.state
        shell.result(crewing.data(found, book.counts(found)), f"payout {found.id}: {text}")


@contextmanager
def _book(shell: Shell) -> Iterator[PayoutBook]:
    """Open the settings' journal, as payouts are kept in it."""
    from bursar.payouts.book import PayoutBook

    with offices.journal(shell) as journal:
        yield PayoutBook(journal)
