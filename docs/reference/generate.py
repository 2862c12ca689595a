"""Write the reference pages that are drawn from the code: commands.md and errors.md. Run by `make docs`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from bursar.cli.main import cli
from bursar.error_status import exit_status, http_status
from bursar.errors import BursarError, all_errors

HERE = Path(__file__).parent
WIDTH = 100


def commands() -> str:
    """Return the page of every command's help."""
    parts = ["# Commands\n\nDrawn from the program's own help by `make docs`.\n"]
    for path, command in _walk(cli, ("bursar",)):
        context = click.Context(command, info_name=" ".join(path), max_content_width=WIDTH)
        context.help_option_names = ["-h", "--help"]
        parts.append(f"## {' '.join(path)}\n\n```\n{command.get_help(context)}\n```\n")
    return "\n".join(parts)


def errors() -> str:
    """Return the page of every error code."""
    lines = [
        "# Errors",
        "",
        "Drawn from `bursar.errors` by `make docs`. The code is in `--json` output, in the signing",
        "function's answers and in its log. *HTTP* is what the function answers, *exit* the command's status:",
        "1 failed, 2 wrong input, 3 refused, 4 not what it should be, 5 outcome not known yet, 130 interrupted.",
        "",
        "| code | class | retry | HTTP | exit |",
        "| --- | --- | --- | --- | --- |",
    ]
    for kind in (kind for kind in all_errors() if kind.__module__ == BursarError.__module__):
        example = kind("")
        retry = "yes" if kind.retryable else ""
        row = (f"`{kind.code}`", kind.__name__, retry, http_status(example), exit_status(example))
        lines.append("| " + " | ".join(str(cell) for cell in row) + " |")
    return "\n".join(lines) + "\n"


def _walk(
    command: click.Command, path: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            if inner is not None:
                yield from _walk(inner, (*path, name))


PAGES = {"commands.md": commands, "errors.md": errors}

if __name__ == "__main__":
    for name, page in PAGES.items():
        (HERE / name).write_text(page(), encoding="utf-8")
