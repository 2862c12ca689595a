"""A group of commands whose modules are imported only when they run, so that `bursar --help` stays quick."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from importlib import import_module
from typing import ClassVar

import click


class LazyGroup(click.Group):
    """`modules` maps each command's name to its module, where it is called `command`, or to `module:name`."""

    modules: ClassVar[Mapping[str, str]] = {}

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Return the names, sorted."""
        return sorted(self.modules)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import and return a command, None if there is none of that name."""
        if cmd_name not in self.modules:
            return None
        module, _, name = self.modules[cmd_name].partition(":")
        command: click.Command = getattr(import_module(module), name or "command")
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command of the arguments; a name that is nearly one is answered with that one."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as problem:
            if close := get_close_matches(args[0], self.modules, n=1):
                raise click.UsageError(
                    f"{problem.message} Did you mean {close[0]!r}?", ctx
                ) from None
            raise
