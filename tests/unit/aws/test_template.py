from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bursar.aws.plan import (
    ApiPlan,
    CallersPlan,
    FunctionPlan,
    KeyPlan,
    NetworkPlan,
    RecordsPlan,
    StackPlan,
    require_sound,
)
from bursar.aws.template import build_template, template_text
from tests.fakes.policies import BLIND, CALLER, HOURS, planned

KEY = "arn:aws-us-gov:kms:us-gov-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
PRIMARY = "arn:aws:kms:us-east-1:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab"
ADMIN = "arn:aws:iam::111122223333:role/key-admin"
TASK = "arn:aws:iam::111122223333:role/payer-task"
DOOR = "arn:${AWS::Partition}:execute-api:${AWS::Region}:${AWS::AccountId}:${Api}/prod/POST/"
ROLE = {
    "Fn::Sub": "arn:${AWS::Partition}:iam::${AWS::AccountId}:role/${AWS::StackName}-signer-${AWS::Region}"
}
FULLEST = StackPlan(
    key=KeyPlan(multi_region=True, administrators=(ADMIN,), users=(TASK,)),
    tags={"team": "pay"},
    function=FunctionPlan(tracing=True, blind_signing=True),
    api=ApiPlan(private=True, logs_for_region=True),
    callers=CallersPlan(group="payers", groups=("ops",), roles=("worker",)),
    network=NetworkPlan("vpc-12345678", ("subnet-12345678",), clients=("10.0.0.0/8",)),
    records=RecordsPlan(emails=("alarms@example.com",)),
)
SIGNING_BY_POLICY = replace(
    FULLEST,
    policy=planned(BLIND),
    network=NetworkPlan(
        "vpc-12345678",
        ("subnet-12345678",),
        clients=("10.0.0.0/8",),
        route_tables=("rtb-12345678",),
        dynamodb_prefix_list="pl-12345678",
    ),
)
PLANS = {
    "usual": StackPlan(),
    "by a policy": StackPlan(policy=planned(HOURS)),
    "by a policy, in a network": SIGNING_BY_POLICY,
    "by a policy, with an earlier table": StackPlan(
        policy=planned(), records=RecordsPlan(own_key=False, ledger="treasury-Ledger-1ABC")
    ),
    "fullest": FULLEST,
    "existing key": StackPlan(
        key=KeyPlan(arn=KEY, alias=""),
        function=FunctionPlan(
            signer_address="0x52908400098527886E0F7030069857D2E4169EE7", runtime="python3.11"
        ),
        records=RecordsPlan(trail="none", own_key=False, dashboard=False),
    ),
    "existing trail": StackPlan(records=RecordsPlan(trail="CloudTrail/Logs")),
    "replica": StackPlan(key=KeyPlan(replica_of=PRIMARY)),
    "without account delegation": StackPlan(
        key=KeyPlan(account_delegation=False, administrators=(ADMIN,))
    ),
    "ecs": StackPlan(compute="ecs"),
    "ec2": StackPlan(compute="ec2"),
    "emulated": StackPlan(emulated=True),
}
NETWORK = NetworkPlan("vpc-12345678", ("subnet-12345678",))
by_plan = pytest.mark.parametrize("plan", PLANS.values(), ids=list(PLANS))


def resources(plan: StackPlan | None = None) -> dict[str, Any]:
    found: dict[str, Any] = build_template(plan or StackPlan())["Resources"]
    return found


def named(kind: str, plan: StackPlan | None = None) -> list[str]:
    return [name for name, each in resources(plan).items() if each["Type"] == kind]


def statements(document: Any) -> dict[str, Any]:
    return {each.get("Sid", ""): each for each in document["Statement"]}


def key_statements(plan: StackPlan | None = None) -> dict[str, Any]:
    return statements(resources(plan)["SigningKey"]["Properties"]["KeyPolicy"])


def role_statements(plan: StackPlan | None = None) -> dict[str, Any]:
    return statements(resources(plan)["FunctionRolePolicy"]["Properties"]["PolicyDocument"])


@by_plan
def test_cfn_lint_finds_nothing(plan: StackPlan, tmp_path: Path) -> None:
    file = tmp_path / "template.yaml"
    file.write_text(template_text(require_sound(plan)))
    done = subprocess.run(
        [Path(sys.executable).with_name("cfn-lint"), "--include-checks", "I", "--", file],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "")


