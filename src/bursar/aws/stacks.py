"""CloudFormation stacks by change set: preview, apply, follow, delete. It knows nothing of signing."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from bursar.aws.cloud import Cloud, aws_errors, error_code, error_message
from bursar.errors import StackError

# What CloudFormation says of a change set that would change nothing; there is no code for it.
_NOTHING_TO_DO = ("didn't contain changes", "No updates are to be performed")
_CAPABILITIES = ["CAPABILITY_IAM"]


@dataclass(frozen=True, slots=True)
class Change:
    """One resource a change set touches. `action` is Add, Modify, Remove…; `replaces` means a new one is made."""

    action: str
    name: str
    kind: str
    replaces: bool


@dataclass(frozen=True, slots=True)
class Preview:
    """A change set that is ready, not yet executed. Without changes there is nothing to execute."""

    stack: str
    stack_id: str
    change_set: str
    creates: bool
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class StackEvent:
    """One line of a stack's history. `reason` is empty unless something went wrong."""

    name: str
    kind: str
    status: str
    reason: str

    @property
    def failed(self) -> bool:
        """Is this a failure, and not merely its consequence elsewhere?"""
        # Everything under way is cancelled once one resource fails; that one is the cause.
        return self.status.endswith("_FAILED") and "cancelled" not in self.reason.lower()


@dataclass(frozen=True, slots=True)
class Stack:
    """What CloudFormation holds of a stack: its status, outputs and parameters. `id` outlives a deletion."""

    name: str
    id: str
    status: str
    outputs: Mapping[str, str]
    parameters: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Pace:
    """How often to look, and for how long, in seconds."""

    interval: float = 2.0
    limit: float = 1800.0

    @classmethod
    def of(cls, cloud: Cloud) -> Pace:
        """Return the pace for AWS, or a quick one for an emulator on this machine."""
        return cls(0.05, 120.0) if cloud.emulated else cls()


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
        stack["StackName"], stack.get("StackId", name), stack["StackStatus"], outputs, parameters
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


def preview(cloud: Cloud, name: str, template: str, parameters: Mapping[str, str]) -> Preview:
    """Make a change set and return what it would do. A stack at work is waited for first.

    Raises:
        StackError: the stack is in a state that cannot be updated, or the template is turned down.
        AwsError, AwsAccessDenied, AwsCredentials: AWS refused or could not be reached.
    """
    stack = settle(cloud, name)
    creates = stack is None or stack.status == "REVIEW_IN_PROGRESS"
    if stack is not None:
        require_updatable(stack)
    given = [{"ParameterKey": k, "ParameterValue": v} for k, v in parameters.items()]
    made: Any = _create_change_set(
        cloud,
        StackName=name,
        ChangeSetName=f"bursar-{uuid.uuid4().hex[:12]}",
        ChangeSetType="CREATE" if creates else "UPDATE",
        TemplateBody=template,
        Parameters=given,
        Capabilities=_CAPABILITIES,
        Tags=[{"Key": "bursar:stack", "Value": name}],
    )
    return _ready(cloud, Preview(name, made["StackId"], made["Id"], creates, ()))


def _create_change_set(cloud: Cloud, **arguments: Any) -> Any:
    from botocore.exceptions import ClientError

    with aws_errors():
        try:
            return cloud.cloudformation.create_change_set(**arguments)
        except ClientError as error:
            if error_code(error) != "ValidationError":
                raise
            raise StackError(
                f"CloudFormation turned the template down: {error_message(error)}"
            ) from None


def discard(cloud: Cloud, preview: Preview) -> None:
    """Delete a change set that is not wanted, and the empty stack it stood in."""
    with aws_errors():
        cloud.cloudformation.delete_change_set(
            ChangeSetName=preview.change_set, StackName=preview.stack
        )
        if preview.creates:
            cloud.cloudformation.delete_stack(StackName=preview.stack)


def apply(cloud: Cloud, preview: Preview, tell: Callable[[StackEvent], None]) -> Stack:
    """Execute a change set and follow it to its end; `tell` gets each event as it happens.

    Raises:
        StackError: it failed; the message is the first resource's own reason.
        AwsError, AwsAccessDenied, AwsCredentials: AWS refused or could not be reached.
    """
    old = dict(_events(cloud, preview.stack_id))
    with aws_errors():
        cloud.cloudformation.execute_change_set(
            ChangeSetName=preview.change_set, StackName=preview.stack
        )
    events = _follow(cloud, preview.stack_id, old, tell)
    stack = find_stack(cloud, preview.stack_id)
    if stack is None or stack.status not in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
        raise _failure(preview.stack, stack, events)
    return stack


