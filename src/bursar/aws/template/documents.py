"""What the parts of the template are written with: references, IAM policy documents, tags. Pure.

Sources: the CloudFormation user guide, "Intrinsic function reference"; the IAM user guide, "IAM JSON policy
elements: Version".
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from bursar.aws.plan import StackPlan

Json = dict[str, Any]


def policy(*statements: Json) -> Json:
    """Return an IAM policy document of these statements."""
    return {"Version": "2012-10-17", "Statement": list(statements)}


def arn(resource: str) -> Json:
    """Return the ARN of a resource of the template, named by its logical id."""
    return {"Fn::GetAtt": [resource, "Arn"]}


def ref(name: str) -> Json:
    """Return what `Ref` gives for a resource, a parameter or a pseudo parameter."""
    return {"Ref": name}


def sub(text: str) -> Json:
    """Return text whose `${...}` CloudFormation fills in."""
    return {"Fn::Sub": text}


def account_root() -> Json:
    """Return the principal that stands for the whole account."""
    return sub("arn:${AWS::Partition}:iam::${AWS::AccountId}:root")


def function_arn() -> str:
    """Return the text that `Fn::Sub` makes the function's ARN of: for what the function itself depends on."""
    return "arn:${AWS::Partition}:lambda:${AWS::Region}:${AWS::AccountId}:function:${AWS::StackName}-signer"


def tags(plan: StackPlan) -> list[Json]:
    """Return the tags of every resource that takes any: the stack's name, and those of the plan."""
    own = [{"Key": "bursar:stack", "Value": ref("AWS::StackName")}]
    return own + [{"Key": key, "Value": value} for key, value in sorted(plan.tags.items())]


def fingerprint(*parts: Any) -> str:
    """Return ten hex digits that change whenever one of the parts does, as JSON."""
    text = json.dumps(parts, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:10]
