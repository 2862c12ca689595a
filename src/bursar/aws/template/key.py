"""The signing key, its alias, and its policy: who administers it, who signs, and what nobody may. Pure.

Sources: the KMS developer guide, "Key policies in AWS KMS", "Condition keys for AWS KMS" (`kms:SigningAlgorithm`,
`kms:MessageType`) and "Multi-Region keys"; the IAM user guide, "AWS global condition context keys"
(`aws:PrincipalArn` is the role's ARN for a session of it).
"""

from __future__ import annotations

from typing import Any

from bursar.aws.plan import StackPlan
from bursar.aws.template.documents import Json, account_root, arn, policy, sub, tags
from bursar.aws.template.network import kms_endpoint_id

# Everything but using the key, and handing its use on: no grants, no imports of other key material.
ADMINISTRATION = (
    "kms:CancelKeyDeletion",
    "kms:CreateAlias",
    "kms:DeleteAlias",
    "kms:DescribeKey",
    "kms:DisableKey",
    "kms:EnableKey",
    "kms:GetKeyPolicy",
    "kms:GetKeyRotationStatus",
    "kms:GetPublicKey",
    "kms:ListGrants",
    "kms:ListKeyPolicies",
    "kms:ListResourceTags",
    "kms:PutKeyPolicy",
    "kms:RevokeGrant",
    "kms:ScheduleKeyDeletion",
    "kms:TagResource",
    "kms:UntagResource",
    "kms:UpdateAlias",
    "kms:UpdateKeyDescription",
)


# Between the order to delete a key and its end, the longest that KMS knows.
WAITING_DAYS = 30


def role_name() -> Json:
    """Return the name of the role that signs. IAM's names are the account's, so the Region is part of it."""
    return sub("${AWS::StackName}-signer-${AWS::Region}")


def role_arn() -> Json:
    """Return that role's ARN, written out: the role's own policy names the key, and the key's names the role."""
    return sub(
        "arn:${AWS::Partition}:iam::${AWS::AccountId}:role/${AWS::StackName}-signer-${AWS::Region}"
    )


def key_arn(plan: StackPlan) -> Any:
    """Return the key's ARN: of the plan's existing key, or of the stack's own."""
    return plan.key.arn or arn("SigningKey")


def resources(plan: StackPlan) -> dict[str, Json]:
    """Return the key and its alias; nothing where an existing key is used."""
    if plan.key.arn:
        return {}
    # A key outlives its stack, but not a creation that failed: that one never signed anything.
    retained = {"DeletionPolicy": "RetainExceptOnCreate", "UpdateReplacePolicy": "Retain"}
    # The alias stays with the key, so that a stack made again finds the same key and so the same address.
    alias = {
        "Type": "AWS::KMS::Alias",
        **retained,
        "Properties": {"AliasName": plan.key.alias, "TargetKeyId": {"Ref": "SigningKey"}},
    }
    key = _replica(plan) if plan.key.replica_of else _key(plan)
    return {"SigningKey": {**key, **retained}, "SigningKeyAlias": alias}


def _key(plan: StackPlan) -> Json:
    properties: Json = {
        "Description": sub("Signing key of the treasury, stack ${AWS::StackName}"),
        "KeySpec": plan.key.kind.spec,
        "KeyUsage": "SIGN_VERIFY",
        "PendingWindowInDays": WAITING_DAYS,
        "KeyPolicy": key_policy(plan),
        "Tags": tags(plan),
    }
    if plan.key.multi_region:
        properties["MultiRegion"] = True
    return {"Type": "AWS::KMS::Key", "Properties": properties}


def _replica(plan: StackPlan) -> Json:
    return {
        "Type": "AWS::KMS::ReplicaKey",
        "Properties": {
            "Description": sub("Signing key of the treasury, replica, stack ${AWS::StackName}"),
            "PrimaryKeyArn": plan.key.replica_of,
            "PendingWindowInDays": WAITING_DAYS,
            "KeyPolicy": key_policy(plan),
            "Tags": tags(plan),
        },
    }


def key_policy(plan: StackPlan) -> Json:
    """Return the policy of a key that the stack makes."""
    statements = [*_administration(plan), *_signing(plan), *_denials(plan)]
    return policy(*statements)


def signing_conditions(plan: StackPlan) -> Json:
    """Return the condition under which a call of kms:Sign is the one that this key is for."""
    kind = plan.key.kind
    return {
        "StringEquals": {
            "kms:MessageType": kind.message_type,
            "kms:SigningAlgorithm": kind.algorithm,
        }
    }


def _administration(plan: StackPlan) -> list[Json]:
    found: list[Json] = []
    if plan.key.account_delegation:
        # AWS's default, so that the key can never become unmanageable. Signing is taken back out below.
        found.append(
            {
                "Sid": "LetIamPoliciesManage",
                "Effect": "Allow",
                "Principal": {"AWS": account_root()},
                "Action": "kms:*",
                "Resource": "*",
            }
        )
    if plan.key.administrators:
        more = ("kms:ReplicateKey", "kms:UpdatePrimaryRegion") if plan.key.multi_region else ()
        found.append(
            {
                "Sid": "Administer",
                "Effect": "Allow",
                "Principal": {"AWS": list(plan.key.administrators)},
                "Action": sorted([*ADMINISTRATION, *more]),
                "Resource": "*",
            }
        )
    return found


def _signing(plan: StackPlan) -> list[Json]:
    # By the account and a condition on the ARN: KMS turns a role that is named as principal into its unique id,
    # and so would shut out the role that a stack made again has under the same name.
    principals = {"AWS": [account_root(), *plan.key.users]}
    by_name = {"ArnEquals": {"aws:PrincipalArn": _signers(plan)}}
    return [
        {
            "Sid": "Sign",
            "Effect": "Allow",
            "Principal": principals,
            "Action": "kms:Sign",
            "Resource": "*",
            "Condition": {**signing_conditions(plan), **by_name},
        },
        {
            "Sid": "ReadThePublicKey",
            "Effect": "Allow",
            "Principal": principals,
            "Action": ["kms:DescribeKey", "kms:GetPublicKey"],
            "Resource": "*",
            "Condition": by_name,
        },
    ]


def _denials(plan: StackPlan) -> list[Json]:
    # One statement each: the conditions of one statement all have to hold for it to deny.
    kind = plan.key.kind
    conditions: dict[str, Json] = {
        "NoOtherSigner": {"ArnNotEquals": {"aws:PrincipalArn": _signers(plan)}},
        "NoOtherAlgorithm": {"StringNotEquals": {"kms:SigningAlgorithm": kind.algorithm}},
        "NoOtherMessageType": {"StringNotEquals": {"kms:MessageType": kind.message_type}},
    }
    if plan.network is not None and plan.network.bind_key:
        endpoint = kms_endpoint_id(plan)
        conditions["OnlyFromTheNetwork"] = {"StringNotEquals": {"aws:SourceVpce": endpoint}}
    found = [_denial(sid, "kms:Sign", condition) for sid, condition in conditions.items()]
    # A grant would let somebody sign past every policy that a reviewer reads.
    return [*found, _denial("NoGrants", "kms:CreateGrant")]


def _denial(sid: str, action: str, condition: Json | None = None) -> Json:
    found: Json = {
        "Sid": sid,
        "Effect": "Deny",
        "Principal": "*",
        "Action": action,
        "Resource": "*",
    }
    return found if condition is None else {**found, "Condition": condition}


def _signers(plan: StackPlan) -> list[Any]:
    return [role_arn(), *plan.key.users]
