"""Changes to a CloudFormation stack, by change set: preview, discard, apply. It knows nothing of signing."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from bursar.aws.cloud import Cloud, aws_errors, error_code, error_message
from bursar.aws.stacks import (
    STACK_TAG,
    Pace,
    Stack,
    StackEvent,
    beats,
    events,
    failure,
    find_stack,
    follow,
    require_updatable,
    settle,
)
from bursar.errors import StackError

# What CloudFormation says of a change set that would change nothing; there is no code for it.
_NOTHING_TO_DO = ("didn't contain changes", "No updates are to be performed")
# Named, since the key's policy knows the role that signs by its name.
_CAPABILITIES = ["CAPABILITY_NAMED_IAM"]


@dataclass(frozen=True, slots=True)
class Import:
    """A resource that is there already and is to become the stack's: its logical id, type and identifier."""

    name: str
    kind: str
    identifier: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Template:
    """A template: its text, and the URL of where it lies in S3 if it is too long to be sent.

    With `imports` it takes those in, and makes nothing.
    """

    body: str = ""
    url: str = ""
    imports: tuple[Import, ...] = ()

    @property
    def arguments(self) -> dict[str, Any]:
        """How CloudFormation's calls are given it."""
        text = {"TemplateURL": self.url} if self.url else {"TemplateBody": self.body}
        taken = [
            {
                "LogicalResourceId": each.name,
                "ResourceType": each.kind,
                "ResourceIdentifier": dict(each.identifier),
            }
            for each in self.imports
        ]
        return {**text, **({"ResourcesToImport": taken} if taken else {})}


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
        ChangeSetType="IMPORT" if template.imports else "CREATE" if creates else "UPDATE",
        **template.arguments,
        Parameters=given,
        Capabilities=_CAPABILITIES,
        **({} if template.imports else {"Tags": [{"Key": STACK_TAG, "Value": name}]}),
    )
    ready = _ready(cloud, Preview(name, made["StackId"], made["Id"], creates, ()))
    if template.url and ready.ready:
        _require_same(cloud, ready, template)
    return ready


def _require_same(cloud: Cloud, made: Preview, template: Template) -> None:
    """Refuse a change set of another template than was uploaded: somebody may have written to the bucket."""
    formation: Any = cloud.cloudformation
    with aws_errors():
        found = formation.get_template(
            StackName=made.stack, ChangeSetName=made.change_set, TemplateStage="Original"
        )["TemplateBody"]
    text = found if isinstance(found, str) else json.dumps(found)
    if json.loads(text) != json.loads(template.body):
        discard(cloud, made)
        raise StackError(
            "CloudFormation read another template than was uploaded",
            hint="find out who writes to the bucket of the code, or name another with --bucket",
        )


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
    before = dict(events(cloud, preview.stack_id))
    with aws_errors():
        cloud.cloudformation.execute_change_set(
            ChangeSetName=preview.change_set, StackName=preview.stack
        )
    happened = follow(cloud, preview.stack_id, tell, before, pace or Pace.of(cloud))
    stack = find_stack(cloud, preview.stack_id)
    if stack is None or stack.status not in (
        "CREATE_COMPLETE",
        "UPDATE_COMPLETE",
        "IMPORT_COMPLETE",
    ):
        raise failure(preview.stack, stack, happened)
    return stack


def _ready(cloud: Cloud, made: Preview) -> Preview:
    for _ in beats(Pace.of(cloud)):
        found = _change_set(cloud, made)
        reason = found.get("StatusReason", "")
        if found["Status"] == "CREATE_COMPLETE":
            return replace(made, changes=_all_changes(cloud, made, found), ready=True)
        if found["Status"] == "FAILED":
            discard(cloud, made)
            if any(words in reason for words in _NOTHING_TO_DO):
                return made
            raise StackError(f"CloudFormation turned the template down: {reason[:500]}")
    raise StackError(f"the change set for {made.stack} never became ready")


def _change_set(cloud: Cloud, made: Preview, **page: str) -> Any:
    formation: Any = cloud.cloudformation
    with aws_errors():
        return formation.describe_change_set(
            ChangeSetName=made.change_set, StackName=made.stack, **page
        )


def _all_changes(cloud: Cloud, made: Preview, found: Any) -> tuple[Change, ...]:
    changes = _changes(found)
    while token := found.get("NextToken"):
        found = _change_set(cloud, made, NextToken=token)
        changes += _changes(found)
    return changes


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
