"""Take a key that outlived its stack back into a stack of the same name, so that its policy is the stack's again.

A key stays when its stack is destroyed, with a policy that names that stack's role and, in a network, an endpoint
that is gone. CloudFormation imports it as it is; the deployment that follows sets the policy anew. Source: the
CloudFormation user guide, "Import AWS resources into a CloudFormation stack".
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from bursar.aws import changes
from bursar.aws.changes import Import, Template
from bursar.aws.cloud import Cloud, aws_errors
from bursar.aws.stacks import STACK_TAG, Stack, StackEvent, resource_ids
from bursar.aws.template import SIGNING_KEY
from bursar.aws.template.key import WAITING_DAYS
from bursar.aws.template.records import KEPT
from bursar.kms.keys import KeyDescription


def is_orphan(cloud: Cloud, key: KeyDescription, stack: str) -> bool:
    """Tell whether a key bears this stack's tag, and so was made by it. It costs `kms:ListResourceTags`.

    Raises:
        AwsError, AwsAccessDenied, AwsCredentials: AWS refused or could not be reached.
    """
    return key_tags(cloud, key.key_arn).get(STACK_TAG) == stack


def is_adopted(cloud: Cloud, stack: Stack) -> bool:
    """Tell whether a stack holds a key that was taken back into it, and nothing of its own yet.

    CloudFormation gives a stack no tags while it imports, so that this program's own is still missing.
    """
    if stack.ours or stack.status != "IMPORT_COMPLETE":
        return False
    key = resource_ids(cloud, stack.name).get(SIGNING_KEY)
    return key is not None and key_tags(cloud, key).get(STACK_TAG) == stack.name


def key_tags(cloud: Cloud, key_arn: str) -> dict[str, str]:
    """Return a key's tags. It costs `kms:ListResourceTags`.

    Raises:
        AwsError, AwsAccessDenied, AwsCredentials: AWS refused or could not be reached.
    """
    with aws_errors():
        pages = cloud.kms.get_paginator("list_resource_tags").paginate(KeyId=key_arn)
        return {each["TagKey"]: each["TagValue"] for page in pages for each in page["Tags"]}


def adopt(
    cloud: Cloud, key: KeyDescription, alias: str, stack: str, tell: Callable[[StackEvent], None]
) -> None:
    """Make a stack of a key and its alias, as they are. Nothing about either changes.

    It costs `kms:DescribeKey`, `kms:GetKeyPolicy`, `cloudformation:CreateChangeSet`, `DescribeChangeSet`,
    `ExecuteChangeSet`, `DescribeStacks` and `DescribeStackEvents`.

    Raises:
        StackError: CloudFormation cannot import it, with the cause.
        AwsError, AwsAccessDenied, AwsCredentials: AWS refused or could not be reached.
    """
    resources = {
        SIGNING_KEY: _key(cloud, key.key_arn),
        f"{SIGNING_KEY}Alias": {
            "Type": "AWS::KMS::Alias",
            **KEPT,
            "Properties": {"AliasName": alias, "TargetKeyId": {"Ref": SIGNING_KEY}},
        },
    }
    imports = [
        Import(SIGNING_KEY, resources[SIGNING_KEY]["Type"], {"KeyId": key.key_id}),
        Import(f"{SIGNING_KEY}Alias", "AWS::KMS::Alias", {"AliasName": alias}),
    ]
    template = Template(json.dumps({"Resources": resources}), imports=tuple(imports))
    changes.apply(cloud, changes.preview(cloud, stack, template, {}), tell)


def _key(cloud: Cloud, key_arn: str) -> dict[str, Any]:
    with aws_errors():
        found: Any = cloud.kms.describe_key(KeyId=key_arn)["KeyMetadata"]
        policy = cloud.kms.get_key_policy(KeyId=key_arn, PolicyName="default")["Policy"]
    # As it is, so that the deployment that follows sees what differs, and changes it.
    tags = key_tags(cloud, key_arn)
    properties: dict[str, Any] = {
        "Description": found.get("Description", ""),
        "KeyPolicy": json.loads(policy),
        "PendingWindowInDays": WAITING_DAYS,
        "Tags": [{"Key": name, "Value": value} for name, value in tags.items()],
    }
    regions = found.get("MultiRegionConfiguration", {})
    if regions.get("MultiRegionKeyType") == "REPLICA":
        primary = regions["PrimaryKey"]["Arn"]
        return {
            "Type": "AWS::KMS::ReplicaKey",
            **KEPT,
            "Properties": properties | {"PrimaryKeyArn": primary},
        }
    properties |= {"KeySpec": found["KeySpec"], "KeyUsage": found["KeyUsage"]}
    if found.get("MultiRegion"):
        properties["MultiRegion"] = True
    return {"Type": "AWS::KMS::Key", **KEPT, "Properties": properties}
