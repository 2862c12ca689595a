"""What a permission is here: actions on resources, and why; and IAM policies made of them. Pure.

Sources: the IAM user guide, "IAM and AWS STS quotas" (the size of policies) and "IAM JSON policy elements".
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

Json = dict[str, Any]

# What the guide asks of the person who sets a signer up; it forgot the rest.
GUIDE: Final = (
    "kms:CreateKey",
    "iam:CreateRole",
    "iam:PutRolePolicy",
    "iam:PutGroupPolicy",
    "ec2:DescribeVpcEndpoints",
    "apigateway:UpdateRestApiPolicy",
)
# The most a managed policy may hold, white space not counted.
POLICY_LIMIT: Final = 6144
# The most that the policies written on one role may hold together.
ROLE_LIMIT: Final = 10_240
# CloudFormation shortens a stack's name where the name it makes of it would be too long for the service.
KEPT_OF_NAME: Final = 24


@dataclass(frozen=True, slots=True)
class Place:
    """Where a plan is deployed: the stack's name, the account's 12 digits, Region and partition.

    `bucket` is the S3 bucket for the function's code; without it the account's own artifact bucket.
    """

    stack: str
    account: str
    region: str
    partition: str = "aws"
    bucket: str | None = None

    @property
    def code_bucket(self) -> str:
        """The bucket for the function's code."""
        return self.bucket or f"bursar-artifacts-{self.account}-{self.region}"

    @property
    def prefix(self) -> str:
        """What the names that CloudFormation makes up begin with."""
        kept = self.stack[:KEPT_OF_NAME]
        return f"{kept}*" if len(self.stack) > KEPT_OF_NAME else f"{kept}-*"

    def arn(self, service: str, resource: str) -> str:
        """Return the ARN of something in this Region and account."""
        return f"arn:{self.partition}:{service}:{self.region}:{self.account}:{resource}"

    def anywhere(self, service: str, resource: str) -> str:
        """Return the ARN of something in this Region, whosever account it is of."""
        return f"arn:{self.partition}:{service}:{self.region}:*:{resource}"

    def iam(self, resource: str) -> str:
        """Return the ARN of something in IAM, which has no Regions."""
        return f"arn:{self.partition}:iam::{self.account}:{resource}"

    def s3(self, resource: str) -> str:
        """Return the ARN of a bucket or an object."""
        return f"arn:{self.partition}:s3:::{resource}"

    def gateway(self, path: str) -> str:
        """Return the ARN of something in API Gateway's management."""
        return f"arn:{self.partition}:apigateway:{self.region}::{path}"


@dataclass(frozen=True, slots=True)
class Grant:
    """One statement: actions on resources (ARN patterns), and why. `name` is its Sid, in the policy's own letters.

    `conditions` maps an operator to condition keys and values. `optional`: deploying works without it, and only
    `bursar doctor` looks with it.
    """

    name: str
    why: str
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    conditions: Mapping[str, Mapping[str, tuple[str, ...]]] = field(default_factory=dict)
    optional: bool = False


def split_policy(document: Json, limit: int = POLICY_LIMIT) -> list[Json]:
    """Return a policy as documents of at most `limit` characters each, to be attached together.

    A statement is never divided, so one that is larger than the limit comes back as it is.
    """
    made: list[list[Json]] = [[]]
    for statement in document["Statement"]:
        if made[-1] and policy_size({**document, "Statement": [*made[-1], statement]}) > limit:
            made.append([])
        made[-1].append(statement)
    return [{**document, "Statement": statements} for statements in made]


def policy_size(document: Json) -> int:
    """Return how many characters of its limit a policy takes up."""
    return len(json.dumps(document, separators=(",", ":")))


def statement(grant: Grant) -> Json:
    """Return a grant as one statement of an IAM policy."""
    made: Json = {
        "Sid": grant.name,
        "Effect": "Allow",
        "Action": _one_or_more(sorted(grant.actions)),
        "Resource": _one_or_more(list(grant.resources)),
    }
    if grant.conditions:
        made["Condition"] = {
            operator: {key: _one_or_more(list(values)) for key, values in keys.items()}
            for operator, keys in grant.conditions.items()
        }
    return made


def _one_or_more(texts: list[str]) -> str | list[str]:
    return texts[0] if len(texts) == 1 else texts


def example(pattern: str) -> str:
    """Return an ARN that a pattern fits, for IAM's policy simulator, which asks about one resource at a time."""
    if pattern == "*":
        return pattern
    if pattern.endswith(":key/*"):
        return f"{pattern[:-1]}00000000-0000-4000-8000-000000000000"
    return pattern.replace("*", "example")


def named(service: str, names: str) -> tuple[str, ...]:
    """Return the actions of a service, whose names stand in one text with spaces between."""
    return tuple(f"{service}:{name}" for name in names.split())
