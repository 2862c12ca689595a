"""Signers elsewhere: the deployed API (`ApiSigner`) or its function called directly (`LambdaSigner`).

Both are given the address whose signatures they accept, and release nothing else: what comes back is proved to be
over the digest that was asked for, by that address. Asking twice is safe, since a signature changes nothing, so
what fails in passing is asked again.
"""

from __future__ import annotations

import ipaddress
import json
import os
import random
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self, TypeVar
from urllib.parse import urlsplit

from bursar import strict_json
from bursar.aws.cloud import Cloud, aws_errors, error_code, is_loopback
from bursar.aws.replies import read_consent, read_reply
from bursar.chains import evm
from bursar.chains.evm import Scheme
from bursar.errors import (
    AwsAccessDenied,
    AwsCredentials,
    ConfigError,
    KmsCredentials,
    SignatureError,
    SigningServiceDenied,
    SigningServiceError,
    SigningServiceUnavailable,
)
from bursar.kms import faults
from bursar.kms.credentials import CredentialChain, CredentialsProvider
from bursar.kms.http1 import Response
from bursar.kms.sigv4 import SigV4
from bursar.signer import SignedHash
from bursar.signing_contract import (
    MAX_BODY_BYTES,
    Answer,
    AnyRequest,
    ApprovalRequest,
    Consent,
    DigestRequest,
    SigningRequest,
    TransactionRequest,
    request_body,
    require_signer,
)

if TYPE_CHECKING:
    import httpx2

T = TypeVar("T")
R = TypeVar("R", bound=AnyRequest)
_HOST_REGION = re.compile(r"\.execute-api\.([a-z0-9-]+)\.")
_PLAIN_PATH = re.compile(r"\A/[A-Za-z0-9_.~/-]*\Z")
# RFC 1123, section 2.1; a name of another script has to be given in its ASCII form.
_HOST_NAME = re.compile(
    r"\A(?=.{1,253}\Z)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*\Z"
)
_BUSY = {"TooManyRequestsException", "ServiceException", "EC2ThrottledException"}


@dataclass(frozen=True, slots=True)
class Patience:
    """How often a failed request is made again, and the longest wait before the first repetition, in seconds.

    `answer` is how many seconds the body of one answer of the API may take, however slowly it drips in.
    """

    attempts: int = 4
    first_wait: float = 0.2
    answer: float = 30.0
    sleep: Callable[[float], None] = time.sleep

    def repeat(self, ask: Callable[[], T]) -> T:
        """Return what `ask` gives, asking again while the service is merely unavailable."""
        for attempt in range(1, self.attempts):
            try:
                return ask()
            except SigningServiceUnavailable:
                # Jittered, so that many callers do not come back at once.
                wait = self.first_wait * 2 ** (attempt - 1)
                self.sleep(random.uniform(0, wait))  # noqa: S311  not a secret
        return ask()


@dataclass(frozen=True, slots=True)
class Api:
    """The deployed API: the URL of its stage, and the Region that signatures of requests name."""

    url: str
    region: str

    @classmethod
    def at(cls, url: str, region: str | None = None) -> Self:
        """Return the API at a URL. Without `region` it is read from the URL.

        Raises:
            ConfigError: the URL names no Region and none was given.
        """
        named = _HOST_REGION.search(url)
        region = named.group(1) if named else region
        if region is None:
            raise ConfigError("the API's Region is not known", hint="set AWS_REGION")
        return cls(url, region)


