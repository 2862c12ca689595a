"""What the deployed function runs as now, and where that is not what its stack says.

Whoever may change the function can change its code or its switches behind the stack's back. CloudFormation does
not notice, and shows what it deployed. Callers reach the alias and the frozen version behind it; but whoever may
invoke the function reaches its latest state and any other version too, so all of them are looked at.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bursar.aws.cloud import Cloud, aws_errors
from bursar.aws.environment import (
    ALLOWED,
    BLIND_SIGNING,
    HANDLER,
    KEY,
    LEDGER_TABLE,
    POLICY_HASH,
    SIGNER_ADDRESS,
)
from bursar.aws.template import blind_signing
from bursar.errors import StackError

LATEST = "$LATEST"


@dataclass(frozen=True, slots=True)
class Running:
    """The function as Lambda has it. `blind_signing` is `allowed` or `refused`, as `BlindSigning` in the outputs.

    It is `allowed` where anything that can be invoked allows it. `differences` names what is not as deployed in
    what callers reach: environment variables by their own names, settings as Lambda calls them; then what only a
    direct invocation reaches, `version 3` or `$LATEST Handler`. Values stay out: they may be anybody's secrets.
    `repairs` are the commands that put all of it back, in order.
    """

    code_sha256: str
    blind_signing: str
    differences: tuple[str, ...]
    repairs: tuple[str, ...] = ()


def running(cloud: Cloud, outputs: Mapping[str, str]) -> Running:
    """Return what the function of a stack runs as.

    It costs `lambda:ListVersionsByFunction`, `lambda:ListAliases` and `lambda:ListFunctionUrlConfigs`.

    Raises:
        StackError: the function, or the alias that callers reach, is gone.
        AwsError, AwsAccessDenied, AwsCredentials: AWS refused or could not be reached.
    """
    found = _pages(cloud, outputs, "list_versions_by_function", "Versions")
    versions = {each["Version"]: each for each in found}
    changed = {name: _differences(outputs, each) for name, each in versions.items()}
    reached = _reached(cloud, outputs)
    doors = _other_doors(cloud, outputs)
    told = [*dict.fromkeys(name for version in reached for name in changed[version])]
    for version in sorted(set(versions) - set(reached)):
        if version == LATEST:
            told += [f"{LATEST} {name}" for name in changed[version]]
        elif changed[version]:
            told.append(f"version {version}")
    told += doors
    blind = any(_blind(each) for each in versions.values())
    return Running(
        versions[reached[0]]["CodeSha256"],
        blind_signing(allowed=blind),
        tuple(told),
        tuple(_repairs(outputs, changed, reached, doors)),
    )


def require_deployed(outputs: Mapping[str, str], live: Running) -> None:
    """Refuse a function that is not as its stack deployed it, in any state that can be invoked.

    Raises:
        StackError: names what differs, and the commands that put it back.
    """
    if not live.differences:
        return
    raise StackError(
        f"the function {outputs['FunctionName']} is not as it was deployed: "
        f"{', '.join(live.differences)} (blind signing is {live.blind_signing})",
        hint="find out who changed it; then put it back: " + "; ".join(live.repairs),
    )


def _pages(cloud: Cloud, outputs: Mapping[str, str], call: str, items: str) -> list[Any]:
    client: Any = cloud.functions
    with aws_errors():
        pages = client.get_paginator(call).paginate(FunctionName=outputs["FunctionName"])
        return [each for page in pages for each in page[items]]


def _reached(cloud: Cloud, outputs: Mapping[str, str]) -> list[str]:
    """Return the versions that callers reach by the API: the alias's own, then those it shares calls with."""
    if "FunctionAlias" not in outputs:  # deployed before there were aliases
        return [LATEST]
    for alias in _pages(cloud, outputs, "list_aliases", "Aliases"):
        if alias["Name"] == outputs["FunctionAlias"]:
            shared = (alias.get("RoutingConfig") or {}).get("AdditionalVersionWeights") or {}
            return [alias["FunctionVersion"], *sorted(shared)]
    raise StackError(
        f"the function's alias {outputs['FunctionAlias']} is gone, so the API reaches nothing",
        hint=f"aws lambda create-alias --function-name {outputs['FunctionName']} "
        f"--name {outputs['FunctionAlias']} --function-version {outputs['FunctionVersion']}",
    )


