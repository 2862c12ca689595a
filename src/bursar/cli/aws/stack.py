"""`bursar aws`: deploy the signing function and its API, look at them, remove them."""

from __future__ import annotations

import re
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bursar.cli.shell import Shell, shared_options

if TYPE_CHECKING:
    from bursar.aws.cloud import Cloud
    from bursar.aws.deploy import Deployment, DeployRequest, Prepared
    from bursar.aws.stacks import Preview, StackEvent

_stack = click.option(
    "--stack", metavar="NAME", help="CloudFormation stack [default: bursar-treasury]."
)
_yes = click.option("--yes", is_flag=True, help="Do it without asking.")
_stage = click.option("--stage", default="prod", show_default=True, help="The API's stage.")
_alias = click.option(
    "--alias", help="Alias of the key to use or make [default: the settings' key]."
)
_key = click.option("--key", metavar="ARN", help="Use this existing key.")
_architecture = click.option("--architecture", type=click.Choice(["arm64", "x86_64"]))
_runtime = click.option("--runtime", type=click.Choice(["python3.11", "python3.12", "python3.13"]))
_blind = click.option(
    "--allow-blind-signing",
    is_flag=True,
    help="Let the function sign bare hashes, whose meaning it cannot check.",
)


@click.group("aws")
def command() -> None:
    """Deploy the signing function and its API, look at them, remove them."""


@command.command()
@_stack
@_stage
@_alias
@_key
@_architecture
@_runtime
@_blind
@click.option("--wheels", metavar="DIR", type=click.Path(path_type=Path, exists=True))
@click.option("--bucket", metavar="NAME", help="S3 bucket for the code [default: one of its own].")
@_yes
@shared_options
@click.pass_obj
def deploy(shell: Shell, /, **options: Any) -> None:
    """Create or update the signer: key, function, API, permissions.

    It prints what would change and asks before it changes anything. Without --allow-blind-signing the function
    refuses bare hashes with `blind_signing_disabled`.
    """
    from bursar.aws.deploy import finish, prepare

    cloud = _cloud(shell)
    request = _request(shell, options)
    with shell.waiting(f"Building the function's code and comparing stack {request.stack}"):
        prepared = prepare(cloud, request)
    _show_changes(shell, prepared)
    if prepared.preview.ready:
        _confirm(shell, cloud, prepared.preview, yes=options["yes"])
    with shell.waiting(f"Deploying {request.stack}") as update:
        deployment = finish(cloud, prepared, lambda event: update(_line(event)))
    _show(
        shell,
        deployment,
        blind_signing_before=prepared.blind_signing_before,
        changes=[asdict(change) for change in prepared.preview.changes],
    )


@command.command()
@_stack
@shared_options
@click.pass_obj
def status(shell: Shell, stack: str | None) -> None:
    """Show the deployed signer, its key's state, and whether its function still runs as it was deployed."""
    from bursar.aws.deploy import status as find

    _show(shell, find(_cloud(shell), _stack_name(shell, stack)))


@command.command()
@_stack
@shared_options
@click.pass_obj
def outputs(shell: Shell, stack: str | None) -> None:
    """Print what the stack gives out: ARNs, names and the API's URL; and the state of its key.

    BlindSigning is the function's own switch, which somebody may have changed since the deployment.
    """
    from bursar.aws.deploy import status as find

    found = find(_cloud(shell), _stack_name(shell, stack))
    live = {"BlindSigning": found.blind_signing, "KeyState": found.key_state}
    shell.result({**found.outputs, **live})


@command.command()
@_stack
@click.option(
    "--delete-key",
    metavar="ALIAS",
    help="Delete the key as well, after 30 days. Name it by its full alias.",
)
@_yes
@shared_options
@click.pass_obj
def destroy(shell: Shell, stack: str | None, delete_key: str | None, *, yes: bool) -> None:
    """Remove the function, its API and their permissions. The key stays unless --delete-key names it.

    Without its key a treasury can no longer pay. A key that stays is found again by its alias at the next deploy.
    The bucket that held the function's code stays too, without it. Interrupted, the command can be run again.
    """
    from bursar.aws.removal import DELETION_DAYS
    from bursar.aws.removal import destroy as remove

    name = _stack_name(shell, stack)
    what = f"Delete the stack {name} and its code? The key stays."
    if delete_key:
        what = f"Delete the stack {name}, its code, and the key {delete_key} after {DELETION_DAYS} days?"
    shell.confirm(what, yes=yes)
    with shell.waiting(f"Deleting {name}") as update:
        removal = remove(
            _cloud(shell), name, lambda event: update(_line(event)), delete_key=delete_key
        )
    if removal.key_deleted_on:
        shell.say(
            f"To keep the key after all: aws kms cancel-key-deletion --key-id {removal.key_arn}"
        )
    elif removal.key_arn:
        shell.say("The key and its alias stay; deploying again finds them.")
    shell.result(asdict(removal))


