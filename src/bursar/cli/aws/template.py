"""`bursar aws template`: what would be deployed, to read or to hand on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import click

from bursar.cli.aws import planning
from bursar.cli.aws.stack import plan_options
from bursar.cli.shell import Shell, shared_options


@click.command()
@plan_options
@click.option(
    "--compute",
    type=click.Choice(["lambda", "ecs", "ec2"]),
    default="lambda",
    show_default=True,
    help="What signs: the function, or an ECS task or EC2 instance of your own, which gets the same role.",
)
@click.option(
    "--logs-for-region",
    is_flag=True,
    help="Let API Gateway write logs in this Region; `deploy` finds out whether it may already.",
)
@shared_options
@click.pass_obj
def command(shell: Shell, /, compute: Any, *, logs_for_region: bool, **options: Any) -> None:
    """Print the CloudFormation template that `deploy` would use. Nothing is asked of AWS.

    So an existing key must be named by its ARN, and its address is not pinned; `deploy` looks both up. Without
    one the template makes a key, where `deploy` takes back one that an earlier stack of its name left. The code's
    bucket, key and hash are parameters.
    """
    from bursar.aws.plan import require_sound
    from bursar.aws.template import build_template, template_text

    if compute != "lambda" and options["policy"] is None:
        options["without_policy"] = True  # the settings' is the function's
    request = planning.request_of(shell, options)
    api = replace(request.plan.api, logs_for_region=logs_for_region)
    plan = replace(request.plan, compute=compute, api=api)
    if request.key is not None:
        _require_key_arn(request.key)
        shell.say(f"The address of {request.key} is not pinned here; `bursar aws deploy` does it.")
        plan = replace(plan, key=replace(plan.key, arn=request.key, alias=options["alias"] or ""))
    require_sound(plan)
    if shell.json:
        shell.result(build_template(plan))
    else:
        click.echo(template_text(plan), nl=False)
    shell.say(
        "By hand: aws cloudformation deploy --stack-name NAME --template-file FILE "
        "--capabilities CAPABILITY_NAMED_IAM; then protect the stack from deletion."
    )


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
