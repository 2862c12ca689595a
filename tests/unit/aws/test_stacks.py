"""What a real stack does in minutes, told to `stacks` by a scripted CloudFormation."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError

from bursar.aws import changes, stacks
from bursar.aws.changes import Preview, Template
from bursar.aws.cloud import Cloud
from bursar.aws.stacks import Pace, StackEvent
from bursar.errors import AwsError, StackError

ID = "arn:aws:cloudformation:us-east-1:1:stack/treasury/1"
READY = Preview("treasury", ID, "change-set", creates=True, changes=())


def invalid(message: str) -> ClientError:
    return ClientError({"Error": {"Code": "ValidationError", "Message": message}}, "Describe")


class CloudFormation:
    """Gives its stack one status after the other, and the events it was told.

    After an order each status comes with an event of the stack's own, but for the first `quiet` ones: there AWS
    still shows what was before.
    """

    def __init__(self, *statuses: str | None, change_set: dict[str, Any] | None = None) -> None:
        self.statuses = list(statuses)
        self.events: list[dict[str, Any]] = []
        self.old: list[dict[str, Any]] = []
        self.change_set = change_set or {"Status": "CREATE_COMPLETE", "Changes": []}
        self.calls: list[str] = []
        self.made: dict[str, Any] = {}
        self.quiet = 0
        self.tags = ["bursar:stack"]
        self.deleted: list[str] = []
        self.change_sets: list[dict[str, str]] = []

    def describe_stacks(self, StackName: str) -> Any:  # noqa: N803
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        if status is None:
            raise invalid(f"Stack {StackName} does not exist")
        if self.calls and StackName == ID:
            if not self.quiet:
                self.happen("treasury", status, resource=ID)
            self.quiet = max(0, self.quiet - 1)
        found = {"StackName": "treasury", "StackId": ID, "StackStatus": status}
        return {
            "Stacks": [found | {"Tags": [{"Key": tag, "Value": "treasury"} for tag in self.tags]}]
        }

    def describe_stack_events(self, StackName: str) -> Any:  # noqa: N803
        assert StackName == ID
        happened = self.old + (self.events if self.calls else [])
        return {"StackEvents": list(reversed(happened))}

    def create_change_set(self, **arguments: Any) -> Any:
        self.made = arguments
        return {"Id": "change-set", "StackId": ID}

    def get_template(self, **_: Any) -> Any:
        return {"TemplateBody": {}}

    def describe_change_set(self, **_: Any) -> Any:
        return self.change_set

    def execute_change_set(self, **_: Any) -> None:
        self.calls.append("execute")

    def delete_change_set(self, **_: Any) -> None:
        self.calls.append("delete change set")

    def delete_stack(self, StackName: str) -> None:  # noqa: N803
        self.calls.append("delete stack")
        self.deleted.append(StackName)

    def get_paginator(self, name: str) -> Any:
        assert name == "list_change_sets"
        return SimpleNamespace(paginate=lambda **_: [{"Summaries": self.change_sets}])

    def happen(
        self, name: str, status: str, reason: str = "", *, before: bool = False, resource: str = ""
    ) -> None:
        events = self.old if before else self.events
        events.append(
            {
                "EventId": f"{before} {len(events)}",
                "LogicalResourceId": name,
                "ResourceType": "AWS::X::Y",
                "ResourceStatus": status,
                "ResourceStatusReason": reason,
                "PhysicalResourceId": resource,
            }
        )


def cloud_with(formation: CloudFormation) -> Cloud:
    return cast("Cloud", SimpleNamespace(cloudformation=formation, emulated=True))


def nobody(_event: StackEvent) -> None:
    return


def test_the_first_failure_is_the_cause_and_not_what_was_cancelled_after_it() -> None:
    formation = CloudFormation("CREATE_IN_PROGRESS", "ROLLBACK_IN_PROGRESS", "ROLLBACK_COMPLETE")
    formation.happen("Old", "CREATE_FAILED", "of an earlier attempt", before=True)
    formation.happen("Stage", "CREATE_FAILED", "Resource creation cancelled")
    formation.happen("Key", "CREATE_FAILED", "quota\nexceeded")
    formation.happen("Role", "CREATE_FAILED", "later")
    told: list[StackEvent] = []
    with pytest.raises(StackError, match=r"ROLLBACK_COMPLETE: Key \(AWS::X::Y\): quota exceeded"):
        changes.apply(cloud_with(formation), READY, told.append)
    assert [event.name for event in told if event.resource != ID] == ["Stage", "Key", "Role"]


def test_each_event_is_told_once_however_often_it_is_seen() -> None:
    formation = CloudFormation("CREATE_IN_PROGRESS", "CREATE_IN_PROGRESS", "CREATE_COMPLETE")
    formation.happen("Key", "CREATE_COMPLETE")
    told: list[StackEvent] = []
    assert changes.apply(cloud_with(formation), READY, told.append).status == "CREATE_COMPLETE"
    assert len([event for event in told if event.name == "Key"]) == 1


def test_how_the_last_operation_ended_is_not_taken_for_the_end_of_this_one() -> None:
    formation = CloudFormation(
        "UPDATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_IN_PROGRESS", "UPDATE_ROLLBACK_COMPLETE"
    )
    formation.happen("treasury", "UPDATE_COMPLETE", before=True, resource=ID)
    formation.quiet = 2
    with pytest.raises(StackError, match="UPDATE_ROLLBACK_COMPLETE"):
        changes.apply(cloud_with(formation), READY, nobody)


def test_an_order_that_shows_no_effect_is_said_to_and_is_no_success() -> None:
    formation = CloudFormation("UPDATE_COMPLETE")
    formation.quiet = 1_000_000
    pace = Pace(interval=0.001, limit=5.0, start=0.01)
    with pytest.raises(StackError, match="no sign"):
        changes.apply(cloud_with(formation), READY, nobody, pace)


@pytest.mark.parametrize("status", ["CREATE_COMPLETE", "CREATE_IN_PROGRESS", "ROLLBACK_COMPLETE"])
def test_a_no_never_deletes_a_stack_that_somebody_has_deployed_since(status: str) -> None:
    formation = CloudFormation(status)
    changes.discard(cloud_with(formation), READY)
    assert formation.calls == ["delete change set"]


def test_a_no_deletes_an_empty_stack_by_its_id_and_not_by_its_name() -> None:
    formation = CloudFormation("REVIEW_IN_PROGRESS")
    formation.change_sets = [{"ChangeSetId": "change-set", "StackId": ID}]
    changes.discard(cloud_with(formation), READY)
    assert formation.deleted == [ID]


def test_a_no_leaves_an_empty_stack_to_the_others_who_are_about_to_deploy_it() -> None:
    formation = CloudFormation("REVIEW_IN_PROGRESS")
    formation.change_sets = [{"ChangeSetId": "theirs", "StackId": ID}]
    changes.discard(cloud_with(formation), READY)
    assert formation.deleted == []


def test_a_no_after_the_stack_is_gone_is_no_error() -> None:
    formation = CloudFormation(None)

    def gone(**_: Any) -> None:
        raise invalid("Stack [treasury] does not exist")

    formation.delete_change_set = gone  # type: ignore[method-assign]
    changes.discard(cloud_with(formation), READY)
    assert formation.deleted == []


def test_a_change_set_that_fails_never_deletes_a_stack_that_is_there() -> None:
    failed = {"Status": "FAILED", "StatusReason": "Transform failed"}
    formation = CloudFormation("REVIEW_IN_PROGRESS", "CREATE_COMPLETE", change_set=failed)
    with pytest.raises(StackError, match="Transform failed"):
        changes.preview(cloud_with(formation), "treasury", Template("{}"), {})
    assert formation.deleted == []


@pytest.mark.parametrize(
    ("replacement", "replaces", "may_replace"),
    [("True", True, False), ("False", False, False), ("Conditional", False, True)],
)
def test_a_change_says_whether_it_makes_a_new_resource_or_perhaps(
    replacement: str, *, replaces: bool, may_replace: bool
) -> None:
    change = {"Action": "Modify", "LogicalResourceId": "Api", "ResourceType": "T"}
    found = {"Status": "CREATE_COMPLETE"} | {
        "Changes": [{"ResourceChange": change | {"Replacement": replacement}}]
    }
    formation = CloudFormation("UPDATE_COMPLETE", change_set=found)
    (seen,) = changes.preview(cloud_with(formation), "treasury", Template("{}"), {}).changes
    assert (seen.replaces, seen.may_replace) == (replaces, may_replace)


def test_a_change_names_each_property_it_changes_once() -> None:
    targets = [
        {"Attribute": "Properties", "Name": "Environment"},
        {"Attribute": "Properties", "Name": "Code"},
        {"Attribute": "Properties", "Name": "Code"},
        {"Attribute": "Tags"},
    ]
    change = {"Action": "Modify", "LogicalResourceId": "Function", "ResourceType": "T"}
    details = {"Details": [{"Target": target} for target in targets]}
    found = {"Status": "CREATE_COMPLETE", "Changes": [{"ResourceChange": change | details}]}
    formation = CloudFormation("UPDATE_COMPLETE", change_set=found)
    (seen,) = changes.preview(cloud_with(formation), "treasury", Template("{}"), {}).changes
    assert seen.properties == ("Environment", "Code")


def test_a_change_set_of_outputs_alone_has_no_changes_and_is_there_to_be_executed() -> None:
    formation = CloudFormation("UPDATE_COMPLETE")
    found = changes.preview(cloud_with(formation), "treasury", Template("{}"), {})
    assert (found.changes, found.ready) == ((), True)
    assert formation.calls == []


def test_a_stack_at_work_is_waited_for_before_it_is_changed() -> None:
    formation = CloudFormation("UPDATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "UPDATE_COMPLETE")
    found = changes.preview(cloud_with(formation), "treasury", Template("{}"), {})
    assert not found.creates
    assert formation.made["ChangeSetType"] == "UPDATE"


@pytest.mark.parametrize(("status", "kind"), [(None, "CREATE"), ("REVIEW_IN_PROGRESS", "CREATE")])
def test_a_stack_that_was_only_previewed_is_created(status: str | None, kind: str) -> None:
    formation = CloudFormation(status)
    assert changes.preview(cloud_with(formation), "treasury", Template("{}"), {}).creates
    assert formation.made["ChangeSetType"] == kind


@pytest.mark.parametrize(
    "reason",
    [
        "The submitted information didn't contain changes. Submit different information.",
        "No updates are to be performed.",
    ],
)
def test_a_change_set_without_changes_is_nothing_to_do(reason: str) -> None:
    formation = CloudFormation(
        "UPDATE_COMPLETE", change_set={"Status": "FAILED", "StatusReason": reason}
    )
    found = changes.preview(cloud_with(formation), "treasury", Template("{}"), {})
    assert (found.changes, found.ready) == ((), False)
    assert formation.calls == ["delete change set"]


def test_a_change_set_that_fails_says_why() -> None:
    failed = {"Status": "FAILED", "StatusReason": "Transform failed"}
    formation = CloudFormation(None, "REVIEW_IN_PROGRESS", change_set=failed)
    with pytest.raises(StackError, match="Transform failed"):
        changes.preview(cloud_with(formation), "treasury", Template("{}"), {})
    assert formation.calls == ["delete change set", "delete stack"]


@pytest.mark.parametrize(
    ("status", "way_out"),
    [
        ("ROLLBACK_COMPLETE", "bursar aws destroy"),
        ("CREATE_FAILED", "bursar aws destroy"),
        ("UPDATE_ROLLBACK_FAILED", "continue-update-rollback"),
    ],
)
def test_a_stack_that_cannot_be_updated_names_the_way_out(status: str, way_out: str) -> None:
    with pytest.raises(StackError) as caught:
        changes.preview(cloud_with(CloudFormation(status)), "treasury", Template("{}"), {})
    assert way_out in str(caught.value.hint)


def test_a_stack_that_can_only_be_half_deleted_says_why() -> None:
    formation = CloudFormation("CREATE_COMPLETE", "DELETE_IN_PROGRESS", "DELETE_FAILED")
    formation.happen("Log", "DELETE_FAILED", "in use")
    with pytest.raises(StackError, match="in use"):
        stacks.delete(cloud_with(formation), "treasury", nobody)


@pytest.mark.parametrize("last", ["DELETE_COMPLETE", None])
def test_a_deleted_stack_is_gone(last: str | None) -> None:
    formation = CloudFormation("CREATE_COMPLETE", "DELETE_IN_PROGRESS", last)
    stacks.delete(cloud_with(formation), "treasury", nobody)
    assert formation.calls == ["delete stack"]


def test_other_errors_of_cloudformation_are_not_taken_for_a_missing_stack() -> None:
    def broken(**_: Any) -> Any:
        raise invalid("1 validation error detected")

    formation = SimpleNamespace(describe_stacks=cast("Callable[..., Any]", broken))
    with pytest.raises(AwsError, match="validation error"):
        stacks.find_stack(cast("Cloud", SimpleNamespace(cloudformation=formation)), "x")


def test_a_stack_of_somebody_elses_is_told_by_the_tag_it_lacks() -> None:
    formation = CloudFormation("CREATE_COMPLETE")
    formation.tags = ["team"]
    stack = stacks.find_stack(cloud_with(formation), "treasury")
    assert stack is not None
    with pytest.raises(StackError, match="none of bursar's") as caught:
        stacks.require_ours(stack)
    assert "--stack" in str(caught.value.hint)


def test_a_template_too_long_for_a_call_is_named_by_its_url() -> None:
    formation = CloudFormation(None)
    changes.preview(cloud_with(formation), "treasury", Template("{}", url="https://s3/t.json"), {})
    assert formation.made["TemplateURL"] == "https://s3/t.json"
    assert "TemplateBody" not in formation.made


def test_a_permission_that_was_missing_half_way_is_named_with_where_to_get_it() -> None:
    formation = CloudFormation("UPDATE_IN_PROGRESS", "UPDATE_ROLLBACK_COMPLETE")
    reason = (
        "User: arn:aws:iam::1:user/a is not authorized to perform: sns:CreateTopic on resource x"
    )
    formation.happen("AlarmTopic", "CREATE_FAILED", reason)
    with pytest.raises(StackError, match="AlarmTopic") as caught:
        changes.apply(cloud_with(formation), READY, nobody)
    assert "needs sns:CreateTopic" in str(caught.value.hint)
    assert "bursar aws permissions" in str(caught.value.hint)
