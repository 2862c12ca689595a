"""A deployed stack as the simulator sees it: who asks, with which policies, and which policy guards what."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from tests.oracle.resolved import Json, Place, Resolved
from tests.oracle.simulator import ANONYMOUS, Question

OTHER_ACCOUNT = "999999999999"
ADMINISTRATOR: Json = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}],
}
_FAR = {"aws": "eu-west-1", "aws-us-gov": "us-gov-east-1", "aws-cn": "cn-northwest-1"}
# What the simulator's reference does not list; see `simulate.mjs`.
_UNLISTED_ACTIONS = ("execute-api:",)
_UNLISTED_KEYS = ("lambda:SourceFunctionArn", "kms:EncryptionContext:")
_ANY_TYPE = re.compile(r"\A((?:[^:]*:){5})\*/")


@dataclass(frozen=True, slots=True)
class Case:
    """One row of the table of cases; see the top of `policy_cases.toml`."""

    plan: str
    name: str
    principal: str
    action: str
    resource: str
    expect: str
    why: str
    context: Sequence[str] = ()
    through: str | None = None


@dataclass(frozen=True)
class Scene:
    """One stack in one place. `contexts` are the named sets of condition keys that cases speak of."""

    stack: Resolved
    contexts: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @property
    def place(self) -> Place:
        """Where it is."""
        return self.stack.place

    def question(self, case: Case) -> Question:
        """Return a case as a question about this stack's documents."""
        names = self._names
        resource = case.resource.format_map(names)
        context = {
            key: value.format_map(names)
            for name in case.context
            for key, value in self.contexts[name].items()
        }
        if case.through:
            context["aws:SourceVpce"] = self.stack.ref(case.through)
        principal, identity = self._people[case.principal]
        return Question(
            principal=principal,
            action=case.action,
            resource=resource,
            account=(resource.split(":") + [""] * 5)[4] or self.place.account,
            context=context,
            identity=tuple(_with_type(document, resource) for document in identity),
            resource_policy=self.guard(resource),
            endpoint_policy=self._endpoint_policy(case.through, resource),
            unlisted=case.action.startswith(_UNLISTED_ACTIONS)
            or any(key.startswith(_UNLISTED_KEYS) for key in context),
        )

    def _endpoint_policy(self, endpoint: str | None, resource: str) -> Json | None:
        if endpoint is None:
            return None
        return _with_type(self._document(endpoint, "PolicyDocument"), resource)

    def guard(self, resource: str) -> Json | None:
        """Return the policy of the resource itself, where it has one."""
        for kind, own in (("Key", "KeyPolicy"), ("ReplicaKey", "KeyPolicy")):
            for key in self.stack.of_type(f"AWS::KMS::{kind}"):
                if resource == self.stack.arn(key):
                    return self._document(key, own)
        if resource == _open_key(self.place):
            return _policy({"Principal": "*", "Action": "kms:*"})
        if resource.startswith(f"arn:{self.place.partition}:kms:"):
            return _default_key_policy(resource)
        for role in self.stack.of_type("AWS::IAM::Role"):
            if resource == self.stack.arn(role):
                return self._document(role, "AssumeRolePolicyDocument")
        return self._attached(resource)

    def _attached(self, resource: str) -> Json | None:
        for api in self.stack.of_type("AWS::ApiGateway::RestApi"):
            if resource.startswith(f"{self.stack.arn(api)}/"):
                return _with_arn(self._document(api, "Policy"), self.stack.arn(api))
        for policy in self.stack.of_type("AWS::S3::BucketPolicy"):
            bucket = self.stack.properties(policy)["Bucket"]
            if resource.split("/", maxsplit=1)[0] == f"arn:{self.place.partition}:s3:::{bucket}":
                return self._document(policy, "PolicyDocument")
        for policy in self.stack.of_type("AWS::SNS::TopicPolicy"):
            if resource in self.stack.properties(policy)["Topics"]:
                return self._document(policy, "PolicyDocument")
        permissions = map(self.stack.properties, self.stack.of_type("AWS::Lambda::Permission"))
        statements = [_granted(each) for each in permissions if each["FunctionName"] == resource]
        return {"Version": "2012-10-17", "Statement": statements} if statements else None

    @cached_property
    def _people(self) -> dict[str, tuple[str, tuple[Json, ...]]]:
        place = self.place
        iam = f"arn:{place.partition}:iam::{place.account}"
        sessions = f"arn:{place.partition}:sts::{place.account}:assumed-role"
        people: dict[str, tuple[str, tuple[Json, ...]]] = {
            "anonymous": (ANONYMOUS, ()),
            "account root": (f"{iam}:root", (ADMINISTRATOR,)),
            "account administrator": (f"{iam}:user/boss", (ADMINISTRATOR,)),
            "key administrator": (f"{iam}:role/key-keeper", ()),
            "key administrator with IAM": (f"{sessions}/key-keeper/monday", (ADMINISTRATOR,)),
            "second signer": (f"{sessions}/second-signer/monday", ()),
            "second signer with IAM": (f"{sessions}/second-signer/monday", (ADMINISTRATOR,)),
            "bystander": (f"{iam}:user/clerk", ()),
            "other account": (
                f"arn:{place.partition}:iam::{OTHER_ACCOUNT}:user/eve",
                (ADMINISTRATOR,),
            ),
        }
        for role in self.stack.of_type("AWS::IAM::Role"):
            session = f"{sessions}/{self.stack.ref(role)}/session"
            people[role] = (session, tuple(self.identity(role)))
        if "InvokePolicy" in self.stack.template["Resources"]:
            document = self._document("InvokePolicy", "PolicyDocument")
            people["caller"] = (f"{iam}:user/payer", (document,))
        services = ("lambda", "ec2", "ecs-tasks", "cloudtrail", "cloudwatch", "apigateway")
        for service in services:
            people[service] = (f"{service}.amazonaws.com", ())
        suffix = self.stack.ref("AWS::URLSuffix")
        people["ec2"] = (f"ec2.{suffix}", ())  # alone among these it goes by another name in China
        people["logs"] = (f"logs.{place.region}.{suffix}", ())
        return people

    def identity(self, role: str) -> list[Json]:
        """Return the policies that a role of the stack bears."""
        properties = self.stack.properties(role)
        found = [policy["PolicyDocument"] for policy in properties.get("Policies", [])]
        attached = map(self.stack.properties, self.stack.of_type("AWS::IAM::Policy"))
        name = self.stack.ref(role)
        return found + [
            each["PolicyDocument"] for each in attached if name in each.get("Roles", [])
        ]

    def _document(self, resource: str, name: str) -> Json:
        document: Json = self.stack.properties(resource)[name]
        return document

    @cached_property
    def _names(self) -> dict[str, str]:
        place = self.place
        names = {
            "partition": place.partition,
            "region": place.region,
            "account": place.account,
            "other_account": OTHER_ACCOUNT,
            "stack": place.stack,
            "foreign_trail": f"arn:{place.partition}:cloudtrail:{place.region}:{OTHER_ACCOUNT}:trail/x",
            "given_key": given_key(place),
            "far_key": far_key(place),
            "open_key": _open_key(place),
            "far_eni": _elsewhere(replace(place, region=_FAR[place.partition]), place.account)[
                "eni"
            ],
        }
        for prefix, account in (("other", place.account), ("foreign", OTHER_ACCOUNT)):
            names |= {f"{prefix}_{name}": arn for name, arn in _elsewhere(place, account).items()}
        for name in ("log", "eni", "instance"):
            names[name] = names[f"other_{name}"]
        if "TrailLog" in self.stack.template["Resources"]:
            names["trail_log"] = self.stack.ref("TrailLog")
        for resource in self.stack.template["Resources"]:
            arn = self.stack.arn_or_none(resource)
            names[resource] = arn if arn is not None else self.stack.ref(resource)
        return names


