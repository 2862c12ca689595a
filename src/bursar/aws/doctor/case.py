"""What is examined: an account as its caller, a plan, and the stack that is there or not yet."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from bursar.aws.cloud import Cloud
from bursar.aws.grants import Place
from bursar.aws.plan import StackPlan
from bursar.aws.stacks import Stack

_ARN = re.compile(
    r"\Aarn:(?P<partition>[a-z-]+):(?P<service>iam|sts)::(?P<account>[0-9]{12}):(?P<kind>[a-z-]+)(?:/(?P<rest>.+))?\Z"
)


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose credentials these are: their ARN as STS tells it, taken apart."""

    arn: str
    partition: str = ""
    account: str = ""
    kind: str = ""
    rest: str = ""

    @classmethod
    def of(cls, arn: str) -> Caller:
        """Take an ARN apart; one of another form keeps its text alone."""
        found = _ARN.match(arn)
        if found is None:
            return cls(arn)
        return cls(arn, found["partition"], found["account"], found["kind"], found["rest"] or "")

    @property
    def is_root(self) -> bool:
        """Is it the account's root user?"""
        return self.kind == "root"

    @property
    def role(self) -> str | None:
        """The name of the role, without its path, that this is a session of."""
        return self.rest.partition("/")[0] if self.kind == "assumed-role" else None

    def is_principal(self, arn: str) -> bool:
        """Tell whether the ARN of a user or role is that of this caller."""
        if self.role is None:
            return arn == self.arn
        named = _ARN.match(arn)
        return (
            named is not None
            and (named["account"], named["kind"]) == (self.account, "role")
            and (named["rest"] or "").rpartition("/")[2] == self.role
        )


@dataclass(frozen=True, slots=True)
class Question:
    """What to examine. `via` is how signatures are asked for; `key` is an existing key's id or ARN, not an alias.

    `addresses` are those that the key must have, each under the words for where it is written. `bucket` is that of
    the function's code, where it is not the account's own. `dry_run`: try whether the caller could sign at KMS
    itself, though signatures are asked for elsewhere; an alarm of the stack tells of every such try.
    """

    stack: str
    plan: StackPlan
    via: Literal["api", "lambda", "kms"] = "api"
    key: str | None = None
    addresses: Mapping[str, str] = field(default_factory=dict)
    bucket: str | None = None
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class Case:
    """One examination: the question, AWS, its caller, and the stack, None where there is none yet.

    `readable`: the caller could look the stack up.
    """

    question: Question
    cloud: Cloud
    caller: Caller
    stack: Stack | None
    readable: bool = True

    @property
    def why_not(self) -> str:
        """Why there is nothing to look at of what a stack may hold."""
        if self.stack is not None:
            return "there is none in this stack"
        return "not deployed yet" if self.readable else "the stack could not be read"

    @property
    def plan(self) -> StackPlan:
        """What is, or is to be, deployed."""
        return self.question.plan

    @property
    def outputs(self) -> Mapping[str, str]:
        """What the stack gives out; nothing where there is none."""
        return self.stack.outputs if self.stack else {}

    @property
    def place(self) -> Place:
        """Where it is deployed."""
        question, cloud = self.question, self.cloud
        return Place(
            question.stack, self.caller.account, cloud.region, cloud.partition, question.bucket
        )
