from __future__ import annotations

from typing import Any

import pytest

from bursar.aws.plan import KeyPlan, RecordsPlan, StackPlan
from bursar.aws.template.patterns import LONGEST_PATTERN, longest
from bursar.aws.template.watches import filters, watches
from bursar.errors import ConfigError
from tests.fakes.filter_patterns import matches
from tests.fakes.policies import planned
from tests.unit.aws.emitted import FUNCTION, KEY, KEY_ID, NAMES, ROLE, counted, filled, named

ACCOUNT = "111122223333"
ROLE_USER = f"arn:aws:iam::{ACCOUNT}:role/payouts"
IAM_USER = f"arn:aws:iam::{ACCOUNT}:user/carol"
PLAN = StackPlan()
SHARED = StackPlan(key=KeyPlan(users=(ROLE_USER, IAM_USER)))


def session_of(role: str, session: str = FUNCTION) -> dict[str, Any]:
    """Who a session of a role is, in CloudTrail's words. Lambda calls a session after its function."""
    name = role.rsplit("/", 1)[1]
    return {
        "type": "AssumedRole",
        "arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/{name}/{session}",
        "sessionContext": {"sessionIssuer": {"type": "Role", "arn": role, "userName": name}},
    }


def user(arn: str) -> dict[str, Any]:
    return {"type": "IAMUser", "arn": arn, "userName": arn.rsplit("/", 1)[1]}


def event(source: str, name: str, /, **fields: Any) -> dict[str, Any]:
    return {
        "eventSource": f"{source}.amazonaws.com",
        "eventName": name,
        "userIdentity": user(f"arn:aws:iam::{ACCOUNT}:user/mallory"),
        "requestParameters": None,
        **fields,
    }


def signing(who: dict[str, Any], **fields: Any) -> dict[str, Any]:
    parts = {
        "requestParameters": {"keyId": KEY, "signingAlgorithm": "ECDSA_SHA_256"},
        "resources": [{"accountId": ACCOUNT, "type": "AWS::KMS::Key", "ARN": KEY}],
        "userIdentity": who,
    }
    return event("kms", "Sign", **parts | fields)


def denied(who: dict[str, Any], key: str = KEY) -> dict[str, Any]:
    return event(
        "kms",
        "Sign",
        userIdentity=who,
        errorCode="AccessDenied",
        errorMessage=f"User: {who['arn']} is not authorized to perform: kms:Sign on resource: {key} "
        "with an explicit deny in a resource-based policy",
    )


def seen(record: dict[str, Any], plan: StackPlan = PLAN) -> set[str]:
    """The metrics that count an event of the trail."""
    return {
        each["Properties"]["MetricTransformations"][0]["MetricName"]
        for each in filters(plan).values()
        if matches(filled(each["Properties"]["FilterPattern"]), record)
    }


MALLORY = user(f"arn:aws:iam::{ACCOUNT}:user/mallory")
ROOT = {"type": "Root", "arn": f"arn:aws:iam::{ACCOUNT}:root"}
ANOTHER_ROLE = session_of(f"arn:aws:iam::{ACCOUNT}:role/admin")
NAMELESS = {"type": "AWSService", "invokedBy": "lambda.amazonaws.com"}


@pytest.mark.parametrize(
    "who", [MALLORY, ROOT, ANOTHER_ROLE, NAMELESS], ids=lambda who: who["type"]
)
@pytest.mark.parametrize("plan", [PLAN, SHARED], ids=["one signer", "more signers"])
def test_a_signature_by_anybody_but_a_signer_is_seen(who: dict[str, Any], plan: StackPlan) -> None:
    assert seen(signing(who), plan) == {"ForeignSignatures"}


@pytest.mark.parametrize("who", [MALLORY, ROOT, ANOTHER_ROLE], ids=lambda who: who["type"])
@pytest.mark.parametrize("plan", [PLAN, SHARED], ids=["one signer", "more signers"])
def test_an_attempt_that_was_turned_down_is_counted_apart(
    who: dict[str, Any], plan: StackPlan
) -> None:
    assert seen(denied(who), plan) == {"ForeignAttempts"}
    disabled = signing(who, errorCode="DisabledException", errorMessage=f"{KEY} is disabled.")
    assert seen(disabled, plan) == {"ForeignAttempts"}


def test_the_signers_own_signatures_and_failures_are_not_foreign() -> None:
    assert seen(signing(session_of(ROLE))) == set()
    assert seen(denied(session_of(ROLE))) == set()
    for who in (session_of(ROLE), session_of(ROLE_USER), user(IAM_USER)):
        assert seen(signing(who), SHARED) == set()
    assert seen(signing(session_of(ROLE_USER))) == {"ForeignSignatures"}


def test_another_function_under_the_signers_role_is_somebody_else() -> None:
    other = session_of(ROLE, "somebodys-function")
    assert seen(signing(other)) == {"ForeignSignatures"}
    assert seen(denied(other)) == {"ForeignAttempts"}
    for compute in ("ecs", "ec2"):  # whose sessions have names of AWS's making
        assert seen(signing(other), StackPlan(compute=compute)) == set()


