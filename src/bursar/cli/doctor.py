"""`bursar doctor`: is everything set up, before a deployment and after?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from bursar.cli import connect
from bursar.cli.aws import planning
from bursar.cli.aws.stack import plan_options, stack_option
from bursar.cli.shell import Shell, printable, shared_options
from bursar.errors import BursarError, ConfigError, CrossmintNotFound

if TYPE_CHECKING:
    from rich.text import Text

    from bursar.aws.doctor import Check, Question

_SYMBOLS = {
    "ok": ("✓", "green"),
    "warn": ("!", "yellow"),
    "fail": ("✗", "red"),
    "skip": ("-", "dim"),
}
_WALLET = "wallet"


@click.command("doctor")
@stack_option
@plan_options
@click.option("--bucket", metavar="NAME", help="S3 bucket for the code [default: one of its own].")
@click.option(
    "--only",
    multiple=True,
    metavar="NAME",
    help="Look at this alone, for example key or key.alias; repeatable.",
)
@click.option("--strict", is_flag=True, help="Exit 1 for a warning too.")
@shared_options
@click.pass_obj
def command(shell: Shell, /, *, only: tuple[str, ...], strict: bool, **options: Any) -> None:
    """Check that everything is set up, with what to do where it is not.

    Credentials, Region and clock; the permissions, quotas and names that a deployment needs; then the key, the
    function, the API, the trail and the alarms of the deployed signer, and the wallet. Nothing is changed, and
    nothing signed: where signatures are asked for at KMS itself (or with --only key.dry-run), KMS is asked for a
    dry run, which a trail records. What does not apply yet is skipped. Exits 1 where a check failed.
    """
    from bursar.aws.doctor import AREAS, examine, healthy

    _require_known(only, (*AREAS, _WALLET))
    question, checks = _question(shell, options, only)
    with shell.waiting("Looking at the account and what is deployed in it"):
        checks += examine(planning.cloud(shell), question, only)
    if not checks:
        raise ConfigError(
            f"no check is called {' or '.join(only)}",
            hint=f"`bursar doctor --only {AREAS[0]}` is one",
        )
    # The wallet's own check was made first, for its address; it is the last line of the report.
    checks.sort(key=lambda check: check.area == _WALLET)
    well = healthy(checks, strict=strict)
    shell.result({"ok": well, "checks": [asdict(check) for check in checks]}, _report(checks))
    if not well:
        raise click.exceptions.Exit(1)


def _require_known(only: tuple[str, ...], areas: tuple[str, ...]) -> None:
    for name in only:
        if name.partition(".")[0] not in areas:
            raise ConfigError(f"there is no check {name}", hint=f"there are: {', '.join(areas)}")


def _question(
    shell: Shell, options: dict[str, Any], only: tuple[str, ...]
) -> tuple[Question, list[Check]]:
    from bursar.aws.doctor import Question

    request, settings = planning.request_of(shell, options), shell.config.signer
    addresses = {"signer.address in the settings": settings.address} if settings.address else {}
    checks: list[Check] = []
    if not only or {name.partition(".")[0] for name in only} & {_WALLET, "key"}:
        address, check = _wallet(shell)
        checks = [] if only and _WALLET not in only else [check]
        addresses |= {"the wallet's admin signer": address} if address else {}
    question = Question(
        request.stack,
        request.plan,
        via=settings.via,
        key=request.key,
        addresses=addresses,
        bucket=request.bucket,
        dry_run="key.dry-run" in only,
    )
    return question, checks


def _wallet(shell: Shell) -> tuple[str | None, Check]:
    """Return whose signature the wallet obeys, as Crossmint says, and what came of asking."""
    from bursar.aws.doctor.checks import fail, ok, skip

    if shell.config.crossmint.api_key is None:
        return None, skip(_WALLET, "there is no Crossmint API key", "set BURSAR_CROSSMINT_API_KEY")
    locator = connect.wallet_locator(shell)
    try:
        with connect.crossmint(shell) as client:
            admin = client.get_wallet(locator).admin_signer
    except CrossmintNotFound:
        return None, skip(
            _WALLET, f"there is no wallet {locator} yet", "`bursar wallet create` makes one"
        )
    except BursarError as error:
        return None, fail(_WALLET, error.message, error.hint or "`bursar wallet create` makes one")
    kind, _, address = (admin.locator if admin else "").partition(":")
    if kind != "external-wallet":
        return None, fail(
            _WALLET,
            f"the admin signer of {locator} is not an external wallet, so no key of yours moves it",
            "make a wallet whose admin signer is the key: bursar wallet create",
        )
    return address, ok(_WALLET, f"{locator} obeys {address}")


def _report(checks: Iterable[Check]) -> Text:
    from rich.text import Text

    found = list(checks)
    width = max((len(check.name) for check in found), default=0)
    lines: list[Text] = []
    for check in found:
        symbol, colour = _SYMBOLS[check.status]
        lines.append(
            Text(f"{symbol} ", colour) + f"{check.name:<{width}}  " + printable(check.detail)
        )
        if check.fix and check.status != "ok":
            lines.append(Text(f"  {'':<{width}}  fix: ", "yellow") + printable(check.fix))
    return Text("\n").join([*lines, Text(""), _summary(found)])


def _summary(checks: list[Check]) -> Text:
    from rich.text import Text

    names = {"ok": "well", "warn": "to mend", "fail": "failed", "skip": "skipped"}
    counts = {status: sum(check.status == status for check in checks) for status in names}
    told = [f"{count} {names[status]}" for status, count in counts.items() if count]
    return Text(", ".join(told), "bold")
