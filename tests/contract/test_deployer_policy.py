"""The deployer's policy, judged by an independent simulator that knows AWS's Service Authorization Reference.

Each action it allows is one that AWS has, on a resource that AWS lets a policy name; and what it must not allow it
does not.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bursar.aws.grants import Grant, Place, example
from bursar.aws.permissions import deployer_policy, needed
from bursar.aws.plan import (
    ApiPlan,
    CallersPlan,
    KeyPlan,
    NetworkPlan,
    RecordsPlan,
    StackPlan,
)
from tests.fakes.policies import planned
from tests.npm_tool import ORACLE
from tests.oracle.simulator import Question, ask, principal_keys

PLACE = Place("treasury", "111122223333", "eu-central-1")
DEPLOYER = "arn:aws:iam::111122223333:user/deployer"
KEY = "arn:aws:kms:eu-central-1:111122223333:key/8a4f0000-0000-4000-8000-000000000001"
TABLES = "arn:aws:dynamodb:eu-central-1:111122223333:table"
TREASURY_ROLE = "arn:aws:iam::111122223333:role/treasury-signer-eu-central-1"
# A key's policy has the first word; AWS's default one leaves it to IAM.
DELEGATING = {
    "Version": "2012-10-17",
    "Statement": {
        "Effect": "Allow",
        "Principal": {"AWS": "arn:aws:iam::111122223333:root"},
        "Action": "kms:*",
        "Resource": "*",
    },
}
# The simulator cannot tell a function's alias from its version, nor be asked about all alarms or trails at once.
AMBIGUOUS = {
    "cloudtrail:GetEventSelectors",
    "cloudtrail:GetTrailStatus",
    "cloudwatch:DescribeAlarms",
    "lambda:GetProvisionedConcurrencyConfig",
}
FULL = StackPlan(
    callers=CallersPlan(group="payers", groups=("ops",), roles=("payer",)),
    network=NetworkPlan("vpc-0123456789abcdef0", ("subnet-0123456789abcdef0",)),
    api=ApiPlan(private=True, logs_for_region=True),
    key=KeyPlan(replica_of=KEY.replace("eu-central-1", "us-east-1")),
)
PLANS = {
    "full": FULL,
    "existing": StackPlan(
        key=KeyPlan(arn=KEY),
        records=RecordsPlan(
            trail="org-trail", topic="arn:aws:sns:eu-central-1:111122223333:ops", own_key=False
        ),
    ),
    "by a policy": StackPlan(
        policy=planned(),
        network=NetworkPlan(
            "vpc-0123456789abcdef0",
            ("subnet-0123456789abcdef0",),
            route_tables=("rtb-0123456789abcdef0",),
            dynamodb_prefix_list="pl-0123456789abcdef0",
        ),
    ),
    "ec2": StackPlan(compute="ec2"),
}


def written(grant: Grant, action: str, resource: str, policy: dict[str, Any]) -> dict[str, Any]:
    """Return the question whether the deployer may, with the values that the grant's conditions ask for."""
    values = {key: texts[0] for keys in grant.conditions.values() for key, texts in keys.items()}
    context = {key: example(value) for key, value in values.items()}
    return {
        "principal": DEPLOYER,
        "action": action,
        "resource": resource,
        "account": PLACE.account,
        "context": {**principal_keys(DEPLOYER), **context},
        "identity": [policy],
        "resourcePolicy": DELEGATING if ":key/" in resource else None,
        "unlisted": action in AMBIGUOUS,
    }


@pytest.mark.parametrize("name", PLANS)
def test_every_action_is_one_that_aws_has_and_is_allowed_on_a_resource_it_takes(name: str) -> None:
    policy = deployer_policy(PLANS[name], PLACE)
    pairs = [
        (grant, action, example(pattern))
        for grant in needed(PLANS[name], PLACE)
        for action in grant.actions
        for pattern in grant.resources
    ]
    questions = [written(*pair, policy) for pair in pairs]
    script = Path(__file__).parents[1] / "oracle" / "simulate.mjs"
    answers = json.loads(ORACLE.run_node(str(script), json.dumps(questions)))
    # A statement lists resources of several kinds, and an action takes those of one kind alone.
    judged = {
        (grant.name, action)
        for (grant, action, _), answer in zip(pairs, answers, strict=True)
        if answer.get("verdict") == "Allowed"
    }
    assert {(grant.name, action) for grant, action, _ in pairs} - judged == set()


