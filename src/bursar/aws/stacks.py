"""CloudFormation stacks: find, follow, delete. It knows nothing of signing."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bursar.aws.cloud import Cloud, aws_errors, error_code, error_message, explicit_denial
from bursar.errors import StackError

STACK_TAG = "bursar:stack"
_ACTION = re.compile(r"not authorized to perform:? ([a-z0-9-]+:[A-Za-z]+)")


@dataclass(frozen=True, slots=True)
class StackEvent:
    """One line of a stack's history. `reason` is empty unless something went wrong.

    `resource` is the physical id of what it is about; a stack's own events have the stack's id.
    """

    name: str
    kind: str
    status: str
    reason: str
    resource: str = ""

    @property
    def failed(self) -> bool:
        """Is this a failure, and not merely its consequence elsewhere?"""
        # Everything under way is cancelled once one resource fails; that one is the cause.
        return self.status.endswith("_FAILED") and "cancelled" not in self.reason.lower()


@dataclass(frozen=True, slots=True)
class Stack:
    """What CloudFormation holds of a stack. `id` outlives a deletion; `protected` is its termination protection.

    `ours` is whether it bears the tag that stacks of this program have.
    """

    name: str
    id: str
    status: str
    outputs: Mapping[str, str]
    parameters: Mapping[str, str]
    protected: bool = False
    ours: bool = True


@dataclass(frozen=True, slots=True)
class Pace:
    """How often to look, and for how long, in seconds; `start` is how long a first sign of work may take."""

    interval: float = 2.0
    limit: float = 1800.0
    start: float = 120.0

    @classmethod
    def of(cls, cloud: Cloud) -> Pace:
        """Return the pace for AWS, or a quick one for an emulator on this machine."""
        return cls(0.05, 120.0, 10.0) if cloud.emulated else cls()


def find_stack(cloud: Cloud, name: str) -> Stack | None:
    """Return a stack by name or id, None if there is none. Costs `cloudformation:DescribeStacks`."""
    from botocore.exceptions import ClientError

    with aws_errors():
        try:
            found = cloud.cloudformation.describe_stacks(StackName=name)["Stacks"]
        except ClientError as error:
            # CloudFormation has no code of its own for a stack that is not there.
            if error_code(error) == "ValidationError" and "exist" in error_message(error):
                return None
            raise
    stack: Any = found[0]
    outputs = {o["OutputKey"]: o["OutputValue"] for o in stack.get("Outputs", [])}
    parameters = {
        p["ParameterKey"]: p.get("ParameterValue", "") for p in stack.get("Parameters", [])
    }
    return Stack(
        stack["StackName"],
        stack.get("StackId", name),
        stack["StackStatus"],
        outputs,
        parameters,
        protected=stack.get("EnableTerminationProtection", False),
        ours=any(tag["Key"] == STACK_TAG for tag in stack.get("Tags", [])),
    )


def resource_ids(cloud: Cloud, name: str) -> dict[str, str]:
    """Return logical to physical ids of a stack's resources."""
    with aws_errors():
        pages = cloud.cloudformation.get_paginator("list_stack_resources").paginate(StackName=name)
        found = [each for page in pages for each in page["StackResourceSummaries"]]
    return {
        each["LogicalResourceId"]: each.get("PhysicalResourceId", "")
        for each in found
        if each["ResourceStatus"] != "DELETE_COMPLETE"
    }


def delete(cloud: Cloud, name: str, tell: Callable[[StackEvent], None]) -> None:
    """Delete a stack and follow it to its end.

    Raises:
        StackError: it failed; the message is the first resource's own reason.
        AwsError, AwsAccessDenied, AwsCredentials: AWS refused or could not be reached.
    """
    found = settle(cloud, name)
    if found is None:
        return
    before = dict(events(cloud, found.id))
    with aws_errors():
        # By its id, since a deleted stack is not found by its name, and another may get the name meanwhile.
        cloud.cloudformation.delete_stack(StackName=found.id)
    happened = follow(cloud, found.id, tell, before, Pace.of(cloud))
    stack = find_stack(cloud, found.id)
    if stack is not None and stack.status != "DELETE_COMPLETE":
        raise failure(name, stack, happened)


def settle(
    cloud: Cloud, name: str, tell: Callable[[StackEvent], None] = lambda _event: None
) -> Stack | None:
    """Return a stack once nothing is going on in it; an earlier, interrupted command may have left it at work.

    `tell` gets what happens meanwhile.

    Raises:
        StackError: it is still at work after half an hour.
    """
    told: set[str] = set()
    for _ in beats(Pace.of(cloud)):
        stack = find_stack(cloud, name)
        if stack is None or not _at_work(stack.status):
            return stack if stack and stack.status != "DELETE_COMPLETE" else None
        for event_id, event in events(cloud, stack.id):
            if event_id not in told:
                told.add(event_id)
                tell(event)
    raise StackError(f"the stack {name} is still at work", hint="look at its events and try again")


def required(stack: Stack | None, name: str) -> Stack:
    """Return a stack that has to be there.

    Raises:
        StackError: it is not.
    """
    if stack is None:
        raise StackError(
            f"there is no stack {name} here",
            hint="make it with `bursar aws deploy`, or give --stack, or set AWS_REGION to where it is",
        )
    return stack


