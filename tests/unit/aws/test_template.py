from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bursar.aws.template import StackPlan, build_template, template_text

KEY = "arn:aws-us-gov:kms:us-gov-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
DOOR = "arn:${AWS::Partition}:execute-api:${AWS::Region}:${AWS::AccountId}:${Api}/prod/POST/"


def resources(plan: StackPlan | None = None) -> dict[str, Any]:
    found: dict[str, Any] = build_template(plan or StackPlan())["Resources"]
    return found


def deployments(plan: StackPlan) -> list[str]:
    found = resources(plan).items()
    return [name for name, each in found if each["Type"] == "AWS::ApiGateway::Deployment"]


@pytest.mark.parametrize(
    "plan",
    [
        StackPlan(),
        StackPlan(
            key_arn=KEY,
            key_alias="",
            signer_address="0x52908400098527886E0F7030069857D2E4169EE7",
            blind_signing=True,
            runtime="python3.11",
            architecture="x86_64",
            reserved_concurrency=5,
            key_conditions={"StringEquals": {"kms:MessageType": "DIGEST"}},
        ),
    ],
    ids=["new key", "existing key"],
)
def test_cfn_lint_finds_nothing(plan: StackPlan, tmp_path: Path) -> None:
    file = tmp_path / "template.json"
    file.write_text(template_text(plan))
    done = subprocess.run(
        [Path(sys.executable).with_name("cfn-lint"), "--include-checks", "I", "--", file],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_the_key_is_a_secp256k1_signing_key_that_outlives_its_stack_but_not_a_failed_creation() -> (
    None
):
    for name in ("SigningKey", "SigningKeyAlias"):
        kept = resources()[name]
        assert kept["DeletionPolicy"] == "RetainExceptOnCreate"
        assert kept["UpdateReplacePolicy"] == "Retain"
    key = resources()["SigningKey"]["Properties"]
    assert (key["KeySpec"], key["KeyUsage"]) == ("ECC_SECG_P256K1", "SIGN_VERIFY")


def test_the_key_policy_delegates_to_the_account_and_to_nobody_else() -> None:
    (statement,) = resources()["SigningKey"]["Properties"]["KeyPolicy"]["Statement"]
    assert statement["Principal"] == {
        "AWS": {"Fn::Sub": "arn:${AWS::Partition}:iam::${AWS::AccountId}:root"}
    }


def test_the_role_may_sign_with_one_key_and_write_one_log_and_nothing_else() -> None:
    role = resources()["FunctionRole"]["Properties"]
    (policy,) = role["Policies"]
    sign, log = policy["PolicyDocument"]["Statement"]
    assert sign["Action"] == ["kms:GetPublicKey", "kms:Sign"]
    assert sign["Resource"] == {"Fn::GetAtt": ["SigningKey", "Arn"]}
    assert log["Action"] == ["logs:CreateLogStream", "logs:PutLogEvents"]
    assert log["Resource"] == {"Fn::GetAtt": ["FunctionLog", "Arn"]}
    assert "ManagedPolicyArns" not in role
    (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": "lambda.amazonaws.com"}


def test_conditions_on_the_key_have_their_place() -> None:
    conditions = {"StringEquals": {"kms:MessageType": "DIGEST"}}
    role = resources(StackPlan(key_conditions=conditions))["FunctionRole"]["Properties"]
    assert role["Policies"][0]["PolicyDocument"]["Statement"][0]["Condition"] == conditions


def test_no_policy_allows_a_wildcard_but_the_keys_own() -> None:
    api = json.loads(json.dumps(resources()["Api"]))
    (denial,) = api["Properties"].pop("Policy")["Statement"]
    assert denial["Effect"] == "Deny"
    others = {k: v for k, v in resources().items() if k not in ("SigningKey", "Api")}
    text = json.dumps([others, api])
    assert '"*"' not in text
    assert ':*"' not in text


def test_the_api_takes_signed_posts_at_its_root_only() -> None:
    method = resources()["PostMethod"]["Properties"]
    assert (method["HttpMethod"], method["AuthorizationType"]) == ("POST", "AWS_IAM")
    methods = [r for r in resources().values() if r["Type"] == "AWS::ApiGateway::Method"]
    assert len(methods) == 1


def test_the_api_its_callers_and_its_function_are_bound_to_one_stage_and_method() -> None:
    found = resources()
    assert found["ApiPermission"]["Properties"]["SourceArn"] == {"Fn::Sub": DOOR}
    (invoke,) = found["InvokePolicy"]["Properties"]["PolicyDocument"]["Statement"]
    assert (invoke["Action"], invoke["Resource"]) == ("execute-api:Invoke", {"Fn::Sub": DOOR})
    assert "Roles" not in found["InvokePolicy"]["Properties"]


def test_the_apis_own_policy_allows_nobody_and_denies_every_other_account() -> None:
    (statement,) = resources()["Api"]["Properties"]["Policy"]["Statement"]
    assert (statement["Effect"], statement["Principal"]) == ("Deny", "*")
    assert statement["Resource"] == "execute-api:/*"
    assert statement["Condition"] == {
        "StringNotEquals": {"aws:PrincipalAccount": {"Ref": "AWS::AccountId"}}
    }


def test_the_deployment_is_named_after_the_api_and_method_it_is_a_snapshot_of() -> None:
    assert deployments(StackPlan()) == deployments(StackPlan(memory=512, blind_signing=True))
    found = resources()
    parts = [found["Api"]["Properties"], found["PostMethod"]["Properties"]]
    text = json.dumps(parts, sort_keys=True)
    assert deployments(StackPlan()) == [
        f"Deployment{hashlib.sha256(text.encode()).hexdigest()[:10]}"
    ]


def test_an_existing_key_is_used_and_none_is_made() -> None:
    plan = StackPlan(key_arn=KEY)
    found = resources(plan)
    assert "SigningKey" not in found
    assert found["Function"]["Properties"]["Environment"]["Variables"]["KMS_KEY_ID"] == KEY
    statement = found["FunctionRole"]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"][0]
    assert statement["Resource"] == KEY
    assert build_template(plan)["Outputs"]["KeyArn"]["Value"] == KEY


def test_blind_signing_is_off_unless_asked_for() -> None:
    def variables(plan: StackPlan) -> dict[str, Any]:
        properties = resources(plan)["Function"]["Properties"]
        found: dict[str, Any] = properties["Environment"]["Variables"]
        return found

    assert "BURSAR_BLIND_SIGNING" not in variables(StackPlan())
    assert variables(StackPlan(blind_signing=True))["BURSAR_BLIND_SIGNING"] == "allowed"


def test_every_arn_follows_the_partition_it_is_deployed_in() -> None:
    assert "arn:aws:" not in template_text(StackPlan())
    assert "amazonaws.com/" not in template_text(StackPlan())


def test_the_outputs_are_what_callers_and_operators_need() -> None:
    assert set(build_template(StackPlan())["Outputs"]) >= {
        "KeyArn",
        "KeyAlias",
        "FunctionName",
        "FunctionArn",
        "ApiId",
        "ApiUrl",
        "InvokePolicyArn",
        "RoleArn",
        "CodeSha256",
    }
