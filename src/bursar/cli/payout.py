"""`bursar payout`: pay a whole file, exactly as it was planned."""

from __future__ import annotations

from typing import ClassVar

import click

from bursar.cli.groups import LazyGroup


class _Commands(LazyGroup):
    modules: ClassVar = {
        "plan": "bursar.cli.planning:plan",
        "run": "bursar.cli.planning:run",
        "approve": "bursar.cli.payouts:approve",
        "cancel": "bursar.cli.cancelling:cancel",
        "list": "bursar.cli.payouts:list_",
        "pause": "bursar.cli.payouts:pause",
        "report": "bursar.cli.reporting:report",
        "resume": "bursar.cli.payouts:resume",
        "status": "bursar.cli.payouts:status",
    }


@click.group("payout", cls=_Commands)
def command() -> None:
    """Pay a whole file: plan it, run it, follow it, report it.

    A file is CSV, XLSX or JSON lines with the columns id, recipient and amount. Every line is a transfer, written
    down before anything is paid, and is paid once, whatever is killed meanwhile.
    """
