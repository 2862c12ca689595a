"""From settings and options to the plan of a stack."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bursar.aws.plan import (
    ApiPlan,
    CallersPlan,
    FunctionPlan,
    KeyPlan,
    NetworkPlan,
    RecordsPlan,
    StackPlan,
)
from bursar.errors import ConfigError

if TYPE_CHECKING:
    from bursar.aws.cloud import Cloud
    from bursar.aws.deploy import DeployRequest
    from bursar.aws.policy_plan import PolicyPlan
    from bursar.cli.config import Config
    from bursar.cli.shell import Shell

_ALIAS = "alias/bursar-treasury"


def cloud(shell: Shell) -> Cloud:
    """Return the account and Region of the settings. No call is made."""
    from bursar.aws.cloud import Cloud

    return Cloud(shell.config.aws.region)


def stack_name(shell: Shell, given: str | None) -> str:
    """Return the stack that is meant: the one given, else the settings'."""
    return given or shell.config.aws.stack


def plan_of(config: Config) -> StackPlan:
    """Return the plan that the settings describe. It is not judged here."""
    function, network = config.function, config.network
    named = config.key.id
    key = KeyPlan(
        alias=named if named.startswith("alias/") else _ALIAS,
        replica_of=config.key.replica_of,
        multi_region=config.key.multi_region,
        administrators=config.key.administrators,
        users=config.key.users,
        account_delegation=config.key.account_delegation,
    )
    return StackPlan(
        key=key,
        function=FunctionPlan(
            runtime=function.runtime,
            architecture=function.architecture,
            memory=function.memory,
            timeout=function.timeout,
            reserved_concurrency=function.reserved_concurrency or None,
            log_retention=function.log_retention,
            tracing=function.tracing,
        ),
        api=ApiPlan(**config.api.model_dump()),
        callers=CallersPlan(**config.callers.model_dump()),
        network=NetworkPlan(**network.model_dump()) if network.vpc else None,
        records=RecordsPlan(**config.records.model_dump()),
        tags=config.aws.tags,
    )


def request_of(shell: Shell, options: dict[str, Any]) -> DeployRequest:
    """Return what `deploy` and `plan` are asked for: the settings, overlaid by the command's options."""
    from bursar.aws.deploy import DeployRequest

    named, key = shell.config.key.id, options.get("key")
    if key is None and options.get("alias") is None and not named.startswith("alias/"):
        key = named
    plan = overlaid(plan_of(shell.config), options)
    return DeployRequest(
        stack=stack_name(shell, options.get("stack")),
        plan=replace(plan, policy=_policy(shell, options, plan)),
        key=key,
        wheels=options.get("wheels"),
        bucket=options.get("bucket"),
        without_policy=bool(options.get("without_policy")),
    )


def _policy(shell: Shell, options: dict[str, Any], plan: StackPlan) -> PolicyPlan | None:
    """Return the policy that the options, or else the settings, name. What is hardly meant in it is told."""
    from bursar.aws.policy_plan import deployment_warnings, read_policy_plan

    given = options.get("policy")
    if options.get("without_policy"):
        if given is not None:
            raise ConfigError("--policy and --without-policy exclude each other")
        return None
    named = given or shell.config.policy.file
    if named is None:
        return None
    file = Path(named)
    found, findings = read_policy_plan(_bytes(file), str(file))
    for finding in findings:
        shell.say(f"{file} line {finding.line}: {finding.message}")
    for warning in deployment_warnings(found, blind_signing=plan.function.blind_signing):
        shell.say(f"{file}: {warning}")
    return found


def _bytes(file: Path) -> bytes:
    from bursar.policy.document import MAX_BYTES

    try:
        with file.open("rb") as opened:
            return opened.read(MAX_BYTES + 1)
    except OSError as problem:
        raise ConfigError(
            f"the policy {file} cannot be read: {type(problem).__name__}",
            hint="name the file with --policy, or in bursar.toml: [policy] file",
        ) from None


def overlaid(plan: StackPlan, options: dict[str, Any]) -> StackPlan:
    """Return a plan with the options of a command laid over it; those that were not given change nothing."""
    given = {name: value for name, value in options.items() if value}
    function: dict[str, Any] = {
        name: given[name] for name in ("runtime", "architecture") if name in given
    }
    if given.get("allow_blind_signing"):
        function["blind_signing"] = True
    return replace(
        plan,
        key=replace(plan.key, alias=given.get("alias", plan.key.alias)),
        function=replace(plan.function, **function),
        api=replace(plan.api, stage=given.get("stage", plan.api.stage)),
    )
