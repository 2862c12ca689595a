from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from bursar.aws.caller import Caller
from bursar.aws.doctor import permissions
from bursar.aws.doctor.case import Case
from bursar.aws.plan import CallersPlan, NetworkPlan, StackPlan
from tests.unit.aws.doctor.cases import (
    ACCOUNT,
    USER,
    case,
    cloud,
    denied,
    only,
    refused,
    service,
    stack,
    told,
)

ROLE_SESSION = f"arn:aws:sts::{ACCOUNT}:assumed-role/deployer/alice"
SSO_SESSION = f"arn:aws:sts::{ACCOUNT}:assumed-role/AWSReservedSSO_Admin_01/alice@example.com"


@dataclass
class Simulator:
    """IAM, where some actions are denied; what it was asked is in `asked`."""

    denied: set[str] = field(default_factory=set)
    more: dict[str, Any] = field(default_factory=dict)
    error: Exception | None = None
    role: str | None = None
    asked: list[dict[str, Any]] = field(default_factory=list)
    denied_on: Callable[[str], bool] = lambda _: True

    def simulate_principal_policy(self, **asked: Any) -> Any:
        if self.error:
            raise self.error
        self.asked.append(asked)
        # One action to a page, so that a reader of the first page alone is found out.
        at = int(asked.get("Marker", "0"))
        page = {"EvaluationResults": [self._result(asked["ActionNames"][at], asked)]}
        last = at + 1 == len(asked["ActionNames"])
        return page if last else page | {"IsTruncated": True, "Marker": str(at + 1)}

    def _result(self, action: str, asked: Any) -> Any:
        each = [
            {
                "EvalResourceName": name,
                "EvalResourceDecision": "implicitDeny"
                if action in self.denied and self.denied_on(name)
                else "allowed",
            }
            for name in asked["ResourceArns"]
        ]
        result: dict[str, Any] = {"EvalActionName": action, "EvalDecision": "allowed"}
        return result | {"ResourceSpecificResults": each} | self.more

    def get_role(self, **_: Any) -> Any:
        if self.role is None:
            raise denied("iam:GetRole")
        return {"Role": {"Arn": self.role}}


def looked(iam: Any, there: Any = None, **more: Any) -> Case:
    return case(cloud(iam=iam), there, **more)


def test_a_caller_with_every_permission_passes_and_the_guides_six_are_told_apart() -> None:
    checks = list(permissions.permissions(looked(Simulator())))
    assert told(checks) == {"permissions": "ok", "permissions.guide": "ok"}
    assert "ec2:DescribeVpcEndpoints" in checks[1].detail  # of no use without a network


def test_a_missing_permission_fails_with_what_it_is_for_and_where_the_policy_is() -> None:
    checks = {
        check.name: check
        for check in permissions.permissions(looked(Simulator({"iam:PassRole", "kms:CreateKey"})))
    }
    assert {name for name, check in checks.items() if check.status == "fail"} == {
        "permissions.PassRole",
        "permissions.KeyMake",
    }
    assert "iam:PassRole" in checks["permissions.PassRole"].detail
    assert "bursar aws permissions" in str(checks["permissions.PassRole"].fix)
    assert "kms:CreateKey" in checks["permissions.guide"].detail


def test_once_deployed_a_caller_who_cannot_deploy_is_a_warning_only() -> None:
    checks = told(permissions.permissions(looked(Simulator({"iam:PassRole"}), stack())))
    assert checks["permissions.PassRole"] == "warn"


def test_what_only_the_doctor_needs_is_a_warning_only() -> None:
    checks = told(permissions.permissions(looked(Simulator({"servicequotas:ListServiceQuotas"}))))
    assert checks["permissions.Doctor"] == "warn"


def test_an_action_allowed_on_some_resources_only_names_the_others() -> None:
    iam = Simulator({"kms:CreateAlias"}, denied_on=lambda name: ":alias/" in name)
    [check] = [
        each for each in permissions.permissions(looked(iam)) if each.name == "permissions.KeyAlias"
    ]
    assert check.status == "warn"
    assert "alias/bursar-treasury" in check.detail


