from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from bursar.aws.plan import NetworkPlan, RecordsPlan, StackPlan
from bursar.aws.template import alarms
from tests.unit.aws.emitted import counted, emitted, filled, named

ACCOUNT = "111122223333"
PLAN = StackPlan()
# What the AWS services tell by themselves (their developer guides, "metrics").
OF_AWS = {
    ("AWS/Lambda", "Errors", frozenset({"FunctionName"})),
    ("AWS/Lambda", "Throttles", frozenset({"FunctionName"})),
    ("AWS/ApiGateway", "5XXError", frozenset({"ApiName", "Stage"})),
}


def found(plan: StackPlan = PLAN) -> dict[str, Any]:
    return alarms.resources(plan)


def of_kind(kind: str, plan: StackPlan = PLAN) -> dict[str, dict[str, Any]]:
    return {name: each["Properties"] for name, each in found(plan).items() if each["Type"] == kind}


def test_every_alarm_watches_a_metric_that_is_there() -> None:
    there = emitted() | counted(found()) | OF_AWS
    for name, alarm in of_kind("AWS::CloudWatch::Alarm").items():
        metrics = [each["MetricStat"]["Metric"] for each in alarm.get("Metrics", [])[:1]] or [alarm]
        for metric in metrics:
            dimensions = frozenset(each["Name"] for each in metric.get("Dimensions", []))
            key = (filled(metric["Namespace"]), metric["MetricName"], dimensions)
            assert key in there, name


def test_every_filter_has_an_alarm() -> None:
    watched: set[tuple[str, str, frozenset[str]]] = {
        (filled(alarm["Namespace"]), alarm["MetricName"], frozenset[str]())
        for alarm in of_kind("AWS::CloudWatch::Alarm").values()
        if "Namespace" in alarm
    }
    assert counted(found()) <= watched


def test_every_alarm_says_what_it_means_and_what_to_do_and_tells_the_topic() -> None:
    for alarm in of_kind("AWS::CloudWatch::Alarm").values():
        assert 80 < len(alarm["AlarmDescription"]) <= 1024
        assert alarm["AlarmActions"] == [{"Ref": "AlarmTopic"}]
        assert filled(alarm["AlarmName"]).startswith("treasury-")
    assert set(alarms.meanings(PLAN)) == {
        filled(alarm["AlarmName"]).removeprefix("treasury-")
        for alarm in of_kind("AWS::CloudWatch::Alarm").values()
    }


def test_an_event_that_the_trail_hands_over_late_is_not_missed() -> None:
    for name, alarm in of_kind("AWS::CloudWatch::Alarm").items():
        if name.startswith("Foreign") or name.endswith("ChangesAlarm"):
            assert alarm["Period"] * alarm["EvaluationPeriods"] >= 15 * 60
            assert alarm["DatapointsToAlarm"] == 1


def test_no_data_is_no_alarm() -> None:
    treated = {each["TreatMissingData"] for each in of_kind("AWS::CloudWatch::Alarm").values()}
    assert treated == {"notBreaching"}


def test_a_rate_of_signatures_above_what_is_usual_is_an_alarm_and_one_below_is_not() -> None:
    alarm = found()["SignatureRateAlarm"]["Properties"]
    counted_metric, band = alarm["Metrics"]
    assert alarm["ThresholdMetricId"] == band["Id"]
    assert band["Expression"] == f"ANOMALY_DETECTION_BAND({counted_metric['Id']}, 3)"
    assert alarm["ComparisonOperator"] == "GreaterThanUpperThreshold"
    detector = found()["SignatureRate"]["Properties"]["SingleMetricAnomalyDetector"]
    stat = counted_metric["MetricStat"]
    assert detector == {**stat["Metric"], "Stat": stat["Stat"]}


def test_the_topic_is_encrypted_and_takes_alarms_of_this_account_over_tls() -> None:
    assert found()["AlarmTopic"]["Properties"]["KmsMasterKeyId"] == {
        "Fn::GetAtt": ["RecordsKey", "Arn"]
    }
    policy = filled(found()["AlarmTopicPolicy"]["Properties"]["PolicyDocument"])
    allowed, plain = policy["Statement"]
    assert allowed["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
    assert allowed["Condition"] == {"StringEquals": {"aws:SourceAccount": ACCOUNT}}
    assert (plain["Effect"], plain["Condition"]) == (
        "Deny",
        {"Bool": {"aws:SecureTransport": "false"}},
    )


def test_each_e_mail_address_is_subscribed_whatever_their_order() -> None:
    one, other = (
        of_kind("AWS::SNS::Subscription", StackPlan(records=RecordsPlan(emails=emails)))
        for emails in (("a@example.com", "b@example.com"), ("b@example.com", "a@example.com"))
    )
    assert one == other
    assert {each["Endpoint"] for each in one.values()} == {"a@example.com", "b@example.com"}


def test_an_existing_topic_is_told_and_left_alone() -> None:
    topic = f"arn:aws:sns:eu-central-1:{ACCOUNT}:alerts"
    plan = StackPlan(records=RecordsPlan(topic=topic))
    kinds = {each["Type"] for each in found(plan).values()}
    assert not any(kind.startswith("AWS::SNS::") for kind in kinds)
    for alarm in of_kind("AWS::CloudWatch::Alarm", plan).values():
        assert alarm["AlarmActions"] == [topic]


def test_without_a_function_its_alarms_are_left_out_and_the_trail_is_still_watched() -> None:
    plan = replace(PLAN, compute="ec2")
    assert {alarm.resource for alarm in alarms.alarms(plan)} == {
        "ForeignSignaturesAlarm",
        "ForeignAttemptsAlarm",
        "KeyChangesAlarm",
        "RoleChangesAlarm",
        "RecordChangesAlarm",
    }
    assert {"Function", "Api"}.isdisjoint(named(found(plan)))


def test_without_a_trail_no_alarm_waits_for_it() -> None:
    plan = StackPlan(records=RecordsPlan(trail="none"))
    assert "ForeignSignaturesAlarm" not in found(plan)
    assert "SigningErrorsAlarm" in found(plan)


def test_emulated_there_is_no_anomaly_detection() -> None:
    assert {"SignatureRate", "SignatureRateAlarm"}.isdisjoint(found(replace(PLAN, emulated=True)))


def test_every_arn_follows_the_partition() -> None:
    network = NetworkPlan("vpc-0123456789abcdef0", ("subnet-0123456789abcdef0",))
    assert "arn:aws:" not in json.dumps(found(replace(PLAN, network=network)))