def delete(cloud: Cloud, name: str, tell: Callable[[StackEvent], None]) -> None:
    """Delete a stack and follow it to its end.

    Raises:
        StackError: it failed; the message is the first resource's own reason.
        AwsError, AwsAccessDenied, AwsCredentials: AWS refused or could not be reached.
    """
    found = settle(cloud, name)
    if found is None:
        return
    old = dict(_events(cloud, found.id))
    with aws_errors():
        cloud.cloudformation.delete_stack(StackName=name)
    # By its id, since a deleted stack is not found by its name.
    events = _follow(cloud, found.id, old, tell)
    stack = find_stack(cloud, found.id)
    if stack is not None and stack.status != "DELETE_COMPLETE":
        raise _failure(name, stack, events)


def settle(cloud: Cloud, name: str) -> Stack | None:
    """Return a stack once nothing is going on in it; an earlier, interrupted command may have left it at work.

    Raises:
        StackError: it is still at work after half an hour.
    """
    pace = Pace.of(cloud)
    for _ in _beats(pace):
        stack = find_stack(cloud, name)
        if stack is None or not _at_work(stack.status):
            return stack if stack and stack.status != "DELETE_COMPLETE" else None
    raise StackError(f"the stack {name} is still at work", hint="look at its events and try again")


def require_updatable(stack: Stack) -> None:
    """Refuse a stack that CloudFormation will not update in the state it is in.

    Raises:
        StackError: with what to do about it.
    """
    if stack.status in ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED", "DELETE_FAILED"):
        raise StackError(
            f"the stack {stack.name} is {stack.status}: it was never created whole",
            hint=f"remove what is left with: bursar aws destroy --stack {stack.name}; then deploy again",
        )
    if stack.status == "UPDATE_ROLLBACK_FAILED":
        raise StackError(
            f"the stack {stack.name} is {stack.status}",
            hint=f"aws cloudformation continue-update-rollback --stack-name {stack.name}",
        )


def _at_work(status: str) -> bool:
    return status.endswith("_IN_PROGRESS") and status != "REVIEW_IN_PROGRESS"


def _ready(cloud: Cloud, made: Preview) -> Preview:
    for _ in _beats(Pace.of(cloud)):
        with aws_errors():
            found: Any = cloud.cloudformation.describe_change_set(
                ChangeSetName=made.change_set, StackName=made.stack
            )
        reason = found.get("StatusReason", "")
        if found["Status"] == "CREATE_COMPLETE":
            return replace(made, changes=_changes(found))
        if found["Status"] == "FAILED":
            discard(cloud, made)
            if any(words in reason for words in _NOTHING_TO_DO):
                return made
            raise StackError(f"CloudFormation turned the template down: {reason[:500]}")
    raise StackError(f"the change set for {made.stack} never became ready")


def _changes(found: Any) -> tuple[Change, ...]:
    touched = [each["ResourceChange"] for each in found.get("Changes", [])]
    return tuple(
        Change(
            each["Action"],
            each["LogicalResourceId"],
            each["ResourceType"],
            each.get("Replacement") == "True",
        )
        for each in touched
    )


def _follow(
    cloud: Cloud, stack_id: str, old: Mapping[str, StackEvent], tell: Callable[[StackEvent], None]
) -> list[StackEvent]:
    # By id and not by time: the clocks of this machine and of AWS need not agree.
    seen: dict[str, StackEvent] = {}
    for _ in _beats(Pace.of(cloud)):
        # Asked first, so that the events read after it are all there are once the stack is done.
        stack = find_stack(cloud, stack_id)
        for event_id, event in _events(cloud, stack_id):
            if event_id not in seen and event_id not in old:
                seen[event_id] = event
                tell(event)
        if stack is None or not _at_work(stack.status):
            return list(seen.values())
    raise StackError(
        f"the stack is still at work after {Pace.of(cloud).limit:.0f} s",
        hint="it goes on in AWS; run the command again to follow it",
    )


def _events(cloud: Cloud, stack: str) -> Iterator[tuple[str, StackEvent]]:
    from botocore.exceptions import ClientError

    with aws_errors():
        try:
            found: Any = cloud.cloudformation.describe_stack_events(StackName=stack)["StackEvents"]
        except ClientError as error:
            if "exist" in error_message(error):
                return
            raise
    for each in reversed(found):
        yield (
            each["EventId"],
            StackEvent(
                each["LogicalResourceId"],
                each.get("ResourceType", ""),
                each.get("ResourceStatus", ""),
                each.get("ResourceStatusReason", ""),
            ),
        )


def _failure(name: str, stack: Stack | None, events: list[StackEvent]) -> StackError:
    status = stack.status if stack else "gone"
    first = next((event for event in events if event.failed), None)
    cause = f"{first.name} ({first.kind}): {first.reason}" if first else "no reason was given"
    hint = None
    if status in ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED"):
        hint = f"remove what is left with: bursar aws destroy --stack {name}; then deploy again"
    return StackError(f"the stack {name} is {status}: {' '.join(cause.split())[:500]}", hint=hint)


def _beats(pace: Pace) -> Iterator[None]:
    deadline = time.monotonic() + pace.limit
    while True:
        yield
        if time.monotonic() > deadline:
            return
        time.sleep(pace.interval)
