"""`bursar aws`: deploy the signer, look after it, remove it, and prove who can sign and what was signed."""

from __future__ import annotations

from typing import ClassVar

import click

from bursar.cli.groups import LazyGroup

_STACK = "bursar.cli.aws.stack"


class _Commands(LazyGroup):
    modules: ClassVar = {
        "access-review": "bursar.cli.aws.access_review",
        "audit": "bursar.cli.aws.audit",
        "deploy": f"{_STACK}:deploy",
        "destroy": f"{_STACK}:destroy",
        "drift": "bursar.cli.aws.drift",
        "outputs": f"{_STACK}:outputs",
        "permissions": "bursar.cli.aws.permissions",
        "plan": f"{_STACK}:plan",
        "status": f"{_STACK}:status",
        "template": "bursar.cli.aws.template",
    }


@click.group("aws", cls=_Commands)
def command() -> None:
    """Deploy the signer, look after it, remove it; prove who can sign and what was signed."""
