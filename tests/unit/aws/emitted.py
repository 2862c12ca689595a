"""What the function really tells CloudWatch, and a template's parts as CloudFormation would fill them in."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from bursar.aws.metrics import FUNCTION_NAME
from bursar.errors import KmsAccessDenied, KmsThrottled
from tests.unit.aws.test_handler import FakeKms, deployed

FUNCTION = "treasury-signer"
KEY_ID = "0fca8ec8-6d4a-40c6-a38b-36bad9007534"
KEY = f"arn:aws:kms:eu-central-1:111122223333:key/{KEY_ID}"
ROLE = "arn:aws:iam::111122223333:role/treasury-FunctionRole-1A2B"
NAMES = {
    "AWS::Partition": "aws",
    "AWS::Region": "eu-central-1",
    "AWS::AccountId": "111122223333",
    "AWS::StackName": "treasury",
    "AWS::URLSuffix": "amazonaws.com",
    "SigningKey": KEY_ID,
    "SigningKey.Arn": KEY,
    "Function": FUNCTION,
    "FunctionRole": "treasury-FunctionRole-1A2B",
    "FunctionRole.Arn": ROLE,
    "FunctionLog": "/aws/lambda/treasury-signer",
    "TrailLog": "treasury-TrailLog-1A2B",
    "Ledger": "treasury-Ledger-1A2B",
    "AlarmTopic": "arn:aws:sns:eu-central-1:111122223333:treasury-AlarmTopic-1A2B",
    "TrailBucket": "treasury-trailbucket-1a2b",
    "RecordsKey": "22222222-6d4a-40c6-a38b-36bad9007534",
    "Api": "a1b2c3d4e5",
}


class FailingToSign(FakeKms):
    """Gives its public key, and fails to sign."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def _called(self, name: str) -> None:
        if name.startswith("Sign"):
            raise self.error


def lines() -> dict[str, dict[str, Any]]:
    """The function's log lines, by what happened."""
    failing = {
        "throttle": FailingToSign(KmsThrottled("x")),
        "error": FailingToSign(KmsAccessDenied("x")),
        "unforeseen": FailingToSign(ZeroDivisionError()),
    }
    found = {}
    for name in ("signed", "refused", *failing):
        function = deployed(failing.get(name), **{FUNCTION_NAME: FUNCTION})
        changes = {"signerAddress": "0x" + "11" * 20} if name == "refused" else {}
        function.post(function.request(**changes))
        found[name] = function.line
    return found


def emitted() -> set[tuple[str, str, frozenset[str]]]:
    """Every metric of the function's own: namespace, name, names of its dimensions."""
    return {
        (directive["Namespace"], metric["Name"], frozenset(dimensions))
        for line in lines().values()
        for directive in line["_aws"]["CloudWatchMetrics"]
        for dimensions in directive["Dimensions"]
        for metric in directive["Metrics"]
    }


def counted(resources: dict[str, Any]) -> set[tuple[str, str, frozenset[str]]]:
    """Every metric that the filters of a template count."""
    return {
        (filled(each["MetricNamespace"]), each["MetricName"], frozenset())
        for resource in resources.values()
        if resource["Type"] == "AWS::Logs::MetricFilter"
        for each in resource["Properties"]["MetricTransformations"]
    }


def filled(value: Any) -> Any:
    """Return a value with references and placeholders filled in; an unknown name stands for itself."""
    match value:
        case {"Fn::Sub": str(text)}:
            return re.sub(r"\$\{([\w:.]+)\}", lambda m: NAMES.get(m[1], m[1]), text)
        case {"Ref": str(name)}:
            return NAMES.get(name, name)
        case {"Fn::GetAtt": [name, attribute]}:
            return NAMES.get(f"{name}.{attribute}", f"{name}.{attribute}")
        case dict():
            return {name: filled(each) for name, each in value.items()}
        case list():
            return [filled(each) for each in value]
    return value


def named(value: Any) -> Iterable[str]:
    """Every logical id that a value refers to."""
    text = json.dumps(value)
    for found in re.findall(r'"Ref": "(\w+)"|"Fn::GetAtt": \["(\w+)"|\$\{(\w+)(?:\.\w+)?\}', text):
        yield from filter(None, found)
