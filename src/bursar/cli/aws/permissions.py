"""`bursar aws permissions`: the least IAM policy for the person who deploys."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import click

from bursar.cli.aws import planning
from bursar.cli.aws.stack import plan_options, stack_option
from bursar.cli.shell import Shell, printable, shared_options


@click.command("permissions")
@stack_option
@plan_options
@click.option("--bucket", metavar="NAME", help="S3 bucket for the code [default: one of its own].")
@click.option("--account", metavar="ID", help="The account's 12 digits [default: the caller's].")
@click.option(
    "--compute", type=click.Choice(["lambda", "ecs", "ec2"]), default="lambda", help="What signs."
)
@click.option("--no-doctor", is_flag=True, help="Leave out what only `bursar doctor` looks with.")
@click.option("--split", is_flag=True, help="Print a list of policies, each small enough for IAM.")
@click.option(
    "--why", is_flag=True, help="Print what each permission is for, instead of the policy."
)
@shared_options
@click.pass_obj
def command(shell: Shell, /, *, no_doctor: bool, split: bool, why: bool, **options: Any) -> None:
    """Print the least IAM policy with which this signer is deployed, changed and removed, as JSON.

    CloudFormation acts with the permissions of whoever deploys. It grants no use of the key; but whoever may
    change the function, its role and the key's policy can get there: give it to few. With --account nothing is
    asked of AWS.
    """
    from bursar.aws.grants import POLICY_LIMIT, ROLE_LIMIT, policy_size, split_policy
    from bursar.aws.permissions import deployer_policy, needed

    plan, place = _where(shell, options)
    if why:
        grants = [grant for grant in needed(plan, place) if not (no_doctor and grant.optional)]
        human = "\n".join(
            f"{each.name}: {each.why}\n  {', '.join(each.actions)}" for each in grants
        )
        rows = [
            {"name": g.name, "why": g.why, "actions": g.actions, "resources": g.resources}
            for g in grants
        ]
        shell.result(rows, printable(human))
        return
    policy = deployer_policy(plan, place, checks=not no_doctor)
    documents = split_policy(policy)
    if len(documents) > 1 and not split:
        size = policy_size(policy)
        way = (
            "put it on the role itself, or "
            if size <= ROLE_LIMIT
            else "not even a role's own does: "
        )
        shell.say(
            f"It has {size} characters, and a managed policy holds {POLICY_LIMIT}: "
            f"{way}--split it into {len(documents)} managed policies"
        )
    shown = replace(shell, json=True)  # a policy is JSON, for a person too
    shown.result(documents if split else policy)


def _where(shell: Shell, options: dict[str, Any]) -> tuple[Any, Any]:
    from bursar.aws.grants import Place

    if options["compute"] != "lambda" and options["policy"] is None:
        options["without_policy"] = True  # the settings' is the function's
    cloud, request = planning.cloud(shell), planning.request_of(shell, options)
    account = options["account"] or cloud.account
    plan = replace(request.plan, compute=options["compute"])
    place = Place(request.stack, account, cloud.region, cloud.partition, request.bucket)
    if request.key is not None:
        arn = (
            request.key
            if request.key.startswith("arn:")
            else place.arn("kms", f"key/{request.key}")
        )
        plan = replace(plan, key=replace(plan.key, arn=arn))
    return plan, place
