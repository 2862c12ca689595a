"""The network: security groups, and the ways to KMS, to the API, to the logs and to DynamoDB. Pure.

An interface endpoint with private DNS answers for its service's name in the whole VPC, and its policy lets through
nothing but the treasury's own calls: other work in the same VPC that calls KMS needs a VPC of its own.
Sources: the Lambda developer guide, "Giving Lambda functions access to resources in an Amazon VPC"; the VPC guide,
"Access an AWS service using an interface VPC endpoint"; the API Gateway developer guide, "Private REST APIs"; the
KMS developer guide, "Connect to AWS KMS through a VPC endpoint"; the VPC guide, "Gateway endpoints for Amazon
DynamoDB" and "AWS-managed prefix lists".
"""

from __future__ import annotations

from typing import Any

from bursar.aws.plan import NetworkPlan, StackPlan
from bursar.aws.template.documents import Json, function_arn, ref, sub, tags
from bursar.aws.template.endpoint_policies import (
    api_endpoint_policy,
    dynamodb_endpoint_policy,
    kms_endpoint_policy,
    logs_endpoint_policy,
)

_TLS = {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443}
# EC2 lets a group without a rule reach everywhere. One rule that leads nowhere takes that away (CloudFormation
# resource reference, AWS::EC2::SecurityGroup, "Remove the default rule").
_NO_EGRESS = {
    "IpProtocol": "-1",
    "CidrIp": "127.0.0.1/32",
    "Description": "Nowhere",
}
_INTERFACES = (
    "ec2:AssignPrivateIpAddresses",
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:UnassignPrivateIpAddresses",
)
IN_CHINA = "InChina"
_LOOKING = ("ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets")


def resources(plan: StackPlan) -> dict[str, Json]:
    """Return security groups and endpoints; nothing without a network."""
    network = plan.network
    if network is None:
        return {}
    return {
        **_function_group(plan, network),
        **_endpoint_group(plan, network),
        **_endpoints(plan, network),
        **_way_to_dynamodb(plan, network),
    }


def kms_endpoint_id(plan: StackPlan) -> Any:
    """Return the id of the endpoint that leads to KMS: a name, a `Ref`, or None."""
    if plan.network is None:
        return None
    return plan.network.kms_endpoint or ref("KmsEndpoint")


def api_endpoint_id(plan: StackPlan) -> Any:
    """Return the id of the endpoint that leads to the private API: a name, a `Ref`, or None."""
    if plan.network is None:
        return None
    own = ref("ApiEndpoint") if _has_private_api(plan) else None
    return plan.network.api_endpoint or own


def vpc_config(plan: StackPlan) -> Json:
    """Return the function's `VpcConfig`; empty without a network."""
    if plan.network is None:
        return {}
    return {
        "SubnetIds": list(plan.network.subnets),
        "SecurityGroupIds": [_function_group_id(plan.network)],
    }


def role_statements(plan: StackPlan) -> list[Json]:
    """Return what the function's role needs so that Lambda can put the function into the VPC, and not its code.

    Lambda calls EC2 with the role, before and after the code runs; the code itself is kept from it by the
    function's ARN, as the Lambda developer guide advises.
    """
    if plan.network is None or plan.compute != "lambda":
        return []
    return [
        {
            "Sid": "LetLambdaConnectTheFunction",
            "Effect": "Allow",
            "Action": list(_INTERFACES),
            # As the guide has it: Lambda makes and removes interfaces whose ids nobody knows beforehand.
            "Resource": [
                sub("arn:${AWS::Partition}:ec2:${AWS::Region}:${AWS::AccountId}:*/*"),
                # A subnet that another account shares bears that account's number.
                *(
                    sub(f"arn:${{AWS::Partition}}:ec2:${{AWS::Region}}:*:subnet/{subnet}")
                    for subnet in plan.network.subnets
                ),
            ],
        },
        {
            "Sid": "LetLambdaLook",
            "Effect": "Allow",
            "Action": list(_LOOKING),
            # EC2 knows no resources for these (Service Authorization Reference, Amazon EC2).
            "Resource": "*",
        },
        {
            "Sid": "ButNotTheCode",
            "Effect": "Deny",
            "Action": sorted([*_INTERFACES, *_LOOKING, "ec2:DetachNetworkInterface"]),
            "Resource": "*",
            "Condition": {"ArnEquals": {"lambda:SourceFunctionArn": sub(function_arn())}},
        },
    ]


def _has_private_api(plan: StackPlan) -> bool:
    # With private DNS the endpoint answers for every API's name, and leads to private APIs only.
    return plan.api.private and plan.compute == "lambda"


def _makes_endpoint(network: NetworkPlan) -> bool:
    """Tell whether the stack makes an endpoint that the function's group is to reach."""
    return not network.kms_endpoint or network.logs_endpoint == "create"


def _function_group_id(network: NetworkPlan) -> Any:
    return network.security_group or ref("FunctionSecurityGroup")