def require_ours(stack: Stack) -> None:
    """Refuse a stack that this program has not made.

    Raises:
        StackError: it lacks the tag.
    """
    if not stack.ours and stack.status != "REVIEW_IN_PROGRESS":
        raise StackError(
            f"there is a stack {stack.name}, and it is none of bursar's",
            hint="choose another name with --stack, or aws.stack in bursar.toml",
        )


def require_updatable(stack: Stack) -> None:
    """Refuse a stack that CloudFormation will not update in the state it is in.

    Raises:
        StackError: with what to do about it.
    """
    if stack.status in ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED", "DELETE_FAILED"):
        raise StackError(
            f"the stack {stack.name} is {stack.status}: it is not whole",
            hint=f"remove what is left with: bursar aws destroy --stack {stack.name}; then deploy again",
        )
    if stack.status == "UPDATE_ROLLBACK_FAILED":
        raise StackError(
            f"the stack {stack.name} is {stack.status}",
            hint=f"aws cloudformation continue-update-rollback --stack-name {stack.name}",
        )


def _at_work(status: str) -> bool:
    return status.endswith("_IN_PROGRESS") and status != "REVIEW_IN_PROGRESS"


def follow(
    cloud: Cloud,
    stack_id: str,
    tell: Callable[[StackEvent], None],
    old: Mapping[str, StackEvent],
    pace: Pace,
) -> list[StackEvent]:
    """Follow what was ordered of a stack to its end, and return what happened. `old` is what happened before.

    Raises:
        StackError: AWS shows no sign of beginning, or is still at work when the pace's limit is over.
    """
    # By id and not by time: the clocks of this machine and of AWS need not agree.
    seen: dict[str, StackEvent] = {}
    latest_start = time.monotonic() + pace.start
    for _ in beats(pace):
        # Asked first, so that the events read after it are all there are once the stack is done.
        stack = find_stack(cloud, stack_id)
        for event_id, event in events(cloud, stack_id):
            if event_id not in seen and event_id not in old:
                seen[event_id] = event
                tell(event)
        own = [event.status for event in seen.values() if event.resource == stack_id]
        # Right after the order AWS may still show how the last operation ended. So the end counts only once an
        # event of the stack's own, a new one, tells of it.
        if stack is None or _is_end(stack.status, own):
            return list(seen.values())
        if not own and time.monotonic() > latest_start:
            raise StackError(
                f"AWS took the order, but after {pace.start:.0f} s shows no sign of carrying it out",
                hint="look at the stack's events, and run the command again",
            )
    raise StackError(
        f"the stack is still at work after {pace.limit:.0f} s",
        hint="it goes on in AWS; run the command again to follow it",
    )


def _is_end(status: str, own: list[str]) -> bool:
    return status == "DELETE_COMPLETE" or (not _at_work(status) and status in own)


def first_failure(cloud: Cloud, stack_id: str) -> StackEvent | None:
    """Return what made a stack's creation fail: the first failure in its history."""
    return next((event for _, event in events(cloud, stack_id) if event.failed), None)


def events(cloud: Cloud, stack: str) -> Iterator[tuple[str, StackEvent]]:
    """Yield a stack's events, the oldest first."""
    from botocore.exceptions import ClientError

    found: list[Any] = []
    page: dict[str, str] = {}
    with aws_errors():
        try:
            while True:
                answer = cloud.cloudformation.describe_stack_events(StackName=stack, **page)
                found += answer["StackEvents"]
                if not answer.get("NextToken"):
                    break
                page = {"NextToken": answer["NextToken"]}
        except ClientError as error:
            if "exist" not in error_message(error):
                raise
    for each in reversed(found):
        yield (
            each["EventId"],
            StackEvent(
                each["LogicalResourceId"],
                each.get("ResourceType", ""),
                each.get("ResourceStatus", ""),
                each.get("ResourceStatusReason", ""),
                each.get("PhysicalResourceId", ""),
            ),
        )


def failure(name: str, stack: Stack | None, happened: list[StackEvent]) -> StackError:
    """Return the error of an order that failed: with the first real cause, and what to do."""
    status = stack.status if stack else "gone"
    first = next((event for event in happened if event.failed), None)
    cause = f"{first.name} ({first.kind}): {first.reason}" if first else "no reason was given"
    hint = _permission_hint(cause)
    if status == "ROLLBACK_COMPLETE":
        again = (
            "mend the cause and deploy again; nothing of this attempt is left to stand in the way"
        )
        hint = f"{hint}; {again}" if hint else again
    if status == "ROLLBACK_FAILED":
        again = f"remove what is left with: bursar aws destroy --stack {name}; then deploy again"
        hint = f"{hint}; {again}" if hint else again
    return StackError(f"the stack {name} is {status}: {' '.join(cause.split())[:500]}", hint=hint)


def _permission_hint(cause: str) -> str | None:
    if forbidden := explicit_denial(cause):
        return f"{forbidden} denies it; more permissions do not help, ask whoever keeps that policy"
    missing = _ACTION.search(cause)
    if missing is None:
        return None
    return f"whoever deploys needs {missing[1]}; `bursar aws permissions` prints all that it takes"


def beats(pace: Pace) -> Iterator[None]:
    """Yield at once, and again every interval until the limit is over."""
    deadline = time.monotonic() + pace.limit
    while True:
        yield
        if time.monotonic() > deadline:
            return
        time.sleep(pace.interval)