def test_a_key_named_by_its_id_or_alias_is_the_same_key_and_another_key_is_not() -> None:
    by_id = {"keyId": KEY_ID}
    assert seen(signing(MALLORY, requestParameters=by_id, resources=[])) == {"ForeignSignatures"}
    by_alias = {"keyId": "alias/bursar-treasury"}
    assert seen(signing(MALLORY, requestParameters=by_alias)) == {"ForeignSignatures"}
    other = KEY.replace("0fca8ec8", "11111111")
    elsewhere = signing(MALLORY, requestParameters={"keyId": other}, resources=[{"ARN": other}])
    assert seen(elsewhere) == set()
    assert seen(denied(MALLORY, other)) == set()


def test_a_signature_by_a_replica_in_another_region_is_seen_too() -> None:
    replica = KEY.replace("eu-central-1", "us-east-1")
    event_there = signing(
        MALLORY, requestParameters={"keyId": replica}, resources=[{"ARN": replica}]
    )
    assert seen(event_there) == {"ForeignSignatures"}


def test_an_existing_key_is_looked_for_by_its_id() -> None:
    plan = StackPlan(key=KeyPlan(arn=KEY))
    assert seen(signing(MALLORY), plan) == {"ForeignSignatures"}
    assert "SigningKey" not in set(named(filters(plan)))


ROLE_NAME = ROLE.rsplit("/", 1)[1]
TOPIC = NAMES["AlarmTopic"]
RECORDS_KEY = f"arn:aws:kms:eu-central-1:{ACCOUNT}:key/{NAMES['RecordsKey']}"
FUNCTION_ARN = f"arn:aws:lambda:eu-central-1:{ACCOUNT}:function:{FUNCTION}"
Case = tuple[str, str, dict[str, Any]]


def on(field: str, value: Any, source: str, *names: str) -> list[Case]:
    """Calls of a service, each with one parameter."""
    return [(source, name, {"requestParameters": {field: value}}) for name in names]


def refused(resource: str, source: str, *names: str) -> list[Case]:
    """Calls that were denied: CloudTrail has no parameters of them."""
    message = f"User: … is not authorized to perform: … on resource: {resource} because …"
    return [
        (source, name, {"errorCode": "AccessDenied", "errorMessage": message}) for name in names
    ]


CHANGES: dict[str, list[Case]] = {
    "KeyChanges": [
        *on("keyId", KEY_ID, "kms", "PutKeyPolicy", "ScheduleKeyDeletion", "DisableKey"),
        *on("keyId", KEY, "kms", "CreateGrant", "ReplicateKey"),
        *on("aliasName", "alias/bursar-treasury", "kms", "UpdateAlias", "DeleteAlias"),
        *refused(KEY, "kms", "PutKeyPolicy"),
    ],
    "FunctionChanges": [
        *on("functionName", FUNCTION, "lambda", "UpdateFunctionCode20150331v2"),
        *on("functionName", FUNCTION_ARN, "lambda", "UpdateFunctionConfiguration20150331v2"),
        *on("functionName", FUNCTION, "lambda", "PublishVersion20150331", "UpdateAlias20150331"),
        *on("functionName", f"{FUNCTION_ARN}:live", "lambda", "AddPermission20150331v2"),
        *refused(FUNCTION_ARN, "lambda", "UpdateFunctionCode20150331v2"),
    ],
    "RoleChanges": [
        *on("roleName", ROLE_NAME, "iam", "PutRolePolicy", "AttachRolePolicy"),
        *on("roleName", ROLE_NAME, "iam", "UpdateAssumeRolePolicy"),
        *refused(f"role {ROLE_NAME}", "iam", "PutRolePolicy"),
    ],
    "ApiChanges": [
        *on("restApiId", "a1b2c3d4e5", "apigateway", "UpdateRestApi", "TestInvokeMethod"),
        *refused(
            "arn:aws:apigateway:eu-central-1::/restapis/a1b2c3d4e5/stages/prod",
            "apigateway",
            "UpdateStage",
        ),
    ],
    "RecordChanges": [
        *on("name", "any", "cloudtrail", "StopLogging", "DeleteTrail", "PutEventSelectors"),
        *on("logGroupName", "/aws/lambda/treasury-signer", "logs", "DeleteLogGroup"),
        *on("logGroupName", "treasury-TrailLog-1A2B", "logs", "DeleteMetricFilter"),
        *on("alarmNames", ["treasury-key-changed"], "monitoring", "DeleteAlarms"),
        *on("alarmName", "treasury-key-changed", "monitoring", "SetAlarmState"),
        *refused("any", "cloudtrail", "UpdateTrail"),
        *on("topicArn", TOPIC, "sns", "SetTopicAttributes", "DeleteTopic"),
        *on("subscriptionArn", f"{TOPIC}:1a2b", "sns", "Unsubscribe"),
        *on("bucketName", NAMES["TrailBucket"], "s3", "PutBucketPolicy", "PutBucketLifecycle"),
        *on("keyId", RECORDS_KEY, "kms", "PutKeyPolicy", "ScheduleKeyDeletion", "DisableKey"),
        *refused(RECORDS_KEY, "kms", "PutKeyPolicy"),
    ],
}
UNRELATED = [
    *on("keyId", "11111111-0000-0000-0000-000000000000", "kms", "PutKeyPolicy"),
    *on("keyId", KEY, "kms", "GetPublicKey"),
    *on("aliasName", "alias/other", "kms", "UpdateAlias"),
    *on("functionName", "other", "lambda", "UpdateFunctionCode20150331v2"),
    *on("functionName", f"my-{FUNCTION}", "lambda", "UpdateFunctionCode20150331v2"),
    *on("functionName", FUNCTION, "lambda", "GetFunction20150331v2"),
    *on("roleName", "other", "iam", "PutRolePolicy"),
    *on("roleName", ROLE_NAME, "iam", "GetRole"),
    *on("restApiId", "zzzzzzzzzz", "apigateway", "UpdateRestApi"),
    *on("maxResults", 1, "cloudtrail", "LookupEvents"),
    *on("logGroupName", "/aws/lambda/other", "logs", "DeleteLogGroup"),
    *on("alarmNames", ["other"], "monitoring", "DeleteAlarms"),
    *on("topicArn", f"{TOPIC}-other", "sns", "DeleteTopic"),
    *on("topicArn", TOPIC, "sns", "Publish"),
    *on("bucketName", "other", "s3", "PutBucketPolicy"),
    *on("keyId", RECORDS_KEY, "kms", "Decrypt"),
]


