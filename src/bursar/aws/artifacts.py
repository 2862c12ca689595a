"""The private S3 bucket that code and long templates are deployed from, each named by its hash.

The default bucket's name can be guessed, so somebody else may have made it first. Every call therefore names this
account as the owner it expects, which S3 checks; a bucket of another account's is neither written nor read.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bursar.aws.bundle import Bundle
from bursar.aws.changes import Template
from bursar.aws.cloud import Cloud, aws_errors, error_code
from bursar.errors import AwsAccessDenied, AwsError
from bursar.kms.names import region_suffix

Json = dict[str, Any]

# What CloudFormation takes in a call (CloudFormation user guide, "Quotas").
MAX_TEMPLATE_BYTES = 51_200

_MISSING = {"404", "NoSuchBucket", "NoSuchKey", "NotFound"}
_DENIED = {"403", "AccessDenied", "Forbidden"}


@dataclass(frozen=True, slots=True)
class Artifact:
    """A zip in S3, and its SHA-256 as Lambda writes it."""

    bucket: str
    key: str
    code_sha256: str


def default_bucket(cloud: Cloud) -> str:
    """Return the name of this account's and Region's artifact bucket."""
    return f"bursar-artifacts-{cloud.account}-{cloud.region}"


def place(cloud: Cloud, bundle: Bundle, stack: str, bucket: str | None = None) -> Artifact:
    """Return where `upload` would put a stack's zip. Nothing is asked of S3."""
    name = bucket or default_bucket(cloud)
    return Artifact(name, f"{_prefix(stack)}{bundle.sha256}.zip", bundle.code_sha256)


def upload(cloud: Cloud, bundle: Bundle, stack: str, bucket: str | None = None) -> Artifact:
    """Put a stack's zip in the bucket unless exactly it is there, and return where it is.

    Without `bucket` the account's own artifact bucket is used, made if missing, and set each time to be private,
    encrypted, its owner's alone and TLS only. A bucket that is named is taken as it is. It costs `s3:GetObject`
    and `s3:PutObject`, and for the own bucket `s3:ListBucket`, `s3:CreateBucket`,
    `s3:PutBucketOwnershipControls`, `s3:PutBucketPublicAccessBlock`, `s3:PutEncryptionConfiguration` and
    `s3:PutBucketPolicy`.

    Raises:
        AwsAccessDenied: a permission is missing, or the bucket is another account's.
        AwsError, AwsCredentials: AWS refused or could not be reached.
    """
    artifact = place(cloud, bundle, stack, bucket)
    if bucket is None:
        _ensure_bucket(cloud, artifact.bucket)
    if not _holds(cloud, artifact):
        _put(cloud, artifact, bundle.data)
    return artifact


def template(cloud: Cloud, values: Json, stack: str, bucket: str | None = None) -> Template:
    """Return a template as CloudFormation takes it: its text, or where it lies in the bucket if it is too long.

    As JSON, which CloudFormation gives back as values that a review can read. Only a long one is uploaded, at the
    cost of the permissions of `upload`, and CloudFormation reads it with `s3:GetObject`.

    Raises:
        AwsError, AwsAccessDenied, AwsCredentials: AWS refused or could not be reached.
    """
    text = json.dumps(values, separators=(",", ":"))
    data = text.encode()
    if len(data) <= MAX_TEMPLATE_BYTES:
        return Template(body=text)
    name = bucket or default_bucket(cloud)
    if bucket is None:
        _ensure_bucket(cloud, name)
    digest = hashlib.sha256(data).digest()
    key = f"{_prefix(stack)}{digest.hex()}.json"
    _put(cloud, Artifact(name, key, base64.b64encode(digest).decode()), data, "application/json")
    return Template(body=text, url=f"{_s3_url(cloud, name)}/{key}")


def _s3_url(cloud: Cloud, bucket: str) -> str:
    # CloudFormation takes S3's own names only, whatever endpoint this machine goes by.
    if cloud.emulated:
        return f"{cloud.endpoint}/{bucket}"
    return f"https://{bucket}.s3.{cloud.region}.{region_suffix(cloud.region)}"


def remove(cloud: Cloud, stack: str, bucket: str | None) -> None:
    """Delete a stack's zips and templates. The bucket stays, and no bucket is no error.

    It costs `s3:ListBucket` and `s3:DeleteObject`.

    Raises:
        AwsError, AwsAccessDenied, AwsCredentials: AWS refused or could not be reached.
    """
    # A bucket that is deleted and made again may answer for minutes that it is still being deleted.
    name = bucket or default_bucket(cloud)
    with aws_errors():
        _tolerate(_MISSING, lambda: _empty(cloud, name, _prefix(stack)))


def _prefix(stack: str) -> str:
    return f"bursar/{stack}/"


