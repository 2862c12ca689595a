from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError

from bursar.aws import artifacts
from bursar.aws.bundle import Bundle
from bursar.aws.cloud import Cloud
from bursar.errors import AwsAccessDenied

BUNDLE = Bundle(b"zip", ("a.py",))


class S3:
    """Remembers calls; answers those in `refusals` with that error code."""

    def __init__(self, **refusals: str) -> None:
        self.refusals = refusals
        self.calls: dict[str, dict[str, Any]] = {}

    def __getattr__(self, name: str) -> Any:
        def call(**arguments: Any) -> dict[str, Any]:
            self.calls[name] = arguments
            if name in self.refusals:
                raise ClientError({"Error": {"Code": self.refusals[name], "Message": ""}}, name)
            return {}

        return call


def cloud(s3: S3, region: str = "eu-north-1") -> Cloud:
    session = SimpleNamespace(get_partition_for_region=lambda _region: "aws")
    return cast(
        "Cloud",
        SimpleNamespace(
            s3=s3, account="111122223333", region=region, emulated=False, session=session
        ),
    )


def test_a_new_bucket_is_private_encrypted_and_takes_tls_only() -> None:
    s3 = S3(head_bucket="404", head_object="404")
    made = artifacts.upload(cloud(s3), BUNDLE, "treasury")
    assert made.bucket == "bursar-artifacts-111122223333-eu-north-1"
    assert all(s3.calls["put_public_access_block"]["PublicAccessBlockConfiguration"].values())
    assert "put_bucket_encryption" in s3.calls
    (statement,) = json.loads(s3.calls["put_bucket_policy"]["Policy"])["Statement"]
    assert statement["Effect"] == "Deny"
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert s3.calls["create_bucket"]["CreateBucketConfiguration"] == {
        "LocationConstraint": "eu-north-1"
    }


def test_us_east_1_is_not_a_location_constraint() -> None:
    s3 = S3(head_bucket="404", head_object="404")
    artifacts.upload(cloud(s3, "us-east-1"), BUNDLE, "treasury")
    assert "CreateBucketConfiguration" not in s3.calls["create_bucket"]


def test_a_zip_is_named_by_its_hash_and_uploaded_once() -> None:
    s3 = S3()
    made = artifacts.upload(cloud(s3), BUNDLE, "treasury")
    assert made.key == f"bursar/treasury/{BUNDLE.sha256}.zip"
    assert "put_object" not in s3.calls


def test_a_bucket_of_somebody_elses_is_never_written_to() -> None:
    s3 = S3(head_bucket="403")
    with pytest.raises(AwsAccessDenied) as caught:
        artifacts.upload(cloud(s3), BUNDLE, "treasury")
    assert "--bucket" in str(caught.value.hint)
    assert set(s3.calls) == {"head_bucket"}
    assert s3.calls["head_bucket"]["ExpectedBucketOwner"] == "111122223333"


def test_a_bucket_that_was_named_is_taken_as_it_is() -> None:
    s3 = S3(head_object="404")
    artifacts.upload(cloud(s3), BUNDLE, "treasury", "mine")
    assert set(s3.calls) == {"head_object", "put_object"}
    assert s3.calls["put_object"]["ExpectedBucketOwner"] == "111122223333"
