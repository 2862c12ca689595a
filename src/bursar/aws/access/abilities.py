"""What a review asks of everybody: can they sign, or change who can? Pure.

Sources: the service authorization reference, "Actions, resources, and condition keys" for KMS, Lambda,
API Gateway, API Gateway management, IAM, CloudFormation, DynamoDB and CloudTrail.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain
from typing import Final

from bursar.aws.access.documents import Statement, UnreadablePolicy, parse_document
from bursar.aws.access.snapshot import Gap, Json, Snapshot

TITLES: Final = {
    "sign": "Sign with the key",
    "sign-by-function": "Sign by invoking the function",
    "sign-by-api": "Sign by calling the API",
    "become-signer": "Become a role that signs",
    "pass-signer": "Pass a role that signs to a service",
    "change-key": "Change the key or who may use it",
    "change-function": "Change the function or who may invoke it",
    "change-role": "Change the rights of a role that signs",
    "change-api": "Change the API or who may call it",
    "change-rights": "Change IAM rights, their own or another's",
    "change-memory": "Change what the key remembers of what it signed",
    "change-stack": "Change the stack",
    "stop-record": "Stop the record of signatures",
    "become-other": "Become a role with another of these abilities",
}
SIGNING: Final = ("sign", "sign-by-function", "sign-by-api", "become-signer")

ASSUME: Final = ("sts:AssumeRole", "sts:AssumeRoleWithSAML", "sts:AssumeRoleWithWebIdentity")
_KEY: Final = (
    "kms:PutKeyPolicy",
    "kms:CreateGrant",
    "kms:RevokeGrant",
    "kms:ScheduleKeyDeletion",
    "kms:DisableKey",
    "kms:UpdateAlias",
    "kms:DeleteAlias",
    "kms:ReplicateKey",
    "kms:TagResource",
    "kms:UntagResource",
)
_FUNCTION: Final = (
    "lambda:UpdateFunctionCode",
    "lambda:UpdateFunctionConfiguration",
    "lambda:PublishVersion",
    "lambda:UpdateAlias",
    "lambda:AddPermission",
    "lambda:CreateFunctionUrlConfig",
    "lambda:DeleteFunction",
    "lambda:DeleteAlias",
    "lambda:PutFunctionConcurrency",
    "lambda:CreateEventSourceMapping",
    "lambda:PutRuntimeManagementConfig",
)
_ROLE: Final = (
    "iam:PutRolePolicy",
    "iam:AttachRolePolicy",
    "iam:UpdateAssumeRolePolicy",
    "iam:DeleteRolePermissionsBoundary",
    "iam:PutRolePermissionsBoundary",
    "iam:DeleteRolePolicy",
    "iam:DetachRolePolicy",
    "iam:DeleteRole",
)
_API: Final = (
    "apigateway:PATCH",
    "apigateway:PUT",
    "apigateway:POST",
    "apigateway:DELETE",
    "apigateway:UpdateRestApiPolicy",
)
_STACK: Final = (
    "cloudformation:CreateChangeSet",
    "cloudformation:ExecuteChangeSet",
    "cloudformation:UpdateStack",
    "cloudformation:DeleteStack",
    "cloudformation:SetStackPolicy",
)
# By TransactWriteItems, too, which is asked for as these; an item whose time to live is over is deleted.
_MEMORY: Final = (
    "dynamodb:PutItem",
    "dynamodb:UpdateItem",
    "dynamodb:DeleteItem",
    "dynamodb:BatchWriteItem",
    "dynamodb:PartiQLInsert",
    "dynamodb:PartiQLUpdate",
    "dynamodb:PartiQLDelete",
    "dynamodb:UpdateTimeToLive",
    "dynamodb:UpdateTable",
    "dynamodb:DeleteTable",
    "dynamodb:PutResourcePolicy",
)
_TRAIL: Final = (
    "cloudtrail:StopLogging",
    "cloudtrail:DeleteTrail",
    "cloudtrail:UpdateTrail",
    "cloudtrail:PutEventSelectors",
)
_USER_RIGHTS: Final = (
    "iam:PutUserPolicy",
    "iam:AttachUserPolicy",
    "iam:DeleteUserPolicy",
    "iam:DetachUserPolicy",
    "iam:PutUserPermissionsBoundary",
    "iam:DeleteUserPermissionsBoundary",
)
# What makes somebody else of its bearer. On oneself these change nothing.
_TAKE_OVER: Final = ("iam:CreateAccessKey", "iam:CreateLoginProfile", "iam:UpdateLoginProfile")
_GROUP_RIGHTS: Final = (
    "iam:AddUserToGroup",
    "iam:RemoveUserFromGroup",
    "iam:PutGroupPolicy",
    "iam:AttachGroupPolicy",
    "iam:DeleteGroupPolicy",
    "iam:DetachGroupPolicy",
)
_POLICY_RIGHTS: Final = ("iam:CreatePolicyVersion", "iam:SetDefaultPolicyVersion")


@dataclass(frozen=True, slots=True)
class Target:
    """One question: may somebody take any of `actions` on any of `resources`?

    `guard` are the statements on the resource itself; with `guard_decides` nothing is allowed without them.
    `not_oneself`: taking it on oneself does not count.
    """

    ability: str
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    guard: tuple[Statement, ...] = ()
    guard_decides: bool = False
    not_oneself: bool = False


@dataclass(frozen=True, slots=True)
class Guards:
    """The statements on the resources themselves, and what could not be read of them."""

    key: tuple[Statement, ...]
    function: tuple[Statement, ...]
    api: tuple[Statement, ...]
    trusts: dict[str, tuple[Statement, ...]]
    memory: tuple[Statement, ...] = ()
    gaps: tuple[Gap, ...] = ()

    def all(self) -> Iterator[Statement]:
        """Return every statement."""
        return chain(self.key, self.function, self.api, self.memory, *self.trusts.values())


def guards(snapshot: Snapshot) -> Guards:
    """Return the statements that stand on the resources of a snapshot."""
    gaps: list[Gap] = []

    def read(document: Json | None, name: str) -> tuple[Statement, ...]:
        try:
            return () if document is None else parse_document(document, name)
        except UnreadablePolicy as problem:
            gaps.append(Gap(str(problem), "a policy document that can be read"))
            return ()

    function = (
        read(document, f"resource policy of {arn.split(':', 5)[5]}")
        for arn, document in snapshot.function_policies.items()
    )
    return Guards(
        (*read(snapshot.key_policy, "key policy"), *_granted(snapshot)),
        tuple(chain.from_iterable(function)),
        (
            *(_whole(each, snapshot) for each in read(snapshot.api_policy, "API resource policy")),
            *_open_methods(snapshot),
        ),
        {
            each.arn: read(each.trust, f"trust of role {each.name}")
            for each in snapshot.entities
            if each.trust is not None
        },
        read(snapshot.ledger_policy, "resource policy of the table"),
        tuple(gaps),
    )


def targets(snapshot: Snapshot, on: Guards) -> Iterator[Target]:
    """Return the questions about everything but roles, which depend on the answers to these."""
    outputs = snapshot.outputs
    if key := outputs.get("KeyArn"):
        yield Target("sign", ("kms:Sign",), (key,), on.key, guard_decides=True)
        yield Target("change-key", _KEY, (key,), on.key, guard_decides=True)
    if function := outputs.get("FunctionArn"):
        versions = [outputs.get(name) for name in ("FunctionAlias", "FunctionVersion")]
        named = [function, *(f"{function}:{each}" for each in (*versions, "$LATEST") if each)]
        invoking = ("lambda:InvokeFunction", "lambda:InvokeFunctionUrl")
        yield Target("sign-by-function", invoking, tuple(named), on.function)
        yield Target("change-function", _FUNCTION, tuple(named), on.function)
    if "ApiId" in outputs:
        yield Target("sign-by-api", ("execute-api:Invoke",), tuple(_doors(snapshot)), on.api)
        yield Target("change-api", _API, tuple(_parts_of_api(snapshot)))
    if table := outputs.get("LedgerTable"):
        arn = _arn(snapshot, "dynamodb", snapshot.account, f"table/{table}")
        yield Target("change-memory", _MEMORY, (arn,), on.memory)
    yield Target("change-stack", _STACK, (snapshot.stack_id,))
    if snapshot.trails:
        yield Target("stop-record", _TRAIL, snapshot.trails)
    yield from _rights(snapshot)


def _rights(snapshot: Snapshot) -> Iterator[Target]:
    by_kind = {
        kind: tuple(each.arn for each in snapshot.entities if each.kind == kind)
        for kind in ("user", "role", "group")
    }
    local = f":iam::{snapshot.account}:policy/"
    policies = tuple(arn for arn in snapshot.managed if local in arn)
    yield Target("change-rights", _USER_RIGHTS, by_kind["user"])
    yield Target("change-rights", _TAKE_OVER, by_kind["user"], not_oneself=True)
    yield Target("change-rights", _ROLE, by_kind["role"])
    yield Target("change-rights", _GROUP_RIGHTS, by_kind["group"])
    yield Target("change-rights", _POLICY_RIGHTS, policies)


def about_signing_roles(roles: tuple[str, ...]) -> Iterator[Target]:
    """Return the questions about the roles that sign."""
    yield Target("pass-signer", ("iam:PassRole",), roles)
    yield Target("change-role", _ROLE, roles)


def becoming(ability: str, role: str, on: Guards) -> Target:
    """Return the question who may assume a role."""
    return Target(ability, ASSUME, (role,), on.trusts.get(role, ()), guard_decides=True)


def _granted(snapshot: Snapshot) -> Iterator[Statement]:
    # A grant allows by itself, as a key policy does; a denial anywhere still counts.
    for grant in snapshot.grants:
        kind = "AWS" if grant.grantee.startswith("arn:") else "Service"
        yield Statement(
            document="grants of the key",
            label=f"grant {grant.id}" + (f" ({grant.name})" if grant.name else ""),
            allow=True,
            actions=tuple(f"kms:{operation}" for operation in grant.operations),
            resources=(snapshot.outputs.get("KeyArn", "*"),),
            principals={kind: (grant.grantee,)},
        )


def _open_methods(snapshot: Snapshot) -> Iterator[Statement]:
    # A method without IAM authorization lets everyone in whom the API's policy does not keep out.
    for method, authorization in sorted(snapshot.methods.items()):
        if authorization != "AWS_IAM":
            yield Statement(
                document="methods of the API",
                label=f"{method}, authorization {authorization}",
                allow=True,
                actions=("execute-api:Invoke",),
                resources=("*",),
                principals={"AWS": ("*",)},
            )


def _whole(statement: Statement, snapshot: Snapshot) -> Statement:
    """Return a statement of an API's policy with whole ARNs: there the API's own may be left out."""
    base = _arn(snapshot, "execute-api", snapshot.account, snapshot.outputs.get("ApiId", "*"))

    def whole(patterns: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if patterns is None:
            return None
        short = "execute-api:/"
        return tuple(
            f"{base}/{each.removeprefix(short)}" if each.startswith(short) else each
            for each in patterns
        )

    return replace(
        statement,
        resources=whole(statement.resources),
        not_resources=whole(statement.not_resources),
    )


def _doors(snapshot: Snapshot) -> Iterator[str]:
    base = _arn(snapshot, "execute-api", snapshot.account, snapshot.outputs["ApiId"])
    stage = snapshot.outputs.get("Stage", "prod")
    for method in snapshot.methods or ("POST /",):
        verb, _, path = method.partition(" ")
        yield f"{base}/{stage}/{verb}{path}"


def _parts_of_api(snapshot: Snapshot) -> Iterator[str]:
    # API Gateway's own ARNs hold no account.
    base = _arn(snapshot, "apigateway", "", f"/restapis/{snapshot.outputs['ApiId']}")
    yield base
    yield f"{base}/stages/{snapshot.outputs.get('Stage', 'prod')}"
    yield f"{base}/deployments"
    yield f"{base}/resources/any/methods/POST"
    yield f"{base}/resources/any/methods/POST/integration"


def _arn(snapshot: Snapshot, service: str, account: str, rest: str) -> str:
    return f"arn:{snapshot.partition}:{service}:{snapshot.region}:{account}:{rest}"
