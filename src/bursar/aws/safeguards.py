"""What keeps a stack's signing key from harm: no change replaces or removes it, no mistake deletes the stack.

CloudFormation enforces it: a stack policy for updates, termination protection for deletion. Sources: the
CloudFormation user guide, "Prevent updates to stack resources" and "Protect CloudFormation stacks from being
deleted".
"""

from __future__ import annotations

import json

from bursar.aws.changes import Change, Preview
from bursar.aws.cloud import Cloud, aws_errors
from bursar.aws.template import SIGNING_KEY
from bursar.errors import KeyReplacementForbidden

# KMS gives these to a key once. CloudFormation shows no replacement for them: the update fails half-way.
_FIXED = {"KeySpec", "KeyUsage", "MultiRegion", "Origin", "PrimaryKeyArn"}
# CloudFormation resource reference, AWS::KMS::Key: "Update requires: No interruption".
_IN_PLACE = {"Description", "KeyPolicy", "PendingWindowInDays", "Tags"}
_STACK_POLICY = {
    "Statement": [
        {"Effect": "Allow", "Action": "Update:*", "Principal": "*", "Resource": "*"},
        {
            "Effect": "Deny",
            "Action": ["Update:Replace", "Update:Delete"],
            "Principal": "*",
            "Resource": f"LogicalResourceId/{SIGNING_KEY}",
        },
    ]
}


def forbidden(preview: Preview) -> tuple[Change, ...]:
    """Return the changes of a preview that would, or may, replace or remove the signing key."""
    return tuple(
        change for change in preview.changes if change.name == SIGNING_KEY and _harms(change)
    )


def _harms(change: Change) -> bool:
    touched = set(change.properties)
    # CloudFormation is unsure of any key whose stack gets a tag. What changes in place is documented.
    unsure = change.may_replace and not (touched and touched <= _IN_PLACE)
    return change.replaces or unsure or change.action == "Remove" or bool(touched & _FIXED)


def require_harmless(preview: Preview) -> None:
    """Refuse a preview that would replace or remove the signing key.

    Raises:
        KeyReplacementForbidden: names the key's resource and what changes about it.
    """
    for change in forbidden(preview):
        what = "remove" if change.action == "Remove" else "replace"
        because = f" ({', '.join(change.properties)})" if change.properties else ""
        raise KeyReplacementForbidden(
            f"this would {what} {change.name}, which holds the signing key{because}",
            hint="the treasury obeys that key alone; for another key, deploy another stack with --stack",
        )


def protect(cloud: Cloud, stack: str) -> None:
    """Set the stack policy and termination protection. Both may be set again.

    It costs `cloudformation:SetStackPolicy` and `cloudformation:UpdateTerminationProtection`.

    Raises:
        AwsError, AwsAccessDenied, AwsCredentials: AWS refused or could not be reached.
    """
    with aws_errors():
        cloud.cloudformation.set_stack_policy(
            StackName=stack, StackPolicyBody=json.dumps(_STACK_POLICY)
        )
        cloud.cloudformation.update_termination_protection(
            StackName=stack, EnableTerminationProtection=True
        )


def release(cloud: Cloud, stack: str) -> None:
    """Take termination protection off, so that the stack can be deleted.

    It costs `cloudformation:UpdateTerminationProtection`.

    Raises:
        AwsError, AwsAccessDenied, AwsCredentials: AWS refused or could not be reached.
    """
    with aws_errors():
        cloud.cloudformation.update_termination_protection(
            StackName=stack, EnableTerminationProtection=False
        )