@command.command()
@_stage
@_alias
@_key
@_architecture
@_runtime
@_blind
@shared_options
@click.pass_obj
def template(shell: Shell, /, **options: Any) -> None:
    """Print the CloudFormation template that `deploy` would use. Nothing is asked of AWS.

    So an existing key must be named by its ARN, and its address is not pinned; `deploy` looks both up. Without one
    the template makes a key, where `deploy` uses the key that the alias leads to already.
    """
    from bursar.aws.template import StackPlan, template_text

    request = _request(shell, options)
    if request.key is not None:
        _require_key_arn(request.key)
        shell.say(f"The address of {request.key} is not pinned here; `bursar aws deploy` does it.")
    plan = StackPlan(
        stage=request.stage,
        key_alias=request.alias if request.key is None else options["alias"] or "",
        key_arn=request.key,
        blind_signing=request.blind_signing,
        runtime=request.target.runtime,
        architecture=request.target.architecture,
    )
    click.echo(template_text(plan), nl=False)


def _require_key_arn(key: str) -> None:
    from bursar.errors import ConfigError
    from bursar.kms.names import parse_key_name

    name = parse_key_name(key)
    # IAM knows keys by their ARNs: a statement about an alias would allow nothing.
    if name.is_alias or name.region is None:
        raise ConfigError(
            f"a template needs the key's ARN, and {key} is not one",
            hint="`bursar key show` prints it; `bursar aws deploy` takes any of the key's names",
        )


def _cloud(shell: Shell) -> Cloud:
    from bursar.aws.cloud import Cloud

    return Cloud(shell.config.aws.region)


def _stack_name(shell: Shell, given: str | None) -> str:
    return given or shell.config.aws.stack


def _default_alias(shell: Shell) -> str:
    named = shell.config.key.id
    return named if named.startswith("alias/") else "alias/bursar-treasury"


def _request(shell: Shell, options: dict[str, Any]) -> DeployRequest:
    from bursar.aws.deploy import DeployRequest
    from bursar.aws.wheels import Target

    function, named = shell.config.function, shell.config.key.id
    key = options["key"]
    if key is None and options["alias"] is None and not named.startswith("alias/"):
        key = named
    return DeployRequest(
        stack=_stack_name(shell, options.get("stack")),
        target=Target(
            options["runtime"] or function.runtime, options["architecture"] or function.architecture
        ),
        alias=options["alias"] or _default_alias(shell),
        key=key,
        stage=options["stage"],
        blind_signing=options["allow_blind_signing"],
        wheels=options.get("wheels"),
        bucket=options.get("bucket"),
    )


def _show_changes(shell: Shell, prepared: Prepared) -> None:
    preview, bundle = prepared.preview, prepared.bundle
    shell.say(f"code: {len(bundle.data) / 1e6:.2f} MB, sha256 {bundle.sha256[:16]}…")
    key = prepared.plan.key_arn
    shell.say(f"key: {key}" if key else f"key: {prepared.plan.key_alias}, of this stack")
    for change in preview.changes:
        replaced = " (replaced)" if change.replaces else ""
        replaced = " (perhaps replaced)" if change.may_replace else replaced
        names = f": {', '.join(change.properties)}" if change.properties else ""
        shell.say(f"  {change.action.lower():8}{change.name} {change.kind}{replaced}{names}")
    if not preview.ready:
        shell.say("nothing to change")
    elif not preview.changes:
        shell.say("only what the stack gives out changes")
    before, after = prepared.blind_signing_before, prepared.blind_signing
    shell.say(f"blind signing: {after if before in (None, after) else f'{before} → {after}'}")


def _confirm(shell: Shell, cloud: Cloud, preview: Preview, *, yes: bool) -> None:
    from bursar.aws.stacks import discard

    try:
        count = len(preview.changes)
        what = f"Make these {count} changes?" if count else "Change the stack's outputs?"
        shell.confirm(what, yes=yes)
    except BaseException:
        discard(cloud, preview)
        raise


def _line(event: StackEvent) -> str:
    reason = f": {event.reason}" if event.failed else ""
    return f"{event.status:20} {event.name} {event.kind}{reason}"


def _show(shell: Shell, found: Deployment, **more: Any) -> None:
    from bursar.cli.shell import fields

    apart = ("ApiUrl", "ApiId", "Stage", "BlindSigning")
    code = "as deployed" if found.code_is_ours else "changed outside this stack"
    changed = f"changed outside this stack: {', '.join(found.differences)}"
    human = {
        "stack": f"{found.stack} ({found.status})",
        "signer": found.address,
        "key_state": found.key_state,
        "url": found.url,
        **{_label(name): value for name, value in found.outputs.items() if name not in apart},
        "code": code,
        "settings": changed if found.differences else "as deployed",
        "blind signing": _blind_signing(found),
    }
    shell.result({**asdict(found), **more}, fields(human))


def _label(output: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", output).lower()


def _blind_signing(found: Deployment) -> str:
    deployed = found.outputs.get("BlindSigning", found.blind_signing)
    if found.blind_signing == deployed:
        return deployed
    return f"{found.blind_signing.upper()}, though deployed as {deployed}"