class ApiSigner:
    """Asks the deployed API. The caller needs `execute-api:Invoke` on its POST /."""

    def __init__(
        self,
        api: Api,
        address: str,
        *,
        credentials: CredentialsProvider,
        client: httpx2.Client,
        patience: Patience | None = None,
    ) -> None:
        self._address = evm.parse_address(address)
        self._url, self._host, path = _parse_url(api.url)
        self._sigv4 = SigV4(api.region, "execute-api", path)
        self._credentials = credentials
        self._client = client
        self._patience = patience or Patience()
        self._clock_offset = 0.0

    @classmethod
    def open(cls, url: str, address: str, region: str | None = None) -> Self:
        """Return a signer with credentials as the AWS CLI finds them. No call is made.

        Raises:
            ConfigError: the URL is not one of an API, or names no Region and none was given.
            AddressError: not an EVM address.
        """
        import httpx2

        _, host, _ = _parse_url(url)
        client = httpx2.Client(
            timeout=httpx2.Timeout(30.0, connect=5.0),
            follow_redirects=False,
            trust_env=not _is_here(host),  # no proxy between us and this machine
        )
        api = Api.at(url, region or os.environ.get("AWS_REGION"))
        return cls(api, address, credentials=CredentialChain(), client=client)

    @property
    def address(self) -> str:
        """The account whose signatures are accepted, checksummed."""
        return self._address

    def sign_hash(self, message_hash: bytes, scheme: Scheme) -> SignedHash:
        """Return a proved signature over 32 bytes. One POST, up to three more where it fails in passing.

        A clock of ours that is wrong costs one more: the time is then taken from AWS's answer.

        Raises:
            DigestError: not 32 bytes; nothing was sent.
            AwsCredentials: there are none, or AWS does not accept them.
            SigningServiceDenied: the caller may not use the API.
            SigningServiceRefused: the signer turned the request down; `reason` says why.
            SigningServiceUnavailable: it could not be reached, or is busy.
            SigningServiceError: any other answer.
            SignatureError: an answer that must not be used.
        """
        return self._answer(_request(message_hash, self._address, scheme)).signed

    def sign_transaction(self, request: TransactionRequest) -> Answer:
        """Return a proved signature over what waits for this signer in a transaction, as its policy allows.

        One POST, and repetitions as for `sign_hash`. The digest is what Crossmint says waits: to review the
        transaction is the caller's part here, and the signer's there.

        Raises:
            NotAwaitingApproval, Unverifiable: nothing waits for this signer; nothing was sent.
            SignerMismatch: the request is for another signer; nothing was sent.
            SigningServiceRefused: the review or the policy turned it down; `reason` says which.
            BursarError: as `sign_hash`.
        """
        require_signer(request, self._address)
        return self._answer(request)

    def consent(self, request: ApprovalRequest) -> Consent:
        """Consent to a digest that waits for approval, and return how many more are missing. One POST.

        Raises:
            SignerMismatch: the request is for another signer; nothing was sent.
            SigningServiceRefused: it does not wait, or this consent would not count; `reason` says which.
            BursarError: as `sign_hash`.
        """
        require_signer(request, self._address)
        return self._patience.repeat(lambda: self._ask(request, read_consent))

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _answer(self, request: SigningRequest) -> Answer:
        request.digest  # noqa: B018  what cannot be signed is refused before anything is sent
        return self._patience.repeat(lambda: self._ask(request, read_reply))

    def _ask(self, request: R, read: Callable[..., T]) -> T:
        body = json.dumps(request_body(request)).encode()
        known = self._clock_offset
        now = time.time() + known
        response = self._post(body, now)
        if offset := faults.clock_offset(response, now):
            self._clock_offset = known + offset
            response = self._post(body, time.time() + known + offset)
        error_type = response.headers.get("x-amzn-errortype", "")
        return read(response.status, response.body, request, error_type=error_type)

    def _post(self, body: bytes, now: float) -> Response:
        import httpx2

        headers = {"host": self._host, "content-type": "application/json"}
        try:
            credentials = self._credentials()
        except KmsCredentials as error:
            raise AwsCredentials(error.message, hint=error.hint) from None
        signed = self._sigv4.sign(credentials, headers, body, now)
        try:
            with self._client.stream("POST", self._url, content=body, headers=signed) as response:
                answer = _bounded(response, self._patience.answer)
                return Response(response.status_code, dict(response.headers), answer)
        except (httpx2.HTTPError, httpx2.StreamError, OSError) as error:
            kind = type(error).__name__
        # Raised here, out of the handler: the other exception holds the request and with it the session token.
        raise SigningServiceUnavailable(
            f"the signing API could not be reached ({kind})",
            hint="check the network and the API's URL",
        )

    def __repr__(self) -> str:
        return f"ApiSigner({self._url!r}, {self._address!r})"


