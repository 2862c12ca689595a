"""What the deployed function runs as now, and where that is not what its stack says.

Whoever may change the function can change its code or its switches behind the stack's back. CloudFormation does
not notice, and shows what it deployed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bursar.aws.cloud import Cloud, aws_errors
from bursar.aws.environment import ALLOWED, BLIND_SIGNING, HANDLER, KEY, SIGNER_ADDRESS
from bursar.aws.template import blind_signing
from bursar.errors import StackError


@dataclass(frozen=True, slots=True)
class Running:
    """The function as Lambda has it. `blind_signing` is `allowed` or `refused`, as `BlindSigning` in the outputs.

    `differences` names the settings that are not as deployed: environment variables by their own names, the others
    as Lambda calls them. Their values stay out: they may be anybody's secrets.
    """

    code_sha256: str
    blind_signing: str
    differences: tuple[str, ...]


def running(cloud: Cloud, outputs: Mapping[str, str]) -> Running:
    """Return what the function of a stack runs as. One call, `lambda:GetFunctionConfiguration`.

    Raises:
        AwsError, AwsAccessDenied, AwsCredentials: AWS refused or could not be reached.
    """
    with aws_errors():
        found: Any = cloud.functions.get_function_configuration(
            FunctionName=outputs["FunctionName"]
        )
    # Where the caller may not decrypt the variables they are missing here, and all of them are told to differ.
    variables = found.get("Environment", {}).get("Variables", {})
    blind = blind_signing(allowed=variables.get(BLIND_SIGNING) == ALLOWED)
    return Running(found["CodeSha256"], blind, _differences(outputs, found, variables))


def require_deployed(outputs: Mapping[str, str], live: Running) -> None:
    """Refuse a function whose settings are not those its stack deployed.

    Raises:
        StackError: names the settings, and the command that puts them back.
    """
    if not live.differences:
        return
    name = outputs["FunctionName"]
    raise StackError(
        f"the function {name} does not run as it was deployed: {', '.join(live.differences)} "
        f"(blind signing is {live.blind_signing})",
        hint="find out who changed it; then deploy again, and if nothing changes: "
        f"aws lambda update-function-configuration --function-name {name} {_repair(outputs)}",
    )


def _differences(
    outputs: Mapping[str, str], found: Mapping[str, Any], variables: Mapping[str, str]
) -> tuple[str, ...]:
    expected = _variables(outputs)
    names = sorted({*expected, *variables})
    told = [name for name in names if expected.get(name) != variables.get(name)]
    settings = {"Handler": HANDLER, "Role": outputs["RoleArn"], "Runtime": outputs.get("Runtime")}
    told += [name for name, value in settings.items() if value and found.get(name) != value]
    if found.get("Layers"):
        told.append("Layers")
    return tuple(told)


def _variables(outputs: Mapping[str, str]) -> dict[str, str]:
    variables = {KEY: outputs["KeyArn"]}
    if outputs.get("BlindSigning") == ALLOWED:
        variables[BLIND_SIGNING] = ALLOWED
    if "SignerAddress" in outputs:
        variables[SIGNER_ADDRESS] = outputs["SignerAddress"]
    return variables


def _repair(outputs: Mapping[str, str]) -> str:
    variables = ",".join(f"{name}={value}" for name, value in _variables(outputs).items())
    options = [f"--handler {HANDLER}", f"--role {outputs['RoleArn']}", "--layers []"]
    if "Runtime" in outputs:
        options.append(f"--runtime {outputs['Runtime']}")
    return " ".join([*options, f"--environment 'Variables={{{variables}}}'"])
