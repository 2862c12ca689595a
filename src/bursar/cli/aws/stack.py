"""`bursar aws plan|deploy|status|outputs|destroy`: the stack."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bursar.cli.aws import planning
from bursar.cli.shell import Shell, fields, shared_options

if TYPE_CHECKING:
    from bursar.aws.changes import Change, Preview
    from bursar.aws.cloud import Cloud
    from bursar.aws.deploy import Deployment, Prepared
    from bursar.aws.policy_change import PolicyChange
    from bursar.aws.stacks import StackEvent

_Command = Callable[..., Any]

stack_option = click.option(
    "--stack", metavar="NAME", help="CloudFormation stack [default: bursar-treasury]."
)
_yes = click.option("--yes", is_flag=True, help="Do it without asking.")


def plan_options(command: _Command) -> _Command:
    """Let a command take what most often differs from the settings; the rest is in bursar.toml."""
    options = (
        click.option("--stage", help="The API's stage [default: the settings', prod]."),
        click.option("--alias", help="Alias of the key to use or make [default: the settings']."),
        click.option("--key", metavar="ARN", help="Use this existing key."),
        click.option("--architecture", type=click.Choice(["arm64", "x86_64"])),
        click.option("--runtime", type=click.Choice(["python3.11", "python3.12", "python3.13"])),
        click.option(
            "--allow-blind-signing",
            is_flag=True,
            help="Let the function sign bare hashes, whose meaning it cannot check. A policy must allow it too.",
        ),
        click.option(
            "--policy",
            metavar="FILE",
            type=click.Path(path_type=Path, exists=True, dir_okay=False),
            help="The policy that the key signs by [default: the settings', none].",
        ),
        click.option(
            "--without-policy",
            is_flag=True,
            help="Sign without a policy, whatever the settings say, and take away one that is deployed.",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


_wheels = click.option(
    "--wheels",
    metavar="DIR",
    type=click.Path(path_type=Path, exists=True),
    help="Take the function's packages from here instead of PyPI.",
)
_bucket = click.option(
    "--bucket", metavar="NAME", help="S3 bucket for the code [default: one of its own]."
)


@click.command()
@stack_option
@plan_options
@_wheels
@_bucket
@shared_options
@click.pass_obj
def plan(shell: Shell, /, **options: Any) -> None:
    """Show what `deploy` would change. Nothing that is deployed is changed.

    A template of more than 51,200 bytes is put into the code's bucket, for AWS to compare.

    Exits 3, with the reason, where it would replace or remove the signing key, which no deployment does.
    """
    from bursar.aws.changes import discard
    from bursar.aws.deploy import prepare

    cloud, request = planning.cloud(shell), planning.request_of(shell, options)
    with shell.waiting(f"Building the code and comparing stack {request.stack}"):
        prepared = prepare(cloud, request, upload=False)
        if prepared.preview.ready:
            discard(cloud, prepared.preview)
    shell.result(_planned(prepared), _table(prepared.preview.changes))
    _say_what_matters(shell, prepared)


@click.command()
@stack_option
@plan_options
@_wheels
@_bucket
@_yes
@shared_options
@click.pass_obj
def deploy(shell: Shell, /, **options: Any) -> None:
    """Create or update the signer: key, function, API, permissions, network, trail, alarms.

    It prints what would change and asks before it changes anything; bursar.toml says what is to be made.
    Interrupted, it goes on in AWS, and the command can be run again to follow it to its end. Without
    --allow-blind-signing the function refuses bare hashes with `blind_signing_disabled`. With a policy the
    function carries it, and a table remembers what was signed by it; the rules that change are shown in words.
    """
    from bursar.aws.deploy import finish, prepare

    cloud, request = planning.cloud(shell), planning.request_of(shell, options)
    with shell.waiting(f"Building the code and comparing stack {request.stack}") as waiting:
        prepared = prepare(cloud, request, tell=lambda event: waiting(_line(event)))
    if not shell.json:
        shell.err.print(_table(prepared.preview.changes))
    _say_what_matters(shell, prepared)
    if prepared.preview.ready:
        _confirm(shell, cloud, prepared.preview, yes=options["yes"])
    try:
        with shell.waiting(f"Deploying {request.stack}") as update:
            deployment = finish(cloud, prepared, _Progress(prepared.preview, update).tell, update)
    except KeyboardInterrupt:
        shell.say("What AWS was told to do goes on. Run the command again to follow it to its end.")
        raise
    _show(
        shell,
        deployment,
        blind_signing_before=prepared.blind_signing_before,
        policy=_policy(prepared),
        changes=[asdict(change) for change in prepared.preview.changes],
    )


@click.command()
@stack_option
@shared_options
@click.pass_obj
def status(shell: Shell, stack: str | None) -> None:
    """Show the deployed signer, its key's state, and whether its function still runs as it was deployed."""
    from bursar.aws.deploy import status as find

    _show(shell, find(planning.cloud(shell), planning.stack_name(shell, stack)))


