"""What every command shares: settings, `--json`, talk on stderr and errors with a next step.

Data goes to stdout, talk to stderr. With `--json` stdout is exactly one JSON document, errors included.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property, update_wrapper
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import click

from bursar.cli.config import Config, load_config
from bursar.error_status import exit_status
from bursar.errors import BursarError, ConfigError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

P = ParamSpec("P")
R = TypeVar("R")


@dataclass
class Shell:
    """One invocation of the command line. Commands get it by `@click.pass_obj`.

    `context` is what has to be said along with an error, such as the id that leads back to a transfer.
    Whatever is printed for a person is plain text: markup and control characters in it show as themselves.
    """

    json: bool = False
    verbose: bool = False
    config_file: str | None = None
    context: dict[str, str] = field(default_factory=dict)

    @cached_property
    def config(self) -> Config:
        """The settings: bursar.toml, overlaid by BURSAR_… variables. Read when first asked for."""
        return load_config(self.config_file)

    @cached_property
    def out(self) -> Console:
        """stdout, for data a person reads."""
        from rich.console import Console

        # Nothing is wrapped: an ARN broken in two is of no use to the next program.
        return Console(highlight=False, soft_wrap=True)

    @cached_property
    def err(self) -> Console:
        """stderr, for talk."""
        from rich.console import Console

        return Console(stderr=True, highlight=False, soft_wrap=True)

    def result(self, data: Mapping[str, Any] | list[Any], human: Any = None) -> None:
        """Print a command's result: `data` as JSON under `--json`, otherwise `human`.

        `human` is text or a table; without it, `data` is printed as a two-column list.
        """
        if self.json:
            click.echo(json.dumps(data, indent=2, default=str))
        elif human is None:
            self.out.print(fields(data) if isinstance(data, Mapping) else printable(str(data)))
        else:
            self.out.print(printable(human) if isinstance(human, str) else human)

    def say(self, text: str) -> None:
        """Print one line of talk on stderr; silent under `--json`."""
        if not self.json:
            self.err.print(printable(text))

    @contextmanager
    def waiting(self, text: str) -> Iterator[Callable[[str], None]]:
        """Show a spinner while something takes time; yields a function that changes its text.

        Where stderr is not a terminal it prints each new text once, as a line.
        """
        if self.json:
            yield lambda _text: None
        elif self.err.is_terminal:
            with self.err.status(printable(text)) as status:
                yield lambda new: status.update(printable(new))
        else:
            self.err.print(printable(text))
            last = [text]

            def update(new: str) -> None:
                if new != last[0]:
                    last[0] = new
                    self.err.print(printable(new))

            yield update

    @contextmanager
    def counting(self, text: str, total: int) -> Iterator[Callable[[int], None]]:
        """Show how far something is of `total`; yields a function that is told. Lines where nobody sees a bar."""
        if self.json or total <= 0:
            yield lambda _done: None
        elif self.err.is_terminal:
            from rich.progress import Progress

            with Progress(console=self.err, transient=True) as bar:
                task = bar.add_task(printable(text).plain, total=total)
                yield lambda done: bar.update(task, completed=done)
        else:
            yield lambda done: self.err.print(printable(f"{text}: {done} of {total}"))

    def confirm(self, question: str, *, yes: bool) -> None:
        """Ask before something that cannot be undone; `--yes` answers it.

        Raises:
            ConfigError: there is no terminal to ask on and `--yes` was not given.
            click.Abort: the answer was no.
        """
        if yes:
            return
        self.require_answerable(question)
        click.confirm(question, abort=True, err=True)

    def require_answerable(self, question: str) -> None:
        """Refuse to begin what has to be confirmed later, where nobody can be asked.

        Raises:
            ConfigError: there is no terminal to ask on.
        """
        if self.json or not sys.stdin.isatty():
            raise ConfigError(f"{question} Not confirmed.", hint="give --yes to go ahead")


def fields(data: Mapping[str, Any]) -> Text:
    """Return names and values, one a line. Nothing is wrapped or padded: values are there to be copied."""
    from rich.text import Text

    rows = [(name.replace("_", " "), value) for name, value in data.items() if value is not None]
    width = max((len(name) for name, _ in rows), default=0)
    lines = [Text(f"{name:<{width}}  ", "dim") + printable(str(value)) for name, value in rows]
    return Text("\n").join(lines)


def listing(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> Text:
    """Return rows under a header, in columns. Nothing is wrapped: what is printed can be searched and copied."""
    from rich.text import Text

    cells = [[printable(str(cell)).plain for cell in row] for row in rows]
    table = [list(columns), *cells]
    widths = [max(len(row[at]) for row in table) for at in range(len(columns))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in table
    ]
    head, *rest = lines
    return Text("\n").join([Text(head, "dim"), *(Text(line) for line in rest)])


def printable(text: str) -> Text:
    """Return text as it may be shown: what is between brackets is no markup, and no terminal obeys it."""
    from rich.text import Text

    return Text("".join(c if c.isprintable() or c == "\n" else "\ufffd" for c in text))


def shared_options(command: Callable[P, R]) -> Callable[P, R]:
    """Let a command take `--json` and `-v` itself, so that both work before and after its name."""

    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        shell = click.get_current_context().ensure_object(Shell)
        shell.json = bool(kwargs.pop("json_output", False)) or shell.json
        shell.verbose = bool(kwargs.pop("verbose", False)) or shell.verbose
        return command(*args, **kwargs)

    update_wrapper(wrapper, command)
    wrapped = click.option("--json", "json_output", is_flag=True, help="Print one JSON document.")(
        wrapper
    )
    return click.option("-v", "--verbose", is_flag=True, help="Show tracebacks.")(wrapped)


def report(shell: Shell, error: BursarError) -> int:
    """Print an error with its hint on stderr (as JSON on stdout under `--json`); return the exit status."""
    if shell.json:
        click.echo(json.dumps({"error": error.to_dict(), **shell.context}, indent=2))
    else:
        from rich.text import Text

        line = Text("error: ", "red") + printable(error.message)
        # Where somebody else refused, their own code is what the pages' tables go by.
        if reason := getattr(error, "reason", None):
            line += Text("  ") + Text("[", "dim") + printable(str(reason)) + Text("]", "dim")
        shell.err.print(line)
        if error.hint:
            shell.err.print(Text("hint: ", "yellow") + printable(error.hint))
        for name, value in shell.context.items():
            shell.err.print(printable(f"{name.replace('_', ' ')}: {value}"))
    return exit_status(error)
