"""What the VPC endpoints let through: the treasury's own calls. Pure.

A principal of an endpoint policy is named by condition. Source: the VPC guide, "Control access to VPC endpoints
using endpoint policies".
"""

from __future__ import annotations

from bursar.aws.plan import StackPlan
from bursar.aws.template import ledger
from bursar.aws.template.documents import Json, arn, policy, ref, sub


def kms_endpoint_policy(plan: StackPlan) -> Json:
    """Return what the endpoint of KMS lets through: the signers' calls for signatures and public keys."""
    # The key's own policy may name this endpoint, so this policy cannot name a key of the stack.
    every = sub("arn:${AWS::Partition}:kms:${AWS::Region}:${AWS::AccountId}:key/*")
    statement = {
        "Sid": "SignForTheTreasury",
        "Effect": "Allow",
        "Principal": "*",
        "Action": ["kms:GetPublicKey", "kms:Sign"],
        "Resource": plan.key.arn or every,
        "Condition": {"ArnEquals": {"aws:PrincipalArn": [arn("FunctionRole"), *plan.key.users]}},
    }
    return policy(statement)


def logs_endpoint_policy() -> Json:
    """Return what the endpoint of CloudWatch Logs lets through: the signer's lines, into its own log."""
    statement = {
        "Sid": "WriteTheSignersLog",
        "Effect": "Allow",
        "Principal": "*",
        "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
        "Resource": arn("FunctionLog"),
        "Condition": {"ArnEquals": {"aws:PrincipalArn": arn("FunctionRole")}},
    }
    return policy(statement)


def dynamodb_endpoint_policy(plan: StackPlan) -> Json:
    """Return what the endpoint of DynamoDB lets through: the signer's own calls, about its own table."""
    statement = {
        "Sid": "RememberForTheTreasury",
        "Effect": "Allow",
        "Principal": "*",
        "Action": list(ledger.ACTIONS),
        "Resource": ledger.table_arn(plan),
        "Condition": {"ArnEquals": {"aws:PrincipalArn": arn("FunctionRole")}},
    }
    return policy(statement)


def api_endpoint_policy(plan: StackPlan) -> Json:
    """Return what the endpoint of the API lets through: signing requests of this account's principals."""
    # The API names this endpoint, so this policy cannot name the API.
    door = "arn:${AWS::Partition}:execute-api:${AWS::Region}:${AWS::AccountId}:*"
    statement = {
        "Sid": "AskForSignatures",
        "Effect": "Allow",
        "Principal": "*",
        "Action": "execute-api:Invoke",
        "Resource": sub(f"{door}/{plan.api.stage}/POST/"),
        "Condition": {"StringEquals": {"aws:PrincipalAccount": ref("AWS::AccountId")}},
    }
    return policy(statement)
