"""The private S3 bucket that function zips are deployed from, and the zips in it, named by their hash."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bursar.aws.bundle import Bundle
from bursar.aws.cloud import Cloud, aws_errors, error_code
from bursar.errors import AwsAccessDenied


@dataclass(frozen=True, slots=True)
class Artifact:
    """A zip in S3, and its SHA-256 as Lambda writes it."""

    bucket: str
    key: str
    code_sha256: str


def default_bucket(cloud: Cloud) -> str:
    """Return the name of this account's and Region's artifact bucket."""
    return f"bursar-artifacts-{cloud.account}-{cloud.region}"


def upload(cloud: Cloud, bundle: Bundle, stack: str, bucket: str | None = None) -> Artifact:
    """Put a stack's zip in the bucket unless it is there, and return where it is.

    Without `bucket` the account's own artifact bucket is used, made if missing: private, encrypted, TLS only.
    It costs `s3:GetObject` and `s3:PutObject`, and to make the bucket `s3:CreateBucket`,
    `s3:PutBucketPublicAccessBlock`, `s3:PutEncryptionConfiguration` and `s3:PutBucketPolicy`.

    Raises:
        AwsError, AwsAccessDenied, AwsCredentials: AWS refused or could not be reached.
    """
    name = bucket or default_bucket(cloud)
    if bucket is None:
        _ensure_bucket(cloud, name)
    artifact = Artifact(name, f"{_prefix(stack)}{bundle.sha256}.zip", bundle.code_sha256)
    if not _exists(cloud, artifact):
        with aws_errors():
            cloud.s3.put_object(
                Bucket=name,
                Key=artifact.key,
                Body=bundle.data,
                ContentType="application/zip",
                ServerSideEncryption="AES256",
                ExpectedBucketOwner=cloud.account,
            )
    return artifact


def remove(cloud: Cloud, stack: str, bucket: str | None) -> None:
    """Delete a stack's zips, and the account's artifact bucket once it is empty. No bucket is no error.

    It costs `s3:ListBucket`, `s3:DeleteObject` and `s3:DeleteBucket`.

    Raises:
        AwsError, AwsAccessDenied, AwsCredentials: AWS refused or could not be reached.
    """
    name = bucket or default_bucket(cloud)
    with aws_errors():
        _tolerate({"NoSuchBucket", "404"}, lambda: _empty(cloud, name, _prefix(stack)))
        if name == default_bucket(cloud):
            # Another stack's zips keep the bucket.
            _tolerate(
                {"NoSuchBucket", "404", "BucketNotEmpty"},
                lambda: cloud.s3.delete_bucket(Bucket=name),
            )


def _prefix(stack: str) -> str:
    return f"bursar/{stack}/"


def _empty(cloud: Cloud, bucket: str, prefix: str) -> None:
    pages = cloud.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    for page in pages:
        for each in page.get("Contents", []):
            cloud.s3.delete_object(Bucket=bucket, Key=each["Key"])


def _tolerate(codes: set[str], call: Callable[[], object]) -> None:
    from botocore.exceptions import ClientError

    try:
        call()
    except ClientError as error:
        if error_code(error) not in codes:
            raise


def _exists(cloud: Cloud, artifact: Artifact) -> bool:
    from botocore.exceptions import ClientError

    with aws_errors():
        try:
            cloud.s3.head_object(
                Bucket=artifact.bucket, Key=artifact.key, ExpectedBucketOwner=cloud.account
            )
        except ClientError as error:
            if error_code(error) in ("404", "NoSuchKey", "NotFound"):
                return False
            raise
    return True


def _ensure_bucket(cloud: Cloud, name: str) -> None:
    from botocore.exceptions import ClientError

    with aws_errors():
        try:
            # The owner is checked, so that a bucket somebody else made under this name is never written to.
            cloud.s3.head_bucket(Bucket=name, ExpectedBucketOwner=cloud.account)
        except ClientError as error:
            if error_code(error) in ("403", "AccessDenied"):
                raise AwsAccessDenied(
                    f"the bucket {name} is not this account's, or s3:ListBucket is missing",
                    hint="name another bucket with --bucket",
                ) from None
            if error_code(error) not in ("404", "NoSuchBucket", "NotFound"):
                raise
            _create_bucket(cloud, name)


def _create_bucket(cloud: Cloud, name: str) -> None:
    place: dict[str, Any] = {"CreateBucketConfiguration": {"LocationConstraint": cloud.region}}
    if cloud.region == "us-east-1":
        place = {}
    cloud.s3.create_bucket(Bucket=name, ObjectOwnership="BucketOwnerEnforced", **place)
    cloud.s3.put_public_access_block(
        Bucket=name,
        PublicAccessBlockConfiguration={
            "BlockPublicAcls": True,
            "IgnorePublicAcls": True,
            "BlockPublicPolicy": True,
            "RestrictPublicBuckets": True,
        },
    )
    cloud.s3.put_bucket_encryption(
        Bucket=name,
        ServerSideEncryptionConfiguration={
            "Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]
        },
    )
    if not cloud.emulated:
        # An emulator speaks plain HTTP on the loopback; this policy would lock it out.
        cloud.s3.put_bucket_policy(Bucket=name, Policy=json.dumps(_tls_only(cloud, name)))


def _tls_only(cloud: Cloud, name: str) -> dict[str, Any]:
    partition = cloud.session.get_partition_for_region(cloud.region)
    bucket = f"arn:{partition}:s3:::{name}"
    statement = {
        "Sid": "OnlyOverTls",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [bucket, f"{bucket}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    return {"Version": "2012-10-17", "Statement": [statement]}
