"""The function's metrics, as the members that make its log line an embedded-metric-format document. Pure.

CloudWatch reads them out of the log: no call, no wait, no permission. Every call tells all counts, zeros too, so
that a metric is there from the first call on. Refusals and errors are told a second time by their code.
Source: the CloudWatch user guide, "Specification: Embedded metric format".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

NAMESPACE: Final = "bursar"
FUNCTION: Final = "Function"
CODE: Final = "Code"
# Where Lambda tells a function its name (Lambda developer guide, "Defined runtime environment variables").
FUNCTION_NAME: Final = "AWS_LAMBDA_FUNCTION_NAME"

SIGNATURES: Final = "Signatures"
REFUSALS: Final = "Refusals"
ERRORS: Final = "Errors"
KMS_THROTTLES: Final = "KmsThrottles"
KMS_MILLISECONDS: Final = "KmsMilliseconds"
MILLISECONDS: Final = "Milliseconds"

_TIMES = (MILLISECONDS, KMS_MILLISECONDS)

# None: nothing was signed, refused or went wrong; a consent, or a signature that was there before.
Outcome = Literal["Signatures", "Refusals", "Errors"] | None


@dataclass(frozen=True, slots=True)
class Measured:
    """One call of the function. A refusal is the caller's fault, an error is anybody else's.

    `milliseconds` is the whole call; `kms_milliseconds` the time within `kms:Sign`, retries and waits included,
    None where KMS was not asked to sign. `throttled`: KMS still throttled the call when its retries were used up.
    """

    outcome: Outcome
    code: str
    milliseconds: float
    kms_milliseconds: float | None = None
    throttled: bool = False


def embedded(function: str, measured: Measured, timestamp: int) -> dict[str, Any]:
    """Return the members to add to the log line of a call. `timestamp` is in milliseconds since 1970."""
    counted = measured.outcome
    values: dict[str, Any] = {
        name: int(counted == name) for name in (SIGNATURES, REFUSALS, ERRORS)
    } | {KMS_THROTTLES: int(measured.throttled), MILLISECONDS: measured.milliseconds}
    if measured.kms_milliseconds is not None:
        values[KMS_MILLISECONDS] = measured.kms_milliseconds
    directives = [_directive([FUNCTION], list(values))]
    if counted in (REFUSALS, ERRORS):
        directives.append(_directive([FUNCTION, CODE], [counted]))
    return {
        "_aws": {"Timestamp": timestamp, "CloudWatchMetrics": directives},
        FUNCTION: function,
        CODE: measured.code,
        **values,
    }


def _directive(dimensions: list[str], names: list[str]) -> dict[str, Any]:
    return {
        "Namespace": NAMESPACE,
        "Dimensions": [dimensions],
        "Metrics": [{"Name": name, "Unit": _unit(name)} for name in names],
    }


def _unit(name: str) -> str:
    return "Milliseconds" if name in _TIMES else "Count"