def given_key(place: Place) -> str:
    """Return the ARN of a key of the account that no stack made."""
    return _elsewhere(place, place.account)["key"].replace("key/0", "key/9")


def far_key(place: Place) -> str:
    """Return the ARN of a multi-Region key in another Region of the account."""
    far = replace(place, region=_FAR[place.partition])
    return _elsewhere(far, place.account)["key"].split("/")[0] + "/mrk-" + "0123456789abcdef" * 2


def _open_key(place: Place) -> str:
    # A stranger's key, which lets everybody in so that they may bring it something.
    return _elsewhere(place, OTHER_ACCOUNT)["key"].replace("key/0", "key/8")


def _elsewhere(place: Place, account: str) -> dict[str, str]:
    where = f"{place.region}:{account}"
    rests = {
        "key": f"kms:{where}:key/00000000-1111-2222-3333-444444444444",
        "api": f"execute-api:{where}:0000000000",
        "log": f"logs:{where}:log-group:",
        "eni": f"ec2:{where}:network-interface/eni-0123456789abcdef0",
        "table": f"dynamodb:{where}:table/other",
        "instance": f"ec2:{where}:instance/i-0123456789abcdef0",
    }
    return {name: f"arn:{place.partition}:{rest}" for name, rest in rests.items()}


def _granted(permission: Json) -> Json:
    # What Lambda writes into the function's policy for a permission (Lambda API reference, AddPermission).
    return {
        "Effect": "Allow",
        "Principal": {"Service": permission["Principal"]},
        "Action": permission["Action"],
        "Resource": permission["FunctionName"],
        "Condition": {"ArnLike": {"aws:SourceArn": permission["SourceArn"]}},
    }


def _with_arn(policy: Json, arn: str) -> Json:
    # API Gateway writes the API's ARN before the slash of `execute-api:/…` when it takes the policy.
    statements = [
        {**each, "Resource": str(each["Resource"]).replace("execute-api:/", f"{arn}/", 1)}
        for each in policy["Statement"]
    ]
    return {**policy, "Statement": statements}


def _with_type(policy: Json, resource: str) -> Json:
    # The simulator takes no wildcard for the first part of a resource, as the IAM user guide has it. The guides of
    # API Gateway (`*`, any API) and of Lambda (`*/*` for network interfaces) say that AWS does.
    kind = resource.split(":", 5)[-1].split("/", maxsplit=1)[0]
    statements = [
        {
            **each,
            "Resource": [
                _ANY_TYPE.sub(rf"\g<1>{kind}/", name) for name in _listed(each["Resource"])
            ],
        }
        for each in policy["Statement"]
    ]
    return {**policy, "Statement": statements}


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _default_key_policy(key: str) -> Json:
    # "Default key policy" of the KMS developer guide: IAM policies of the key's account decide.
    partition, account = key.split(":")[1], key.split(":")[4]
    root = {"AWS": f"arn:{partition}:iam::{account}:root"}
    return _policy({"Principal": root, "Action": "kms:*"})


def _policy(allowed: Json) -> Json:
    statement = {"Effect": "Allow", "Resource": "*", **allowed}
    return {"Version": "2012-10-17", "Statement": [statement]}
