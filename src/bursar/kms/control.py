"""boto3 for the control plane: made late, and its errors turned into ours."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from bursar.errors import (
    AwsAccessDenied,
    AwsCredentials,
    BursarError,
    ConfigError,
    KmsAccessDenied,
    KmsCredentials,
    KmsError,
    KmsUnavailable,
    UnsupportedOperation,
)
from bursar.kms.faults import error_for

if TYPE_CHECKING:
    from mypy_boto3_kms import KMSClient

_LOG_IN = (
    "log in (aws sso login, aws configure), choose a profile (AWS_PROFILE), or run under a role"
)


def open_client(region: str | None, profile: str | None, endpoint: str | None) -> KMSClient:
    """Return a boto3 client of KMS. No call is made.

    Raises:
        UnsupportedOperation: boto3 is not installed.
        ConfigError: no Region is set, or the profile or endpoint cannot be used.
    """
    try:
        import boto3
    except ImportError:
        raise UnsupportedOperation(
            "managing keys needs boto3", hint="pip install 'bursar[aws]'"
        ) from None
    # boto3 alone among AWS's tools passes this variable over.
    region = region or os.environ.get("AWS_REGION")
    try:
        session = boto3.Session(profile_name=profile, region_name=region)
        return session.client("kms", endpoint_url=endpoint)
    except Exception as error:  # noqa: BLE001  boto3 fails here with ValueErrors of its own as well
        if type(error).__name__ == "NoRegionError":
            raise ConfigError(
                "no AWS Region is set",
                hint="set AWS_REGION, or region under [aws] in bursar.toml",
            ) from None
        raise ConfigError(
            f"boto3 cannot be set up ({type(error).__name__})",
            hint="check AWS_REGION, AWS_PROFILE and the endpoint's URL",
        ) from None


@contextmanager
def calling(permission: str) -> Iterator[None]:
    """Turn what boto3 raises in the block into our errors. `permission` is what the call needs.

    Raises:
        AwsAccessDenied: the caller lacks the permission; the message names it.
        AwsCredentials: no usable credentials.
        KmsError: anything else.
    """
    try:
        yield
    except BursarError:
        raise
    except Exception as error:  # noqa: BLE001  botocore's errors share no base that covers them
        raise _ours(error, permission) from None


def _ours(error: Exception, permission: str) -> BursarError:
    response: Any = getattr(error, "response", None)
    if isinstance(response, dict) and isinstance(response.get("Error"), dict):
        return _from_answer(response, permission)
    name = type(error).__name__
    if "Credential" in name or "Token" in name or "SSO" in name:
        return AwsCredentials(f"no usable AWS credentials ({name})", hint=_LOG_IN)
    if "Timeout" in name or "Connection" in name or "SSL" in name:
        return KmsUnavailable(f"KMS could not be reached ({name})", hint="check AWS_REGION")
    return KmsError(f"the call that needs {permission} could not be made ({name})")


def _from_answer(response: dict[str, Any], permission: str) -> BursarError:
    meta = response.get("ResponseMetadata", {})
    ours = error_for(
        str(response["Error"].get("Code", "")),
        str(response["Error"].get("Message", "")),
        status=int(meta.get("HTTPStatusCode", 0)),
        request=meta.get("RequestId"),
    )
    if isinstance(ours, KmsAccessDenied):
        return AwsAccessDenied(
            f"AWS does not allow this: the caller lacks {permission}",
            hint=f"allow {permission} in the caller's IAM policy, and see that the key policy lets it",
        )
    if isinstance(ours, KmsCredentials):
        return AwsCredentials(ours.message, hint=ours.hint)
    return ours
