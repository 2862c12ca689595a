"""People and programs of the sandbox's AWS account: IAM users with access keys, and what CloudTrail saw."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def create_caller(
    environment: Mapping[str, str], name: str, *, policy_arn: str | None = None
) -> dict[str, str]:
    """Make an IAM user, attach a managed policy where one is named, and return its credentials' variables.

    `environment` is the sandbox's own (`World.environment`), whose root key makes the user. For the local AWS
    only.
    """
    iam = _client("iam", environment)
    iam.create_user(UserName=name)
    if policy_arn:
        iam.attach_user_policy(UserName=name, PolicyArn=policy_arn)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return {
        "AWS_ACCESS_KEY_ID": key["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"],
    }


def recorded_signatures(environment: Mapping[str, str], key_arn: str) -> list[dict[str, Any]]:
    """Return CloudTrail's `kms:Sign` records for a key, newest first."""
    trail = _client("cloudtrail", environment)
    found = trail.lookup_events(
        LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": "Sign"}], MaxResults=50
    )
    records = [json.loads(event["CloudTrailEvent"]) for event in found["Events"]]
    return [record for record in records if key_arn.rpartition("/")[2] in json.dumps(record)]


def _client(service: str, environment: Mapping[str, str]) -> Any:
    import boto3

    session: Any = boto3.session.Session(
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
        region_name=environment["AWS_REGION"],
    )
    return session.client(service, endpoint_url=environment["AWS_ENDPOINT_URL"])