@by_plan
def test_the_text_says_what_the_template_is_part_by_part(plan: StackPlan) -> None:
    from cfnlint.decode.cfn_yaml import loads

    text = template_text(plan)
    assert json.loads(json.dumps(loads(text))) == build_template(plan)
    assert "\n  # The signing key" in text or plan.key.arn
    assert template_text(plan) == text
    assert "&" not in text.replace("&&", "")


def test_the_key_is_a_secp256k1_signing_key_that_outlives_its_stack_but_not_a_failed_creation() -> (
    None
):
    for name in ("SigningKey", "SigningKeyAlias"):
        kept = resources()[name]
        assert kept["DeletionPolicy"] == "RetainExceptOnCreate"
        assert kept["UpdateReplacePolicy"] == "Retain"
    key = resources()["SigningKey"]["Properties"]
    assert (key["KeySpec"], key["KeyUsage"]) == ("ECC_SECG_P256K1", "SIGN_VERIFY")
    assert "MultiRegion" not in key


def test_a_key_for_ed25519_chains_signs_the_message_itself_and_nothing_else() -> None:
    plan = StackPlan(key=KeyPlan(chain="solana"))
    assert resources(plan)["SigningKey"]["Properties"]["KeySpec"] == "ECC_NIST_EDWARDS25519"
    for conditions in (key_statements(plan)["Sign"], role_statements(plan)["SignWithTheOneKey"]):
        assert conditions["Condition"]["StringEquals"] == {
            "kms:MessageType": "RAW",
            "kms:SigningAlgorithm": "ED25519_SHA_512",
        }


def test_the_key_may_be_managed_by_the_account_and_used_by_one_role_only() -> None:
    found = key_statements()
    root = {"Fn::Sub": "arn:${AWS::Partition}:iam::${AWS::AccountId}:root"}
    assert found["LetIamPoliciesManage"]["Principal"] == {"AWS": root}
    assert found["Sign"]["Condition"]["ArnEquals"] == {"aws:PrincipalArn": [ROLE]}
    other = found["NoOtherSigner"]
    assert (other["Effect"], other["Principal"], other["Action"]) == ("Deny", "*", "kms:Sign")
    assert other["Condition"] == {"ArnNotEquals": {"aws:PrincipalArn": [ROLE]}}
    assert found["NoGrants"]["Effect"] == "Deny"
    assert "Condition" not in found["NoGrants"]


def test_only_digests_under_the_one_algorithm_are_signed_whoever_asks() -> None:
    found = key_statements()
    assert found["NoOtherAlgorithm"]["Condition"] == {
        "StringNotEquals": {"kms:SigningAlgorithm": "ECDSA_SHA_256"}
    }
    assert found["NoOtherMessageType"]["Condition"] == {
        "StringNotEquals": {"kms:MessageType": "DIGEST"}
    }


def test_administrators_manage_the_key_and_cannot_use_it_or_hand_its_use_on() -> None:
    plan = StackPlan(key=KeyPlan(account_delegation=False, administrators=(ADMIN,)))
    found = key_statements(plan)
    assert "LetIamPoliciesManage" not in found
    administer = found["Administer"]
    assert administer["Principal"] == {"AWS": [ADMIN]}
    forbidden = {"kms:Sign", "kms:CreateGrant", "kms:*", "kms:ReplicateKey"}
    assert not forbidden & set(administer["Action"])
    assert not any("*" in action for action in administer["Action"])


def test_further_users_sign_as_the_role_does() -> None:
    found = key_statements(StackPlan(key=KeyPlan(users=(TASK,))))
    assert found["Sign"]["Condition"]["ArnEquals"] == {"aws:PrincipalArn": [ROLE, TASK]}
    assert found["NoOtherSigner"]["Condition"] == {
        "ArnNotEquals": {"aws:PrincipalArn": [ROLE, TASK]}
    }


def test_a_replica_is_of_its_primary_and_has_the_same_policy() -> None:
    key = resources(StackPlan(key=KeyPlan(replica_of=PRIMARY)))["SigningKey"]
    assert (key["Type"], key["Properties"]["PrimaryKeyArn"]) == ("AWS::KMS::ReplicaKey", PRIMARY)
    assert key["Properties"]["KeyPolicy"] == resources()["SigningKey"]["Properties"]["KeyPolicy"]