def _other_doors(cloud: Cloud, outputs: Mapping[str, str]) -> list[str]:
    """Return the ways to the function that its stack did not make: other aliases, and URLs of its own."""
    ours = outputs.get("FunctionAlias")
    aliases = _pages(cloud, outputs, "list_aliases", "Aliases") if ours else []
    urls = _pages(cloud, outputs, "list_function_url_configs", "FunctionUrlConfigs")
    return [
        *(f"alias {each['Name']}" for each in aliases if each["Name"] != ours),
        *("URL of its own" for _ in urls),
    ]


def _blind(found: Mapping[str, Any]) -> bool:
    return bool(found.get("Environment", {}).get("Variables", {}).get(BLIND_SIGNING) == ALLOWED)


def _differences(outputs: Mapping[str, str], found: Mapping[str, Any]) -> tuple[str, ...]:
    # Where the caller may not decrypt the variables they are missing here, and all of them are told to differ.
    variables = found.get("Environment", {}).get("Variables", {})
    expected = _variables(outputs)
    names = sorted({*expected, *variables})
    told = [name for name in names if expected.get(name) != variables.get(name)]
    settings = {
        "CodeSha256": outputs["CodeSha256"],
        "Handler": HANDLER,
        "Role": outputs["RoleArn"],
        "Runtime": outputs.get("Runtime"),
    }
    told += [name for name, value in settings.items() if value and found.get(name) != value]
    if found.get("Layers"):
        told.append("Layers")
    return tuple(told)


def _repairs(
    outputs: Mapping[str, str],
    changed: Mapping[str, tuple[str, ...]],
    reached: list[str],
    doors: list[str],
) -> Iterator[str]:
    function = f"--function-name {outputs['FunctionName']}"
    latest = changed.get(LATEST, ())
    if "CodeSha256" in latest and "CodeBucket" in outputs:
        place = f"--s3-bucket {outputs['CodeBucket']} --s3-key {outputs['CodeKey']}"
        yield f"aws lambda update-function-code {function} {place}"
    if set(latest) - {"CodeSha256"}:
        yield f"aws lambda update-function-configuration {function} {_settings(outputs)}"
    if reached != [LATEST] and any(changed[version] for version in reached):
        good = [version for version, told in changed.items() if not told and version != LATEST]
        version = good[-1] if good else "VERSION"
        if not good:
            yield f"aws lambda publish-version {function} --query Version  # prints VERSION"
        alias = f"--name {outputs['FunctionAlias']} --function-version {version}"
        yield f"aws lambda update-alias {function} {alias} --routing-config AdditionalVersionWeights={{}}"
    for version, told in changed.items():
        if told and version != LATEST:
            yield f"aws lambda delete-function {function} --qualifier {version}"
    for door in doors:
        kind, _, name = door.partition(" ")
        if kind == "alias":
            yield f"aws lambda delete-alias {function} --name {shlex.quote(name)}"
        else:
            yield f"aws lambda delete-function-url-config {function}"


def _variables(outputs: Mapping[str, str]) -> dict[str, str]:
    variables = {KEY: outputs["KeyArn"]}
    if outputs.get("BlindSigning") == ALLOWED:
        variables[BLIND_SIGNING] = ALLOWED
    given = {
        SIGNER_ADDRESS: "SignerAddress",
        POLICY_HASH: "PolicyHash",
        LEDGER_TABLE: "LedgerTable",
    }
    variables |= {name: outputs[output] for name, output in given.items() if output in outputs}
    return variables


def _settings(outputs: Mapping[str, str]) -> str:
    variables = ",".join(f"{name}={value}" for name, value in _variables(outputs).items())
    options = [f"--handler {HANDLER}", f"--role {outputs['RoleArn']}", "--layers []"]
    if "Runtime" in outputs:
        options.append(f"--runtime {outputs['Runtime']}")
    return " ".join([*options, f"--environment 'Variables={{{variables}}}'"])