FORBIDDEN = [
    ("kms:Sign", KEY, {"kms:SigningAlgorithm": "ECDSA_SHA_256", "kms:MessageType": "DIGEST"}),
    ("kms:CreateGrant", KEY, {}),
    ("kms:Decrypt", KEY, {}),
    ("kms:CreateAlias", "arn:aws:kms:eu-central-1:111122223333:alias/payroll", {}),
    ("iam:CreateRole", "arn:aws:iam::111122223333:role/admin", {}),
    ("iam:PutRolePolicy", "arn:aws:iam::111122223333:role/payer", {}),
    ("iam:PassRole", TREASURY_ROLE, {"iam:PassedToService": "ec2.amazonaws.com"}),
    (
        "iam:PassRole",
        "arn:aws:iam::111122223333:role/admin",
        {"iam:PassedToService": "lambda.amazonaws.com"},
    ),
    (
        "iam:AttachRolePolicy",
        "arn:aws:iam::111122223333:role/payer",
        {"iam:PolicyARN": "arn:aws:iam::aws:policy/AdministratorAccess"},
    ),
    (
        "iam:AttachGroupPolicy",
        "arn:aws:iam::111122223333:group/payers",
        {"iam:PolicyARN": "arn:aws:iam::aws:policy/AdministratorAccess"},
    ),
    ("iam:CreateUser", "arn:aws:iam::111122223333:user/x", {}),
    ("iam:AddUserToGroup", "arn:aws:iam::111122223333:group/payers", {}),
    ("s3:GetObject", "arn:aws:s3:::payroll/x", {}),
    ("s3:PutObject", "arn:aws:s3:::bursar-artifacts-111122223333-eu-central-1/bursar/other/x", {}),
    ("s3:DeleteObject", "arn:aws:s3:::treasury-trailbucket-x/AWSLogs/x", {}),
    (
        "lambda:UpdateFunctionCode",
        "arn:aws:lambda:eu-central-1:111122223333:function:other-signer",
        {},
    ),
    (
        "lambda:InvokeFunction",
        "arn:aws:lambda:eu-central-1:111122223333:function:treasury-signer",
        {},
    ),
    (
        "cloudformation:DeleteStack",
        "arn:aws:cloudformation:eu-central-1:111122223333:stack/other/1",
        {},
    ),
    ("dynamodb:DeleteTable", f"{TABLES}/treasury-Ledger-x", {}),
    ("dynamodb:DeleteItem", f"{TABLES}/treasury-Ledger-x", {}),
    ("dynamodb:PutItem", f"{TABLES}/treasury-Ledger-x", {}),
    ("dynamodb:Query", f"{TABLES}/treasury-Ledger-x", {}),
    ("dynamodb:UpdateTable", f"{TABLES}/payroll", {}),
    ("cloudtrail:StopLogging", "arn:aws:cloudtrail:eu-central-1:111122223333:trail/org", {}),
    ("logs:DeleteLogGroup", "arn:aws:logs:eu-central-1:111122223333:log-group:/payroll/x", {}),
    ("sns:Subscribe", "arn:aws:sns:eu-central-1:111122223333:payroll", {}),
]


def test_it_does_not_allow_signing_or_anything_outside_the_stack() -> None:
    policy = deployer_policy(replace(FULL, key=KeyPlan(), policy=planned()), PLACE)
    questions = [
        Question(
            DEPLOYER,
            action,
            resource,
            PLACE.account,
            context,
            identity=(policy,),
            resource_policy=DELEGATING if ":key/" in resource else None,
        )
        for action, resource, context in FORBIDDEN
    ]
    verdicts = dict(zip(map(str, FORBIDDEN), ask(questions), strict=True))
    assert {case: said for case, said in verdicts.items() if said != "ImplicitlyDenied"} == {}


def test_a_role_is_passed_to_the_function_and_the_invoke_policy_attached_to_a_caller() -> None:
    policy = deployer_policy(FULL, PLACE)
    allowed = [
        ("iam:PassRole", TREASURY_ROLE, {"iam:PassedToService": "lambda.amazonaws.com"}),
        (
            "iam:AttachRolePolicy",
            "arn:aws:iam::111122223333:role/payer",
            {"iam:PolicyARN": "arn:aws:iam::111122223333:policy/treasury-InvokePolicy-x"},
        ),
    ]
    questions = [
        Question(DEPLOYER, action, resource, PLACE.account, context, identity=(policy,))
        for action, resource, context in allowed
    ]
    assert ask(questions) == ["Allowed", "Allowed"]
