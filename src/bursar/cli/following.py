"""`bursar transfer list|show|watch|resume|cancel`: what the journal has, and what is done about it."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from bursar.cli import connect
from bursar.cli import office as offices
from bursar.cli.paying import BLIND, VIA, WAIT, WALLET, confirmed, shown_by_crossmint
from bursar.cli.shell import Shell, listing, shared_options
from bursar.errors import RequestError, UnknownTransfer
from bursar.transfers.states import Hold, Stage, Step, next_step

if TYPE_CHECKING:
    from bursar.transfers.journal import Journal
    from bursar.transfers.record import Happening, Transfer

_STAGES = [stage.value for stage in Stage]
_COLUMNS = ("id", "stage", "amount", "token", "recipient", "updated", "why")
_CSV = (
    *("id", "stage", "held_for", "amount", "token", "recipient", "type", "wallet", "payout"),
    *("transaction_id", "chain_transaction", "signing_request_id", "digest", "policy", "receipt"),
    *("created_at", "updated_at", "error"),
)


@click.command("list")
@click.option(
    "--stage", "stages", type=click.Choice(_STAGES), multiple=True, help="Only these stages."
)
@click.option("--held", is_flag=True, help="Only what waits for people.")
@click.option("--payout", metavar="ID", help="Only this payout's, in the order of its lines.")
@click.option("--recipient", metavar="TEXT", help="Only where the recipient has this in it.")
@click.option("--since", metavar="DATE", help="Only what was recorded since: 2026-11-01, in UTC.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=50, show_default=True)
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV, with everything there is.")
@shared_options
@click.pass_obj
def list_(
    shell: Shell, /, *, stages: Sequence[str], held: bool, as_csv: bool, **wanted: Any
) -> None:
    """List transfers, the newest first.

    It reads the journal alone: no network but the journal's own database.
    """
    from bursar.transfers.journal import Filter

    chosen = Filter(
        stages=frozenset(Stage(each) for each in stages) or None,
        held=True if held else None,
        payout=wanted["payout"],
        recipient=wanted["recipient"],
        since=_since(wanted["since"]),
        limit=wanted["limit"],
    )
    with offices.journal(shell) as book:
        found = list(book.transfers(chosen))
    if as_csv:
        click.echo(_csv(found), nl=False)
    else:
        rows = [_row(each) for each in found]
        none = "no transfers" if not found else listing(_COLUMNS, rows)
        shell.result([offices.data(each) for each in found], none)


@click.command("show")
@click.argument("transfer_id", metavar="ID")
@WALLET
@shared_options
@click.pass_obj
def show(shell: Shell, *, transfer_id: str, wallet: str | None) -> None:
    """Show where a transfer stands, and everything that happened to it.

    ID is your own, or Crossmint's of the transaction. What the journal does not know Crossmint is asked about.
    Scope then: wallets:transactions.read.
    """
    with offices.journal(shell) as book:
        found = _named(book, transfer_id)
        history = book.history(found.key) if found else []
        if found is None:
            locator = connect.wallet_locator(shell, wallet)
            with offices.crossmint(shell, book) as client:
                shell.result(shown_by_crossmint(connect.transaction(client, locator, transfer_id)))
            return
    told = offices.data(found)
    shell.result(told | {"history": [_happening(each) for each in history]}, _story(told, history))


@click.command("watch")
@click.argument("transfer_id", metavar="ID")
@click.option("--wait", type=click.FloatRange(0, 86_400), default=600.0, show_default=True)
@shared_options
@click.pass_obj
def watch(shell: Shell, *, transfer_id: str, wait: float) -> None:
    """Follow a transfer that a worker drives, until it is over or held.

    It only looks. Where nobody is at work on it, `bursar transfer resume` or `bursar worker` is.
    """
    end = time.monotonic() + wait
    with offices.journal(shell) as book:
        found = known(book, transfer_id)
        version = 0
        while True:
            if found.version != version:
                shell.say(f"{found.updated_at}  {offices.progress(found)}")
                version = found.version
            if next_step(found.standing) is Step.STOP or time.monotonic() >= end:
                break
            time.sleep(0.5)
            found = book.get(found.key)
        offices.require_over(book, found)
    shell.result(offices.data(found))


@click.command("resume")
@click.argument("transfer_id", metavar="ID")
@VIA
@BLIND
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@WAIT
@shared_options
@click.pass_obj
def resume(
    shell: Shell, *, transfer_id: str, via: str | None, blind: bool, yes: bool, wait: float
) -> None:
    """Go on with a transfer where it stopped, whoever began it.

    What nobody has said yes to yet is shown and asked about first.
    """
    from bursar.transfers import orders

    shell.context["transfer_id"] = transfer_id
    with offices.journal(shell) as book:
        found = known(book, transfer_id)
    if not (yes or found.standing.is_confirmed or found.standing.is_final):
        shell.require_answerable("Pay?")
    with offices.office(shell, found.intent.wallet, via=via, blind=blind) as office:
        if found.standing.stage is Stage.CONTRADICTED:
            found = offices.require_settled(office, office.desk.look_again(found.key))
            shell.result(offices.data(found))
            return
        by = offices.somebody() if yes else None
        found = orders.again(office.journal, office.journal.get(found.key), by)
        found = office.run(found.key, wait)
        if found.standing.hold is Hold.CONFIRMATION:
            found = confirmed(office, found, wait)
        found = offices.require_settled(office, found)
    shell.result(offices.data(found))


@click.command("cancel")
@click.argument("transfer_id", metavar="ID")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@shared_options
@click.pass_obj
def cancel(shell: Shell, *, transfer_id: str, yes: bool) -> None:
    """End a transfer whose approval was not handed in yet. Its id is used up.

    Of a batch the payments are cancelled with it; one of them alone cannot be. Crossmint's transaction stays
    there, awaiting an approval that never comes.
    """
    from bursar.transfers import orders

    shell.context["transfer_id"] = transfer_id
    with offices.journal(shell) as book:
        found = known(book, transfer_id)
        shell.say(f"{found.intent}: {found.standing.stage.value}")
        shell.confirm("Cancel it?", yes=yes)
        with offices.crossmint(shell, book) as client:
            signer = offices.signer_locator(shell, client, found.intent.wallet)
            found = orders.cancel(book, client, signer, found, offices.somebody())
    shell.result(offices.data(found), f"{found.id} is cancelled; nothing was paid")


def known(book: Journal, transfer_id: str) -> Transfer:
    """Return the journal's transfer of an id, the caller's own or Crossmint's.

    Raises:
        UnknownTransfer: there is none. RequestError: it is of several wallets.
    """
    found = _named(book, transfer_id)
    if found is None:
        raise UnknownTransfer(
            f"the journal has no transfer {transfer_id}", hint="see: bursar transfer list"
        )
    return found


def _named(book: Journal, transfer_id: str) -> Transfer | None:
    found = book.named(transfer_id)
    if len(found) > 1:
        wallets = ", ".join(each.key.treasury for each in found)
        raise RequestError(
            f"{transfer_id} is a transfer of several wallets: {wallets}",
            hint="use Crossmint's id of the transaction, as `bursar transfer list --json` has it",
        )
    return found[0] if found else None


def _since(text: str | None) -> str | None:
    from bursar.transfers.journal import moment

    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise RequestError(f"{text!r} is no date", hint="like 2026-11-01") from None
    return moment(at if at.tzinfo else at.replace(tzinfo=UTC))


def _row(transfer: Transfer) -> list[str]:
    standing = transfer.standing
    held = f"{standing.stage.value}, held" if standing.hold else standing.stage.value
    asked = offices.asked(transfer)
    return [
        transfer.id,
        held,
        *(asked[name] or "" for name in ("amount", "token", "recipient")),
        transfer.updated_at[:19].replace("T", " "),
        (standing.reason or "")[:80],
    ]


def _csv(found: Sequence[Transfer]) -> str:
    text = io.StringIO()
    # As RFC 4180 has it, and because a carriage return inside a cell is only quoted for this.
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(_CSV)
    for each in found:
        told = offices.data(each)
        writer.writerow([_cell(told[name]) for name in _CSV])
    return text.getvalue()


def _cell(value: object) -> str:
    from bursar.payouts.texts import safe

    return "" if value is None else safe(str(value))


def _happening(each: Happening) -> dict[str, Any]:
    return {"at": each.at, "event": each.kind, **each.data}


def _story(told: dict[str, Any], history: Sequence[Happening]) -> Any:
    from bursar.cli.shell import fields, printable

    lines = [f"{each.at}  {each.kind:<12} {_detail(each)}".rstrip() for each in history]
    return fields(told) + printable("\n\n" + "\n".join(lines))


def _detail(each: Happening) -> str:
    return "  ".join(_details(each))


def _details(each: Happening) -> Iterator[str]:
    for name in ("transaction", "sentence", "confirmed_by", "request_id", "chain_transaction"):
        if name in each.data:
            yield str(each.data[name])
    for name in ("code", "reason"):
        if name in each.data:
            yield f"{name}: {each.data[name]}"
