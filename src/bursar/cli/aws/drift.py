"""`bursar aws drift`: what is no longer as it was deployed."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from bursar.cli.aws import planning
from bursar.cli.aws.stack import stack_option
from bursar.cli.shell import Shell, listing, shared_options

if TYPE_CHECKING:
    from bursar.aws.deploy import Deployment
    from bursar.aws.drift import Drift


@click.command()
@stack_option
@shared_options
@click.pass_obj
def command(shell: Shell, stack: str | None) -> None:
    """Show what was changed outside the stack: its resources, and the function's code, settings and versions.

    CloudFormation compares the resources; what it cannot compare is named. Exits 1 where anything differs.
    """
    from bursar.aws import drift
    from bursar.aws.deploy import status

    cloud, name = planning.cloud(shell), planning.stack_name(shell, stack)
    with shell.waiting(f"Comparing {name} with what was deployed") as update:
        deployed = status(cloud, name)
        found = drift.detect(cloud, name, update)
    function = [*deployed.differences, *([] if deployed.code_is_ours else ["CodeSha256"])]
    result = {**asdict(found), "function": function, "drifted_count": len(found.drifted)}
    shell.result(result, _table(found, function))
    _say(shell, found, deployed)
    if found.drifted or function:
        raise click.exceptions.Exit(1)


def _table(found: Drift, function: list[str]) -> Any:
    if not found.drifted and not function:
        rest = f"; {len(found.unchecked)} were not compared" if found.unchecked else ""
        return f"as deployed: {len(found.in_sync)} resources, and the function{rest}"
    rows: list[tuple[str, ...]] = []
    for each in found.drifted:
        if each.gone:
            rows.append((each.name, each.kind, "", "", "gone"))
        rows += [
            (each.name, each.kind, one.path, one.expected, one.actual) for one in each.differences
        ]
    rows += [("Function", "what runs", name, "", "differs") for name in function]
    return listing(("resource", "kind", "property", "deployed", "now"), rows)


def _say(shell: Shell, found: Drift, deployed: Deployment) -> None:
    if found.unchecked:
        shell.say(f"not compared by CloudFormation: {', '.join(found.unchecked)}")
    if not deployed.protected:
        shell.say("the stack is not protected from deletion; `bursar aws deploy` protects it")