TABLE = f"arn:aws:dynamodb:eu-central-1:{ACCOUNT}:table/treasury-Ledger-1A2B"


@pytest.mark.parametrize(
    "records", [RecordsPlan(), RecordsPlan(ledger="treasury-Ledger-1A2B")], ids=["own", "taken on"]
)
def test_changes_to_the_keys_memory_are_seen_as_those_to_the_records_are(
    records: RecordsPlan,
) -> None:
    plan = StackPlan(policy=planned(), records=records)
    for source, name, fields in (
        *on("tableName", "treasury-Ledger-1A2B", "dynamodb", "DeleteTable", "UpdateTable"),
        *on("tableName", TABLE, "dynamodb", "UpdateTimeToLive", "UpdateContinuousBackups"),
        *on("resourceArn", TABLE, "dynamodb", "PutResourcePolicy"),
        *refused(TABLE, "dynamodb", "DeleteTable"),
    ):
        assert seen(event(source, name, **fields), plan) == {"RecordChanges"}, (name, fields)
        assert seen(event(source, name, **fields)) == set()
    for source, name, fields in (
        *on("tableName", "other-treasury-Ledger-1A2B", "dynamodb", "DeleteTable"),
        *on("tableName", "treasury-Ledger-1A2B", "dynamodb", "DescribeTable"),
    ):
        assert seen(event(source, name, **fields), plan) == set(), (name, fields)


@pytest.mark.parametrize("metric", CHANGES)
def test_changes_to_key_role_function_api_and_records_are_seen_and_attempts_at_them_too(
    metric: str,
) -> None:
    for source, name, fields in CHANGES[metric]:
        assert seen(event(source, name, **fields)) == {metric}, (name, fields)


def test_what_happens_to_others_is_nobodys_alarm() -> None:
    for source, name, fields in UNRELATED:
        assert seen(event(source, name, **fields)) == set(), (name, fields)


def test_no_pattern_becomes_longer_than_cloudwatch_takes() -> None:
    long_alias = StackPlan(key=KeyPlan(alias="alias/" + "x" * 250, users=(ROLE_USER, IAM_USER)))
    for plan in (PLAN, SHARED, long_alias, StackPlan(policy=planned())):
        for watch in watches(plan):
            assert all(longest(pattern) <= LONGEST_PATTERN for pattern in watch.patterns)


def test_more_signers_than_a_filter_can_tell_apart_are_refused() -> None:
    many = tuple(f"arn:aws:iam::{ACCOUNT}:role/{'payouts' * 8}-{at}" for at in range(9))
    with pytest.raises(ConfigError, match=r"key\.users"):
        filters(StackPlan(key=KeyPlan(users=many)))


def test_without_a_trail_nothing_is_looked_for_in_it() -> None:
    assert filters(StackPlan(records=RecordsPlan(trail="none"))) == {}


def test_an_existing_trail_is_searched_where_it_is() -> None:
    plan = StackPlan(records=RecordsPlan(trail="organisation-trail"))
    groups = {each["Properties"]["LogGroupName"] for each in filters(plan).values()}
    assert groups == {"organisation-trail"}
    cut = event("logs", "DeleteLogGroup", requestParameters={"logGroupName": "organisation-trail"})
    assert seen(cut, plan) == {"RecordChanges"}
    assert "TrailLog" not in set(named(filters(plan)))


def test_two_stacks_of_one_region_do_not_count_into_one_metric() -> None:
    assert {namespace for namespace, *_ in counted(filters(PLAN))} == {"bursar/treasury"}
