"""The records: the trail of every call of AWS's management, where it is kept, and the key that encrypts it. Pure.

CloudTrail records `kms:Sign` as a management event, denied calls too; a call from another account that KMS denies
is recorded in that account alone. Bucket, log and key outlive the stack: they are the evidence.
Sources: the CloudTrail user guide, "Amazon S3 bucket policy for CloudTrail", "Configure AWS KMS key policies for
CloudTrail" and "Role policy document for CloudTrail to use CloudWatch Logs for monitoring"; the CloudWatch Logs
user guide, "Encrypt log data in CloudWatch Logs using AWS KMS"; the SNS developer guide, "Enable compatibility
between event sources from AWS services and encrypted topics"; the KMS developer guide, "Logging AWS KMS API calls
with AWS CloudTrail".
"""

from __future__ import annotations

from typing import Any

from bursar.aws.plan import StackPlan
from bursar.aws.template.documents import Json, account_root, arn, policy, ref, sub, tags

# A creation that failed has nothing to prove, but a bucket that CloudTrail wrote to cannot be deleted.
KEPT = {"DeletionPolicy": "RetainExceptOnCreate", "UpdateReplacePolicy": "Retain"}
_BUCKET_RETAINED = {"DeletionPolicy": "Retain", "UpdateReplacePolicy": "Retain"}
_TRAIL_NAME = "${AWS::StackName}-trail"
_TRAIL_ARN = (
    f"arn:${{AWS::Partition}}:cloudtrail:${{AWS::Region}}:${{AWS::AccountId}}:trail/{_TRAIL_NAME}"
)
_LOG_GROUPS = "arn:${AWS::Partition}:logs:${AWS::Region}:${AWS::AccountId}:log-group"
# The log groups of the stack by name, since they name the key: signer, requests, trail.
_OWN_LOGS = (
    "${AWS::StackName}-FunctionLog-*",
    "${AWS::StackName}-AccessLog-*",
    "${AWS::StackName}-TrailLog-*",
)


def resources(plan: StackPlan) -> dict[str, Json]:
    """Return the key of the records and the trail with its bucket and log, as far as the plan wants them."""
    found: dict[str, Json] = {}
    if plan.records.own_key:
        found["RecordsKey"] = _key(plan)
    if makes_trail(plan):
        found |= _trail_parts(plan)
    return found


def records_key_arn(plan: StackPlan) -> Any:
    """Return the ARN of the key that encrypts the records, None where AWS's own keys do."""
    return arn("RecordsKey") if plan.records.own_key else None


def makes_trail(plan: StackPlan) -> bool:
    """Tell whether the stack makes a trail of its own."""
    return plan.records.trail == "create" and not plan.emulated


def trail_log_group(plan: StackPlan) -> Any:
    """Return the name of the log group with the trail's events: a `Ref`, a name, or None where there is none."""
    return ref("TrailLog") if makes_trail(plan) else plan.records.trail_log_group


def _key(plan: StackPlan) -> Json:
    return {
        "Type": "AWS::KMS::Key",
        **KEPT,
        "Properties": {
            "Description": sub("Encrypts the records of the treasury, stack ${AWS::StackName}"),
            "EnableKeyRotation": True,
            "PendingWindowInDays": 30,
            "KeyPolicy": _key_policy(plan),
            "Tags": tags(plan),
        },
    }


def _key_policy(plan: StackPlan) -> Json:
    account = {"Sid": "LetIamPoliciesDecide", "Principal": {"AWS": account_root()}}
    statements = [{**account, "Action": "kms:*"}, _for_logs(), _for_alarms()]
    if makes_trail(plan):
        statements += _for_trail()
    if plan.policy is not None:
        statements.append(_for_ledger())
    return policy(*({"Effect": "Allow", "Resource": "*", **each} for each in statements))


def _for_logs() -> Json:
    groups = [sub(f"{_LOG_GROUPS}:{name}") for name in _OWN_LOGS]
    return {
        "Sid": "EncryptTheLogs",
        "Principal": {"Service": sub("logs.${AWS::Region}.${AWS::URLSuffix}")},
        "Action": [
            "kms:Decrypt",
            "kms:DescribeKey",
            "kms:Encrypt",
            "kms:GenerateDataKey*",
            "kms:ReEncrypt*",
        ],
        "Condition": {"ArnLike": {"kms:EncryptionContext:aws:logs:arn": groups}},
    }


def _for_alarms() -> Json:
    # SNS encrypts with the rights of whoever publishes. CloudWatch has none on AWS's own key for SNS.
    return {
        "Sid": "PublishAlarms",
        "Principal": {"Service": "cloudwatch.amazonaws.com"},
        "Action": ["kms:Decrypt", "kms:GenerateDataKey*"],
        "Condition": {"StringEquals": {"aws:SourceAccount": ref("AWS::AccountId")}},
    }


def _for_ledger() -> Json:
    # DynamoDB asks in the name of whoever uses the table, and only they are asked for rights on the table itself.
    return {
        "Sid": "EncryptTheLedger",
        "Principal": "*",
        "Action": [
            "kms:CreateGrant",
            "kms:Decrypt",
            "kms:DescribeKey",
            "kms:Encrypt",
            "kms:GenerateDataKey*",
            "kms:ReEncrypt*",
        ],
        "Condition": {
            "StringEquals": {"kms:CallerAccount": ref("AWS::AccountId")},
            # In China the name has a suffix of its own.
            "StringLike": {"kms:ViaService": sub("dynamodb.${AWS::Region}.amazonaws.com*")},
        },
    }


