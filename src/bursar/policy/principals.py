"""Who somebody is to a policy: an IAM user, or a role whatever the session. Pure.

A role's session has the role's name in its ARN but not the role's path. Names of roles are unique in an account,
paths or not, so the path is left out of both.

Sources: IAM user guide, "IAM identifiers" (ARNs, names and their characters), "AWS STS: GetCallerIdentity".
"""

from __future__ import annotations

import re
from typing import Final

_NAME: Final = r"[A-Za-z0-9_+=,.@-]{1,64}"
_PATH: Final = r"(?:[A-Za-z0-9_+=,.@-]+/)*"
_AWS: Final = r"arn:(?P<partition>aws(?:-[a-z]+)*):"
_ACCOUNT: Final = r"(?P<account>[0-9]{12})"
_ROLE = re.compile(rf"{_AWS}iam::{_ACCOUNT}:role/{_PATH}(?P<name>{_NAME})", re.ASCII)
_SESSION = re.compile(
    rf"{_AWS}sts::{_ACCOUNT}:assumed-role/(?P<name>{_NAME})/[A-Za-z0-9_+=,.@-]{{2,64}}", re.ASCII
)
# Not a federated user: whoever may call sts:GetFederationToken chooses that name.
_OTHER = re.compile(rf"{_AWS}iam::{_ACCOUNT}:(?:root|user/{_PATH}{_NAME})", re.ASCII)


def identity_of(arn: str | None) -> str | None:
    """Return the identity behind an ARN: for a role or a session of it the role, without its path.

    None where the text names nobody a policy can know: no ARN, a wildcard, an account, a service.
    """
    if not isinstance(arn, str):
        return None
    if role := _ROLE.fullmatch(arn) or _SESSION.fullmatch(arn):
        return f"arn:{role['partition']}:iam::{role['account']}:role/{role['name']}"
    return arn if _OTHER.fullmatch(arn) else None


def is_session(arn: str) -> bool:
    """Tell whether an ARN is a role's session, which a policy cannot name alone."""
    return _SESSION.fullmatch(arn) is not None
