from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from bursar.aws.plan import RecordsPlan, StackPlan
from bursar.aws.template import records
from tests.unit.aws.emitted import filled, named

PLAN = StackPlan()
TRAIL = "arn:aws:cloudtrail:eu-central-1:111122223333:trail/treasury-trail"


def properties(name: str, plan: StackPlan = PLAN) -> dict[str, Any]:
    found: dict[str, Any] = records.resources(plan)[name]["Properties"]
    return found


def key_statements(plan: StackPlan = PLAN) -> dict[str, dict[str, Any]]:
    statements = filled(properties("RecordsKey", plan)["KeyPolicy"]["Statement"])
    return {each["Sid"]: each for each in statements}


def with_records(**changes: Any) -> StackPlan:
    return StackPlan(records=RecordsPlan(**changes))


def test_the_records_outlive_the_stack_and_a_failed_creation_leaves_no_key_to_pay_for() -> None:
    kept = records.resources(PLAN)
    policies = {
        name: kept[name]["DeletionPolicy"] for name in ("RecordsKey", "TrailBucket", "TrailLog")
    }
    assert policies == {
        "RecordsKey": "RetainExceptOnCreate",
        "TrailBucket": "Retain",
        "TrailLog": "RetainExceptOnCreate",
    }
    assert {kept[name]["UpdateReplacePolicy"] for name in policies} == {"Retain"}


def test_what_is_kept_has_no_name_that_the_next_stack_would_stumble_over() -> None:
    assert "BucketName" not in properties("TrailBucket")
    assert "LogGroupName" not in properties("TrailLog")


def test_the_key_of_the_records_rotates_and_signs_nothing() -> None:
    key = properties("RecordsKey")
    assert key["EnableKeyRotation"] is True
    assert "KeySpec" not in key
    assert "KeyUsage" not in key


def test_no_principal_of_its_policy_is_a_wildcard_and_every_service_has_a_condition() -> None:
    for sid, statement in key_statements().items():
        assert statement["Effect"] == "Allow"
        assert statement["Principal"] != "*"
        assert "*" not in statement["Principal"].values()
        assert ("Condition" in statement) == ("Service" in statement["Principal"]), sid


def test_logs_use_the_key_for_the_stacks_own_log_groups() -> None:
    logs = key_statements()["EncryptTheLogs"]
    assert logs["Principal"] == {"Service": "logs.eu-central-1.amazonaws.com"}
    groups = "arn:aws:logs:eu-central-1:111122223333:log-group"
    assert logs["Condition"] == {
        "ArnLike": {
            "kms:EncryptionContext:aws:logs:arn": [
                f"{groups}:treasury-FunctionLog-*",
                f"{groups}:treasury-AccessLog-*",
                f"{groups}:treasury-TrailLog-*",
            ]
        }
    }


def test_alarms_can_be_published_to_a_topic_under_the_key() -> None:
    alarms = key_statements()["PublishAlarms"]
    assert alarms["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
    assert alarms["Action"] == ["kms:Decrypt", "kms:GenerateDataKey*"]
    assert alarms["Condition"] == {"StringEquals": {"aws:SourceAccount": "111122223333"}}


def test_cloudtrail_uses_the_key_for_this_trail_only() -> None:
    statements = key_statements()
    for sid in ("EncryptTheTrail", "DescribeTheKey"):
        assert statements[sid]["Condition"]["StringEquals"] == {"aws:SourceArn": TRAIL}
    without = key_statements(with_records(trail="none"))
    assert "EncryptTheTrail" not in without


def test_the_trail_sees_reads_and_writes_in_every_region_and_its_files_are_validated() -> None:
    trail = properties("Trail")
    assert trail["IsLogging"] is True
    assert trail["IsMultiRegionTrail"] is True
    assert trail["IncludeGlobalServiceEvents"] is True
    assert trail["EnableLogFileValidation"] is True
    [selector] = trail["EventSelectors"]
    assert selector == {"ReadWriteType": "All", "IncludeManagementEvents": True}
    assert filled(trail["TrailName"]) == TRAIL.rsplit("/", 1)[1]
    assert records.resources(PLAN)["Trail"]["DependsOn"] == "TrailBucketPolicy"


def test_the_bucket_is_encrypted_versioned_private_and_never_emptied() -> None:
    bucket = properties("TrailBucket")
    [encryption] = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    # CloudTrail's own files are under the records' key, by the trail's setting.
    assert encryption == {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
    assert properties("Trail")["KMSKeyId"] == {"Fn::GetAtt": ["RecordsKey", "Arn"]}
    assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert len(bucket["PublicAccessBlockConfiguration"]) == 4
    assert bucket["OwnershipControls"] == {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    assert "LifecycleConfiguration" not in bucket


def test_the_buckets_policy_lets_this_trail_write_and_denies_plain_http() -> None:
    statements = filled(properties("TrailBucketPolicy")["PolicyDocument"]["Statement"])
    check, write, plain = statements
    for each in (check, write):
        assert each["Principal"] == {"Service": "cloudtrail.amazonaws.com"}
        assert each["Condition"]["StringEquals"]["aws:SourceArn"] == TRAIL
    assert write["Resource"] == "TrailBucket.Arn/AWSLogs/111122223333/*"
    assert (plain["Effect"], plain["Principal"], plain["Action"]) == ("Deny", "*", "s3:*")
    assert plain["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_cloudtrail_writes_into_one_log_group_only() -> None:
    role = filled(properties("TrailLogRole"))
    [statement] = role["Policies"][0]["PolicyDocument"]["Statement"]
    assert statement["Resource"].startswith(
        "arn:aws:logs:eu-central-1:111122223333:log-group:treasury-TrailLog-1A2B:log-stream:"
        "111122223333_CloudTrail_eu-central-1"
    )
    assert properties("TrailLog")["RetentionInDays"] == PLAN.records.retention


def test_without_a_key_of_its_own_awss_keys_encrypt() -> None:
    plan = with_records(own_key=False)
    assert records.records_key_arn(plan) is None
    assert "RecordsKey" not in set(named(records.resources(plan)))
    assert "KMSKeyId" not in properties("Trail", plan)
    [encryption] = properties("TrailBucket", plan)["BucketEncryption"][
        "ServerSideEncryptionConfiguration"
    ]
    assert encryption == {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}


def test_an_existing_trails_log_group_is_searched_and_no_trail_is_made() -> None:
    plan = with_records(trail="organisation-trail")
    assert records.trail_log_group(plan) == "organisation-trail"
    assert set(records.resources(plan)) == {"RecordsKey"}
    assert records.trail_log_group(with_records(trail="none")) is None


def test_emulated_there_is_no_trail() -> None:
    plan = replace(PLAN, emulated=True)
    assert set(records.resources(plan)) == {"RecordsKey"}
    assert records.trail_log_group(plan) is None


def test_every_arn_follows_the_partition() -> None:
    assert "arn:aws:" not in json.dumps(records.resources(PLAN))
