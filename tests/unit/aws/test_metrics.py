from __future__ import annotations

import json
import time

import jsonschema  # type: ignore[import-untyped]
import pytest

from bursar.aws.metrics import FUNCTION_NAME
from tests.unit.aws.emitted import FUNCTION, lines
from tests.unit.aws.test_handler import deployed

NAME = {"type": "string", "minLength": 1, "maxLength": 1024}
# The rules of the CloudWatch user guide, "Specification: Embedded metric format".
DIRECTIVE = {
    "type": "object",
    "required": ["Namespace", "Dimensions", "Metrics"],
    "additionalProperties": False,
    "properties": {
        "Namespace": NAME,
        "Dimensions": {
            "type": "array",
            "minItems": 1,
            "items": {"type": "array", "maxItems": 30, "items": {**NAME, "maxLength": 250}},
        },
        "Metrics": {
            "type": "array",
            "minItems": 1,
            "maxItems": 100,
            "items": {
                "type": "object",
                "required": ["Name"],
                "additionalProperties": False,
                "properties": {"Name": NAME, "Unit": {"enum": ["Count", "Milliseconds"]}},
            },
        },
    },
}
SCHEMA = {
    "type": "object",
    "required": ["_aws"],
    "properties": {
        "_aws": {
            "type": "object",
            "required": ["Timestamp", "CloudWatchMetrics"],
            "additionalProperties": False,
            "properties": {
                "Timestamp": {"type": "integer", "minimum": 0},
                "CloudWatchMetrics": {"type": "array", "items": DIRECTIVE},
            },
        }
    },
}
LINES = lines()


@pytest.mark.parametrize("line", LINES.values(), ids=LINES)
def test_every_line_is_an_embedded_metric_format_document(line: dict[str, object]) -> None:
    jsonschema.validate(line, SCHEMA)


@pytest.mark.parametrize("line", LINES.values(), ids=LINES)
def test_every_metric_is_a_number_and_every_dimension_a_text_at_the_root(line: dict) -> None:  # type: ignore[type-arg]
    for directive in line["_aws"]["CloudWatchMetrics"]:
        for metric in directive["Metrics"]:
            value = line[metric["Name"]]
            assert isinstance(value, int | float)
            assert not isinstance(value, bool)
        for dimension in (name for each in directive["Dimensions"] for name in each):
            assert isinstance(line[dimension], str)
            assert 1 <= len(line[dimension]) <= 1024


def test_a_time_is_told_in_milliseconds_and_is_now() -> None:
    told = LINES["signed"]["_aws"]["Timestamp"] / 1000
    assert abs(told - time.time()) < 3600


@pytest.mark.parametrize(
    ("what", "counts"),
    [
        ("signed", {"Signatures": 1, "Refusals": 0, "Errors": 0, "KmsThrottles": 0}),
        ("refused", {"Signatures": 0, "Refusals": 1, "Errors": 0, "KmsThrottles": 0}),
        ("error", {"Signatures": 0, "Refusals": 0, "Errors": 1, "KmsThrottles": 0}),
        ("throttle", {"Signatures": 0, "Refusals": 0, "Errors": 1, "KmsThrottles": 1}),
        ("unforeseen", {"Signatures": 0, "Refusals": 0, "Errors": 1, "KmsThrottles": 0}),
    ],
)
def test_every_call_is_one_signature_one_refusal_or_one_error(
    what: str, counts: dict[str, int]
) -> None:
    assert {name: LINES[what][name] for name in counts} == counts


@pytest.mark.parametrize(
    ("what", "code"),
    [
        ("refused", "signer_mismatch"),
        ("error", "kms_access_denied"),
        ("throttle", "kms_throttled"),
        ("unforeseen", "internal_error"),
    ],
)
def test_refusals_and_errors_are_told_by_their_code_too(what: str, code: str) -> None:
    line = LINES[what]
    assert line["Code"] == line["code"] == code
    [by_code] = line["_aws"]["CloudWatchMetrics"][1:]
    assert by_code["Dimensions"] == [["Function", "Code"]]
    [metric] = by_code["Metrics"]
    assert line[metric["Name"]] == 1


def test_a_signature_has_no_code_of_its_own_to_be_counted_by() -> None:
    assert len(LINES["signed"]["_aws"]["CloudWatchMetrics"]) == 1


@pytest.mark.parametrize("what", ["signed", "error", "throttle", "unforeseen"])
def test_the_time_in_kms_is_told_whenever_kms_was_asked_to_sign(what: str) -> None:
    assert 0 <= LINES[what]["KmsMilliseconds"] <= LINES[what]["Milliseconds"]


def test_where_kms_was_not_asked_no_time_is_told_that_would_spoil_the_percentiles() -> None:
    refused = deployed(BURSAR_BLIND_SIGNING="", **{FUNCTION_NAME: FUNCTION})
    refused.post(refused.request())
    assert "KmsMilliseconds" not in refused.lines[0]


def test_a_call_does_not_tell_the_time_of_the_one_before() -> None:
    function = deployed(**{FUNCTION_NAME: FUNCTION})
    function.post(function.request())
    function.post("{")
    assert "KmsMilliseconds" not in function.lines[1]


def test_metrics_go_by_the_functions_name_and_say_nothing_of_the_request() -> None:
    function = deployed(**{FUNCTION_NAME: FUNCTION})
    function.post({"password": "hunter2", "messageHash": "hunter2", "signerAddress": "hunter2"})
    assert function.line["Function"] == FUNCTION
    assert "hunter2" not in function.lines[0]


def test_the_fields_that_audits_read_are_what_they_are_without_metrics() -> None:
    plain, told = deployed(), deployed(**{FUNCTION_NAME: FUNCTION})
    plain.post(plain.request())
    told.post(told.request())
    assert set(plain.line) < set(told.line)
    same = set(plain.line) - {"ms", "address"}
    assert {name: told.line[name] for name in same} == {name: plain.line[name] for name in same}


def test_where_no_function_has_a_name_the_line_is_a_plain_one() -> None:
    function = deployed()
    function.post(function.request())
    assert "_aws" not in json.loads(function.lines[0])
