"""A template's resources as they are once made: every intrinsic function resolved to what AWS would give.

Only what the project's templates use is known; anything else fails, so that no document is judged half resolved.
Sources: the CloudFormation user guide, "Intrinsic function reference" and each resource's "Return values"; the
service authorization reference for the form of each ARN.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]

_PLACEHOLDER = re.compile(r"\$\{([^}!]+)\}")
_SUFFIXES = {"aws-cn": "amazonaws.com.cn"}
# The property that names a resource of each type; without it CloudFormation makes a name up.
_NAMES = (
    *("RoleName", "FunctionName", "LogGroupName", "BucketName", "TopicName", "TrailName"),
    *("GroupName", "ManagedPolicyName", "AlarmName", "DashboardName", "StageName", "Name"),
)
_UUID = ((0, 8), (8, 12), (12, 16), (16, 20), (20, 32))
_ARNS = {
    "AWS::KMS::Key": "kms:{region}:{account}:key/{name}",
    "AWS::KMS::ReplicaKey": "kms:{region}:{account}:key/{name}",
    "AWS::IAM::Role": "iam::{account}:role/{name}",
    "AWS::IAM::ManagedPolicy": "iam::{account}:policy/{name}",
    "AWS::IAM::Group": "iam::{account}:group/{name}",
    "AWS::Lambda::Function": "lambda:{region}:{account}:function:{name}",
    "AWS::Lambda::Version": "lambda:{region}:{account}:function:{name}:1",
    "AWS::Lambda::Alias": "lambda:{region}:{account}:function:{name}:live",
    "AWS::Logs::LogGroup": "logs:{region}:{account}:log-group:{name}:*",
    "AWS::DynamoDB::Table": "dynamodb:{region}:{account}:table/{name}",
    "AWS::S3::Bucket": "s3:::{name}",
    "AWS::SNS::Topic": "sns:{region}:{account}:{name}",
    "AWS::CloudTrail::Trail": "cloudtrail:{region}:{account}:trail/{name}",
    "AWS::CloudWatch::Alarm": "cloudwatch:{region}:{account}:alarm:{name}",
    "AWS::ApiGateway::RestApi": "execute-api:{region}:{account}:{name}",  # the ARN that callers name
}
_REF_IS_ARN = {
    "AWS::IAM::ManagedPolicy",
    "AWS::Lambda::Version",
    "AWS::Lambda::Alias",
    "AWS::SNS::Topic",
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where the stack is, and its name."""

    partition: str = "aws"
    region: str = "us-east-1"
    account: str = "123456789012"
    stack: str = "treasury"


PLACES = (
    Place(),
    Place("aws-us-gov", "us-gov-west-1"),
    Place("aws-cn", "cn-north-1"),
)


@dataclass(frozen=True, slots=True)
class Resolved:
    """The resources of one template in one place, by logical id."""

    template: Json
    place: Place
    _known: dict[str, Json] = field(default_factory=dict, compare=False, repr=False)

    def properties(self, resource: str) -> Json:
        """Return a resource's properties, resolved."""
        if resource not in self._known:
            properties = self.template["Resources"][resource].get("Properties", {})
            self._known[resource] = self.value(properties)
        return self._known[resource]

    def with_resource(self, name: str, body: Json) -> Resolved:
        """Return the same with another resource in the place of one."""
        resources = {**self.template["Resources"], name: body}
        known = {other: value for other, value in self._known.items() if other != name}
        return Resolved({**self.template, "Resources": resources}, self.place, known)

    def of_type(self, kind: str) -> list[str]:
        """Return the logical ids of the resources of one type."""
        resources = self.template["Resources"]
        return [name for name, resource in resources.items() if resource["Type"] == kind]

    def arn(self, resource: str) -> str:
        """Return a resource's ARN."""
        found = self.arn_or_none(resource)
        assert found, f"{resource}: no ARN is known for {self._kind(resource)}"
        return found

    def arn_or_none(self, resource: str) -> str | None:
        """Return a resource's ARN, None for a kind that policies do not name."""
        kind, place = self._kind(resource), self.place
        if kind not in _ARNS:
            return None
        rest = _ARNS[kind].format(
            region=place.region, account=place.account, name=self._name(resource)
        )
        return f"arn:{place.partition}:{rest}"

    def ref(self, name: str) -> str:
        """Return what `Ref` gives."""
        pseudo = {
            "AWS::Partition": self.place.partition,
            "AWS::Region": self.place.region,
            "AWS::AccountId": self.place.account,
            "AWS::StackName": self.place.stack,
            "AWS::URLSuffix": _SUFFIXES.get(self.place.partition, "amazonaws.com"),
        }
        if name in pseudo:
            return pseudo[name]
        if name in self.template.get("Parameters", {}):
            return f"parameter-{name}"
        return self.arn(name) if self._kind(name) in _REF_IS_ARN else self._name(name)

    def value(self, value: Any) -> Any:
        """Return a value of the template with its intrinsic functions resolved."""
        if isinstance(value, list):
            return [self.value(each) for each in value if each != {"Ref": "AWS::NoValue"}]
        if not isinstance(value, dict):
            return value
        if set(value) == {"Ref"}:
            return self.ref(value["Ref"])
        if len(value) == 1 and (function := next(iter(value))).startswith("Fn::"):
            return self._function(function, value[function])
        return {k: self.value(v) for k, v in value.items() if v != {"Ref": "AWS::NoValue"}}

    def _function(self, function: str, argument: Any) -> Any:
        if function == "Fn::If":
            condition, then, otherwise = argument
            one, other = self.template["Conditions"][condition]["Fn::Equals"]
            return self.value(then if self.value(one) == self.value(other) else otherwise)
        if function == "Fn::GetAtt":
            return self._attribute(
                *(argument.split(".", 1) if isinstance(argument, str) else argument)
            )
        if function == "Fn::Join":
            return argument[0].join(self.value(argument[1]))
        assert function == "Fn::Sub", f"{function} is not known here"
        text, given = (argument, {}) if isinstance(argument, str) else argument
        return _PLACEHOLDER.sub(lambda found: self._filled(found[1], given), text)

    def _filled(self, name: str, given: Mapping[str, Any]) -> str:
        if name in given:
            return str(self.value(given[name]))
        return self._attribute(*name.split(".", 1)) if "." in name else self.ref(name)

    def _attribute(self, resource: str, attribute: str) -> str:
        if attribute in ("Arn", "TopicArn"):
            return self.arn(resource)
        kind = self._kind(resource)
        if kind == "AWS::EC2::SecurityGroup" and attribute == "GroupId":
            return self._name(resource)
        return f"{attribute}-of-{resource}"

    def _kind(self, resource: str) -> str:
        return str(self.template["Resources"][resource]["Type"])

    def _name(self, resource: str) -> str:
        kind, hexadecimal = self._kind(resource), hashlib.sha256(resource.encode()).hexdigest()
        identifiers = {
            "AWS::KMS::Key": "-".join(hexadecimal[a:b] for a, b in _UUID),
            "AWS::KMS::ReplicaKey": "mrk-" + hexadecimal[:32],
            "AWS::ApiGateway::RestApi": hexadecimal[:10],
            "AWS::EC2::VPCEndpoint": f"vpce-{hexadecimal[:17]}",
            "AWS::EC2::SecurityGroup": f"sg-{hexadecimal[:17]}",
        }
        if kind in identifiers:
            return identifiers[kind]
        properties = self.template["Resources"][resource].get("Properties", {})
        for name in _NAMES:
            if name in properties:
                return str(self.value(properties[name]))
        return f"{self.place.stack}-{resource}-{hexadecimal[:12].upper()}"
