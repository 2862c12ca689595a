from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from bursar.aws.plan import ApiPlan, KeyPlan, NetworkPlan, StackPlan
from bursar.aws.template import network
from tests.unit.aws.emitted import ROLE, filled, named

VPC = NetworkPlan(
    vpc="vpc-0123456789abcdef0",
    subnets=("subnet-0123456789abcdef0", "subnet-0123456789abcdef1"),
    logs_endpoint="create",
)
IN_VPC = StackPlan(network=VPC)
PRIVATE = StackPlan(network=replace(VPC, clients=("10.0.0.0/16",)), api=ApiPlan(private=True))


def statement(plan: StackPlan, endpoint: str) -> dict[str, Any]:
    [found] = network.resources(plan)[endpoint]["Properties"]["PolicyDocument"]["Statement"]
    return dict(filled(found))


def test_without_a_network_there_is_nothing_of_it() -> None:
    assert network.resources(StackPlan()) == {}
    assert network.vpc_config(StackPlan()) == {}
    assert network.role_statements(StackPlan()) == []
    assert network.kms_endpoint_id(StackPlan()) is None
    assert network.api_endpoint_id(StackPlan()) is None


def test_the_function_reaches_the_endpoints_over_tls_and_nothing_else() -> None:
    group = network.resources(IN_VPC)["FunctionSecurityGroup"]["Properties"]
    [way] = group["SecurityGroupEgress"]
    assert (way["IpProtocol"], way["FromPort"], way["ToPort"]) == ("tcp", 443, 443)
    assert way["DestinationSecurityGroupId"] == {"Ref": "EndpointSecurityGroup"}
    assert "SecurityGroupIngress" not in group


def test_the_endpoints_let_in_the_function_and_nobody_else() -> None:
    found = network.resources(IN_VPC)
    assert "SecurityGroupIngress" not in found["EndpointSecurityGroup"]["Properties"]
    ways = [
        each["Properties"]
        for each in found.values()
        if each["Type"] == "AWS::EC2::SecurityGroupIngress"
    ]
    assert [(way["SourceSecurityGroupId"], way["FromPort"], way["ToPort"]) for way in ways] == [
        ({"Ref": "FunctionSecurityGroup"}, 443, 443)
    ]


def test_no_group_is_left_with_ec2s_own_rule_to_reach_everywhere() -> None:
    for name, each in network.resources(PRIVATE).items():
        if each["Type"] == "AWS::EC2::SecurityGroup":
            rules = each["Properties"]["SecurityGroupEgress"]
            assert rules, name
            assert all(rule.get("CidrIp", "127.0.0.1/32") == "127.0.0.1/32" for rule in rules)


def test_callers_reach_the_apis_endpoint_and_not_the_one_of_kms() -> None:
    plan = replace(PRIVATE, network=replace(VPC, clients=("10.0.0.0/16", "2001:db8::/32")))
    found = network.resources(plan)
    ways = found["ApiEndpointSecurityGroup"]["Properties"]["SecurityGroupIngress"]
    assert [way.get("CidrIp") or way["CidrIpv6"] for way in ways] == [
        "10.0.0.0/16",
        "2001:db8::/32",
    ]
    assert found["ApiEndpoint"]["Properties"]["SecurityGroupIds"] == [
        {"Ref": "ApiEndpointSecurityGroup"}
    ]
    for name in ("KmsEndpoint", "LogsEndpoint"):
        groups = found[name]["Properties"]["SecurityGroupIds"]
        assert groups == [{"Ref": "EndpointSecurityGroup"}]


def test_an_endpoint_for_the_api_is_made_for_a_private_one_only() -> None:
    """With private DNS it would take the names of all public APIs, and lead to none of them."""
    clients = replace(VPC, clients=("10.0.0.0/16",))
    assert "ApiEndpoint" not in network.resources(StackPlan(network=clients))
    assert network.api_endpoint_id(IN_VPC) is None
    assert network.api_endpoint_id(PRIVATE) == {"Ref": "ApiEndpoint"}


def test_through_the_kms_endpoint_the_role_signs_and_nobody_else_does_anything() -> None:
    found = statement(IN_VPC, "KmsEndpoint")
    assert found["Action"] == ["kms:GetPublicKey", "kms:Sign"]
    assert found["Resource"] == "arn:aws:kms:eu-central-1:111122223333:key/*"
    assert found["Condition"] == {"ArnEquals": {"aws:PrincipalArn": [ROLE]}}


