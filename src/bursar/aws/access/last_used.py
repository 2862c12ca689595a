"""When principals were last used, where AWS tells. Asked for those alone that turn out to be able to do something.

AWS tells of roles and passwords with a delay of hours, of what happened within 400 days (IAM user guide, "Refine
permissions in AWS using last accessed information").
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import replace
from typing import Any

from bursar.aws.access.snapshot import Entity, Gap, Snapshot
from bursar.aws.cloud import Cloud, aws_errors
from bursar.errors import AwsError

_PERMISSIONS = {
    "role": "iam:GetRole",
    "user": "iam:GetUser, iam:ListAccessKeys and iam:GetAccessKeyLastUsed",
}


def with_last_used(cloud: Cloud, snapshot: Snapshot, arns: Container[str]) -> Snapshot:
    """Return a snapshot that says when the users and roles of some ARNs were last used (ISO 8601, None for never).

    What could not be looked at becomes a gap. It costs `iam:GetRole` for a role, and `iam:GetUser`,
    `ListAccessKeys` and `GetAccessKeyLastUsed` for a user.
    """
    iam = cloud.client("iam")
    failed: dict[str, list[str]] = {}
    entities = []
    for each in snapshot.entities:
        used = each.last_used
        if each.arn in arns and each.kind in _PERMISSIONS:
            try:
                with aws_errors():
                    used = _role(iam, each) if each.kind == "role" else _user(iam, each)
            except AwsError:
                failed.setdefault(each.kind, []).append(each.name)
        entities.append(replace(each, last_used=used))
    gaps = (
        Gap(f"when the {kind}s {', '.join(names)} were last used", _PERMISSIONS[kind])
        for kind, names in sorted(failed.items())
    )
    return replace(snapshot, entities=tuple(entities), gaps=(*snapshot.gaps, *gaps))


def _role(iam: Any, role: Entity) -> str | None:
    if role.last_used:
        return role.last_used
    found = iam.get_role(RoleName=role.name)["Role"].get("RoleLastUsed", {})
    return _text(found.get("LastUsedDate"))


def _user(iam: Any, user: Entity) -> str | None:
    times = [iam.get_user(UserName=user.name)["User"].get("PasswordLastUsed")]
    for page in iam.get_paginator("list_access_keys").paginate(UserName=user.name):
        for key in page["AccessKeyMetadata"]:
            used = iam.get_access_key_last_used(AccessKeyId=key["AccessKeyId"])
            times.append(used["AccessKeyLastUsed"].get("LastUsedDate"))
    return max((text for each in times if (text := _text(each))), default=None)


def _text(time: Any) -> str | None:
    return None if time is None else str(time.isoformat(timespec="seconds"))
