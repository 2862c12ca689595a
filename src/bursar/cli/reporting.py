"""`bursar payout report`: what became of every line, for the files."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bursar.cli import connect, finding
from bursar.cli import office as offices
from bursar.cli.shell import Shell, listing, shared_options
from bursar.errors import ConfigError

if TYPE_CHECKING:
    from bursar.crossmint.client import CrossmintClient
    from bursar.crossmint.models import Transaction
    from bursar.payouts.book import Payout
    from bursar.payouts.report import Report
    from bursar.transfers.journal import Journal
    from bursar.transfers.record import Transfer
    from bursar.transfers.tally import Tally


@click.command("report")
@click.argument("payout_id", metavar="ID")
@click.option("--html", type=click.Path(path_type=Path), help="Write one page, for people.")
@click.option("--csv", type=click.Path(path_type=Path), help="Write a row for each line.")
@click.option(
    "--chain", is_flag=True, help="Count at the chain itself what was paid; some reads a line."
)
@click.option("--replace", is_flag=True, help="Write over files that are there.")
@finding.WALLET
@shared_options
@click.pass_obj
def report(
    shell: Shell,
    /,
    *,
    payout_id: str,
    html: Path | None,
    csv: Path | None,
    chain: bool,
    replace: bool,
    wallet: str | None,
) -> int:
    """Report what became of every line of a payout, and whether it adds up.

    File total = paid + failed + pending + the rest, to the last unit; with --chain, what counts as paid must also
    be what the chain shows, and what failed or was cancelled must not be there. Exit status 4 where it does not
    add up. Scope, with --chain where the journal does not know what to look for: wallets:transactions.read.
    """
    from bursar.payouts.book import PayoutBook
    from bursar.payouts.writing import write_csv, write_page

    with offices.journal(shell) as journal:
        payout = finding.payout(shell, PayoutBook(journal), payout_id, wallet)
        made = _made(shell, journal, payout, chain=chain)
    for path, write in ((html, write_page), (csv, write_csv)):
        if path is not None:
            write(made, path, replace=replace)
            shell.say(f"wrote {path}")
    found = made.reconciliation
    shell.result(_told(made), _shown(made))
    return 0 if found.sound else 4


def _made(shell: Shell, journal: Journal, payout: Payout, *, chain: bool) -> Report:
    from bursar.payouts.outcome import alarmed, plan_of, results_of
    from bursar.payouts.report import Header, Report
    from bursar.transfers.journal import Filter

    wanted = Filter(treasury=payout.treasury, payout=payout.id)
    everything = list(journal.transfers(wanted))
    batches = {each.id: each for each in everything if not hasattr(each.intent, "recipient")}
    lines = [each for each in everything if each.id not in batches]
    reading = connect.reading(shell)
    plan = plan_of(lines, str(payout.header["address"]), reading, payout.hash)
    results = results_of(lines, batches, reading)
    alone = [each for each in lines if each.batch not in batches]
    seen = _seen(shell, journal, payout, [*alone, *batches.values()]) if chain else None
    results, alarms = alarmed(results, seen.alarms if seen else ())
    ended = [each.ended for each in results if each.ended is not None]
    policies = {str(each.standing.known.get("policy") or "") for each in everything} - {""}
    header = Header(
        payout.id,
        datetime.now(UTC),
        str(payout.header["by"]),
        ", ".join(sorted(policies)),
        datetime.fromisoformat(payout.created_at),
        max(ended, default=None),
    )
    return Report(plan, header, results, seen.units if seen else None, alarms)


def _seen(shell: Shell, journal: Journal, payout: Payout, transfers: Sequence[Transfer]) -> Tally:
    """Return what the chain shows to have been paid by transfers of a payout: each operation asked about once."""
    from bursar.settlement.chain_witness import ChainWitness, Looking
    from bursar.transfers.tally import Counting, to_be_asked_about

    settings = shell.config.chain
    if settings.rpc_url is None:
        raise ConfigError("there is no endpoint of the chain", hint="set BURSAR_CHAIN_RPC_URL")
    asked = to_be_asked_about(transfers)
    looking = Looking(confirmations=settings.confirmations)
    with (
        ExitStack() as stack,
        ChainWitness(settings.rpc_url, payout.header["chain"], looking=looking) as chain,
        shell.counting("asking the chain", len(asked)) as count,
    ):
        client = offices.Late(shell, journal, stack, "bulk")
        counting = Counting(chain, connect.reading(shell), lambda each: _fetched(client(), each))
        return counting.count(asked, count)


def _fetched(client: CrossmintClient, transfer: Transfer) -> Transaction:
    known = str(transfer.standing.known["transaction"])
    return client.get_transaction(transfer.intent.wallet, known)


def _told(made: Report) -> dict[str, Any]:
    found = made.reconciliation
    return {
        "payout": made.header.file,
        "hash": made.plan.hash,
        "sound": found.sound,
        "faults": list(found.faults),
        "totals": [
            {
                "token": each.total.name,
                "units": str(each.total.units),
                "on_chain": None if each.on_chain is None else str(each.on_chain),
                "states": {
                    state.value: {"lines": count, "units": str(units)}
                    for state, (count, units) in each.states.items()
                    if count
                },
            }
            for each in found.accounts
        ],
    }


def _shown(made: Report) -> Any:
    from bursar.amounts import to_decimal_text
    from bursar.cli.shell import printable

    rows = []
    for account in made.reconciliation.accounts:
        decimals = account.total.token.decimals or 0
        rows.append([account.total.name, "file", str(account.total.count), account.total.text])
        rows += [
            [account.total.name, state.words, str(count), to_decimal_text(units, decimals)]
            for state, (count, units) in account.states.items()
            if count
        ]
        if account.on_chain is not None:
            text = to_decimal_text(account.on_chain, decimals)
            rows.append([account.total.name, "seen on the chain", "", text])
    faults = made.reconciliation.faults
    end = "it adds up" if not faults else "IT DOES NOT ADD UP: " + "; ".join(faults[:5])
    return listing(("token", "state", "lines", "amount"), rows) + printable(f"\n\n{end}")
