"""The dashboard: what was signed and refused, how fast, what failed, and what the trail saw. Pure.

Source: the CloudWatch API reference, "Dashboard body structure and syntax": a grid 24 columns wide.
"""

from __future__ import annotations

import json
from typing import Any

from bursar.aws.metrics import (
    CODE,
    ERRORS,
    FUNCTION,
    KMS_MILLISECONDS,
    KMS_THROTTLES,
    MILLISECONDS,
    NAMESPACE,
    REFUSALS,
    SIGNATURES,
)
from bursar.aws.plan import StackPlan
from bursar.aws.template.alarms import alarm_resources
from bursar.aws.template.documents import Json, sub
from bursar.aws.template.measures import Measure, of_api, of_lambda, of_trail, own
from bursar.aws.template.watches import key_id, watches

_COLUMNS = 24
_RED, _AMBER, _GREEN, _BLUE = "#d62728", "#ff7f0e", "#2ca02c", "#1f77b4"
_PERIOD = 300


def resources(plan: StackPlan) -> dict[str, Json]:
    """Return the dashboard; nothing where the plan wants none."""
    if not plan.records.dashboard:
        return {}
    properties = {
        "DashboardName": sub("${AWS::StackName}-treasury"),
        "DashboardBody": sub(json.dumps(body(plan), separators=(",", ":"))),
    }
    return {"Dashboard": {"Type": "AWS::CloudWatch::Dashboard", "Properties": properties}}


def body(plan: StackPlan) -> Json:
    """Return the dashboard's body, with `${...}` for CloudFormation to fill in."""
    rows = [[_header(plan)], *_alarm_rows(plan)]
    if plan.compute == "lambda":
        rows += [*_signing_rows(), *_service_rows(plan)]
    return {"widgets": _placed([*rows, *_trail_rows(plan)])}


def _placed(rows: list[list[Json]]) -> list[Json]:
    """Put rows one under the other, and the widgets of a row side by side."""
    found: list[Json] = []
    top = 0
    for row in rows:
        left = 0
        for widget in row:
            found.append({**widget, "x": left, "y": top})
            left += widget["width"]
        top += max(widget["height"] for widget in row)
    return found


def _header(plan: StackPlan) -> Json:
    title = "# Treasury signer ${AWS::StackName}"
    text = (
        f"Key `{key_id(plan)}`. Signatures by anybody but the signer, and changes to key, role, function, API and "
        "records, come from the trail, some minutes late. Each alarm says what to do first."
    )
    return _widget("text", 24, 3, {"markdown": f"{title}\n{text}"})


def _alarm_rows(plan: StackPlan) -> list[list[Json]]:
    names = alarm_resources(plan)
    if not names:
        return []
    arns = [f"${{{name}.Arn}}" for name in names]
    return [[_widget("alarm", _COLUMNS, 4, {"title": "Alarms", "alarms": arns})]]


def _signing_rows() -> list[list[Json]]:
    outcomes = [
        own(SIGNATURES).row(label="signed", color=_GREEN),
        own(REFUSALS).row(label="refused", color=_AMBER),
        own(ERRORS).row(label="failed", color=_RED),
    ]
    return [
        [
            _graph("Signatures", outcomes),
            _graph("Refusals by code", [_by_code(REFUSALS)]),
            _graph("Errors by code", [_by_code(ERRORS)]),
        ],
        [
            _graph("Time in kms:Sign", _percentiles(own(KMS_MILLISECONDS)), unit="ms"),
            _graph("Time of a whole call", _percentiles(own(MILLISECONDS)), unit="ms"),
            _log(),
        ],
    ]


def _service_rows(plan: StackPlan) -> list[list[Json]]:
    trouble = [
        of_lambda("Errors").row(label="crashed or timed out", color=_RED),
        of_lambda("Throttles").row(label="function throttled", color=_AMBER),
        own(KMS_THROTTLES).row(label="KMS throttled", color=_BLUE),
    ]
    answers = [
        of_api(plan, "Count").row(label="requests", color=_BLUE),
        of_api(plan, "4XXError").row(label="4xx", color=_AMBER),
        of_api(plan, "5XXError").row(label="5xx", color=_RED),
    ]
    latency = _percentiles(of_api(plan, "Latency"))
    return [
        [
            _graph("Errors and throttles", trouble),
            _graph("API: requests and errors", answers),
            _graph("API: latency", latency, unit="ms"),
        ]
    ]


def _trail_rows(plan: StackPlan) -> list[list[Json]]:
    found = {watch.metric for watch in watches(plan)}
    if not found:
        return []
    signers = [
        of_trail("ForeignSignatures").row(label="signed by another", color=_RED),
        of_trail("ForeignAttempts").row(label="turned down", color=_AMBER),
    ]
    changes = [of_trail(name).row() for name in sorted(found) if name.endswith("Changes")]
    return [
        [
            _graph("Signing by anybody else", signers, width=12),
            _graph("Changes, and attempts at them", changes, width=12),
        ]
    ]


def _graph(title: str, rows: list[Any], *, width: int = 8, unit: str = "") -> Json:
    properties: Json = {
        "title": title,
        "region": "${AWS::Region}",
        "view": "timeSeries",
        "stacked": False,
        "stat": "Sum",
        "period": _PERIOD,
        "metrics": rows,
        "yAxis": {"left": {"min": 0, **({"label": unit, "showUnits": False} if unit else {})}},
    }
    return _widget("metric", width, 6, properties)


def _percentiles(measure: Measure) -> list[Any]:
    return [
        measure.row(stat="p50", label="p50", color=_BLUE),
        measure.row(stat="p99", label="p99", color=_AMBER),
    ]


def _by_code(name: str) -> list[Any]:
    # Codes are not known beforehand: the search finds whichever there are.
    schema = f"{{{NAMESPACE},{FUNCTION},{CODE}}}"
    search = (
        f"SEARCH('{schema} MetricName=\"{name}\" {FUNCTION}=\"${{Function}}\"', 'Sum', {_PERIOD})"
    )
    return [{"expression": search, "id": f"by{name}", "label": ""}]


def _log() -> Json:
    query = (
        "SOURCE '${FunctionLog}' | filter event = 'sign' and code != 'ok'"
        " | fields @timestamp, code, claimedCaller, digest, cause"
        " | sort @timestamp desc | limit 20"
    )
    properties = {
        "title": "Latest refusals and errors",
        "region": "${AWS::Region}",
        "view": "table",
        "query": query,
    }
    return _widget("log", 8, 6, properties)


def _widget(kind: str, width: int, height: int, properties: Json) -> Json:
    return {"type": kind, "width": width, "height": height, "properties": properties}
