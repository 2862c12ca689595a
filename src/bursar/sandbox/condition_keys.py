"""Condition keys that AWS fills and ministack 1.5.33 does not, so that a sandbox judges the policies as written.

Standard library alone: `guarded_ministack.py` loads this file by its path, under ministack's Python. Sources: the
KMS developer guide, "Condition keys for AWS KMS"; the IAM user guide, "aws:PrincipalArn" (for a session of a role
it is the role's ARN); the Lambda developer guide, "Using source function ARN to control function access behavior".
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


def unqualified(function_arn: str) -> str:
    """Return a function's ARN without the version or alias that may follow its name."""
    return ":".join(function_arn.split(":")[:7])


def fill_source_function(evaluator: Any, runtime: Any) -> None:
    """Teach `ministack.core.iam_evaluator` which function the credentials of a request were given to.

    `runtime` is `ministack.core.lambda_runtime`, which makes them. Must come before other parts of ministack
    import from these two.

    Raises:
        AttributeError: this is not the version of ministack it was written for.
    """
    give, keys_of = runtime.execution_credentials, evaluator._principal_keys  # noqa: SLF001
    functions: dict[str, str] = {}

    def execution_credentials(config: dict[str, Any]) -> dict[str, str]:
        given: dict[str, str] = give(config)
        functions[given["AWS_ACCESS_KEY_ID"]] = unqualified(config["FunctionArn"])
        return given

    def principal_keys(credential: Any) -> dict[str, Any]:
        found: dict[str, Any] = keys_of(credential)
        function = functions.get(credential.access_key_id)
        # It looks keys up in small letters.
        return {**found, "lambda:sourcefunctionarn": function} if function else found

    runtime.execution_credentials = execution_credentials
    evaluator._principal_keys = principal_keys  # noqa: SLF001
