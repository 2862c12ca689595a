"""boto3, kept behind one door: clients for one account and Region, and its errors as ours.

boto3 is imported when the first client is made. An endpoint in `AWS_ENDPOINT_URL` is honoured, as everywhere in
boto3; where it is on this machine, AWS is an emulator (`is_emulator`). Any other is AWS by another door: a VPC or
FIPS endpoint, a proxy.
"""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import urlsplit

from bursar.errors import AwsAccessDenied, AwsCredentials, AwsError, BursarError, ConfigError

if TYPE_CHECKING:
    import boto3
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_kms import KMSClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_s3 import S3Client

_DENIED = {
    "AccessDenied",
    "AccessDeniedException",
    "AuthorizationError",
    "UnauthorizedOperation",
    "403",
}
_BAD_CREDENTIALS = {
    "ExpiredToken",
    "ExpiredTokenException",
    "IncompleteSignature",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
}
_THROTTLED = {
    "RequestLimitExceeded",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
}
# The permission that a call needs, where AWS does not name it in its answer. S3's are not called as its calls are.
_PERMISSIONS = {
    "CreateBucket": "s3:CreateBucket",
    "DeleteObject": "s3:DeleteObject",
    "HeadBucket": "s3:ListBucket",
    "HeadObject": "s3:GetObject",
    "ListObjectsV2": "s3:ListBucket",
    "PutBucketEncryption": "s3:PutEncryptionConfiguration",
    "PutBucketOwnershipControls": "s3:PutBucketOwnershipControls",
    "PutBucketPolicy": "s3:PutBucketPolicy",
    "PutObject": "s3:PutObject",
    "PutPublicAccessBlock": "s3:PutBucketPublicAccessBlock",
    "CreateChangeSet": "cloudformation:CreateChangeSet",
    "DeleteChangeSet": "cloudformation:DeleteChangeSet",
    "DeleteStack": "cloudformation:DeleteStack",
    "DescribeChangeSet": "cloudformation:DescribeChangeSet",
    "DescribeStackEvents": "cloudformation:DescribeStackEvents",
    "DescribeStacks": "cloudformation:DescribeStacks",
    "ExecuteChangeSet": "cloudformation:ExecuteChangeSet",
    "ListChangeSets": "cloudformation:ListChangeSets",
    "ListStackResources": "cloudformation:ListStackResources",
    "DescribeStackDriftDetectionStatus": "cloudformation:DescribeStackDriftDetectionStatus",
    "DescribeStackResourceDrifts": "cloudformation:DescribeStackResourceDrifts",
    "DetectStackDrift": "cloudformation:DetectStackDrift",
    "SetStackPolicy": "cloudformation:SetStackPolicy",
    "UpdateTerminationProtection": "cloudformation:UpdateTerminationProtection",
    "DescribeLogGroups": "logs:DescribeLogGroups",
    "FilterLogEvents": "logs:FilterLogEvents",
    "LookupEvents": "cloudtrail:LookupEvents",
    "GetAccount": "apigateway:GET",
    "GetAccountSettings": "lambda:GetAccountSettings",
    "GetFunctionConfiguration": "lambda:GetFunctionConfiguration",
    "ListAliases": "lambda:ListAliases",
    "ListFunctionUrlConfigs": "lambda:ListFunctionUrlConfigs",
    "ListVersionsByFunction": "lambda:ListVersionsByFunction",
    "Invoke": "lambda:InvokeFunction",
    "DeleteAlias": "kms:DeleteAlias",
    "DescribeKey": "kms:DescribeKey",
    "ListResourceTags": "kms:ListResourceTags",
    "ScheduleKeyDeletion": "kms:ScheduleKeyDeletion",
}
_ACTION = re.compile(r"not authorized to perform:? ([a-z0-9-]+:[A-Za-z]+)")
_EXPLICIT = re.compile(
    r"with an explicit deny in an? ((?:[a-z-]+ ){0,4}policy|permissions boundary)"
)
_CREDENTIALS_HINT = (
    "sign in as the AWS CLI does, and check with: aws sts get-caller-identity; a Region that the account has not "
    "enabled says the same"
)


