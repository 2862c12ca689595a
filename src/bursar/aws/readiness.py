"""Wait until a new function may use its key: IAM and KMS take seconds to know a new role or policy everywhere.

Sources: the IAM user guide, "Changes that I make are not always immediately visible"; the KMS developer guide,
"AWS KMS eventual consistency".
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from bursar.aws.cloud import Cloud, aws_errors
from bursar.aws.environment import ALLOWED
from bursar.aws.stacks import Pace, beats
from bursar.errors import AwsError

# It asks for another account's signature, which the function refuses; first it has to look at its key.
_PROBE = json.dumps({"messageHash": "0x" + "11" * 32, "signerAddress": "0x" + "00" * 19 + "01"})
_NOT_YET = {"kms_access_denied", "kms_key_not_found"}
PATIENCE = Pace(interval=1.0, limit=45.0)


def wait_until_ready(
    cloud: Cloud,
    outputs: Mapping[str, str],
    tell: Callable[[str], None],
    pace: Pace = PATIENCE,
) -> bool:
    """Return whether the function can reach its key by now, having waited a bounded time; nothing is signed.

    True as well where it cannot be asked: by a caller without `lambda:InvokeFunction`, which is what it costs; and
    of a function that refuses before it looks at its key, since it signs no hashes, or for one address only.
    """
    if outputs.get("BlindSigning") != ALLOWED or "FunctionAliasArn" not in outputs:
        return True
    for _ in beats(pace):
        code = _ask(cloud, outputs["FunctionAliasArn"])
        if code not in _NOT_YET:
            return True
        tell(f"waiting for the new permissions to be known everywhere ({code})")
    return False


def _ask(cloud: Cloud, function: str) -> str:
    try:
        with aws_errors():
            answer: Any = cloud.invoker.invoke(FunctionName=function, Payload=_PROBE.encode())
            result = json.loads(answer["Payload"].read(65_536))
        return str(result["error"]["code"])
    except (AwsError, ValueError, KeyError, TypeError):
        return ""  # not for this to judge
