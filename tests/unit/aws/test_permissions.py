"""The deployer's permissions: complete for each plan, narrow, in every partition, and small enough for IAM."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest

from bursar.aws.grants import GUIDE, POLICY_LIMIT, Place, example, policy_size, split_policy
from bursar.aws.permissions import deployer_policy, needed, unused
from bursar.aws.plan import (
    ApiPlan,
    CallersPlan,
    KeyPlan,
    NetworkPlan,
    RecordsPlan,
    StackPlan,
)
from bursar.aws.template import build_template
from tests.fakes.policies import planned

PLACE = Place("treasury", "111122223333", "eu-central-1")
KEY = "arn:aws:kms:eu-central-1:111122223333:key/8a4f0000-0000-4000-8000-000000000001"
FULL = StackPlan(
    callers=CallersPlan(group="payers", groups=("ops",), roles=("payer",)),
    network=NetworkPlan("vpc-12345678", ("subnet-12345678",)),
    api=ApiPlan(private=True, logs_for_region=True),
    records=RecordsPlan(emails=("ops@example.com",)),
)
PLANS = {
    "default": StackPlan(),
    "full": FULL,
    "emulated": StackPlan(emulated=True),
    "existing key": StackPlan(key=KeyPlan(arn=KEY, alias="")),
    "replica": StackPlan(key=KeyPlan(replica_of=KEY.replace("eu-central-1", "us-east-1"))),
    "no records": StackPlan(records=RecordsPlan(trail="none", own_key=False, dashboard=False)),
    "existing trail": StackPlan(records=RecordsPlan(trail="org-trail")),
    "by a policy": StackPlan(policy=planned()),
    "by a policy, full": replace(
        FULL,
        policy=planned(),
        network=NetworkPlan(
            "vpc-12345678",
            ("subnet-12345678",),
            route_tables=("rtb-12345678",),
            dynamodb_prefix_list="pl-12345678",
        ),
    ),
    "by a policy, with an earlier table": StackPlan(
        policy=planned(), records=RecordsPlan(ledger="treasury-Ledger-1ABC")
    ),
    "ecs": StackPlan(compute="ecs"),
    "ec2": StackPlan(compute="ec2"),
}
# What creating and deleting a resource of each type costs: CloudFormation's registry, the handlers of its schema.
COSTS = {
    "AWS::ApiGateway::Account": ["apigateway:PATCH"],
    "AWS::ApiGateway::Deployment": ["apigateway:POST", "apigateway:DELETE"],
    "AWS::ApiGateway::GatewayResponse": ["apigateway:PUT", "apigateway:DELETE"],
    "AWS::ApiGateway::Method": ["apigateway:PUT", "apigateway:DELETE"],
    "AWS::ApiGateway::Model": ["apigateway:POST", "apigateway:DELETE"],
    "AWS::ApiGateway::RequestValidator": ["apigateway:POST", "apigateway:DELETE"],
    "AWS::ApiGateway::RestApi": ["apigateway:POST", "apigateway:UpdateRestApiPolicy"],
    "AWS::ApiGateway::Stage": ["apigateway:POST", "apigateway:PATCH"],
    "AWS::CloudTrail::Trail": ["cloudtrail:CreateTrail", "cloudtrail:StartLogging", "iam:PassRole"],
    "AWS::CloudWatch::Alarm": ["cloudwatch:PutMetricAlarm", "cloudwatch:DeleteAlarms"],
    "AWS::CloudWatch::AnomalyDetector": ["cloudwatch:PutAnomalyDetector"],
    "AWS::CloudWatch::Dashboard": ["cloudwatch:PutDashboard", "cloudwatch:DeleteDashboards"],
    "AWS::DynamoDB::Table": [
        "dynamodb:CreateTable",
        "dynamodb:DescribeTable",
        "dynamodb:UpdateTable",
        "dynamodb:UpdateContinuousBackups",
        "dynamodb:TagResource",
    ],
    "AWS::EC2::SecurityGroup": ["ec2:CreateSecurityGroup", "ec2:AuthorizeSecurityGroupEgress"],
    "AWS::EC2::SecurityGroupEgress": ["ec2:AuthorizeSecurityGroupEgress"],
    "AWS::EC2::SecurityGroupIngress": ["ec2:AuthorizeSecurityGroupIngress"],
    "AWS::EC2::VPCEndpoint": ["ec2:CreateVpcEndpoint", "ec2:DescribeVpcEndpoints"],
    "AWS::IAM::Group": ["iam:CreateGroup", "iam:PutGroupPolicy", "iam:AttachGroupPolicy"],
    "AWS::IAM::InstanceProfile": ["iam:CreateInstanceProfile", "iam:PassRole"],
    "AWS::IAM::ManagedPolicy": ["iam:CreatePolicy", "iam:DeletePolicy"],
    "AWS::IAM::Policy": ["iam:PutRolePolicy", "iam:DeleteRolePolicy"],
    "AWS::IAM::Role": ["iam:CreateRole", "iam:PutRolePolicy", "iam:TagRole", "iam:DeleteRole"],
    "AWS::KMS::Alias": ["kms:CreateAlias", "kms:DeleteAlias"],
    "AWS::KMS::Key": ["kms:CreateKey", "kms:TagResource", "kms:ScheduleKeyDeletion"],
    "AWS::KMS::ReplicaKey": ["kms:ReplicateKey", "kms:CreateKey", "kms:TagResource"],
    "AWS::Lambda::Alias": ["lambda:CreateAlias", "lambda:UpdateAlias", "lambda:DeleteAlias"],
    "AWS::Lambda::Function": ["lambda:CreateFunction", "iam:PassRole", "s3:GetObject"],
    "AWS::Lambda::Permission": ["lambda:AddPermission", "lambda:RemovePermission"],
    "AWS::Lambda::Version": ["lambda:PublishVersion", "lambda:ListVersionsByFunction"],
    "AWS::Logs::LogGroup": ["logs:CreateLogGroup", "logs:PutRetentionPolicy", "logs:TagResource"],
    "AWS::Logs::MetricFilter": ["logs:PutMetricFilter", "logs:DeleteMetricFilter"],
    "AWS::S3::Bucket": ["s3:CreateBucket", "s3:PutBucketPublicAccessBlock"],
    "AWS::S3::BucketPolicy": ["s3:PutBucketPolicy", "s3:DeleteBucketPolicy"],
    "AWS::SNS::Topic": ["sns:CreateTopic", "sns:DeleteTopic"],
    "AWS::SNS::TopicPolicy": ["sns:SetTopicAttributes"],
    "AWS::SNS::Subscription": ["sns:Subscribe", "sns:Unsubscribe"],
}


def actions(plan: StackPlan) -> set[str]:
    return {action for grant in needed(plan, PLACE) for action in grant.actions}


def resources(document: dict[str, Any]) -> list[str]:
    found = [statement["Resource"] for statement in document["Statement"]]
    return [each for one in found for each in ([one] if isinstance(one, str) else one)]


@pytest.mark.parametrize("name", PLANS)
def test_every_resource_of_the_template_can_be_made_and_removed(name: str) -> None:
    plan = PLANS[name]
    allowed = actions(plan)
    for resource in build_template(plan)["Resources"].values():
        assert set(COSTS[resource["Type"]]) <= allowed, resource["Type"]


def test_the_guides_six_are_all_needed_by_a_full_plan_and_pass_role_is_among_what_it_forgot() -> (
    None
):
    assert set(GUIDE) <= actions(FULL)
    assert unused(FULL, PLACE) == ()
    assert unused(StackPlan(), PLACE) == ("iam:PutGroupPolicy", "ec2:DescribeVpcEndpoints")
    # A resource policy is changed with both (API Gateway developer guide).
    assert {"apigateway:PATCH", "iam:PassRole", "lambda:CreateFunction"} <= actions(StackPlan())


@pytest.mark.parametrize("name", PLANS)
def test_it_lets_nobody_sign_read_secrets_or_do_whatever_they_like(name: str) -> None:
    text = json.dumps(deployer_policy(PLANS[name], PLACE))
    for action in (
        "kms:Sign",
        "kms:CreateGrant",
        "kms:Decrypt",
        "execute-api:Invoke",
        "InvokeFunction",
    ):
        assert f'"{action}"' not in text
        assert f":{action}" not in text
    listed = [one for grant in needed(PLANS[name], PLACE) for one in grant.actions]
    assert not any("*" in action for action in listed)


@pytest.mark.parametrize("name", PLANS)
def test_what_has_a_star_for_resource_can_have_nothing_else(name: str) -> None:
    # Actions that the Service Authorization Reference lists without a resource type, or that create what has no
    # name yet.
    without = re.compile(
        r"cloudformation:DescribeStackDriftDetectionStatus|kms:(ListAliases|CreateKey)|logs:Describe(LogGroups|IndexPolicies)"
        r"|ec2:Describe\w+|cloudwatch:(DescribeAlarms|\w+AnomalyDetectors?)|cloudtrail:\w+"
        r"|dynamodb:ListTables|servicequotas:\w+|lambda:GetAccountSettings"
    )
    for grant in needed(PLANS[name], PLACE):
        if "*" in grant.resources:
            assert all(without.fullmatch(action) for action in grant.actions), grant.name


def test_roles_are_passed_to_the_services_that_need_them_and_to_no_other() -> None:
    def services(plan: StackPlan, place: Place = PLACE) -> tuple[str, ...]:
        [grant] = [each for each in needed(plan, place) if each.name == "PassRole"]
        return grant.conditions["StringEquals"]["iam:PassedToService"]

    assert services(StackPlan(api=ApiPlan(access_logs=False), emulated=True)) == (
        "lambda.amazonaws.com",
    )
    assert set(services(FULL)) == {
        "lambda.amazonaws.com", "apigateway.amazonaws.com", "cloudtrail.amazonaws.com",
    }  # fmt: skip
    assert "ecs-tasks.amazonaws.com" in services(PLANS["ecs"])
    china = replace(PLACE, region="cn-north-1", partition="aws-cn")
    assert "ec2.amazonaws.com.cn" in services(PLANS["ec2"], china)


def test_callers_may_be_given_the_invoke_policy_and_no_other() -> None:
    grants = {grant.name: grant for grant in needed(FULL, PLACE)}
    for name in ("GroupCallers", "RoleCallers"):
        only = grants[name].conditions["ArnLike"]["iam:PolicyARN"]
        assert only == ("arn:aws:iam::111122223333:policy/treasury-*",)
    assert grants["GroupCallers"].resources == (
        "arn:aws:iam::111122223333:group/ops",
        "arn:aws:iam::111122223333:group/payers",
    )


def test_an_existing_key_is_named_and_no_other_key_is_touched() -> None:
    plan = StackPlan(key=KeyPlan(arn=KEY), records=RecordsPlan(own_key=False))
    document = deployer_policy(plan, PLACE)
    assert KEY in resources(document)
    assert not any(":key/*" in resource for resource in resources(document))
    assert "kms:CreateKey" not in json.dumps(document)


@pytest.mark.parametrize(
    ("partition", "region"),
    [("aws", "eu-central-1"), ("aws-us-gov", "us-gov-west-1"), ("aws-cn", "cn-north-1")],
)
def test_every_arn_is_of_the_partition(partition: str, region: str) -> None:
    place = Place("treasury", "111122223333", region, partition)
    arns = [each for each in resources(deployer_policy(FULL, place)) if each != "*"]
    assert all(arn.startswith(f"arn:{partition}:") for arn in arns)
    assert not any("eu-central-1" in arn for arn in arns if region != "eu-central-1")


@pytest.mark.parametrize("name", PLANS)
def test_it_can_be_split_into_policies_that_iam_takes_and_nothing_is_lost(name: str) -> None:
    document = deployer_policy(PLANS[name], PLACE)
    parts = split_policy(document)
    assert all(policy_size(part) <= POLICY_LIMIT for part in parts)
    assert [each for part in parts for each in part["Statement"]] == document["Statement"]
    # On a role itself, IAM takes 10,240 characters in all. Everything there is, and a policy too, has to be split.
    assert (policy_size(document) <= 10_240) is (name != "by a policy, full")


def test_a_policy_is_written_the_same_each_time_with_a_sid_that_iam_takes_for_each_statement() -> (
    None
):
    document = deployer_policy(FULL, PLACE)
    assert document == deployer_policy(FULL, PLACE)
    sids = [statement["Sid"] for statement in document["Statement"]]
    assert len(set(sids)) == len(sids)
    assert all(re.fullmatch(r"[A-Za-z0-9]+", sid) for sid in sids)
    assert all(len(statement["Action"]) for statement in document["Statement"])


def test_what_only_the_doctor_looks_with_can_be_left_out() -> None:
    text = json.dumps(deployer_policy(StackPlan(), PLACE, checks=False))
    assert "servicequotas:ListServiceQuotas" not in text
    assert "iam:SimulatePrincipalPolicy" not in text


def test_a_bucket_of_ones_own_is_only_written_to() -> None:
    document = json.dumps(deployer_policy(StackPlan(), replace(PLACE, bucket="code-of-mine")))
    assert "arn:aws:s3:::code-of-mine/bursar/treasury/*" in document
    assert "bursar-artifacts" not in document
    grants = {grant.name: grant for grant in needed(StackPlan(), replace(PLACE, bucket="mine"))}
    assert grants["CodeBucket"].actions == ("s3:ListBucket",)


def test_a_long_stack_name_is_matched_as_cloudformation_shortens_it() -> None:
    place = replace(PLACE, stack="the-treasury-of-the-company-in-europe")
    assert place.prefix == "the-treasury-of-the-comp*"
    assert replace(PLACE, stack="treasury").prefix == "treasury-*"


def test_the_simulator_is_asked_about_one_resource_that_the_pattern_fits() -> None:
    assert example("*") == "*"
    assert example("arn:aws:s3:::b/bursar/t/*") == "arn:aws:s3:::b/bursar/t/example"
    assert re.search(r":key/[0-9a-f-]{36}$", example("arn:aws:kms:r:1:key/*"))


@pytest.mark.parametrize("name", [name for name in PLANS if "policy" in name])
def test_it_neither_reads_nor_writes_what_was_signed_nor_deletes_its_table(name: str) -> None:
    granted = {each for each in actions(PLANS[name]) if each.startswith("dynamodb:")}
    assert "dynamodb:DescribeTable" in granted
    item = re.compile(r"dynamodb:(\w*Item|Query|Scan|PartiQL\w*|Delete\w*|Restore\w*|Put\w*)")
    assert not [each for each in granted if item.fullmatch(each)]


def test_an_earlier_table_is_only_looked_at() -> None:
    grants = {
        each.name: each for each in needed(PLANS["by a policy, with an earlier table"], PLACE)
    }
    assert set(grants["Ledger"].actions) == {
        "dynamodb:DescribeTable",
        "dynamodb:DescribeContinuousBackups",
    }
    assert grants["Ledger"].resources == (
        "arn:aws:dynamodb:eu-central-1:111122223333:table/treasury-Ledger-1ABC",
    )
    assert "LedgersFind" not in grants
    assert not {"Ledger", "LedgersFind"} & {each.name for each in needed(StackPlan(), PLACE)}
