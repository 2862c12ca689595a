"""Working on a payout in this process, and showing how it goes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import click

from bursar.cli import office as offices
from bursar.cli.shell import Shell
from bursar.errors import BursarError, PayoutError
from bursar.transfers.states import Stage

if TYPE_CHECKING:
    from bursar.payouts.book import Payout, PayoutBook
    from bursar.payouts.counting import Counts

CONCURRENCY = click.option(
    "--concurrency",
    type=click.IntRange(1, 64),
    default=16,
    show_default=True,
    help="How many transfers at once.",
)
_ROUND = 0.5
# Seconds between lines where nobody looks at a terminal.
_EACH = 5.0


def work(shell: Shell, payout: Payout, via: str | None, concurrency: int) -> None:
    """Work on a payout until it is over, held or paused, and print how it ended.

    Raises:
        PayoutError: not every line was paid; the message counts them.
    """
    from bursar.crossmint.locators import WalletLocator
    from bursar.payouts.book import PayoutBook
    from bursar.transfers.worker import Worker

    wallet = WalletLocator.parse(payout.header["wallet"])
    with offices.office(shell, wallet, via=via, concurrency=concurrency) as office:
        book = PayoutBook(office.journal)
        worker = Worker(office.runner, office.treasury, concurrency)
        with _view(shell, payout) as view:
            while True:
                round_ = worker.round()
                view.trouble = round_.error.message if round_.error else ""
                payout, counts = _standing(book, payout)
                view.show(counts)
                if payout.state != "running" or counts.open == counts.held:
                    break
                time.sleep(_ROUND)
        end(shell, payout, counts)


def follow(shell: Shell, book: PayoutBook, payout: Payout) -> None:
    """Look on while others work on a payout."""
    with _view(shell, payout) as view:
        while True:
            payout, counts = _standing(book, payout)
            view.show(counts)
            if payout.state != "running" or counts.open == counts.held:
                break
            time.sleep(2 * _ROUND)
    end(shell, payout, counts)


def end(shell: Shell, payout: Payout, counts: Counts) -> None:
    """Print how a payout stands, and refuse to call it well where a line is not paid.

    Raises:
        PayoutError: not every line was paid.
    """
    from bursar.payouts.book import PAUSED

    told = data(payout, counts)
    paid = counts.of(Stage.SETTLED)
    if paid == payout.lines:
        shell.result(told, f"payout {payout.id}: all {paid} lines are paid")
        return
    if shell.json:
        shell.context["payout_state"] = payout.state
    if payout.state == PAUSED:
        raise paused(payout, counts)
    raise PayoutError(
        f"payout {payout.id}: {paid} of {payout.lines} lines are paid, {counts.of(Stage.FAILED)} failed, "
        f"{counts.held} wait for people, {counts.open - counts.held} are under way",
        hint=f"see why with: bursar transfer list --payout {payout.id}; once it is put right: "
        f"bursar payout resume {payout.id} --held",
    )


def paused(payout: Payout, counts: Counts) -> PayoutError:
    """Return the error of whoever would have a paused payout go on without saying so."""
    over = counts.total - counts.open
    return PayoutError(
        f"payout {payout.id} is paused: {over} of {payout.lines} lines are over, and no more of them begin",
        hint=f"let it go on with: bursar payout resume {payout.id}",
    )


def say(shell: Shell, book: PayoutBook, payout: Payout) -> None:
    """Say what a payout is and how it stands, before somebody is asked about it."""
    counts = book.counts(payout)
    totals = "; ".join(f"{each['amount']} {each['token']}" for each in payout.header["totals"])
    shell.say(f"payout {payout.id}: {payout.lines} lines, {totals}, {payout.state}")
    shell.say(", ".join(f"{count} {stage}" for stage, count in sorted(counts.stages.items())))


def data(payout: Payout, counts: Counts) -> dict[str, Any]:
    """Return a payout as `--json` prints it."""
    return {
        "payout": payout.id,
        "state": payout.state,
        "hash": payout.hash,
        "wallet": payout.treasury,
        "lines": payout.lines,
        "paid": counts.of(Stage.SETTLED),
        "failed": counts.of(Stage.FAILED),
        "cancelled": counts.of(Stage.CANCELLED),
        "contradicted": counts.of(Stage.CONTRADICTED),
        "held": counts.held,
        "under_way": counts.open - counts.held,
        "stages": counts.stages,
        "totals": payout.header.get("totals", []),
        "approvals": payout.approvals,
        "approvals_missing": payout.approvals_missing,
        "created_at": payout.created_at,
        "updated_at": payout.updated_at,
    }


def text(payout: Payout, counts: Counts) -> str:
    """Return how a payout stands, for people."""
    totals = "; ".join(f"{each['amount']} {each['token']}" for each in payout.header["totals"])
    stages = ", ".join(f"{count} {stage}" for stage, count in sorted(counts.stages.items()))
    rows = {
        "payout": f"{payout.id}: {payout.state}",
        "plan": payout.hash,
        "wallet": payout.treasury,
        "pays": f"{totals} in {payout.lines} lines",
        "lines": stages,
        "held": f"{counts.held} wait for people" if counts.held else "",
        "agreed": ", ".join(f"{each['by']} at {each['at']}" for each in payout.approvals),
        "waits for": f"{payout.approvals_missing} more to agree"
        if payout.approvals_missing
        else "",
        "began": payout.created_at,
    }
    return "\n".join(f"{name:10} {value}" for name, value in rows.items() if value)


def _standing(book: PayoutBook, payout: Payout) -> tuple[Payout, Counts]:
    while True:
        try:
            found = book.find(payout.treasury, payout.id) or payout
            counts = book.counts(found)
            return book.finish(found, counts), counts
        except BursarError as error:
            if not error.retryable:
                raise
            time.sleep(2.0)


@dataclass
class View:
    """How far a payout is: its rate a minute, and when it would be done at that rate."""

    shell: Shell
    payout: Payout
    bar: Any = None
    task: Any = None
    trouble: str = ""
    began: float = field(default_factory=time.monotonic)
    at_first: int | None = None
    last: float = 0.0

    def show(self, counts: Counts) -> None:
        """Show a standing."""
        over = counts.total - counts.open
        if self.at_first is None:
            self.at_first = over
        text = self._text(counts, over)
        if self.bar is not None:
            self.bar.update(self.task, completed=over, description=text)
        elif time.monotonic() - self.last >= _EACH or counts.open == 0:
            self.last = time.monotonic()
            self.shell.say(f"{over}/{self.payout.lines}  {text}")

    def _text(self, counts: Counts, over: int) -> str:
        minutes = (time.monotonic() - self.began) / 60
        rate = (over - (self.at_first or 0)) / minutes if minutes > 0.05 else 0.0
        left = f", {_duration(counts.open / rate)} left" if rate and counts.open else ""
        parts = [f"{counts.of(Stage.SETTLED)} paid", f"{rate:.0f} a minute{left}"]
        for name, count in (
            ("failed", counts.of(Stage.FAILED)),
            ("held", counts.held),
            ("contradicted", counts.of(Stage.CONTRADICTED)),
        ):
            if count:
                parts.append(f"{count} {name}")
        if self.trouble:
            parts.append(f"waiting: {self.trouble}")
        return ", ".join(parts)


@contextmanager
def _view(shell: Shell, payout: Payout) -> Iterator[View]:
    if shell.json or not shell.err.is_terminal:
        yield View(shell, payout)
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=shell.err) as bar:
        task = bar.add_task("", total=payout.lines)
        yield View(shell, payout, bar, task)


def _duration(minutes: float) -> str:
    if minutes < 1:
        return "less than a minute"
    if minutes < 90:
        return f"{minutes:.0f} min"
    return f"{minutes / 60:.1f} h"
