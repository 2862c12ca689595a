"""The CloudFormation template: one signing key, what signs with it, an API in front, and the records of it. Pure.

`build_template` makes it from a `StackPlan`, part by part; `template_text` is the same for people to read and for
CloudFormation to take. Everything is named in terms of the stack, and every ARN is built from the partition,
Region and account it is deployed in. Source: the CloudFormation resource reference.
"""

from __future__ import annotations

from typing import Any

from bursar.aws.environment import ALLOWED, REFUSED
from bursar.aws.plan import StackPlan
from bursar.aws.template import (
    alarms,
    api,
    callers,
    dashboard,
    function,
    key,
    ledger,
    network,
    records,
)
from bursar.aws.template.documents import Json
from bursar.aws.template.function import CODE_BUCKET, CODE_HASH, CODE_KEY
from bursar.aws.template.outputs import outputs

__all__ = [
    "CODE_BUCKET",
    "CODE_HASH",
    "CODE_KEY",
    "SIGNING_KEY",
    "StackPlan",
    "blind_signing",
    "build_template",
    "template_text",
]

# The resource that no change may replace or remove.
SIGNING_KEY = "SigningKey"

_PARTS = {
    "The signing key: who administers it, who signs, and what nobody may": key,
    "What signs: the role, and the function with its log, version and alias": function,
    "The key's memory: what was signed by its policy": ledger,
    "The API in front of the function: signed POSTs, checked, throttled, logged": api,
    "Who may ask for signatures": callers,
    "The network: where the function runs, and the ways to KMS and to the API": network,
    "The records: the trail, and the key that encrypts it and the logs": records,
    "The alarms, and who hears of them": alarms,
    "The dashboard": dashboard,
}


def build_template(plan: StackPlan) -> Json:
    """Return the template of a plan, as plain dictionaries and lists."""
    resources = {name: each for part in parts(plan).values() for name, each in part.items()}
    return {**_head(plan), "Resources": resources, "Outputs": outputs(plan)}


def parts(plan: StackPlan) -> dict[str, dict[str, Json]]:
    """Return the template's resources by part, each with a title; parts that the plan leaves out are not there."""
    made = {title: part.resources(plan) for title, part in _PARTS.items()}
    return {title: resources for title, resources in made.items() if resources}


def template_text(plan: StackPlan) -> str:
    """Return the template of a plan as YAML, its parts under their titles. The same plan gives the same bytes."""
    titled = [
        f"\n  # {title}\n{_indented({name: resource})}" if first else _indented({name: resource})
        for title, resources in parts(plan).items()
        for first, (name, resource) in _marked(resources)
    ]
    body = "".join(titled)
    return f"{_yaml(_head(plan))}\nResources:\n{body}\n{_yaml({'Outputs': outputs(plan)})}"


def blind_signing(*, allowed: bool) -> str:
    """Return the switch as the stack's output `BlindSigning` says it."""
    return ALLOWED if allowed else REFUSED


def _head(plan: StackPlan) -> Json:
    head: Json = {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": "bursar: a treasury's KMS key, what signs with it, and the records of it",
    }
    parameters = function.parameters(plan)
    conditions = network.conditions(plan)
    return (
        head
        | ({"Parameters": parameters} if parameters else {})
        | ({"Conditions": conditions} if conditions else {})
    )


def _marked(resources: dict[str, Json]) -> list[tuple[bool, tuple[str, Json]]]:
    return [(at == 0, each) for at, each in enumerate(resources.items())]


def _indented(value: Json) -> str:
    return "".join(f"  {line}" for line in _yaml(value).splitlines(keepends=True))


def _yaml(value: Json) -> str:
    import yaml

    class Plain(yaml.SafeDumper):  # type: ignore[misc]  # it comes without types
        """No anchors, so that each thing is written where it is; and CloudFormation's short forms."""

        def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
            return True

        def represent_text(self, data: str) -> Any:
            # A policy as it was written, line by line.
            style = "|" if "\n" in data else None
            return self.represent_scalar("tag:yaml.org,2002:str", data, style=style)

        def represent_dict(self, data: Any) -> Any:
            tag, text = _short(data)
            return self.represent_scalar(tag, text) if tag else super().represent_dict(data)

    Plain.add_representer(dict, Plain.represent_dict)
    Plain.add_representer(str, Plain.represent_text)
    text: str = yaml.dump(value, Dumper=Plain, sort_keys=False, width=10_000, allow_unicode=True)
    return text


def _short(value: Json) -> tuple[str, str]:
    """Return the tag and text of an intrinsic function that YAML has a short form for; empty tag for all else."""
    if len(value) != 1:
        return "", ""
    [(name, argument)] = value.items()
    if name == "Fn::GetAtt":
        return "!GetAtt", ".".join(argument)
    if name in ("Ref", "Fn::Sub") and isinstance(argument, str):
        return f"!{name.removeprefix('Fn::')}", argument
    return "", ""