def _function_group(plan: StackPlan, network: NetworkPlan) -> dict[str, Json]:
    if network.security_group:
        return {}
    way = {
        **_TLS,
        "DestinationSecurityGroupId": ref("EndpointSecurityGroup"),
        "Description": "To the VPC endpoints",
    }
    ways = [way] if _makes_endpoint(network) else []
    if plan.policy is not None and network.dynamodb_prefix_list:
        ways.append(
            {
                **_TLS,
                "DestinationPrefixListId": network.dynamodb_prefix_list,
                "Description": "To DynamoDB, by its gateway endpoint",
            }
        )
    group = _group(plan, network, "What signs for the treasury: it reaches the VPC endpoints only")
    group["Properties"]["SecurityGroupEgress"] = (
        ways if ways and not plan.emulated else [_NO_EGRESS]
    )
    return {"FunctionSecurityGroup": group}


def _endpoint_group(plan: StackPlan, network: NetworkPlan) -> dict[str, Json]:
    if not _makes_endpoint(network):
        return {}
    group = _group(
        plan, network, "VPC endpoints of the treasury: they let in what signs, and nobody else"
    )
    group["Properties"]["SecurityGroupEgress"] = [_NO_EGRESS]
    found = {"EndpointSecurityGroup": group}
    if not plan.emulated:
        found["EndpointIngress"] = {
            "Type": "AWS::EC2::SecurityGroupIngress",
            "Properties": {
                **_TLS,
                "GroupId": ref("EndpointSecurityGroup"),
                "SourceSecurityGroupId": _function_group_id(network),
                "Description": "From what signs for the treasury",
            },
        }
    return found


def _client_group(plan: StackPlan, network: NetworkPlan) -> Json:
    group = _group(
        plan, network, "The way to the signing API: it lets in the networks of its callers"
    )
    group["Properties"] |= {
        "SecurityGroupEgress": [_NO_EGRESS],
        "SecurityGroupIngress": [
            {**_TLS, _cidr_name(cidr): cidr, "Description": "Callers of the signing API"}
            for cidr in network.clients
        ],
    }
    return group


def _cidr_name(cidr: str) -> str:
    return "CidrIpv6" if ":" in cidr else "CidrIp"


def _group(plan: StackPlan, network: NetworkPlan, description: str) -> Json:
    return {
        "Type": "AWS::EC2::SecurityGroup",
        "Properties": {
            "GroupDescription": description,
            "VpcId": network.vpc,
            "Tags": tags(plan),
        },
    }


def _endpoints(plan: StackPlan, network: NetworkPlan) -> dict[str, Json]:
    found: dict[str, Json] = {}
    if not network.kms_endpoint:
        found["KmsEndpoint"] = _endpoint(plan, network, "kms", kms_endpoint_policy(plan))
    if network.logs_endpoint == "create":
        found["LogsEndpoint"] = _endpoint(plan, network, "logs", logs_endpoint_policy())
    if _has_private_api(plan) and not network.api_endpoint:
        found["ApiEndpointSecurityGroup"] = _client_group(plan, network)
        endpoint = _endpoint(plan, network, "execute-api", api_endpoint_policy(plan))
        endpoint["Properties"]["SecurityGroupIds"] = [ref("ApiEndpointSecurityGroup")]
        found["ApiEndpoint"] = endpoint
    return found


def _way_to_dynamodb(plan: StackPlan, network: NetworkPlan) -> dict[str, Json]:
    """Return the gateway endpoint: a route to DynamoDB in the subnets' route tables. It costs nothing."""
    if plan.policy is None or not network.route_tables:
        return {}
    properties = {
        "VpcEndpointType": "Gateway",
        "ServiceName": _service_name("dynamodb"),
        "VpcId": network.vpc,
        "RouteTableIds": list(network.route_tables),
        "PolicyDocument": dynamodb_endpoint_policy(plan),
        "Tags": tags(plan),
    }
    return {"LedgerEndpoint": {"Type": "AWS::EC2::VPCEndpoint", "Properties": properties}}


def _endpoint(plan: StackPlan, network: NetworkPlan, service: str, document: Json) -> Json:
    return {
        "Type": "AWS::EC2::VPCEndpoint",
        "Properties": {
            "VpcEndpointType": "Interface",
            "ServiceName": _service_name(service),
            "VpcId": network.vpc,
            "SubnetIds": list(network.subnets),
            "SecurityGroupIds": [ref("EndpointSecurityGroup")],
            "PrivateDnsEnabled": True,
            "PolicyDocument": document,
            "Tags": tags(plan),
        },
    }


def _service_name(service: str) -> Json:
    usual = sub(f"com.amazonaws.${{AWS::Region}}.{service}")
    if service != "execute-api":
        return usual
    # In China this service's endpoint, and of ours this one alone, has another name.
    return {"Fn::If": [IN_CHINA, sub(f"cn.com.amazonaws.${{AWS::Region}}.{service}"), usual]}


def conditions(plan: StackPlan) -> Json:
    """Return the template's conditions that the network goes by; empty where there are none."""
    if "ApiEndpoint" not in resources(plan):
        return {}
    return {IN_CHINA: {"Fn::Equals": [ref("AWS::Partition"), "aws-cn"]}}
