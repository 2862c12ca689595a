from __future__ import annotations

import pytest
from botocore import exceptions
from botocore.exceptions import ClientError

from bursar.aws.cloud import Cloud, api_url, aws_errors
from bursar.errors import AwsAccessDenied, AwsCredentials, AwsError, ConfigError, StackError

OUTPUTS = {
    "ApiId": "abc",
    "Stage": "prod",
    "ApiUrl": "https://abc.execute-api.us-east-1.amazonaws.com/prod/",
}


def refused(code: str, message: str = "") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, "CreateChangeSet")


def test_a_denial_names_the_permission_aws_names() -> None:
    message = "User: arn:aws:iam::1:user/a is not authorized to perform: kms:DescribeKey on x"
    with pytest.raises(AwsAccessDenied, match="kms:DescribeKey") as caught, aws_errors():
        raise refused("AccessDeniedException", message)
    assert "user/a" not in caught.value.message


@pytest.mark.parametrize(
    ("operation", "permission"),
    [
        ("CreateChangeSet", "cloudformation:CreateChangeSet"),
        ("HeadObject", "s3:GetObject"),
        ("HeadBucket", "s3:ListBucket"),
        ("ListObjectsV2", "s3:ListBucket"),
        ("PutBucketEncryption", "s3:PutEncryptionConfiguration"),
        ("PutPublicAccessBlock", "s3:PutBucketPublicAccessBlock"),
        ("Invoke", "lambda:InvokeFunction"),
    ],
)
def test_a_denial_without_a_name_tells_the_permission_of_the_operation(
    operation: str, permission: str
) -> None:
    with pytest.raises(AwsAccessDenied, match=permission) as caught, aws_errors():
        raise ClientError({"Error": {"Code": "403", "Message": ""}}, operation)
    assert permission in str(caught.value.hint)


def test_a_denial_of_a_call_nobody_foresaw_names_the_call_and_no_permission() -> None:
    with pytest.raises(AwsAccessDenied, match="the call SomethingNew"), aws_errors():
        raise ClientError({"Error": {"Code": "403", "Message": ""}}, "SomethingNew")


@pytest.mark.parametrize("code", ["ExpiredToken", "InvalidClientTokenId", "SignatureDoesNotMatch"])
def test_credentials_that_are_not_accepted_are_said_to_be(code: str) -> None:
    with pytest.raises(AwsCredentials), aws_errors():
        raise refused(code)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (exceptions.NoCredentialsError(), AwsCredentials),
        (exceptions.ProfileNotFound(profile="x"), AwsCredentials),
        (exceptions.TokenRetrievalError(provider="sso", error_msg="x"), AwsCredentials),
        (exceptions.NoRegionError(), ConfigError),
        (exceptions.EndpointConnectionError(endpoint_url="http://x"), AwsError),
        (exceptions.ReadTimeoutError(endpoint_url="http://x"), AwsError),
        (exceptions.ParamValidationError(report="x"), AwsError),
        (refused("SomethingElse", "because"), AwsError),
    ],
    ids=lambda value: getattr(value, "__name__", type(value).__name__),
)
def test_what_boto3_raises_becomes_ours(error: Exception, kind: type[Exception]) -> None:
    with pytest.raises(kind), aws_errors():
        raise error


def test_our_own_errors_pass_through() -> None:
    with pytest.raises(StackError, match="mine"), aws_errors():
        raise StackError("mine")


def test_a_missing_region_is_a_setting_to_make(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    with pytest.raises(ConfigError, match="Region"):
        Cloud().region  # noqa: B018


def test_the_region_is_the_one_given_or_the_environments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-north-1")
    assert Cloud().region == "eu-north-1"
    assert Cloud("us-gov-west-1").region == "us-gov-west-1"


@pytest.mark.parametrize(
    ("endpoint", "emulated"),
    [
        (None, False),
        ("http://127.0.0.1:4566", True),
        ("http://localhost:4566", True),
        ("http://[::1]:4566", True),
        ("https://vpce-1.kms.us-east-1.vpce.amazonaws.com", False),
        ("https://api-fips.us-gov-west-1.amazonaws.com", False),
        ("https://127.example.com", False),
        ("https://127.0.0.1.example.com", False),
        ("http://127.999.0.1:4566", False),
        ("http://[half", False),
    ],
)
def test_aws_is_emulated_only_on_this_machine_and_so_is_the_apis_url(
    endpoint: str | None, monkeypatch: pytest.MonkeyPatch, *, emulated: bool
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint or "")
    assert Cloud().emulated is emulated
    assert (api_url(OUTPUTS, endpoint) != OUTPUTS["ApiUrl"]) is emulated


def test_the_apis_url_is_the_stacks_or_the_emulators() -> None:
    assert api_url(OUTPUTS, None) == OUTPUTS["ApiUrl"]
    assert api_url(OUTPUTS, "http://127.0.0.1:4566/") == (
        "http://127.0.0.1:4566/restapis/abc/prod/_user_request_/"
    )


@pytest.mark.parametrize("code", ["Throttling", "ThrottlingException", "RequestLimitExceeded"])
def test_throttling_that_outlasts_the_retries_says_to_come_back(code: str) -> None:
    with pytest.raises(AwsError, match="Rate exceeded") as caught, aws_errors():
        raise refused(code, "Rate exceeded")
    assert "run the command again" in str(caught.value.hint)
