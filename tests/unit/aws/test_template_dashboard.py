from __future__ import annotations

import itertools
import json
import re
from dataclasses import replace
from typing import Any

import pytest

from bursar.aws.plan import KeyPlan, RecordsPlan, StackPlan
from bursar.aws.template import alarms, dashboard
from tests.unit.aws.emitted import FUNCTION, KEY, counted, emitted, filled

PLAN = StackPlan()
PLANS = {
    "everything": PLAN,
    "existing key": StackPlan(key=KeyPlan(arn=KEY)),
    "no trail": StackPlan(records=RecordsPlan(trail="none")),
    "emulated": replace(PLAN, emulated=True),
    "ecs": replace(PLAN, compute="ecs"),
    "ecs without a trail": StackPlan(records=RecordsPlan(trail="none"), compute="ecs"),
}
# What the AWS services tell by themselves (their developer guides, "metrics").
OF_AWS = {
    *(("AWS/Lambda", name, frozenset({"FunctionName"})) for name in ("Errors", "Throttles")),
    *(
        ("AWS/ApiGateway", name, frozenset({"ApiName", "Stage"}))
        for name in ("Count", "4XXError", "5XXError", "Latency")
    ),
}
# CloudWatch API reference, "Dashboard body structure and syntax".
KINDS = {
    "text": {"markdown"},
    "alarm": {"title", "alarms"},
    "metric": {"title", "region", "view", "stacked", "stat", "period", "metrics", "yAxis"},
    "log": {"title", "region", "view", "query"},
}
ROW_OPTIONS = {"label", "color", "stat", "id", "expression"}


def deployed_body(plan: StackPlan) -> dict[str, Any]:
    """The body, as CloudFormation hands it over."""
    properties = dashboard.resources(plan)["Dashboard"]["Properties"]
    found: dict[str, Any] = json.loads(filled(properties["DashboardBody"]))
    return found


def widgets(plan: StackPlan, kind: str | None = None) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = deployed_body(plan)["widgets"]
    return [each for each in found if kind in (None, each["type"])]


def rows(plan: StackPlan) -> list[list[Any]]:
    return [row for each in widgets(plan, "metric") for row in each["properties"]["metrics"]]


every_plan = pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS)


@every_plan
def test_every_widget_is_of_a_kind_that_cloudwatch_knows_with_its_properties(
    plan: StackPlan,
) -> None:
    assert set(deployed_body(plan)) == {"widgets"}
    for widget in widgets(plan):
        assert set(widget) == {"type", "x", "y", "width", "height", "properties"}
        assert set(widget["properties"]) <= KINDS[widget["type"]]


@every_plan
def test_widgets_lie_within_the_grid_and_not_on_each_other(plan: StackPlan) -> None:
    cells: set[tuple[int, int]] = set()
    for widget in widgets(plan):
        assert widget["x"] >= 0
        assert widget["x"] + widget["width"] <= 24
        assert 1 <= widget["height"] <= 1000
        across = range(widget["x"], widget["x"] + widget["width"])
        down = range(widget["y"], widget["y"] + widget["height"])
        mine = set(itertools.product(across, down))
        assert cells.isdisjoint(mine)
        cells |= mine


@every_plan
def test_every_row_of_the_grid_is_filled_from_side_to_side(plan: StackPlan) -> None:
    for top in {widget["y"] for widget in widgets(plan)}:
        row = [widget for widget in widgets(plan) if widget["y"] == top]
        assert sum(widget["width"] for widget in row) == 24
        assert len({widget["height"] for widget in row}) == 1


@every_plan
def test_every_line_of_a_graph_is_a_metric_or_an_expression(plan: StackPlan) -> None:
    for row in rows(plan):
        options = row[-1] if isinstance(row[-1], dict) else {}
        assert set(options) <= ROW_OPTIONS
        names = row[:-1] if options else row
        if not names:
            assert options["expression"].startswith("SEARCH(")
            continue
        assert len(names) >= 2
        assert len(names) % 2 == 0
        assert all(isinstance(name, str) and name for name in names)


@every_plan
def test_every_graph_shows_metrics_that_are_there(plan: StackPlan) -> None:
    there = emitted() | counted(alarms.resources(plan)) | OF_AWS
    for row in rows(plan):
        names = [each for each in row if isinstance(each, str)]
        if names:
            assert (names[0], names[1], frozenset(names[2::2])) in there


def test_refusals_and_errors_are_searched_for_under_the_dimensions_they_are_told_with() -> None:
    searches = [row[0]["expression"] for row in rows(PLAN) if isinstance(row[0], dict)]
    found = set()
    for search in searches:
        parts = re.fullmatch(
            r"SEARCH\('\{(\w+),([\w,]+)\} MetricName=\"(\w+)\" Function=\"([\w-]+)\"', 'Sum', 300\)",
            search,
        )
        assert parts
        namespace, dimensions, metric, function = parts.groups()
        assert function == FUNCTION
        found.add((namespace, metric, frozenset(dimensions.split(","))))
    assert {metric for _, metric, _ in found} == {"Refusals", "Errors"}
    assert found <= emitted()


def test_every_metric_of_the_functions_own_is_shown() -> None:
    shown = {row[1] for row in rows(PLAN) if row[0] == "bursar"}
    assert shown == {name for _, name, dimensions in emitted() if "Code" not in dimensions}


@every_plan
def test_the_state_of_every_alarm_is_shown(plan: StackPlan) -> None:
    shown = [arn for each in widgets(plan, "alarm") for arn in each["properties"]["alarms"]]
    made = {
        f"{name}.Arn"
        for name, each in alarms.resources(plan).items()
        if each["Type"] == "AWS::CloudWatch::Alarm"
    }
    assert set(shown) == made
    assert len(shown) <= 100  # an alarm widget takes no more


def test_the_latest_refusals_are_read_from_the_functions_log() -> None:
    [log] = widgets(PLAN, "log")
    assert log["properties"]["query"].startswith("SOURCE '/aws/lambda/treasury-signer' | ")
    assert log["properties"]["region"] == "eu-central-1"


def test_every_graph_says_which_region_it_is_of() -> None:
    for widget in widgets(PLAN, "metric"):
        assert widget["properties"]["region"] == "eu-central-1"


def test_it_names_the_stack_and_the_key() -> None:
    [text] = widgets(PLAN, "text")
    assert "Treasury signer treasury" in text["properties"]["markdown"]
    assert KEY.rsplit("/", 1)[1] in text["properties"]["markdown"]


def test_a_plan_may_do_without_it() -> None:
    assert dashboard.resources(StackPlan(records=RecordsPlan(dashboard=False))) == {}
