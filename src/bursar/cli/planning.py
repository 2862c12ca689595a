"""`bursar payout plan|run`: look at a file, and pay exactly that."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from bursar.cli import agreeing, connect, crewing, plan_text
from bursar.cli import office as offices
from bursar.cli.foreseeing import Glance, Watch
from bursar.cli.paying import VIA, WALLET
from bursar.cli.shell import Shell, shared_options
from bursar.errors import PlanRejected, RequestError
from bursar.payouts.naming import id_of_file, require_payout_id
from bursar.review.intent import MOST_PAYMENTS

if TYPE_CHECKING:
    from bursar.crossmint.models import Wallet
    from bursar.payouts.book import Payout, PayoutBook
    from bursar.payouts.plan import Plan

F = TypeVar("F", bound=Callable[..., Any])


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
        click.option("--by", metavar="ARN", help="Who will ask for signatures [default: you]."),
        click.option(
            "--no-recipients-check",
            is_flag=True,
            help="Do not ask Crossmint whether those paid by regulated lines are registered.",
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

    It foresees what the settings' policy will say to each line, were all paid now in order, whether the wallet
    holds enough, and whether those paid by regulated lines are registered (one read of Crossmint each, at most
    1,000). Nobody is paid. With the hash it prints, `bursar payout run` pays exactly this. The exit status is 0
    whatever is foreseen, as long as the file is right.

    Scopes: wallets.read, wallets:balance.read. Permissions: sts:GetCallerIdentity, and reading the key's ledger.
    """
    glance = _glance(id_of_file(options["file"].stem), options)
    made = _planned(shell, **options)
    outlook = Watch(shell, made, glance).look()
    shell.result(
        plan_text.told(made) | {"outlook": outlook.to_dict()}, plan_text.shown(made, outlook)
    )


@click.command("run")
@_file_options
@click.option("--id", "payout_id", metavar="ID", help="The payout's id [default: the file's name].")
@click.option("--plan", "agreed", metavar="HASH", help="Refuse any other plan than this one.")
@click.option(
    "--batch",
    type=click.IntRange(1, MOST_PAYMENTS),
    default=50,
    show_default=True,
    help="Put up to so many direct lines into one transaction, and no more than the policy's calls_at_most; "
    "1 pays each by itself.",
)
@click.option("--yes", is_flag=True, help="Do not ask for confirmation; needs --plan.")
@click.option(
    "--despite-findings",
    is_flag=True,
    help="With --yes, begin though lines are sure to be refused, or the balance is short.",
)
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
    despite_findings: bool,
    no_work: bool,
    **options: Any,
) -> None:
    """Pay a file, and follow it to its end.

    The file is planned anew; with --plan it must be the plan of that hash. What `bursar payout plan` foresees is
    shown before it asks. Where the policy wants consent for anything in it, others agree to the whole plan first:
    `bursar payout approve`. Run again, or by several at once, it goes on where it is: a line is never paid twice.
    Interrupt it whenever you like.
    """
    from bursar.payouts.book import PAUSED, PayoutBook
    from bursar.payouts.plan import require_same

    if yes and agreed is None:
        raise RequestError(
            "a payout that nobody confirms needs the hash of its plan",
            hint="bursar payout plan FILE prints it; then give it with --plan",
        )
    way, concurrency, batch = (options.pop(name) for name in ("via", "concurrency", "batch"))
    name = payout_id or id_of_file(options["file"].stem)
    require_payout_id(name)
    glance = _glance(name, options, way)
    made = _planned(shell, **options)
    if agreed is not None:
        require_same(made, agreed)
    shell.context["payout"] = name
    shell.say(plan_text.summary(made))
    with offices.journal(shell) as journal:
        book = PayoutBook(journal)
        kept = book.find(made.address.lower(), name)
        # What was begun has taken of balance and windows: only a beginning can be foreseen.
        if kept is None:
            _say_outlook(shell, made, glance, refuse=yes and not despite_findings)
        elif (kept.state, kept.hash) == (PAUSED, made.hash) and not no_work:
            raise crewing.paused(kept, book.counts(kept))
        shell.confirm(f"Pay {len(made.lines)} lines?", yes=yes)
        payout = _begun(shell, book, made, name, agreeing.batch_size(shell, batch))
        if payout.state != PAUSED:
            book.ask_again(payout)
            payout = agreeing.recounted(shell, book, payout)
    if no_work:
        shell.result({"payout": payout.id, "state": payout.state, "hash": payout.hash})
        return
    crewing.work(shell, payout, way, concurrency)


def _glance(payout: str, options: dict[str, Any], via: str | None = None) -> Glance:
    skipped, by = options.pop("no_recipients_check"), options.pop("by")
    return Glance(payout, recipients=not skipped, by=by, via=via)


def _say_outlook(shell: Shell, made: Plan, glance: Glance, *, refuse: bool) -> None:
    outlook = Watch(shell, made, glance).look()
    for text in (*outlook.summary, *plan_text.few(outlook.findings)):
        shell.say(text)
    if refuse:
        outlook.require_clear()


def _begun(shell: Shell, book: PayoutBook, made: Plan, name: str, batch: int) -> Payout:
    how = agreeing.beginning(shell, made, name, batch)
    with shell.counting("writing it down", len(made.lines)) as count:
        return book.begin(made, how, count)


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
    with offices.journal(shell) as journal, offices.crossmint(shell, journal) as client:
        found: Wallet = connect.treasury_wallet(client, locator)
    rules = connect.rulebook(shell)
    payer = Payer(
        locator,
        found.address,
        TokenLocator.parse(token or shell.config.wallet.token),
        TransferType.DIRECT if direct else TransferType.REGULATED,
        connect.reading(shell),
        denied=rules.policy.recipients.deny if rules else {},
        id_prefix=id_prefix,
    )
    try:
        return make_plan(read_file(file, sheet=sheet), payer)
    except PlanRejected as rejected:
        plan_text.say_problems(shell, rejected)
        raise