def _for_trail() -> list[Json]:
    trail = {"Service": "cloudtrail.amazonaws.com"}
    source = {"StringEquals": {"aws:SourceArn": sub(_TRAIL_ARN)}}
    context = "arn:${AWS::Partition}:cloudtrail:*:${AWS::AccountId}:trail/*"
    return [
        {
            "Sid": "EncryptTheTrail",
            "Principal": trail,
            "Action": "kms:GenerateDataKey*",
            "Condition": {
                **source,
                "StringLike": {"kms:EncryptionContext:aws:cloudtrail:arn": sub(context)},
            },
        },
        {
            "Sid": "DescribeTheKey",
            "Principal": trail,
            "Action": "kms:DescribeKey",
            "Condition": source,
        },
    ]


def _trail_parts(plan: StackPlan) -> dict[str, Json]:
    return {
        "TrailBucket": _bucket(plan),
        "TrailBucketPolicy": {"Type": "AWS::S3::BucketPolicy", "Properties": _bucket_policy()},
        "TrailLog": _log(plan),
        "TrailLogRole": {"Type": "AWS::IAM::Role", "Properties": _log_role(plan)},
        "Trail": _trail(plan),
    }


def _trail(plan: StackPlan) -> Json:
    properties: Json = {
        "TrailName": sub(_TRAIL_NAME),
        "IsLogging": True,
        # IAM is recorded in one Region for all, and a replica of the key signs in another.
        "IsMultiRegionTrail": True,
        "IncludeGlobalServiceEvents": True,
        "EnableLogFileValidation": True,
        # Reads too: `Sign` is one, in CloudTrail's eyes.
        "EventSelectors": [{"ReadWriteType": "All", "IncludeManagementEvents": True}],
        "S3BucketName": ref("TrailBucket"),
        "CloudWatchLogsLogGroupArn": arn("TrailLog"),
        "CloudWatchLogsRoleArn": arn("TrailLogRole"),
        "Tags": tags(plan),
    }
    if plan.records.own_key:
        properties["KMSKeyId"] = arn("RecordsKey")
    return {
        "Type": "AWS::CloudTrail::Trail",
        "DependsOn": "TrailBucketPolicy",
        "Properties": properties,
    }


def _bucket(plan: StackPlan) -> Json:
    # CloudTrail encrypts its files under the trail's key by itself. Were that key the bucket's own as well, with
    # an S3 Bucket Key, CloudTrail would need the right to decrypt, too.
    encryption = {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
    blocked = ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets")
    return {
        "Type": "AWS::S3::Bucket",
        **_BUCKET_RETAINED,
        "Properties": {
            "BucketEncryption": {"ServerSideEncryptionConfiguration": [encryption]},
            "OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]},
            "PublicAccessBlockConfiguration": dict.fromkeys(blocked, True),
            "VersioningConfiguration": {"Status": "Enabled"},
            "Tags": tags(plan),
        },
    }


def _bucket_policy() -> Json:
    bucket, inside = arn("TrailBucket"), sub("${TrailBucket.Arn}/*")
    trail: Json = {"Effect": "Allow", "Principal": {"Service": "cloudtrail.amazonaws.com"}}
    source = {"aws:SourceArn": sub(_TRAIL_ARN)}
    check = {
        **trail,
        "Sid": "CheckTheBucket",
        "Action": "s3:GetBucketAcl",
        "Resource": bucket,
        "Condition": {"StringEquals": source},
    }
    write = {
        **trail,
        "Sid": "WriteTheTrail",
        "Action": "s3:PutObject",
        "Resource": sub("${TrailBucket.Arn}/AWSLogs/${AWS::AccountId}/*"),
        "Condition": {"StringEquals": {**source, "s3:x-amz-acl": "bucket-owner-full-control"}},
    }
    plain = {
        "Sid": "OnlyOverTls",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [bucket, inside],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    return {"Bucket": ref("TrailBucket"), "PolicyDocument": policy(check, write, plain)}


def _log(plan: StackPlan) -> Json:
    # CloudFormation gives the name: the log outlives its stack, and the next stack must not stumble over it.
    properties: Json = {"RetentionInDays": plan.records.retention, "Tags": tags(plan)}
    if plan.records.own_key:
        properties["KmsKeyId"] = arn("RecordsKey")
    return {"Type": "AWS::Logs::LogGroup", **KEPT, "Properties": properties}


def _log_role(plan: StackPlan) -> Json:
    trust = {
        "Effect": "Allow",
        "Principal": {"Service": "cloudtrail.amazonaws.com"},
        "Action": "sts:AssumeRole",
    }
    streams = "${TrailLog}:log-stream:${AWS::AccountId}_CloudTrail_${AWS::Region}*"
    write = {
        "Sid": "WriteTheTrailsLog",
        "Effect": "Allow",
        "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
        "Resource": sub(f"{_LOG_GROUPS}:{streams}"),
    }
    return {
        "Description": "Lets CloudTrail write the trail's events into one log group",
        "AssumeRolePolicyDocument": policy(trust),
        "Policies": [{"PolicyName": "write", "PolicyDocument": policy(write)}],
        "Tags": tags(plan),
    }
