from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError

from bursar.aws import artifacts
from bursar.aws.bundle import Bundle
from bursar.aws.cloud import Cloud
from bursar.errors import AwsAccessDenied, AwsError

BUNDLE = Bundle(b"zip", ("a.py",))


class S3:
    """Remembers calls; answers those in `refusals` with that error code, others with what is in `answers`."""

    def __init__(self, **refusals: str) -> None:
        self.refusals = refusals
        self.calls: dict[str, dict[str, Any]] = {}
        self.answers: dict[str, dict[str, Any]] = {}

    def __getattr__(self, name: str) -> Any:
        def call(**arguments: Any) -> dict[str, Any]:
            self.calls[name] = arguments
            if name in self.refusals:
                operation = "".join(part.title() for part in name.split("_"))
                code = self.refusals[name]
                raise ClientError({"Error": {"Code": code, "Message": ""}}, operation)
            return self.answers.get(name, {})

        return call

    def get_paginator(self, name: str) -> Any:
        return SimpleNamespace(paginate=lambda **arguments: [getattr(self, name)(**arguments)])


SECURED = {
    "put_bucket_ownership_controls",
    "put_public_access_block",
    "put_bucket_encryption",
    "put_bucket_policy",
}


def cloud(s3: S3, region: str = "eu-north-1") -> Cloud:
    return cast(
        "Cloud",
        SimpleNamespace(
            s3=s3, account="111122223333", region=region, emulated=False, partition="aws"
        ),
    )


def test_a_new_bucket_is_private_encrypted_and_takes_tls_only() -> None:
    s3 = S3(head_bucket="404", head_object="404")
    made = artifacts.upload(cloud(s3), BUNDLE, "treasury")
    assert made.bucket == "bursar-artifacts-111122223333-eu-north-1"
    assert all(s3.calls["put_public_access_block"]["PublicAccessBlockConfiguration"].values())
    assert s3.calls["put_bucket_ownership_controls"]["OwnershipControls"] == {
        "Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]
    }
    assert set(s3.calls) > SECURED
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


def test_a_bucket_that_is_there_is_secured_again() -> None:
    s3 = S3()
    artifacts.upload(cloud(s3), BUNDLE, "treasury")
    assert set(s3.calls) > SECURED
    assert "create_bucket" not in s3.calls


def test_every_call_says_whose_bucket_it_expects() -> None:
    s3 = S3(head_bucket="404", head_object="404")
    s3.answers["list_objects_v2"] = {"Contents": [{"Key": "bursar/treasury/a.zip"}]}
    artifacts.upload(cloud(s3), BUNDLE, "treasury")
    artifacts.remove(cloud(s3), "treasury", None)
    owners = {name: call.get("ExpectedBucketOwner") for name, call in s3.calls.items()}
    # A bucket that is yet to be made has no owner to expect.
    assert owners.pop("create_bucket") is None
    assert {"head_object", "put_object", "list_objects_v2", "delete_object"} < set(owners)
    assert set(owners.values()) == {"111122223333"}


def test_a_zip_is_named_by_its_hash_and_uploaded_once() -> None:
    s3 = S3()
    s3.answers["head_object"] = {"ChecksumSHA256": BUNDLE.code_sha256}
    made = artifacts.upload(cloud(s3), BUNDLE, "treasury")
    assert made.key == f"bursar/treasury/{BUNDLE.sha256}.zip"
    assert "put_object" not in s3.calls


@pytest.mark.parametrize("found", [{}, {"ChecksumSHA256": "b3RoZXI="}])
def test_something_else_under_the_zips_name_is_written_over(found: dict[str, str]) -> None:
    s3 = S3()
    s3.answers["head_object"] = found
    artifacts.upload(cloud(s3), BUNDLE, "treasury")
    assert s3.calls["put_object"]["ChecksumSHA256"] == BUNDLE.code_sha256


def test_who_may_not_list_the_bucket_is_told_403_of_what_is_missing_and_uploads() -> None:
    s3 = S3(head_object="403")
    artifacts.upload(cloud(s3), BUNDLE, "treasury", "mine")
    assert "put_object" in s3.calls


def test_a_bucket_that_cannot_be_written_names_the_real_permission() -> None:
    s3 = S3(head_object="403", put_object="AccessDenied")
    with pytest.raises(AwsAccessDenied, match="s3:PutObject") as caught:
        artifacts.upload(cloud(s3), BUNDLE, "treasury", "theirs")
    assert "not this account's" in caught.value.message


def test_a_bucket_name_that_somebody_else_took_first_is_said_to_be_theirs() -> None:
    s3 = S3(head_bucket="404", create_bucket="BucketAlreadyExists")
    with pytest.raises(AwsError, match="another account's") as caught:
        artifacts.upload(cloud(s3), BUNDLE, "treasury")
    assert "--bucket" in str(caught.value.hint)
    assert set(s3.calls) == {"head_bucket", "create_bucket"}


def test_a_bucket_that_another_deployment_just_made_is_used() -> None:
    s3 = S3(head_bucket="404", create_bucket="BucketAlreadyOwnedByYou")
    assert artifacts.upload(cloud(s3), BUNDLE, "treasury").bucket.startswith("bursar-artifacts-")


def test_removing_a_stacks_zips_keeps_the_bucket() -> None:
    s3 = S3()
    s3.answers["list_objects_v2"] = {"Contents": [{"Key": "bursar/treasury/a.zip"}]}
    artifacts.remove(cloud(s3), "treasury", None)
    assert set(s3.calls) == {"list_objects_v2", "delete_object"}


def test_removing_from_a_bucket_that_is_not_there_is_no_error() -> None:
    artifacts.remove(cloud(S3(list_objects_v2="NoSuchBucket")), "treasury", None)


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