class LambdaSigner:
    """Invokes the function directly. The caller needs `lambda:InvokeFunction` on it."""

    def __init__(
        self, function: str, address: str, cloud: Cloud, *, patience: Patience | None = None
    ) -> None:
        self._function = function
        self._address = evm.parse_address(address)
        self._cloud = cloud
        self._patience = patience or Patience()

    @classmethod
    def open(cls, function: str, address: str, region: str | None = None) -> Self:
        """Return a signer for a function's name or ARN. No call is made.

        Raises:
            AddressError: not an EVM address.
        """
        return cls(function, address, Cloud(region))

    @property
    def address(self) -> str:
        """The account whose signatures are accepted, checksummed."""
        return self._address

    def sign_hash(self, message_hash: bytes, scheme: Scheme) -> SignedHash:
        """Return a proved signature over 32 bytes. One invocation, up to three more where it fails in passing.

        Raises:
            DigestError: not 32 bytes; nothing was sent.
            ConfigError, AwsCredentials, AwsError: AWS could not be asked.
            SigningServiceDenied: the caller may not invoke the function.
            SigningServiceRefused: the signer turned the request down; `reason` says why.
            SigningServiceUnavailable: the function is busy.
            SigningServiceError: the function failed.
            SignatureError: an answer that must not be used.
        """
        return self._answer(_request(message_hash, self._address, scheme)).signed

    def sign_transaction(self, request: TransactionRequest) -> Answer:
        """Return a proved signature over what waits for this signer in a transaction, as its policy allows.

        One invocation, and repetitions as for `sign_hash`. Nothing tells the function who invokes it, so that a
        policy refuses whatever needs to know.

        Raises:
            BursarError: as `ApiSigner.sign_transaction` and `sign_hash`.
        """
        require_signer(request, self._address)
        return self._answer(request)

    def consent(self, request: ApprovalRequest) -> Consent:
        """Consent to a digest that waits for approval. Refused: nothing tells the function who invokes it.

        Raises:
            BursarError: as `ApiSigner.consent` and `sign_hash`.
        """
        require_signer(request, self._address)
        return self._patience.repeat(lambda: self._ask(request, read_consent))

    def _answer(self, request: SigningRequest) -> Answer:
        request.digest  # noqa: B018  what cannot be signed is refused before anything is sent
        return self._patience.repeat(lambda: self._ask(request, read_reply))

    def _ask(self, request: R, read: Callable[..., T]) -> T:
        payload = self._invoke(json.dumps(request_body(request)).encode())
        status, body = _split(payload)
        return read(status, body, request)

    def _invoke(self, payload: bytes) -> bytes:
        from botocore.exceptions import ClientError

        client = self._cloud.invoker
        try:
            with aws_errors():
                try:
                    answer = client.invoke(FunctionName=self._function, Payload=payload)
                except ClientError as error:
                    if error_code(error) in _BUSY:
                        raise SigningServiceUnavailable("the signing function is busy") from None
                    raise
                body = answer["Payload"].read(MAX_BODY_BYTES + 1)
        except AwsAccessDenied as error:
            raise SigningServiceDenied(error.message, hint=error.hint) from None
        if "FunctionError" in answer:
            raise SigningServiceError(
                "the signing function stopped before it answered",
                hint="its log group has the reason",
            )
        return body

    def __repr__(self) -> str:
        return f"LambdaSigner({self._function!r}, {self._address!r})"


def _request(message_hash: bytes, address: str, scheme: Scheme) -> DigestRequest:
    evm.digest_of(message_hash, scheme)
    return DigestRequest(bytes(message_hash), address, scheme)


def _parse_url(url: str) -> tuple[str, str, str]:
    """Return the URL, its authority and its path, in the form in which they are sent and signed."""
    # urlsplit drops some of what is not printable, and so would sign another URL than was given.
    if not url.isascii() or not url.isprintable():
        raise ConfigError("the API's URL is malformed")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise ConfigError("the API's URL is malformed") from None
    path = parts.path or "/"
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(host)):
        raise ConfigError("the API's URL is not https", hint="`bursar aws outputs` prints it")
    if parts.query or parts.fragment or "@" in parts.netloc or not _PLAIN_PATH.match(path):
        raise ConfigError("the API's URL has more than a host and a plain path")
    if port == 0 or not (_HOST_NAME.match(host) or _is_ipv6(host)):
        raise ConfigError("the API's URL is malformed", hint="`bursar aws outputs` prints it")
    # HTTP clients leave the scheme's own port out of the Host header, and the signature must agree.
    usual = {"https": 443, "http": 80}[parts.scheme]
    name = f"[{host}]" if ":" in host else host
    authority = name if port in (None, usual) else f"{name}:{port}"
    return f"{parts.scheme}://{authority}{path}", authority, path


def _is_ipv6(host: str) -> bool:
    try:
        return ipaddress.IPv6Address(host).scope_id is None
    except ValueError:
        return False


def _is_here(authority: str) -> bool:
    return is_loopback(urlsplit(f"//{authority}").hostname or "")


def _bounded(response: httpx2.Response, seconds: float) -> bytes:
    latest = time.monotonic() + seconds
    body = b""
    for chunk in response.iter_bytes():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise SignatureError("the signing API's answer is too large to be one")
        if time.monotonic() > latest:
            raise TimeoutError
    return body


def _split(payload: bytes) -> tuple[int, bytes]:
    """Return the status and the rest of a direct invocation's result, which `replies` reads strictly."""
    try:
        result: Any = strict_json.loads(payload)
        status = result.pop("statusCode")
        rest = json.dumps(result).encode()
    except (ValueError, KeyError, AttributeError, TypeError):
        raise SignatureError("the function's answer is not the signing contract's") from None
    if type(status) is not int:
        raise SignatureError("the function's answer has no status")
    return status, rest
