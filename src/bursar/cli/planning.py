"""`bursar payout plan|run`: look at a file, and pay exactly that."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from bursar.cli import connect, crewing
from bursar.cli import office as offices
from bursar.cli.paying import VIA, WALLET
from bursar.cli.shell import Shell, listing, shared_options
from bursar.errors import PayoutError, PlanRejected, RequestError
from bursar.review.intent import MOST_PAYMENTS

if TYPE_CHECKING:
    from bursar.crossmint.models import Wallet
    from bursar.payouts.book import Payout
    from bursar.payouts.plan import Plan

F = TypeVar("F", bound=Callable[..., Any])
_SHOWN = 20
_BAD = re.compile(r"[^A-Za-z0-9._-]+")


def _file_options(function: F) -> F:
    for option in (
        click.argument("file", type=click.Path(path_type=Path)),
        click.option("--sheet", metavar="NAME", help="A workbook's sheet [default: its only one]."),
        click.option(
            "--id-prefix",
            metavar="TEXT",
            help="Give lines ids, TEXT:000001 and so on, where the file has none.",
        ),
        click.option("--token", metavar="LOCATOR", help="Another token than the settings'."),
        click.option(
            "--direct",
            is_flag=True,
            help="Lines that do not say are paid without compliance checks.",
        ),
        WALLET,
    ):
        function = option(function)
    return function


@click.command("plan")
@_file_options
@shared_options
@click.pass_obj
def plan(shell: Shell, /, **options: Any) -> None:
    """Look at a file of payments: every line, the totals, and what would keep it from being paid.

    Nothing is written and nobody is paid. With the hash it prints, `bursar payout run` pays exactly this.
    """
    made = _planned(shell, **options)
    shell.result(_told(made), _shown(made))


@click.command("run")
@_file_options
@click.option("--id", "payout_id", metavar="ID", help="The payout's id [default: the file's name].")
@click.option("--plan", "agreed", metavar="HASH", help="Refuse any other plan than this one.")
@click.option(
    "--batch",
    type=click.IntRange(1, MOST_PAYMENTS),
    default=50,
    show_default=True,
    help="Put up to so many direct lines into one transaction; 1 pays each by itself.",
)
@click.option("--yes", is_flag=True, help="Do not ask for confirmation; needs --plan.")
@click.option("--no-work", is_flag=True, help="Only write it down; `bursar worker` pays it.")
@VIA
@crewing.CONCURRENCY
@shared_options
@click.pass_obj
def run(
    shell: Shell,
    /,
    *,
    payout_id: str | None,
    agreed: str | None,
    yes: bool,
    no_work: bool,
    **options: Any,
) -> None:
    """Pay a file, and follow it to its end.

    The file is planned anew; with --plan it must be the plan of that hash. Run again, or by several at once, it
    goes on where it is: a line is never paid twice. Interrupt it whenever you like.
    """
    from bursar.payouts.book import PayoutBook
    from bursar.payouts.plan import require_same

    if yes and agreed is None:
        raise RequestError(
            "a payout that nobody confirms needs the hash of its plan",
            hint="bursar payout plan FILE prints it; then give it with --plan",
        )
    way, concurrency, batch = (options.pop(name) for name in ("via", "concurrency", "batch"))
    made = _planned(shell, **options)
    if agreed is not None:
        require_same(made, agreed)
    name = payout_id or _BAD.sub("-", options["file"].stem)[:40]
    shell.context["payout"] = name
    shell.say(_summary(made))
    shell.confirm(f"Pay {len(made.lines)} lines?", yes=yes)
    with offices.journal(shell) as journal:
        book = PayoutBook(journal)
        payout = _begun(shell, book, made, name, batch)
    if payout.approvals_missing:
        raise PayoutError(
            f"payout {name} waits for {payout.approvals_missing} more to agree to its plan",
            hint=f"they do with: bursar payout approve {name}; then run it again",
        )
    if no_work:
        shell.result({"payout": payout.id, "state": payout.state, "hash": payout.hash})
        return
    crewing.work(shell, payout, way, concurrency)


def _begun(shell: Shell, book: Any, made: Plan, name: str, batch: int) -> Payout:
    from bursar.payouts.book import Beginning

    how = Beginning(name, offices.somebody(), batch)
    with shell.counting("writing it down", len(made.lines)) as count:
        found: Payout = book.begin(made, how, count)
    return found


def _planned(
    shell: Shell,
    *,
    file: Path,
    sheet: str | None,
    id_prefix: str | None,
    token: str | None,
    direct: bool,
    wallet: str | None,
) -> Plan:
    from bursar.crossmint.locators import TokenLocator
    from bursar.payouts.files import read_file
    from bursar.payouts.lines import Payer
    from bursar.payouts.plan import make_plan
    from bursar.transfers.intent import TransferType

    locator = connect.wallet_locator(shell, wallet)
    with connect.crossmint(shell) as client:
        found: Wallet = connect.treasury_wallet(client, locator)
    payer = Payer(
        locator,
        found.address,
        TokenLocator.parse(token or shell.config.wallet.token),
        TransferType.DIRECT if direct else TransferType.REGULATED,
        connect.reading(shell),
        id_prefix=id_prefix,
    )
    try:
        return make_plan(read_file(file, sheet=sheet), payer)
    except PlanRejected as rejected:
        _say_problems(shell, rejected)
        raise


def _say_problems(shell: Shell, rejected: PlanRejected) -> None:
    for each in rejected.problems[:_SHOWN]:
        where = f"line {each['line']}" if each["line"] else "the file"
        value = f" {each['value']!r}" if each["value"] else ""
        shell.say(f"{where}, {each['column'] or 'all of it'}{value}: {each['what']}; {each['fix']}")
    if len(rejected.problems) > _SHOWN:
        shell.say(f"and {len(rejected.problems) - _SHOWN} more; --json has all of them")


def _summary(made: Plan) -> str:
    totals = "; ".join(f"{each.text} {each.name} in {each.count} payments" for each in made.totals)
    warned = f"; {len(made.warnings)} warnings" if made.warnings else ""
    return f"{len(made.lines)} lines from {made.wallet}: {totals}{warned}\nplan {made.hash}"


def _told(made: Plan) -> dict[str, Any]:
    return {
        "hash": made.hash,
        "wallet": str(made.wallet),
        "address": made.address,
        "chain": made.chain,
        "lines": len(made.lines),
        "totals": [
            {
                "token": each.name,
                "payments": each.count,
                "amount": each.text,
                "units": str(each.units),
            }
            for each in made.totals
        ],
        "warnings": [
            {"line": each.line, "column": each.column, "what": each.what} for each in made.warnings
        ],
    }


def _shown(made: Plan) -> Any:
    from bursar.cli.shell import printable

    warned = [f"line {each.line}: {each.what}; {each.fix}" for each in made.warnings[:_SHOWN]]
    rows = [[each.name, str(each.count), each.text] for each in made.totals]
    table = listing(("token", "payments", "amount"), rows)
    text = "\n".join(["", *warned, "", f"plan {made.hash}"])
    return table + printable(text)
