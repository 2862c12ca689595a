"""The command's entry: groups are loaded when named, and every refusal leaves by one door."""

from __future__ import annotations

import sys
import traceback
from importlib import import_module
from typing import Any

import click

from bursar.cli.shell import Shell, report
from bursar.errors import BursarError
from bursar.version import VERSION

_COMMANDS = {
    "aws": "Deploy the signing function and its API, look at them, remove them.",
    "demo": "Walk the whole path on this machine: a KMS-held key pays a recipient.",
    "key": "Create and look at the signing key in AWS KMS.",
    "recipient": "Register the people who get paid.",
    "sandbox": "Run AWS, a chain and Crossmint's stand-in on this machine.",
    "sign": "Sign one hash or message with the treasury's key.",
    "transfer": "Start, sign, approve and follow transfers.",
    "wallet": "Create, look at and fund the treasury wallet.",
}


class _Lazy(click.Group):
    """Imports a command's module only when that command runs, so that `bursar --help` stays quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = import_module(f"bursar.cli.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl(sorted(_COMMANDS.items()))


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(VERSION, prog_name="bursar")
@click.option("--json", "json_output", is_flag=True, help="Print one JSON document.")
@click.option("-v", "--verbose", is_flag=True, help="Show tracebacks.")
@click.option("--config", metavar="FILE", help="Settings file [default: ./bursar.toml].")
@click.pass_context
def cli(ctx: click.Context, *, json_output: bool, verbose: bool, config: str | None) -> None:
    """Pay out of an on-chain treasury whose signing key never leaves AWS KMS.

    Start with `bursar demo`. Settings come from bursar.toml and BURSAR_… variables.
    """
    shell = ctx.ensure_object(Shell)
    shell.json, shell.verbose = shell.json or json_output, shell.verbose or verbose
    shell.config_file = config


def main(argv: list[str] | None = None) -> None:
    """Run the command line and exit with its status (`bursar.errors.exit_status` says which)."""
    sys.exit(run(argv))


def run(argv: list[str] | None = None, **extra: Any) -> int:
    """Run the command line and return its exit status."""
    arguments = sys.argv[1:] if argv is None else argv
    shell = Shell(json="--json" in arguments, verbose=bool({"-v", "--verbose"} & set(arguments)))
    try:
        # Without its standalone mode, click returns the status of `Exit` and otherwise what the command does.
        status = cli.main(arguments, prog_name="bursar", standalone_mode=False, obj=shell, **extra)
    except BursarError as error:
        if shell.verbose:
            traceback.print_exc()
        return report(shell, error)
    except click.exceptions.Exit as done:
        return done.exit_code
    except click.ClickException as problem:
        problem.show()
        return problem.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("stopped", err=True)
        return 130
    return status if isinstance(status, int) else 0
