"""The key's memory in the template: the table, and who may do what with it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bursar.aws.plan import FunctionPlan, NetworkPlan, RecordsPlan, StackPlan, require_sound
from bursar.aws.template import build_template
from bursar.errors import ConfigError
from tests.fakes.policies import BLIND, TEXT, planned

PLAN = StackPlan(policy=planned())
TAKEN_ON = replace(PLAN, records=RecordsPlan(ledger="treasury-Ledger-1ABC"))
VPC = NetworkPlan(
    "vpc-12345678",
    ("subnet-12345678",),
    route_tables=("rtb-12345678",),
    dynamodb_prefix_list="pl-12345678",
)
IN_VPC = replace(PLAN, network=VPC)


def resources(plan: StackPlan) -> dict[str, Any]:
    found: dict[str, Any] = build_template(plan)["Resources"]
    return found


def outputs(plan: StackPlan) -> dict[str, Any]:
    return {name: each["Value"] for name, each in build_template(plan)["Outputs"].items()}


def variables(plan: StackPlan) -> dict[str, Any]:
    found: dict[str, Any] = resources(plan)["Function"]["Properties"]["Environment"]["Variables"]
    return found


def test_without_a_policy_there_is_no_table_and_the_function_is_told_of_none() -> None:
    plan = StackPlan()
    assert "Ledger" not in resources(plan)
    assert "Metadata" not in resources(plan)["Function"]
    assert not {"PolicyHash", "PolicyVersion", "LedgerTable"} & set(outputs(plan))
    assert set(variables(plan)) == {"KMS_KEY_ID"}


def test_with_a_policy_the_function_is_told_its_hash_and_its_table() -> None:
    assert planned().hash.startswith("sha256:")
    assert variables(PLAN)["BURSAR_POLICY_HASH"] == planned().hash
    assert variables(PLAN)["BURSAR_LEDGER_TABLE"] == {"Ref": "Ledger"}
    found = outputs(PLAN)
    assert (found["PolicyHash"], found["PolicyVersion"]) == (planned().hash, "1")
    assert found["LedgerTable"] == {"Ref": "Ledger"}


def test_the_template_carries_the_policy_as_it_was_written() -> None:
    assert resources(PLAN)["Function"]["Metadata"] == {"Policy": TEXT}


def test_the_table_outlives_its_stack_is_protected_and_can_be_put_back() -> None:
    table = resources(PLAN)["Ledger"]
    assert (table["DeletionPolicy"], table["UpdateReplacePolicy"]) == ("Retain", "Retain")
    properties = table["Properties"]
    assert properties["DeletionProtectionEnabled"] is True
    assert properties["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert properties["BillingMode"] == "PAY_PER_REQUEST"
    assert [each["AttributeName"] for each in properties["KeySchema"]] == ["book", "entry"]
    assert "TableName" not in properties


def test_the_records_key_encrypts_it_where_there_is_one() -> None:
    assert resources(PLAN)["Ledger"]["Properties"]["SSESpecification"]["KMSMasterKeyId"] == {
        "Fn::GetAtt": ["RecordsKey", "Arn"]
    }
    without = replace(PLAN, records=RecordsPlan(own_key=False))
    assert "SSESpecification" not in resources(without)["Ledger"]["Properties"]


def test_an_earlier_table_is_taken_on_by_its_name_and_none_is_made() -> None:
    assert "Ledger" not in resources(TAKEN_ON)
    assert variables(TAKEN_ON)["BURSAR_LEDGER_TABLE"] == "treasury-Ledger-1ABC"
    assert outputs(TAKEN_ON)["LedgerTable"] == "treasury-Ledger-1ABC"
    assert "Ledger" in resources(replace(PLAN, records=RecordsPlan(ledger="new")))


def test_in_a_network_the_way_to_dynamodb_is_for_this_table_and_this_role() -> None:
    endpoint = resources(IN_VPC)["LedgerEndpoint"]["Properties"]
    assert (endpoint["VpcEndpointType"], endpoint["RouteTableIds"]) == ("Gateway", ["rtb-12345678"])
    [statement] = endpoint["PolicyDocument"]["Statement"]
    assert statement["Resource"] == {"Fn::GetAtt": ["Ledger", "Arn"]}
    assert statement["Condition"] == {
        "ArnEquals": {"aws:PrincipalArn": {"Fn::GetAtt": ["FunctionRole", "Arn"]}}
    }
    [to_endpoints, to_dynamodb] = resources(IN_VPC)["FunctionSecurityGroup"]["Properties"][
        "SecurityGroupEgress"
    ]
    assert "DestinationSecurityGroupId" in to_endpoints
    assert to_dynamodb["DestinationPrefixListId"] == "pl-12345678"


def test_without_a_policy_the_network_has_no_way_to_dynamodb() -> None:
    found = resources(replace(IN_VPC, policy=None))
    assert "LedgerEndpoint" not in found
    assert len(found["FunctionSecurityGroup"]["Properties"]["SecurityGroupEgress"]) == 1


def test_an_endpoint_that_is_there_is_used() -> None:
    there = replace(VPC, route_tables=(), dynamodb_endpoint="vpce-12345678")
    plan = require_sound(replace(PLAN, network=there))
    assert "LedgerEndpoint" not in resources(plan)


@pytest.mark.parametrize(
    ("plan", "complaint"),
    [
        (replace(PLAN, compute="ecs"), "ECS task or EC2"),
        (replace(PLAN, function=FunctionPlan(blind_signing=True)), "does not allow it"),
        (replace(PLAN, network=replace(VPC, route_tables=())), "a way to DynamoDB"),
        (replace(PLAN, network=replace(VPC, dynamodb_prefix_list=None)), "dynamodb_prefix_list"),
        (replace(PLAN, network=replace(VPC, route_tables=("rtb",))), "route table"),
        (replace(PLAN, network=replace(VPC, dynamodb_prefix_list="pl")), "prefix list"),
        (replace(PLAN, network=replace(VPC, dynamodb_endpoint="vpce-12345678")), "names another"),
        (replace(PLAN, records=RecordsPlan(ledger="arn:aws:dynamodb:x")), "records.ledger"),
    ],
)
def test_a_plan_that_cannot_work_is_refused(plan: StackPlan, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        require_sound(plan)


def test_blind_signing_takes_both_the_policy_and_the_option() -> None:
    plan = StackPlan(policy=planned(BLIND), function=FunctionPlan(blind_signing=True))
    assert variables(require_sound(plan))["BURSAR_BLIND_SIGNING"] == "allowed"
    assert "BURSAR_BLIND_SIGNING" not in variables(StackPlan(policy=planned(BLIND)))
