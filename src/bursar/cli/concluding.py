"""`bursar transfer conclude`: a person's word about what no witness can tell."""

from __future__ import annotations

import re

import click

from bursar.cli import office as offices
from bursar.cli.following import known
from bursar.cli.shell import Shell, shared_options
from bursar.errors import RequestError

_HASH = re.compile(r"0x[0-9a-f]{64}", re.ASCII)


@click.command("conclude")
@click.argument("transfer_id", metavar="ID")
@click.option("--paid", metavar="HASH", help="It was paid, by this transaction of the chain.")
@click.option("--not-paid", is_flag=True, help="It was not, and its signature can never land.")
@click.option("--because", required=True, metavar="TEXT", help="How you know; it is kept.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@shared_options
@click.pass_obj
def conclude(
    shell: Shell, *, transfer_id: str, paid: str | None, not_paid: bool, because: str, yes: bool
) -> None:
    """End a transfer by your word, where neither Crossmint nor a node can tell what became of it.

    Only for one that is held as `may_still_land` or `approved_elsewhere`, or is contradicted. With `chain.rpc_url`
    first try `bursar transfer resume`, which asks the chain. Before you say --not-paid, see in a block explorer
    that another operation used the wallet's nonce: until then the signature that is out can still be carried
    out, and a new payment would be a second one. Of a batch all payments end with it.
    """
    from bursar.transfers import orders

    if (paid is None) == (not not_paid):
        raise RequestError("say what became of it", hint="--paid HASH, or --not-paid")
    if paid is not None and not _HASH.fullmatch(paid.lower()):
        raise RequestError(f"{paid!r} is no transaction hash", hint="0x and 64 hex digits")
    shell.context["transfer_id"] = transfer_id
    with offices.journal(shell) as book:
        found = known(book, transfer_id)
        shell.say(f"{found.intent}: {offices.progress(found)}")
        what = "paid" if paid else "not paid, and never to be"
        shell.confirm(f"Say that it was {what}?", yes=yes)
        word = orders.Conclusion(offices.somebody(), because, paid.lower() if paid else None)
        found = orders.conclude(book, found, word)
    shell.result(offices.data(found), f"{found.id} is {found.standing.stage}")