def test_the_role_may_sign_with_one_key_and_write_one_log_and_nothing_else() -> None:
    found = role_statements()
    assert set(found) == {
        "SignWithTheOneKey",
        "ReadItsPublicKey",
        "WriteItsOwnLog",
        "OnlyInTheFunction",
    }
    sign, read = found["SignWithTheOneKey"], found["ReadItsPublicKey"]
    assert (sign["Action"], read["Action"]) == ("kms:Sign", "kms:GetPublicKey")
    assert sign["Resource"] == read["Resource"] == {"Fn::GetAtt": ["SigningKey", "Arn"]}
    assert sign["Condition"]["StringEquals"]["kms:MessageType"] == "DIGEST"
    log = found["WriteItsOwnLog"]
    assert log["Action"] == ["logs:CreateLogStream", "logs:PutLogEvents"]
    assert log["Resource"] == {"Fn::GetAtt": ["FunctionLog", "Arn"]}
    role = resources()["FunctionRole"]["Properties"]
    assert not {"ManagedPolicyArns", "Policies"} & set(role)
    assert found["OnlyInTheFunction"]["Effect"] == "Deny"
    (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": "lambda.amazonaws.com"}


@pytest.mark.parametrize(
    ("compute", "service"),
    [("ecs", "ecs-tasks.amazonaws.com"), ("ec2", {"Fn::Sub": "ec2.${AWS::URLSuffix}"})],
)
def test_other_compute_has_the_same_role_but_for_the_functions_and_no_function_and_no_api(
    compute: Any, service: Any
) -> None:
    plan = StackPlan(compute=compute)
    of_a_function = role_statements()
    del of_a_function["OnlyInTheFunction"]
    assert role_statements(plan) == of_a_function
    (trust,) = resources(plan)["FunctionRole"]["Properties"]["AssumeRolePolicyDocument"][
        "Statement"
    ]
    assert trust["Principal"] == {"Service": service}
    assert not {"Function", "Api", "InvokePolicy"} & set(resources(plan))
    assert ("InstanceProfile" in resources(plan)) == (compute == "ec2")


# What no policy can name more narrowly, by statement: AWS knows no resource for these actions.
WIDE = {
    "LetIamPoliciesManage", "Administer", "Sign", "ReadThePublicKey",  # a key policy is about its key
    "SendTraces", "LetLambdaLook",
}  # fmt: skip


@by_plan
def test_no_policy_allows_a_wildcard_but_where_there_is_nothing_narrower(plan: StackPlan) -> None:
    def documents(value: Any) -> list[Any]:
        if isinstance(value, dict):
            own = [value] if "Statement" in value else []
            return own + [each for inner in value.values() for each in documents(inner)]
        return (
            [each for inner in value for each in documents(inner)]
            if isinstance(value, list)
            else []
        )

    without_records_key = {k: v for k, v in resources(plan).items() if k != "RecordsKey"}
    for document in documents(without_records_key):
        for each in document["Statement"]:
            if each["Effect"] == "Allow":
                # An endpoint's policy names principals by condition, as AWS has it.
                by_condition = "aws:Principal" in json.dumps(each.get("Condition", {}))
                assert each.get("Principal") != "*" or by_condition
                assert each.get("Resource") != "*" or each["Sid"] in WIDE, each
                assert each["Action"] != "*"


def test_the_api_takes_signed_posts_at_its_root_only() -> None:
    method = resources()["PostMethod"]["Properties"]
    assert (method["HttpMethod"], method["AuthorizationType"]) == ("POST", "AWS_IAM")
    assert named("AWS::ApiGateway::Method") == ["PostMethod"]
    assert named("AWS::ApiGateway::Resource") == []
    assert method["RequestValidatorId"] == {"Ref": "RequestCheck"}


def test_callers_reach_the_frozen_version_and_never_the_latest_state() -> None:
    found = resources()
    assert "${FunctionAlias}" in json.dumps(found["PostMethod"]["Properties"]["Integration"])
    assert found["ApiPermission"]["Properties"]["FunctionName"] == {"Ref": "FunctionAlias"}
    (version,) = named("AWS::Lambda::Version")
    alias = found["FunctionAlias"]["Properties"]
    assert alias["FunctionVersion"] == {"Fn::GetAtt": [version, "Version"]}


def test_what_a_version_freezes_makes_a_new_one_and_nothing_else_does() -> None:
    def version(plan: StackPlan) -> list[str]:
        return named("AWS::Lambda::Version", plan)

    usual = StackPlan()
    assert version(usual) == version(replace(usual, api=ApiPlan(rate=5)))
    few = replace(usual, function=FunctionPlan(reserved_concurrency=3))
    assert version(usual) == version(few)
    for other in (
        replace(usual, code_sha256="other"),
        replace(usual, function=FunctionPlan(blind_signing=True)),
        replace(usual, function=FunctionPlan(memory=512)),
        replace(usual, network=NetworkPlan("vpc-12345678", ("subnet-12345678",))),
    ):
        assert version(usual) != version(other)


def test_the_api_its_callers_and_its_function_are_bound_to_one_stage_and_method() -> None:
    found = resources()
    assert found["ApiPermission"]["Properties"]["SourceArn"] == {"Fn::Sub": DOOR}
    (invoke,) = found["InvokePolicy"]["Properties"]["PolicyDocument"]["Statement"]
    assert (invoke["Action"], invoke["Resource"]) == ("execute-api:Invoke", {"Fn::Sub": DOOR})
    assert not {"Roles", "Groups"} & set(found["InvokePolicy"]["Properties"])


def test_callers_are_the_groups_and_roles_that_are_named() -> None:
    policy = resources(FULLEST)["InvokePolicy"]["Properties"]
    assert policy["Groups"] == [{"Ref": "CallersGroup"}, "ops"]
    assert policy["Roles"] == ["worker"]
    assert resources(FULLEST)["CallersGroup"]["Properties"]["GroupName"] == "payers"
    assert "CallersGroup" not in resources(replace(FULLEST, emulated=True))


def test_the_apis_own_policy_allows_nobody_and_denies_every_other_account() -> None:
    (statement,) = resources()["Api"]["Properties"]["Policy"]["Statement"]
    assert (statement["Effect"], statement["Principal"]) == ("Deny", "*")
    assert statement["Resource"] == "execute-api:/*"
    assert statement["Condition"] == {
        "StringNotEquals": {"aws:PrincipalAccount": {"Ref": "AWS::AccountId"}}
    }


def test_a_private_api_denies_whoever_comes_another_way_than_through_its_endpoint() -> None:
    api = resources(FULLEST)["Api"]["Properties"]
    assert api["EndpointConfiguration"]["Types"] == ["PRIVATE"]
    only = statements(api["Policy"])["OnlyFromTheNetwork"]
    assert only["Condition"] == {"StringNotEquals": {"aws:SourceVpce": {"Ref": "ApiEndpoint"}}}


def test_a_key_bound_to_the_network_signs_through_its_endpoint_only() -> None:
    only = key_statements(FULLEST)["OnlyFromTheNetwork"]
    assert (only["Effect"], only["Action"]) == ("Deny", "kms:Sign")
    assert only["Condition"] == {"StringNotEquals": {"aws:SourceVpce": {"Ref": "KmsEndpoint"}}}
    network = NetworkPlan("vpc-12345678", ("subnet-12345678",), bind_key=False)
    assert "OnlyFromTheNetwork" not in key_statements(StackPlan(network=network))


def test_every_change_to_what_the_api_is_makes_a_new_deployment() -> None:
    def deployment(plan: StackPlan) -> list[str]:
        return named("AWS::ApiGateway::Deployment", plan)

    usual = StackPlan()
    assert deployment(usual) == deployment(
        replace(usual, function=FunctionPlan(memory=512), code_sha256="other")
    )
    network = NetworkPlan("vpc-12345678", ("subnet-12345678",))
    private = replace(usual, api=ApiPlan(private=True), network=network)
    other_endpoint = replace(private, network=replace(network, api_endpoint="vpce-12345678"))
    other_vpc = replace(private, network=replace(network, vpc="vpc-87654321"))
    names = [deployment(plan) for plan in (usual, private, other_endpoint, other_vpc)]
    assert len({name for (name,) in names}) == 4


def test_the_stage_throttles_logs_access_and_never_the_requests() -> None:
    stage = resources(StackPlan(api=ApiPlan(rate=7, burst=3)))["Stage"]["Properties"]
    (settings,) = stage["MethodSettings"]
    assert (settings["ThrottlingRateLimit"], settings["ThrottlingBurstLimit"]) == (7, 3)
    assert (settings["DataTraceEnabled"], settings["LoggingLevel"]) == (False, "OFF")
    line = stage["AccessLogSetting"]["Format"]
    assert "$context.identity.userArn" in line
    assert "$input" not in line


def test_what_the_gateway_says_itself_has_the_signing_contracts_form() -> None:
    answers = {
        each["Properties"]["ResponseType"]: each["Properties"]
        for each in resources().values()
        if each["Type"] == "AWS::ApiGateway::GatewayResponse"
    }
    busy = answers["INTEGRATION_FAILURE"]
    body = json.loads(busy["ResponseTemplates"]["application/json"])["error"]
    assert (busy["StatusCode"], body["code"], body["retryable"]) == ("429", "signer_busy", True)
    assert answers["BAD_REQUEST_BODY"]["StatusCode"] == "400"
    # A refusal by IAM stays the gateway's own, by which callers tell it from the signer's.
    assert not {"ACCESS_DENIED", "MISSING_AUTHENTICATION_TOKEN"} & set(answers)


def test_an_existing_key_is_used_and_none_is_made() -> None:
    plan = StackPlan(key=KeyPlan(arn=KEY))
    found = resources(plan)
    assert "SigningKey" not in found
    assert found["Function"]["Properties"]["Environment"]["Variables"]["KMS_KEY_ID"] == KEY
    assert role_statements(plan)["SignWithTheOneKey"]["Resource"] == KEY
    assert build_template(plan)["Outputs"]["KeyArn"]["Value"] == KEY


def test_blind_signing_is_off_unless_asked_for() -> None:
    def variables(plan: StackPlan) -> dict[str, Any]:
        properties = resources(plan)["Function"]["Properties"]
        found: dict[str, Any] = properties["Environment"]["Variables"]
        return found

    assert "BURSAR_BLIND_SIGNING" not in variables(StackPlan())
    allowed = StackPlan(function=FunctionPlan(blind_signing=True))
    assert variables(allowed)["BURSAR_BLIND_SIGNING"] == "allowed"
    assert build_template(allowed)["Outputs"]["BlindSigning"]["Value"] == "allowed"


@by_plan
def test_every_arn_follows_the_partition_it_is_deployed_in(plan: StackPlan) -> None:
    given = (KEY, PRIMARY, ADMIN, TASK, CALLER)
    text = template_text(plan)
    for arn in given:
        text = text.replace(arn, "")
    assert "arn:aws" not in text
    assert "amazonaws.com/" not in text


def test_the_outputs_are_what_callers_and_operators_need() -> None:
    assert set(build_template(StackPlan())["Outputs"]) >= {
        *("KeyArn", "KeyAlias", "FunctionName", "FunctionArn", "FunctionAliasArn", "RoleArn"),
        *("FunctionVersion", "ApiId", "ApiUrl", "InvokePolicyArn", "CodeSha256", "LogGroup"),
        *("Trail", "TrailArn", "TrailLogGroup", "TopicArn", "DashboardName"),
    }


def test_what_was_recorded_outlives_the_stack_under_names_the_next_one_does_not_need() -> None:
    for name in ("FunctionLog", "AccessLog"):
        log = resources()[name]
        assert log["DeletionPolicy"] == "RetainExceptOnCreate"
        assert "LogGroupName" not in log["Properties"]


def test_lambda_publishes_no_other_code_than_was_built() -> None:
    (version,) = named("AWS::Lambda::Version")
    assert resources()[version]["Properties"]["CodeSha256"] == {"Ref": "CodeSha256"}


def test_in_china_the_apis_endpoint_goes_by_its_own_name_there() -> None:
    network = NetworkPlan("vpc-12345678", ("subnet-12345678",), clients=("10.0.0.0/8",))
    plan = StackPlan(network=network, api=ApiPlan(private=True))
    service = resources(plan)["ApiEndpoint"]["Properties"]["ServiceName"]["Fn::If"]
    assert service[1] == {"Fn::Sub": "cn.com.amazonaws.${AWS::Region}.execute-api"}
    assert service[0] in build_template(plan)["Conditions"]
    assert "Conditions" not in build_template(StackPlan(network=NETWORK))
