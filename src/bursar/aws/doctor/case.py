"""What is examined: an account as its caller, a plan, and the stack that is there or not yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from bursar.aws.caller import Caller
from bursar.aws.cloud import Cloud
from bursar.aws.grants import Place
from bursar.aws.plan import StackPlan
from bursar.aws.stacks import Stack


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
