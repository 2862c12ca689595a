"""CloudFormation stacks by change set: preview, apply, follow, delete. It knows nothing of signing."""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from bursar.aws.cloud import Cloud, aws_errors, error_code, error_message
from bursar.errors import StackError

# What CloudFormation says of a change set that would change nothing; there is no code for it.
_NOTHING_TO_DO = ("didn't contain changes", "No updates are to be performed")
# Named, since the key's policy knows the role that signs by its name.
_CAPABILITIES = ["CAPABILITY_NAMED_IAM"]
STACK_TAG = "bursar:stack"
_ACTION = re.compile(r"not authorized to perform:? ([a-z0-9-]+:[A-Za-z]+)")


@dataclass(frozen=True, slots=True)
class Change:
    """One resource a change set touches. `action` is Add, Modify, Remove…; `replaces` means a new one is made.

    `may_replace`: CloudFormation knows only while it deploys whether a new one is made. `properties` are what a
    Modify changes, as far as CloudFormation names it.
    """

    action: str
    name: str
    kind: str
    replaces: bool
    may_replace: bool = False
    properties: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Preview:
    """A change set, not yet executed. Where it is not `ready`, it is gone: there is nothing to execute.

    One that is ready may have no changes: a stack's outputs are not among the resources that CloudFormation lists.
    """

    stack: str
    stack_id: str
    change_set: str
    creates: bool
    changes: tuple[Change, ...]
    ready: bool = False


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
class Template:
    """A template: its text, or the URL of where it lies in S3."""

    body: str = ""
    url: str = ""

    @property
    def argument(self) -> dict[str, str]:
        """How CloudFormation's calls are given it."""
        return {"TemplateURL": self.url} if self.url else {"TemplateBody": self.body}


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


def preview(cloud: Cloud, name: str, template: Template, parameters: Mapping[str, str]) -> Preview:
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
        **template.argument,
        Parameters=given,
        Capabilities=_CAPABILITIES,
        Tags=[{"Key": STACK_TAG, "Value": name}],
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
    """Delete a change set that is not wanted, and the stack if it is still only a shell for this one change set.

    Somebody else may have deployed the stack since, or be about to: then it is left as it is. CloudFormation has
    no delete that depends on a state, so a deployment in the instant between look and delete is not seen. It costs
    `cloudformation:DeleteChangeSet`, and for a new stack `DescribeStacks`, `ListChangeSets` and `DeleteStack`.

    Raises:
        AwsError, AwsAccessDenied, AwsCredentials: AWS refused or could not be reached.
    """
    with aws_errors():
        _delete_change_set(cloud, preview)
        if preview.creates and _is_empty_shell(cloud, preview):
            # By its id: by now the name may be that of another stack.
            cloud.cloudformation.delete_stack(StackName=preview.stack_id)


def _delete_change_set(cloud: Cloud, preview: Preview) -> None:
    from botocore.exceptions import ClientError

    try:
        cloud.cloudformation.delete_change_set(
            ChangeSetName=preview.change_set, StackName=preview.stack_id
        )
    except ClientError as error:
        gone = error_code(error) == "ChangeSetNotFound" or "exist" in error_message(error)
        if not gone:
            raise


def _is_empty_shell(cloud: Cloud, preview: Preview) -> bool:
    stack = find_stack(cloud, preview.stack_id)
    if stack is None or stack.status != "REVIEW_IN_PROGRESS":
        return False
    pages = cloud.cloudformation.get_paginator("list_change_sets").paginate(StackName=stack.name)
    known = {each.get("ChangeSetId") for page in pages for each in page["Summaries"]}
    return known <= {preview.change_set}


def apply(
    cloud: Cloud, preview: Preview, tell: Callable[[StackEvent], None], pace: Pace | None = None
) -> Stack:
    """Execute a change set and follow it to its end; `tell` gets each event as it happens.

    Raises:
        StackError: it failed; the message is the first resource's own reason. Or AWS shows no sign of beginning.
        AwsError, AwsAccessDenied, AwsCredentials: AWS refused or could not be reached.
    """
    old = dict(_events(cloud, preview.stack_id))
    with aws_errors():
        cloud.cloudformation.execute_change_set(
            ChangeSetName=preview.change_set, StackName=preview.stack
        )
    events = _follow(cloud, preview.stack_id, tell, old, pace or Pace.of(cloud))
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
        # By its id, since a deleted stack is not found by its name, and another may get the name meanwhile.
        cloud.cloudformation.delete_stack(StackName=found.id)
    events = _follow(cloud, found.id, tell, old, Pace.of(cloud))
    stack = find_stack(cloud, found.id)
    if stack is not None and stack.status != "DELETE_COMPLETE":
        raise _failure(name, stack, events)


def settle(cloud: Cloud, name: str) -> Stack | None:
    """Return a stack once nothing is going on in it; an earlier, interrupted command may have left it at work.

    Raises:
        StackError: it is still at work after half an hour.
    """
    pace = Pace.of(cloud)
    for _ in beats(pace):
        stack = find_stack(cloud, name)
        if stack is None or not _at_work(stack.status):
            return stack if stack and stack.status != "DELETE_COMPLETE" else None
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
    """Refuse a stack of somebody else's, and one that CloudFormation will not update in the state it is in.

    Raises:
        StackError: with what to do about it.
    """
    require_ours(stack)
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
    for _ in beats(Pace.of(cloud)):
        with aws_errors():
            found: Any = cloud.cloudformation.describe_change_set(
                ChangeSetName=made.change_set, StackName=made.stack
            )
        reason = found.get("StatusReason", "")
        if found["Status"] == "CREATE_COMPLETE":
            return replace(made, changes=_changes(found), ready=True)
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
            each.get("Replacement") == "Conditional",
            _properties(each),
        )
        for each in touched
    )


def _properties(change: Any) -> tuple[str, ...]:
    targets = [detail.get("Target", {}) for detail in change.get("Details", [])]
    # The same property is listed once for each cause of its change.
    named = dict.fromkeys(target["Name"] for target in targets if target.get("Name"))
    return tuple(named)


def _follow(
    cloud: Cloud,
    stack_id: str,
    tell: Callable[[StackEvent], None],
    old: Mapping[str, StackEvent],
    pace: Pace,
) -> list[StackEvent]:
    # By id and not by time: the clocks of this machine and of AWS need not agree.
    seen: dict[str, StackEvent] = {}
    latest_start = time.monotonic() + pace.start
    for _ in beats(pace):
        # Asked first, so that the events read after it are all there are once the stack is done.
        stack = find_stack(cloud, stack_id)
        for event_id, event in _events(cloud, stack_id):
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
                each.get("PhysicalResourceId", ""),
            ),
        )


def _failure(name: str, stack: Stack | None, events: list[StackEvent]) -> StackError:
    status = stack.status if stack else "gone"
    first = next((event for event in events if event.failed), None)
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