class Cloud:
    """The AWS account and Region that boto3's usual settings point to."""

    def __init__(self, region: str | None = None) -> None:
        self._region = region
        self._clients: dict[str, Any] = {}

    @property
    def endpoint(self) -> str | None:
        """The endpoint that is set for all of AWS, or None."""
        return os.environ.get("AWS_ENDPOINT_URL") or None

    @property
    def emulated(self) -> bool:
        """Is AWS a process on this machine? Functions then run on this machine's interpreter."""
        return is_emulator(self.endpoint)

    @cached_property
    def session(self) -> boto3.session.Session:
        """boto3's session, in the Region of the settings.

        Raises:
            ConfigError: no Region is set anywhere.
        """
        import boto3

        # boto3, alone among AWS's tools, passes AWS_REGION over.
        region = self._region or os.environ.get("AWS_REGION")
        with aws_errors():
            session = boto3.session.Session(region_name=region)
        if not session.region_name:
            raise ConfigError(
                "no AWS Region is set", hint="set AWS_REGION, or region in bursar.toml under [aws]"
            )
        return session

    @property
    def region(self) -> str:
        """The Region everything is in."""
        return self.session.region_name

    @cached_property
    def cloudformation(self) -> CloudFormationClient:
        """CloudFormation's client."""
        client: CloudFormationClient = self._client("cloudformation")
        return client

    @cached_property
    def s3(self) -> S3Client:
        """S3's client. Path-style against an emulator, which has no name per bucket."""
        style = "path" if self.emulated else "auto"
        client: S3Client = self._client("s3", s3={"addressing_style": style})
        return client

    @cached_property
    def kms(self) -> KMSClient:
        """KMS's client, for the control plane only."""
        client: KMSClient = self._client("kms")
        return client

    @cached_property
    def functions(self) -> LambdaClient:
        """Lambda's client."""
        client: LambdaClient = self._client("lambda")
        return client

    @cached_property
    def invoker(self) -> LambdaClient:
        """Lambda's client for invocations. It makes one attempt: whoever asks for a signature repeats it."""
        client: LambdaClient = self._client("lambda", retries={"total_max_attempts": 1})
        return client

    @cached_property
    def account(self) -> str:
        """The account's 12 digits (`sts:GetCallerIdentity`, which needs no permission)."""
        return str(self._identity["Account"])

    @property
    def caller_arn(self) -> str:
        """Whose credentials these are (`sts:GetCallerIdentity`, which needs no permission)."""
        return str(self._identity["Arn"])

    @cached_property
    def _identity(self) -> Any:
        with aws_errors():
            return self.client("sts").get_caller_identity()

    @property
    def partition(self) -> str:
        """The partition that the Region is in: aws, aws-us-gov, aws-cn or another."""
        return self.session.get_partition_for_region(self.region)

    def client(self, service: str) -> Any:
        """Return boto3's client of a service, made once."""
        if service not in self._clients:
            self._clients[service] = self._client(service)
        return self._clients[service]

    def _client(self, service: str, **options: Any) -> Any:
        from botocore.config import Config

        usual: dict[str, Any] = {
            "retries": {"mode": "standard", "max_attempts": 5},
            "connect_timeout": 5,
            "read_timeout": 60,
        }
        config = Config(**(usual | options))
        with aws_errors():
            return self.session.client(service, config=config)  # type: ignore[call-overload]


def is_emulator(endpoint: str | None) -> bool:
    """Tell whether an endpoint is an emulator's: one on this machine. Every other is a way to AWS itself."""
    try:
        return is_loopback(urlsplit(endpoint or "").hostname or "")
    except ValueError:
        return False