@pytest.mark.parametrize(
    "limit",
    [
        {"OrganizationsDecisionDetail": {"AllowedByOrganizations": False}},
        {"PermissionsBoundaryDecisionDetail": {"AllowedByPermissionsBoundary": False}},
    ],
)
def test_what_an_organisation_or_a_boundary_forbids_is_missing_too(limit: Any) -> None:
    checks = told(permissions.permissions(looked(Simulator(more=limit))))
    assert checks["permissions.Stack"] == "fail"


def test_a_denial_for_want_of_a_value_that_policies_ask_for_is_not_certain() -> None:
    iam = Simulator({"iam:PassRole"}, more={"MissingContextValues": ["aws:MultiFactorAuthPresent"]})
    assert told(permissions.permissions(looked(iam)))["permissions.PassRole"] == "warn"


def test_the_values_that_conditions_need_are_given_along() -> None:
    iam = Simulator()
    list(permissions.permissions(looked(iam)))
    [asked] = [each for each in iam.asked if each["ActionNames"] == ["iam:PassRole"]]
    values = {each["ContextKeyName"]: each["ContextKeyValues"] for each in asked["ContextEntries"]}
    assert values["iam:PassedToService"] == ["lambda.amazonaws.com"]
    assert values["aws:RequestedRegion"] == ["eu-central-1"]
    assert not any("*" in name for name in asked["ResourceArns"])


def test_the_emulators_simulator_is_not_asked_what_it_cannot_judge() -> None:
    iam = Simulator()
    list(permissions.permissions(case(cloud(emulated=True, iam=iam))))
    assert all(
        [each["ContextKeyName"] for each in asked["ContextEntries"]] == ["aws:RequestedRegion"]
        for asked in iam.asked
    )


def test_a_network_and_a_group_bring_the_rest_of_the_guides_six() -> None:
    plan = StackPlan(
        network=NetworkPlan("vpc-12345678", ("subnet-12345678",)),
        callers=CallersPlan(group="payers"),
    )
    iam = Simulator({"ec2:DescribeVpcEndpoints", "iam:PutGroupPolicy"})
    checks = told(permissions.permissions(looked(iam, plan=plan)))
    assert checks["permissions.NetworkLook"] == checks["permissions.CallersGroup"] == "fail"


@pytest.mark.parametrize("error", [denied("iam:SimulatePrincipalPolicy"), refused("AccessDenied")])
def test_a_caller_who_may_not_simulate_is_skipped_with_the_way_to_be_allowed(
    error: Exception,
) -> None:
    check = only(permissions.permissions(looked(Simulator(error=error))))
    assert check.status == "skip"
    assert "iam:SimulatePrincipalPolicy" in str(check.fix)


@pytest.mark.parametrize(
    ("caller", "role", "expected"),
    [
        (USER, None, USER),
        (
            ROLE_SESSION,
            f"arn:aws:iam::{ACCOUNT}:role/teams/deployer",
            f"arn:aws:iam::{ACCOUNT}:role/teams/deployer",
        ),
        (ROLE_SESSION, None, f"arn:aws:iam::{ACCOUNT}:role/deployer"),
        (
            SSO_SESSION,
            None,
            f"arn:aws:iam::{ACCOUNT}:role/aws-reserved/sso.amazonaws.com/AWSReservedSSO_Admin_01",
        ),
        (f"arn:aws:sts::{ACCOUNT}:federated-user/bob", None, None),
    ],
)
def test_a_session_is_simulated_as_its_role(
    caller: str, role: str | None, expected: str | None
) -> None:
    iam = cloud(iam=Simulator(role=role))
    assert permissions.principal_arn(iam, Caller.of(caller)) == expected


def test_a_federated_user_and_the_root_user_are_not_simulated() -> None:
    for caller in (f"arn:aws:sts::{ACCOUNT}:federated-user/bob", f"arn:aws:iam::{ACCOUNT}:root"):
        found = case(cloud(iam=service()), caller=caller)
        assert only(permissions.permissions(found)).status == "skip"
