"""Metrics by name: the function's own, Lambda's, API Gateway's, and those counted in the trail. Pure.

Values may hold `${...}` for CloudFormation to fill in, and go into alarms and into the dashboard alike.
Sources: the Lambda developer guide, "Types of metrics for Lambda functions"; the API Gateway developer guide,
"Amazon API Gateway dimensions and metrics".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bursar.aws.metrics import FUNCTION, NAMESPACE
from bursar.aws.plan import StackPlan
from bursar.aws.template.documents import Json, sub

# The trail's counts have no dimensions (a filter takes them from the event alone), so each stack has a namespace.
TRAIL_NAMESPACE = f"{NAMESPACE}/${{AWS::StackName}}"


@dataclass(frozen=True, slots=True)
class Measure:
    """One metric, with its dimensions in their order."""

    namespace: str
    name: str
    dimensions: tuple[tuple[str, str], ...] = ()

    def properties(self) -> Json:
        """Return it as the members of an alarm or of a detector."""
        dimensions = [{"Name": name, "Value": filled(value)} for name, value in self.dimensions]
        found: Json = {"Namespace": filled(self.namespace), "MetricName": self.name}
        return found | ({"Dimensions": dimensions} if dimensions else {})

    def row(self, **options: Any) -> list[Any]:
        """Return it as a row of a dashboard's metrics."""
        flat = [text for dimension in self.dimensions for text in dimension]
        return [self.namespace, self.name, *flat, *([options] if options else [])]


def own(name: str) -> Measure:
    """Return one of the function's own metrics, of all codes."""
    return Measure(NAMESPACE, name, ((FUNCTION, "${Function}"),))


def of_lambda(name: str) -> Measure:
    """Return one of Lambda's metrics of the function, all its versions together."""
    return Measure("AWS/Lambda", name, (("FunctionName", "${Function}"),))


def of_api(plan: StackPlan, name: str) -> Measure:
    """Return one of API Gateway's metrics of the stage."""
    dimensions = (("ApiName", "${AWS::StackName}-signer"), ("Stage", plan.api.stage))
    return Measure("AWS/ApiGateway", name, dimensions)


def of_trail(name: str) -> Measure:
    """Return what a filter counts in the trail."""
    return Measure(TRAIL_NAMESPACE, name)


def filled(text: str) -> Any:
    """Return text for CloudFormation to fill in, or as it is where there is nothing to fill in."""
    return sub(text) if "${" in text else text
