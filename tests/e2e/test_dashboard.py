"""The dashboard, the alarms and the filters as an AWS takes them over, and what a deployed function tells."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from bursar.aws.deploy import Deployment
from bursar.aws.plan import RecordsPlan
from bursar.aws.remote import ApiSigner
from bursar.chains.evm import Scheme
from tests.e2e.account import BLIND, HASH, REQUEST, Account

TRAIL_LOG = "organisation-trail"
WATCHED = replace(BLIND, records=RecordsPlan(trail=TRAIL_LOG, emails=("ops@example.com",)))


@pytest.fixture
def deployed(account: Account) -> Deployment:
    account.client("logs").create_log_group(logGroupName=TRAIL_LOG)
    return account.deploy(replace(REQUEST, plan=WATCHED))


def test_the_dashboard_is_read_back_with_every_name_filled_in(
    account: Account, deployed: Deployment
) -> None:
    watch = account.client("cloudwatch")
    text = watch.get_dashboard(DashboardName=deployed.outputs["DashboardName"])["DashboardBody"]
    assert "${" not in text
    widgets = json.loads(text)["widgets"]
    assert [each["type"] for each in widgets][:2] == ["text", "alarm"]
    alarms = {each["AlarmArn"] for each in watch.describe_alarms()["MetricAlarms"]}
    [shown] = [each["properties"]["alarms"] for each in widgets if each["type"] == "alarm"]
    assert alarms == set(shown)


def test_the_graphs_go_by_the_names_of_what_was_deployed(
    account: Account, deployed: Deployment
) -> None:
    watch = account.client("cloudwatch")
    text = watch.get_dashboard(DashboardName=deployed.outputs["DashboardName"])["DashboardBody"]
    rows = [
        row
        for each in json.loads(text)["widgets"]
        for row in each["properties"].get("metrics", [])
        if isinstance(row[0], str)
    ]
    values = {(row[2], row[3]) for row in rows if len(row) > 3 and isinstance(row[2], str)}
    name = account.client("apigateway").get_rest_api(restApiId=deployed.outputs["ApiId"])["name"]
    assert values == {
        ("Function", deployed.outputs["FunctionName"]),
        ("FunctionName", deployed.outputs["FunctionName"]),
        ("ApiName", name),
    }


def test_every_alarm_is_there_with_its_text_and_tells_the_topic(
    account: Account, deployed: Deployment
) -> None:
    alarms = account.client("cloudwatch").describe_alarms()["MetricAlarms"]
    assert {"treasury-signing-errors", "treasury-signed-by-another", "treasury-key-changed"} <= {
        each["AlarmName"] for each in alarms
    }
    for alarm in alarms:
        assert alarm["AlarmActions"] == [deployed.outputs["TopicArn"]]
        assert alarm["AlarmDescription"]
    subscriptions = account.client("sns").list_subscriptions_by_topic(
        TopicArn=deployed.outputs["TopicArn"]
    )["Subscriptions"]
    assert [each["Endpoint"] for each in subscriptions] == ["ops@example.com"]


@pytest.mark.parametrize("name", ["signing-errors", "kms-throttles", "signed-by-another"])
def test_one_count_of_what_an_alarm_watches_sets_it_off(
    account: Account, deployed: Deployment, name: str
) -> None:
    watch = account.client("cloudwatch")
    full_name = f"{deployed.stack}-{name}"
    [alarm] = watch.describe_alarms(AlarmNames=[full_name])["MetricAlarms"]
    assert alarm["StateValue"] != "ALARM"
    datum = {"MetricName": alarm["MetricName"], "Dimensions": alarm["Dimensions"], "Value": 1}
    watch.put_metric_data(Namespace=alarm["Namespace"], MetricData=[datum])
    assert _eventually(
        lambda: watch.describe_alarms(AlarmNames=[full_name])["MetricAlarms"][0]["StateValue"],
        "ALARM",
    )


def test_the_trail_is_searched_for_this_key_and_this_role(
    account: Account, deployed: Deployment
) -> None:
    filters = account.client("logs").describe_metric_filters(logGroupName=TRAIL_LOG)
    patterns: dict[str, str] = {
        each["metricTransformations"][0]["metricName"]: each["filterPattern"]
        for each in filters["metricFilters"]
    }
    assert deployed.outputs["KeyArn"].rsplit("/", 1)[1] in patterns["ForeignSignatures"]
    assert deployed.outputs["RoleArn"] in patterns["ForeignSignatures"]
    assert not any(re.search(r"\$\{", pattern) for pattern in patterns.values())


def test_a_deployed_function_tells_its_metrics_under_its_own_name(
    account: Account, deployed: Deployment
) -> None:
    with ApiSigner.open(deployed.url, str(deployed.address)) as signer:
        signer.sign_hash(HASH, Scheme.EIP191)
    # The deployment's own look whether the function reaches its key was the first call, and was refused.
    probe, line = _lines(account, deployed.outputs["LogGroup"])
    assert (probe["code"], probe["Signatures"]) == ("signer_mismatch", 0)
    assert line["Function"] == deployed.outputs["FunctionName"]
    assert (line["Signatures"], line["Errors"]) == (1, 0)
    assert line["_aws"]["CloudWatchMetrics"][0]["Namespace"] == deployed.outputs["MetricsNamespace"]


def _eventually(read: Callable[[], str], wanted: str) -> bool:
    for _ in range(100):
        if read() == wanted:
            return True
        time.sleep(0.1)
    return False


def _lines(account: Account, group: str) -> list[dict[str, Any]]:
    events = account.client("logs").filter_log_events(logGroupName=group)["events"]
    texts = [each["message"] for each in events if '"event": "sign"' in each["message"]]
    return [json.loads(text[text.index("{") :]) for text in texts]
