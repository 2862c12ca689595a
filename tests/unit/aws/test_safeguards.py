from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any, cast

import pytest

from bursar.aws import safeguards
from bursar.aws.changes import Change, Preview
from bursar.aws.cloud import Cloud
from bursar.error_status import exit_status
from bursar.errors import KeyReplacementForbidden

KEY = "AWS::KMS::Key"


def preview(*changes: Change) -> Preview:
    return Preview("treasury", "id", "set", creates=False, changes=changes, ready=True)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (Change("Modify", "SigningKey", KEY, replaces=True, properties=("KeySpec",)), "replace"),
        (Change("Modify", "SigningKey", KEY, replaces=False, may_replace=True), "replace"),
        (
            Change("Modify", "SigningKey", KEY, replaces=False, properties=("MultiRegion",)),
            "replace",
        ),
        (
            Change(
                *("Modify", "SigningKey", KEY),
                replaces=False,
                may_replace=True,
                properties=("Tags", "Origin"),
            ),
            "replace",
        ),
        (Change("Remove", "SigningKey", KEY, replaces=False), "remove"),
        (Change("Remove", "SigningKey", "AWS::KMS::ReplicaKey", replaces=False), "remove"),
    ],
)
def test_what_would_replace_or_remove_the_signing_key_is_forbidden(
    change: Change, word: str
) -> None:
    with pytest.raises(KeyReplacementForbidden, match=f"would {word} SigningKey") as caught:
        safeguards.require_harmless(preview(change))
    assert exit_status(caught.value) == 3


@pytest.mark.parametrize(
    "change",
    [
        Change("Add", "SigningKey", KEY, replaces=False),
        Change("Modify", "SigningKey", KEY, replaces=False, properties=("KeyPolicy",)),
        Change("Modify", "SigningKey", KEY, replaces=False, may_replace=True, properties=("Tags",)),
        Change("Remove", "RecordsKey", KEY, replaces=False),
        Change("Modify", "Api", "AWS::ApiGateway::RestApi", replaces=True),
    ],
)
def test_other_changes_are_allowed(change: Change) -> None:
    safeguards.require_harmless(preview(change))


def test_cloudformation_is_told_to_refuse_them_too_and_to_keep_the_stack() -> None:
    told: dict[str, Any] = {}
    formation = SimpleNamespace(
        set_stack_policy=lambda **each: told.update(each),
        update_termination_protection=lambda **each: told.update(each),
    )
    safeguards.protect(cast("Cloud", SimpleNamespace(cloudformation=formation)), "treasury")
    assert told["EnableTerminationProtection"] is True
    allow, deny = json.loads(told["StackPolicyBody"])["Statement"]
    assert (allow["Effect"], deny["Effect"]) == ("Allow", "Deny")
    assert deny["Action"] == ["Update:Replace", "Update:Delete"]
    assert deny["Resource"] == "LogicalResourceId/SigningKey"
