"""Condition keys that AWS fills and ministack 1.5.33 does not, so that a sandbox judges the policies as written.

Standard library alone: `guarded_ministack.py` loads this file by its path, under ministack's Python. Sources: the
KMS developer guide, "Condition keys for AWS KMS"; the IAM user guide, "aws:PrincipalArn" (for a session of a role
it is the role's ARN).
"""

from __future__ import annotations

import json
from typing import Any

# KMS takes DIGEST or RAW, and RAW where nothing is said (KMS API reference, Sign and Verify).
_MESSAGE_ACTIONS = {"kms:Sign", "kms:Verify"}


def kms_keys(action: str, body: bytes) -> dict[str, str]:
    """Return `kms:SigningAlgorithm` and `kms:MessageType` of a call's JSON body; nothing for other calls."""
    if action not in _MESSAGE_ACTIONS:
        return {}
    try:
        fields = json.loads(body)
        algorithm, kind = fields["SigningAlgorithm"], fields.get("MessageType", "RAW")
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}
    return {"kms:SigningAlgorithm": str(algorithm), "kms:MessageType": str(kind)}


def role_arn(session_arn: str, roles: dict[str, Any]) -> str:
    """Return the ARN of the role that a session is of; `roles` maps names to what IAM holds of them.

    What is no session of a known role is returned as it is.
    """
    _, found, rest = session_arn.partition(":assumed-role/")
    role = roles.get(rest.split("/")[0]) if found else None
    return str(role["Arn"]) if role else session_arn


def fill(evaluator: Any, actions: Any, roles: Any) -> None:
    """Teach `ministack.core.iam_evaluator` and `iam_actions` these keys. `roles` finds IAM's roles when asked.

    Raises:
        AttributeError: this is not the version of ministack it was written for.
    """
    resolve, tag_keys = evaluator._resolve_condition_key, actions.request_tag_context  # noqa: SLF001

    def resolve_condition_key(key: str, context: Any) -> Any:
        found = resolve(key, context)
        return role_arn(found, roles()) if key.lower() == "aws:principalarn" else found

    def request_tag_context(service: str, action: str, body: bytes, params: Any) -> dict[str, Any]:
        return {**tag_keys(service, action, body, params), **kms_keys(action, body)}

    evaluator._resolve_condition_key = resolve_condition_key  # noqa: SLF001
    actions.request_tag_context = request_tag_context