@click.command()
@stack_option
@shared_options
@click.pass_obj
def outputs(shell: Shell, stack: str | None) -> None:
    """Print what the stack gives out: ARNs, names and the API's URL; and the state of its key.

    BlindSigning is the function's own switch, which somebody may have changed since the deployment.
    """
    from bursar.aws.deploy import status as find

    found = find(planning.cloud(shell), planning.stack_name(shell, stack))
    live = {"BlindSigning": found.blind_signing, "KeyState": found.key_state}
    shell.result({**found.outputs, **live})


@click.command()
@stack_option
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

    Without its key a treasury can no longer pay. A key that stays is found again by its alias at the next
    deploy. What was recorded stays too: the ledger's table, the trail's bucket, and the key that they are
    encrypted with. The bucket that
    held the function's code stays without it. The stack's termination protection is taken off first. Interrupted,
    the command can be run again.
    """
    from bursar.aws.removal import DELETION_DAYS
    from bursar.aws.removal import destroy as remove

    name = planning.stack_name(shell, stack)
    cloud = planning.cloud(shell)
    what = f"Delete the protected stack {name} in {cloud.region} and its code? The key stays."
    if delete_key:
        what = (
            f"Delete the protected stack {name} in {cloud.region}, its code, "
            f"and the key {delete_key} after {DELETION_DAYS} days?"
        )
    shell.confirm(what, yes=yes)
    with shell.waiting(f"Deleting {name}") as update:
        removal = remove(cloud, name, lambda event: update(_line(event)), delete_key=delete_key)
    if removal.key_deleted_on:
        shell.say(
            f"To keep the key after all: aws kms cancel-key-deletion --key-id {removal.key_arn}"
        )
    elif removal.key_arn:
        shell.say("The key and its alias stay; deploying again takes them back.")
        shell.say(
            "Until then a role that is made under the signer's name could sign. To prevent it: "
            f"aws kms disable-key --key-id {removal.key_arn}"
        )
    if removal.ledger:
        _say_memory(shell, removal.ledger)
    for name, where in removal.kept.items():
        shell.say(f"stays, as evidence: {name} {where}")
    result = asdict(removal)
    human = {name: value for name, value in result.items() if name != "kept"}
    shell.result(result, fields(human))


def _say_memory(shell: Shell, table: str) -> None:
    shell.say(
        f"The table {table} stays: it alone knows what was spent and agreed to. A stack that is deployed again "
        f'goes on with it where bursar.toml says: [records] ledger = "{table}"'
    )
    shell.say(
        f"To delete it, and forget: aws dynamodb update-table --table-name {table} "
        f"--no-deletion-protection-enabled; then aws dynamodb delete-table --table-name {table}"
    )


class _Progress:
    """Counts the resources that are done, of those that the change set names."""

    def __init__(self, preview: Preview, update: Callable[[str], None]) -> None:
        self._wanted = {change.name for change in preview.changes}
        self._done: set[str] = set()
        self._update = update

    def tell(self, event: StackEvent) -> None:
        if event.name in self._wanted and event.status.endswith("_COMPLETE"):
            self._done.add(event.name)
        self._update(f"[{len(self._done)}/{len(self._wanted)}] {_line(event)}")


def _planned(prepared: Prepared) -> dict[str, Any]:
    return {
        "stack": prepared.preview.stack,
        "creates": prepared.preview.creates,
        "changes": [asdict(change) for change in prepared.preview.changes],
        "outputs_change": prepared.preview.ready and not prepared.preview.changes,
        "key": prepared.plan.key.arn or prepared.plan.key.alias,
        "makes_key": prepared.plan.key.arn is None,
        "code_sha256": prepared.bundle.sha256,
        "blind_signing_before": prepared.blind_signing_before,
        "blind_signing": prepared.blind_signing,
        "policy": _policy(prepared),
    }


def _policy(prepared: Prepared) -> dict[str, Any] | None:
    return prepared.policy.to_dict() if prepared.policy else None


def _say_policy(shell: Shell, change: PolicyChange) -> None:
    """Say what the policy was, what it is to be, and each rule that goes (-) or comes (+)."""
    stands = [
        f"version {each.version}, {each.hash}" if each else "none"
        for each in (change.before, change.after)
    ]
    if not change.changes:
        shell.say(f"policy: {stands[1]}, as deployed")
        return
    shell.say(f"policy: {stands[0]} → {stands[1]}")
    for sign, sentences in (("-", change.removed), ("+", change.added)):
        for each in sentences:
            shell.say(f"  {sign} {each.rule}: {each.text}")


def _table(changes: tuple[Change, ...]) -> Any:
    from bursar.cli.shell import listing

    rows = [
        (
            change.action.lower(),
            change.name,
            change.kind,
            "perhaps" if change.may_replace else "yes" if change.replaces else "",
            ", ".join(change.properties),
        )
        for change in changes
    ]
    columns = ("action", "resource", "kind", "replaced", "what changes")
    return listing(columns, rows) if rows else "nothing to change"


def _say_what_matters(shell: Shell, prepared: Prepared) -> None:
    preview, bundle, planned = prepared.preview, prepared.bundle, prepared.plan
    shell.say(f"code: {len(bundle.data) / 1e6:.2f} MB, sha256 {bundle.sha256[:16]}…")
    key = planned.key.arn
    if key is None:
        shell.say(f"key: {planned.key.alias}, of this stack")
    elif not any(note.startswith("key:") for note in prepared.notes):
        shell.say(f"key: {key}, whose policy stays as it is")
    if preview.ready and not preview.changes:
        shell.say("only what the stack gives out changes")
    if planned.records.trail == "none":
        shell.say("trail: none; nobody will be able to prove who signed")
    if prepared.policy is not None:
        _say_policy(shell, prepared.policy)
    elif planned.compute == "lambda" and not planned.function.blind_signing:
        shell.say(
            "policy: none, so nothing can be signed; write one: bursar policy new, then give --policy"
        )
    for note in prepared.notes:
        shell.say(note)
    if planned.emulated:
        shell.say("left out here: trail, anomaly detector, IAM group; the local AWS has none")
    before, after = prepared.blind_signing_before, prepared.blind_signing
    shell.say(f"blind signing: {after if before in (None, after) else f'{before} → {after}'}")


def _confirm(shell: Shell, cloud: Cloud, preview: Preview, *, yes: bool) -> None:
    from bursar.aws.changes import discard

    try:
        count = len(preview.changes)
        where = f"in account {cloud.account}, {cloud.region}"
        what = (
            f"Make these {count} changes {where}?"
            if count
            else f"Change the stack's outputs {where}?"
        )
        shell.confirm(what, yes=yes)
    except BaseException:
        discard(cloud, preview)
        raise


def _line(event: StackEvent) -> str:
    reason = f": {event.reason}" if event.failed else ""
    return f"{event.status:20} {event.name} {event.kind}{reason}"


def _show(shell: Shell, found: Deployment, **more: Any) -> None:
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
        "deletion": "protected" if found.protected else "NOT protected; `bursar aws deploy` does",
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
