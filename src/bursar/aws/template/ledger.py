"""The key's memory, where it signs by a policy: a table of what was spent, consented to and signed. Pure.

Items are added and never changed: the function's role may put and read them. A policy's windows are sums over
them, so whoever could delete items could spend again. The table outlives its stack, and its name is
CloudFormation's, as a log group's is; an earlier stack's table is taken on by its name.
Sources: the DynamoDB developer guide, "Using IAM with DynamoDB transactions" (each action of one is
authorised for itself), "DynamoDB encryption at rest: How it works" and "Managing encrypted tables" (DynamoDB uses
a customer's key in the name of whoever uses the table); the KMS developer guide, "kms:ViaService".
"""

from __future__ import annotations

from typing import Any

from bursar.aws.environment import LEDGER_KEYS
from bursar.aws.plan import StackPlan
from bursar.aws.template.documents import Json, arn, ref, sub, tags
from bursar.aws.template.records import records_key_arn

LEDGER = "Ledger"
REMEMBERING = "RememberWhatWasSigned"
ACTIONS = ("dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Query")
# A creation that failed leaves it too: it is protected from deletion, CloudFormation's own included.
_RETAINED = {"DeletionPolicy": "Retain", "UpdateReplacePolicy": "Retain"}


def resources(plan: StackPlan) -> dict[str, Json]:
    """Return the table; nothing without a policy, or where one is taken on."""
    if not makes_table(plan):
        return {}
    properties: Json = {
        "AttributeDefinitions": [
            {"AttributeName": name, "AttributeType": "S"} for name in LEDGER_KEYS
        ],
        "KeySchema": [
            {"AttributeName": name, "KeyType": kind}
            for name, kind in zip(LEDGER_KEYS, ("HASH", "RANGE"), strict=True)
        ],
        "BillingMode": "PAY_PER_REQUEST",
        "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True},
        "DeletionProtectionEnabled": True,
        "Tags": tags(plan),
    }
    if key := records_key_arn(plan):
        # Without it AWS encrypts with a key of its own.
        properties["SSESpecification"] = {
            "SSEEnabled": True,
            "SSEType": "KMS",
            "KMSMasterKeyId": key,
        }
    return {LEDGER: {"Type": "AWS::DynamoDB::Table", **_RETAINED, "Properties": properties}}


def makes_table(plan: StackPlan) -> bool:
    """Tell whether the stack makes a table of its own."""
    return plan.policy is not None and plan.records.ledger_name is None


def table_name(plan: StackPlan) -> Any:
    """Return the table's name: a `Ref`, that of one there is, or None without a policy."""
    if plan.policy is None:
        return None
    return plan.records.ledger_name or ref(LEDGER)


def table_arn(plan: StackPlan) -> Any:
    """Return the table's ARN. Only where there is a policy."""
    name = plan.records.ledger_name
    if name is None:
        return arn(LEDGER)
    return sub(
        f"arn:${{AWS::Partition}}:dynamodb:${{AWS::Region}}:${{AWS::AccountId}}:table/{name}"
    )


def role_statements(plan: StackPlan) -> list[Json]:
    """Return what the function's role may do with the table: add to it and read it."""
    if plan.policy is None:
        return []
    return [
        {
            "Sid": REMEMBERING,
            "Effect": "Allow",
            "Action": list(ACTIONS),
            "Resource": table_arn(plan),
        }
    ]
