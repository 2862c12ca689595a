"""Which of the permissions that the plan needs the caller has, as IAM's policy simulator tells it.

The simulator reads the caller's own policies, its permissions boundary and the organisation's limits. It does not
read resource policies such as a key's, and it changes nothing. Source: IAM API reference, SimulatePrincipalPolicy.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from bursar.aws.caller import Caller
from bursar.aws.cloud import Cloud, aws_errors
from bursar.aws.doctor.case import Case
from bursar.aws.doctor.checks import Check, fail, ok, skip, warn
from bursar.aws.grants import GUIDE, Grant, example
from bursar.aws.permissions import needed, unused
from bursar.errors import AwsAccessDenied, AwsError

_POLICY = "`bursar aws permissions` prints the policy that allows it"
_SELF = "let the caller use iam:SimulatePrincipalPolicy and iam:GetRole; `bursar aws permissions` has them"
# Roles of IAM Identity Center lie under this path, which a session's ARN leaves out.
_SSO_NAME, _SSO_PATH = "AWSReservedSSO_", "aws-reserved/sso.amazonaws.com/"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the simulator says of an action on a resource. `unsure`: it lacked values that policies ask about."""

    action: str
    resource: str
    allowed: bool
    unsure: bool = False


def permissions(case: Case) -> Iterator[Check]:
    """May the caller do what the plan needs? It costs `iam:SimulatePrincipalPolicy`, for a role `iam:GetRole`."""
    caller = case.caller
    if caller.is_root:
        yield skip(
            "permissions",
            "the account's root user is not simulated: only an organisation limits it",
        )
        return
    source = principal_arn(case.cloud, caller)
    if source is None:
        yield skip(
            "permissions",
            f"{caller.arn} is no IAM user or role, and AWS simulates no other",
            "look as the role or user that deploys",
        )
        return
    grants = needed(case.plan, case.place)
    if case.cloud.emulated:
        # Its simulator takes no values for conditions, and so denies whatever has one.
        grants = tuple(grant for grant in grants if not grant.conditions)
    try:
        verdicts = {grant.name: simulate(case.cloud, source, grant) for grant in grants}
    except AwsAccessDenied as denied:
        yield skip("permissions", f"not simulated: {denied.message}", _SELF)
        return
    yield from _judge(case, grants, verdicts)


def principal_arn(cloud: Cloud, caller: Caller) -> str | None:
    """Return the ARN of the user or role behind a caller, None where there is none, as of a federated user.

    A session's ARN leaves the role's path out, so the role is looked up; where that is not allowed, it is guessed.
    """
    if caller.kind == "user":
        return caller.arn
    if caller.role is None:
        return None
    try:
        with aws_errors():
            return str(cloud.client("iam").get_role(RoleName=caller.role)["Role"]["Arn"])
    except AwsError:
        path = _SSO_PATH if caller.role.startswith(_SSO_NAME) else ""
        return f"arn:{caller.partition}:iam::{caller.account}:role/{path}{caller.role}"


def simulate(cloud: Cloud, source: str, grant: Grant) -> list[Verdict]:
    """Return what the simulator says of each action of a grant on each of its resources."""
    asked = {
        "PolicySourceArn": source,
        "ActionNames": list(grant.actions),
        "ResourceArns": [example(pattern) for pattern in grant.resources],
        "ContextEntries": list(_context(cloud, grant)),
    }
    verdicts: list[Verdict] = []
    with aws_errors():
        while True:
            page = cloud.client("iam").simulate_principal_policy(**asked)
            for result in page["EvaluationResults"]:
                verdicts.extend(_verdicts(result))
            if not page.get("IsTruncated"):
                return verdicts
            asked["Marker"] = page["Marker"]


def _context(cloud: Cloud, grant: Grant) -> Iterator[dict[str, Any]]:
    values = {
        key: example(texts[0]) for keys in grant.conditions.values() for key, texts in keys.items()
    }
    for key, value in {"aws:RequestedRegion": cloud.region, **values}.items():
        yield {"ContextKeyName": key, "ContextKeyValues": [value], "ContextKeyType": "string"}


def _verdicts(result: dict[str, Any]) -> Iterator[Verdict]:
    action, unsure = result["EvalActionName"], bool(result.get("MissingContextValues"))
    within = result.get("OrganizationsDecisionDetail", {}).get(
        "AllowedByOrganizations", True
    ) and result.get("PermissionsBoundaryDecisionDetail", {}).get(
        "AllowedByPermissionsBoundary", True
    )
    each = result.get("ResourceSpecificResults") or [
        {
            "EvalResourceName": result.get("EvalResourceName", "*"),
            "EvalResourceDecision": result["EvalDecision"],
        }
    ]
    for one in each:
        allowed = one["EvalResourceDecision"] == "allowed" and within
        yield Verdict(action, one["EvalResourceName"], allowed, unsure and not allowed)


def _judge(
    case: Case, grants: tuple[Grant, ...], verdicts: dict[str, list[Verdict]]
) -> Iterator[Check]:
    checked = {verdict.action for found in verdicts.values() for verdict in found}
    bad = [check for grant in grants for check in _grant(case, grant, verdicts[grant.name])]
    denied = {
        verdict.action for found in verdicts.values() for verdict in found if not verdict.allowed
    }
    if bad:
        yield from bad
    else:
        yield ok("permissions", f"all {len(checked)} that the plan needs")
    yield _guide(denied, unused(case.plan, case.place))


def _grant(case: Case, grant: Grant, verdicts: list[Verdict]) -> Iterator[Check]:
    denied = [verdict for verdict in verdicts if not verdict.allowed]
    if not denied:
        return
    actions = ", ".join(sorted({verdict.action for verdict in denied}))
    name, detail = f"permissions.{grant.name}", f"not allowed: {actions}; to {grant.why}"
    partly = {verdict.action for verdict in verdicts if verdict.allowed}
    if grant.optional or all(verdict.unsure for verdict in denied):
        yield warn(name, detail, _POLICY)
    elif case.stack is not None:
        yield warn(name, f"{detail}. The signer runs; this caller cannot change it", _POLICY)
    elif all(verdict.action in partly for verdict in denied):
        where = ", ".join(sorted({verdict.resource for verdict in denied}))
        yield warn(name, f"{detail}; on {where}", _POLICY)
    else:
        yield fail(name, detail, _POLICY)


def _guide(denied: Iterable[str], idle: tuple[str, ...]) -> Check:
    lacking = sorted(set(GUIDE) & set(denied))
    rest = f"; of no use to this plan: {', '.join(idle)}" if idle else ""
    if lacking:
        return warn(
            "permissions.guide", f"of the guide's six, denied: {', '.join(lacking)}{rest}", _POLICY
        )
    return ok("permissions.guide", f"the guide's six are allowed where needed{rest}")