def is_loopback(host: str) -> bool:
    """Tell whether a host's name or address, an IPv6 one without brackets, is this machine."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def api_url(outputs: Mapping[str, str], endpoint: str | None) -> str:
    """Return where to POST signing requests: the stack's URL, or an emulator's own path to the same stage."""
    if endpoint is None or not is_emulator(endpoint):
        return outputs["ApiUrl"]
    base = endpoint.rstrip("/")
    return f"{base}/restapis/{outputs['ApiId']}/{outputs['Stage']}/_user_request_/"


@contextmanager
def aws_errors() -> Iterator[None]:
    """Turn what boto3 raises into bursar's errors; ours pass through.

    Raises:
        AwsAccessDenied: names the permission that is missing.
        AwsCredentials: none were found, or AWS does not accept them.
        AwsError: anything else AWS or the network said.
    """
    try:
        yield
    except BursarError:
        raise
    except Exception as error:
        _translate(error)
        raise


def error_code(error: Exception) -> str:
    """Return AWS's code of a ClientError, empty for any other error."""
    response = getattr(error, "response", None)
    return str(response.get("Error", {}).get("Code", "")) if isinstance(response, dict) else ""


def error_message(error: Exception) -> str:
    """Return AWS's message of a ClientError: one line, at most 500 characters."""
    response = getattr(error, "response", None)
    text = response.get("Error", {}).get("Message", "") if isinstance(response, dict) else ""
    return " ".join(str(text).split())[:500]


def explicit_denial(message: str) -> str | None:
    """Return the kind of policy that AWS says denied a call, None where only no policy allowed it.

    Source: the IAM user guide, "Troubleshoot access denied error messages".
    """
    found = _EXPLICIT.search(message)
    return f"a {found[1]}" if found else None


def _translate(error: Exception) -> None:
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError

    if isinstance(error, ClientError):
        _refused(error, error_code(error), error_message(error))
    if isinstance(error, BotoCoreError):
        _unanswered(error)
    if isinstance(error, Boto3Error):
        raise AwsError(f"boto3 failed: {type(error).__name__}") from None


def _refused(error: Any, code: str, message: str) -> NoReturn:
    if code in _DENIED:
        if forbidden := explicit_denial(message):
            raise AwsAccessDenied(
                f"AWS does not allow the call {error.operation_name}: {forbidden} denies it",
                hint="more permissions do not help; ask whoever keeps that policy",
            ) from None
        named = _ACTION.search(message)
        action = named.group(1) if named else _PERMISSIONS.get(error.operation_name)
        if action is None:
            raise AwsAccessDenied(
                f"AWS does not allow the call {error.operation_name}",
                hint="the caller lacks the permission that it needs",
            ) from None
        raise AwsAccessDenied(
            f"AWS does not allow {action}", hint=f"the caller needs the permission {action}"
        ) from None
    if code in _BAD_CREDENTIALS:
        raise AwsCredentials(
            f"AWS does not accept the credentials ({code})", hint=_CREDENTIALS_HINT
        ) from None
    hint = None
    if code in _THROTTLED:
        hint = "AWS is throttling; wait a minute and run the command again, it goes on where it stopped"
    raise AwsError(f"{error.operation_name} failed: {message or code}", hint=hint) from None


def _unanswered(error: Any) -> NoReturn:
    from botocore import exceptions

    if isinstance(error, exceptions.NoRegionError):
        raise ConfigError("no AWS Region is set", hint="set AWS_REGION") from None
    no_credentials = (
        exceptions.NoCredentialsError,
        exceptions.PartialCredentialsError,
        exceptions.CredentialRetrievalError,
        exceptions.TokenRetrievalError,
        exceptions.SSOError,
        exceptions.ProfileNotFound,
    )
    if isinstance(error, no_credentials):
        raise AwsCredentials("no usable AWS credentials", hint=_CREDENTIALS_HINT) from None
    if isinstance(error, (exceptions.HTTPClientError, exceptions.ConnectionError)):
        raise AwsError(
            f"AWS could not be reached ({type(error).__name__})",
            hint="check the network, the Region and AWS_ENDPOINT_URL",
        ) from None
    raise AwsError(f"boto3 failed: {type(error).__name__}") from None