def _empty(cloud: Cloud, bucket: str, prefix: str) -> None:
    pages = cloud.s3.get_paginator("list_objects_v2").paginate(
        Bucket=bucket, Prefix=prefix, ExpectedBucketOwner=cloud.account
    )
    for page in pages:
        for each in page.get("Contents", []):
            cloud.s3.delete_object(
                Bucket=bucket, Key=each["Key"], ExpectedBucketOwner=cloud.account
            )


def _tolerate(codes: set[str], call: Callable[[], object]) -> None:
    from botocore.exceptions import ClientError

    try:
        call()
    except ClientError as error:
        if error_code(error) not in codes:
            raise


def _holds(cloud: Cloud, artifact: Artifact) -> bool:
    """Tell whether the very zip is there, by the checksum that S3 keeps of it."""
    from botocore.exceptions import ClientError

    with aws_errors():
        try:
            found = cloud.s3.head_object(
                Bucket=artifact.bucket,
                Key=artifact.key,
                ChecksumMode="ENABLED",
                ExpectedBucketOwner=cloud.account,
            )
        except ClientError as error:
            # To those who may not list the bucket S3 says 403 of what is not there.
            if error_code(error) in _MISSING | _DENIED:
                return False
            raise
    return found.get("ChecksumSHA256") == artifact.code_sha256


def _put(
    cloud: Cloud, artifact: Artifact, data: bytes, content_type: str = "application/zip"
) -> None:
    from botocore.exceptions import ClientError

    with aws_errors():
        try:
            cloud.s3.put_object(
                Bucket=artifact.bucket,
                Key=artifact.key,
                Body=data,
                ContentType=content_type,
                ServerSideEncryption="AES256",
                ChecksumSHA256=artifact.code_sha256,
                ExpectedBucketOwner=cloud.account,
            )
        except ClientError as error:
            if error_code(error) not in _DENIED:
                raise
            raise AwsAccessDenied(
                f"s3:PutObject on {artifact.bucket} is not allowed, or the bucket is not this account's",
                hint="allow it for the caller, or name another bucket with --bucket",
            ) from None


def _ensure_bucket(cloud: Cloud, name: str) -> None:
    from botocore.exceptions import ClientError

    with aws_errors():
        try:
            cloud.s3.head_bucket(Bucket=name, ExpectedBucketOwner=cloud.account)
        except ClientError as error:
            if error_code(error) in _DENIED:
                raise AwsAccessDenied(
                    f"the bucket {name} is not this account's, or s3:ListBucket is missing",
                    hint="name another bucket with --bucket",
                ) from None
            if error_code(error) not in _MISSING:
                raise
            _create_bucket(cloud, name)
        _secure(cloud, name)


def _create_bucket(cloud: Cloud, name: str) -> None:
    from botocore.exceptions import ClientError

    place: dict[str, Any] = {"CreateBucketConfiguration": {"LocationConstraint": cloud.region}}
    if cloud.region == "us-east-1":
        place = {}
    try:
        cloud.s3.create_bucket(Bucket=name, **place)
    except ClientError as error:
        if error_code(error) == "BucketAlreadyExists":
            raise AwsError(
                f"the bucket {name} is another account's",
                hint="name a bucket of this account's with --bucket",
            ) from None
        # Another deployment of this account was quicker.
        if error_code(error) != "BucketAlreadyOwnedByYou":
            raise


def _secure(cloud: Cloud, name: str) -> None:
    """Make the settings what they must be: a first run may have been interrupted between them."""
    owner = cloud.account
    cloud.s3.put_bucket_ownership_controls(
        Bucket=name,
        ExpectedBucketOwner=owner,
        OwnershipControls={"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]},
    )
    cloud.s3.put_public_access_block(
        Bucket=name,
        ExpectedBucketOwner=owner,
        PublicAccessBlockConfiguration={
            "BlockPublicAcls": True,
            "IgnorePublicAcls": True,
            "BlockPublicPolicy": True,
            "RestrictPublicBuckets": True,
        },
    )
    cloud.s3.put_bucket_encryption(
        Bucket=name,
        ExpectedBucketOwner=owner,
        ServerSideEncryptionConfiguration={
            "Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]
        },
    )
    if not cloud.emulated:
        # An emulator speaks plain HTTP on the loopback; this policy would lock it out.
        policy = json.dumps(_tls_only(cloud, name))
        cloud.s3.put_bucket_policy(Bucket=name, ExpectedBucketOwner=owner, Policy=policy)


def _tls_only(cloud: Cloud, name: str) -> dict[str, Any]:
    bucket = f"arn:{cloud.partition}:s3:::{name}"
    statement = {
        "Sid": "OnlyOverTls",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [bucket, f"{bucket}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    return {"Version": "2012-10-17", "Statement": [statement]}
