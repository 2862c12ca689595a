"""IAM's account authorization details, read into entities. Pure.

Source: IAM API reference, `GetAccountAuthorizationDetails`. boto3 hands policy documents over decoded; an answer
that leaves elements out has none of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from bursar.aws.access.documents import read_document
from bursar.aws.access.snapshot import Entity, Json

Page = Mapping[str, Any]


def entities_in(pages: Iterable[Page]) -> tuple[Entity, ...]:
    """Return the users, roles and groups of an account.

    Raises:
        UnreadablePolicy: a document is not JSON.
    """
    found: list[Entity] = []
    for page in pages:
        found += [_entity("user", "User", each) for each in page.get("UserDetailList", ())]
        found += [_entity("role", "Role", each) for each in page.get("RoleDetailList", ())]
        found += [_entity("group", "Group", each) for each in page.get("GroupDetailList", ())]
    return tuple(sorted(found, key=lambda each: each.arn))


def managed_in(pages: Iterable[Page]) -> dict[str, Json]:
    """Return the managed policies of an account by ARN, each in the version that counts."""
    return {
        policy["Arn"]: document(version["Document"])
        for page in pages
        for policy in page.get("Policies", ())
        for version in policy.get("PolicyVersionList", ())
        if version.get("IsDefaultVersion") and "Document" in version
    }


def document(found: Any) -> Json:
    """Return a document that came decoded or as text."""
    read: Json = read_document(found) if isinstance(found, str) else found
    return read


def _entity(kind: str, title: str, raw: Any) -> Entity:
    trust = raw.get("AssumeRolePolicyDocument")
    boundary = raw.get("PermissionsBoundary") or {}
    used = (raw.get("RoleLastUsed") or {}).get("LastUsedDate")
    return Entity(
        kind=kind,
        arn=raw["Arn"],
        name=raw[f"{title}Name"],
        unique_id=raw.get(f"{title}Id", ""),
        inline={
            each["PolicyName"]: document(each["PolicyDocument"])
            for each in raw.get(f"{title}PolicyList", ())
        },
        attached=tuple(each["PolicyArn"] for each in raw.get("AttachedManagedPolicies", ())),
        groups=tuple(raw.get("GroupList", ())),
        boundary=boundary.get("PermissionsBoundaryArn"),
        trust=document(trust) if trust else None,
        last_used=used.isoformat(timespec="seconds") if used else None,
    )