def test_the_kms_endpoint_names_an_existing_key_and_further_signers() -> None:
    key = "arn:aws-cn:kms:cn-north-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
    user = "arn:aws-cn:iam::111122223333:role/payouts"
    found = statement(replace(IN_VPC, key=KeyPlan(arn=key, users=(user,))), "KmsEndpoint")
    assert found["Resource"] == key
    assert found["Condition"]["ArnEquals"]["aws:PrincipalArn"] == [ROLE, user]


def test_through_the_other_endpoints_go_the_signers_log_and_calls_of_this_account_only() -> None:
    log = statement(PRIVATE, "LogsEndpoint")
    assert log["Action"] == ["logs:CreateLogStream", "logs:PutLogEvents"]
    assert log["Resource"] == "FunctionLog.Arn"
    door = statement(PRIVATE, "ApiEndpoint")
    assert door["Action"] == "execute-api:Invoke"
    assert door["Resource"] == "arn:aws:execute-api:eu-central-1:111122223333:*/prod/POST/"
    assert door["Condition"] == {"StringEquals": {"aws:PrincipalAccount": "111122223333"}}


def test_endpoints_name_neither_key_nor_api_which_name_them() -> None:
    assert {"SigningKey", "Api", "Function"}.isdisjoint(named(network.resources(PRIVATE)))


def test_every_endpoint_takes_over_the_services_own_name() -> None:
    for name in ("KmsEndpoint", "LogsEndpoint", "ApiEndpoint"):
        properties = network.resources(PRIVATE)[name]["Properties"]
        assert properties["PrivateDnsEnabled"] is True
        assert properties["VpcEndpointType"] == "Interface"
        assert properties["SubnetIds"] == list(VPC.subnets)


def test_existing_endpoints_are_used_with_a_group_that_they_let_in() -> None:
    there = replace(
        VPC,
        kms_endpoint="vpce-0123456789abcdef0",
        logs_endpoint="vpce-0123456789abcdef1",
        api_endpoint="vpce-0123456789abcdef2",
        security_group="sg-0123456789abcdef0",
    )
    plan = StackPlan(network=there, api=ApiPlan(private=True))
    assert network.resources(plan) == {}
    assert network.kms_endpoint_id(plan) == "vpce-0123456789abcdef0"
    assert network.api_endpoint_id(plan) == "vpce-0123456789abcdef2"
    assert network.vpc_config(plan)["SecurityGroupIds"] == ["sg-0123456789abcdef0"]


def test_an_endpoint_for_the_logs_is_made_only_on_request() -> None:
    """Lambda has a way of its own, and with private DNS it would take the logs of the whole VPC."""
    assert "LogsEndpoint" not in network.resources(
        StackPlan(network=replace(VPC, logs_endpoint=None))
    )


def test_the_function_is_put_into_the_subnets_and_its_group() -> None:
    assert network.vpc_config(IN_VPC) == {
        "SubnetIds": list(VPC.subnets),
        "SecurityGroupIds": [{"Ref": "FunctionSecurityGroup"}],
    }


def test_lambda_may_connect_the_function_and_the_functions_code_may_not() -> None:
    connect, look, denied = (filled(each) for each in network.role_statements(IN_VPC))
    assert "*" not in (*connect["Resource"], *connect["Action"])
    assert look["Action"] == ["ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets"]
    assert denied["Effect"] == "Deny"
    assert set(denied["Action"]) > {*connect["Action"], *look["Action"]}
    assert denied["Condition"] == {
        "ArnEquals": {
            "lambda:SourceFunctionArn": "arn:aws:lambda:eu-central-1:111122223333:function:treasury-signer"
        }
    }


def test_other_compute_brings_its_own_way_into_the_vpc_and_has_no_api() -> None:
    plan = replace(PRIVATE, compute="ecs")
    assert network.role_statements(plan) == []
    assert "ApiEndpoint" not in network.resources(plan)
    assert "KmsEndpoint" in network.resources(plan)


def test_emulated_there_are_no_rules_as_resources_of_their_own() -> None:
    kinds = {each["Type"] for each in network.resources(replace(PRIVATE, emulated=True)).values()}
    assert kinds == {"AWS::EC2::SecurityGroup", "AWS::EC2::VPCEndpoint"}


def test_every_arn_follows_the_partition() -> None:
    assert "arn:aws:" not in json.dumps(
        [network.resources(PRIVATE), network.role_statements(PRIVATE)]
    )
