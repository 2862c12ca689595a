"""`bursar transfer`: pay, and follow what was paid."""

from __future__ import annotations

from typing import ClassVar

import click

from bursar.cli.groups import LazyGroup


class _Commands(LazyGroup):
    modules: ClassVar = {
        "send": "bursar.cli.paying:send",
        "start": "bursar.cli.paying:start",
        "sign": "bursar.cli.paying:sign",
        "approve": "bursar.cli.paying:approve",
        "list": "bursar.cli.following:list_",
        "show": "bursar.cli.following:show",
        "watch": "bursar.cli.following:watch",
        "resume": "bursar.cli.following:resume",
        "cancel": "bursar.cli.following:cancel",
        "conclude": "bursar.cli.concluding:conclude",
    }


@click.group("transfer", cls=_Commands)
def command() -> None:
    """Pay, and follow what was paid.

    Every transfer is written into the journal before anything is done, and can be resumed whatever happens.
    """
