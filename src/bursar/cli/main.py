"""The command's entry: groups are loaded when named, and every refusal leaves by one door."""

from __future__ import annotations

import sys
import traceback
from typing import Any, ClassVar

import click

from bursar.cli.groups import LazyGroup
from bursar.cli.shell import Shell, report
from bursar.errors import BursarError, RequestError, UnsupportedOperation
from bursar.version import VERSION

_COMMANDS = {
    "approve": "Consent to what somebody else asked the key to sign.",
    "audit": "Prove offline that every signature is accounted for.",
    "aws": "Deploy the signer to AWS, watch over it, prove who can sign.",
    "demo": "Watch the whole path on this machine.",
    "doctor": "Check that everything is set up, before and after.",
    "key": "Create and look at the signing key in AWS KMS.",
    "policy": "Say what may be signed: check, explain, simulate.",
    "recipient": "Register the people who get paid.",
    "sandbox": "Run AWS, a chain and Crossmint here, for trying out.",
    "sign": "Sign one hash or message with the treasury's key.",
    "payout": "Pay a whole file: plan, run, follow, report.",
    "transfer": "Pay, and follow what was paid.",
    "worker": "Drive payouts, together with other workers.",
    "wallet": "Create, look at and fund the treasury wallet.",
}


class _Commands(LazyGroup):
    modules: ClassVar = {name: f"bursar.cli.{name}" for name in _COMMANDS}

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl(sorted(_COMMANDS.items()))


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
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


def run(argv: list[str] | None = None, **extra: Any) -> int:
    """Run the command line and return its exit status (`bursar.error_status.exit_status` says which)."""
    arguments = sys.argv[1:] if argv is None else argv
    shell = Shell(json="--json" in arguments, verbose=bool({"-v", "--verbose"} & set(arguments)))
    try:
        # Without its standalone mode, click returns the status of `Exit` and otherwise what the command does.
        status = cli.main(arguments, prog_name="bursar", standalone_mode=False, obj=shell, **extra)
    except (BursarError, ModuleNotFoundError, click.ClickException) as problem:
        return _failed(shell, problem)
    except click.exceptions.Exit as done:
        return done.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo(f"stopped{_going_on(shell)}", err=True)
        return 130
    return status if isinstance(status, int) else 0


def _going_on(shell: Shell) -> str:
    """Return how what was stopped is gone on with."""
    if name := shell.context.get("transfer_id"):
        return (
            f"; where it was written down it can go on: bursar transfer resume {name}, or be ended: "
            f"bursar transfer cancel {name}"
        )
    if name := shell.context.get("payout"):
        return f"; where it was begun the same command goes on, or: bursar payout resume {name}"
    return ""


def _failed(shell: Shell, problem: Exception) -> int:
    if shell.verbose:
        traceback.print_exception(problem)
    if isinstance(problem, BursarError):
        return report(shell, problem)
    if isinstance(problem, ModuleNotFoundError):
        if (problem.name or "").startswith("bursar"):
            raise problem
        return report(shell, _not_installed(problem))
    if isinstance(problem, click.ClickException) and not shell.json:
        problem.show()
        return problem.exit_code
    return report(shell, RequestError(str(problem)))


def _not_installed(missing: ModuleNotFoundError) -> UnsupportedOperation:
    return UnsupportedOperation(
        f"this needs {missing.name}, which is not part of this installation",
        hint="the sandbox and the demo come with: pip install 'bursar[sandbox]'",
    )
