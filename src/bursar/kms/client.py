"""The blocking client of KMS's data plane, on sockets and nothing else.

```
with KmsClient.from_environment() as kms:
    answer = kms.get_public_key("alias/treasury")
```
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from bursar.errors import KmsError, KmsProtocolError, KmsTimeout
from bursar.kms import faults, wire
from bursar.kms.connections import Connect, Dialler, Pool, StaleConnection
from bursar.kms.credentials import CredentialChain, CredentialsProvider, profile_region
from bursar.kms.http1 import Response, render_post
from bursar.kms.names import (
    Endpoint,
    parse_endpoint,
    parse_key_name,
    parse_region,
    region_endpoint,
    require_region,
)
from bursar.kms.public_keys import PublicKeys
from bursar.kms.sigv4 import SigV4
from bursar.kms.wire import Call, KmsPublicKey, KmsSignature

if TYPE_CHECKING:  # the curve library is the signer's to load, not the client's
    from bursar.chains.evm import KmsSignRequest


@dataclass(frozen=True, slots=True)
class Limits:
    """How long and how often one call is tried. Times are in seconds.

    The deadline is for the whole call, retries and waits included. The wait before attempt n + 1 is drawn from
    0 … min(`longest_wait`, `first_wait` · 2ⁿ⁻¹), so that many callers do not come back at once.
    """

    deadline: float = 10.0
    attempt_timeout: float = 3.0
    attempts: int = 4
    first_wait: float = 0.1
    longest_wait: float = 2.0
    idle: float = 50.0


def _dice() -> float:
    import random  # only a retry throws dice, and a cold start should not pay for it

    return random.random()  # noqa: S311  it spreads callers out; nothing is secret


@dataclass(frozen=True, slots=True)
class Machine:
    """The clock, the dice and the network, so that a test can bring its own."""

    connect: Connect = field(default_factory=Dialler)
    now: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    random: Callable[[], float] = _dice


@dataclass(slots=True)
class _Course:
    """How one call goes: until when, and how often KMS may have been reached without an answer coming back."""

    deadline: float
    unanswered: int = 0


class KmsClient:
    """Signs with keys in KMS, and reads their public keys. Threads may share one.

    A call that fails in passing is tried again. Repeating Sign is safe: it changes nothing in KMS, and at
    most one answer is released, so a caller sees exactly one signature. A repetition leaves one more line in
    CloudTrail, no more.
    """

    def __init__(
        self,
        region: str,
        credentials: CredentialsProvider,
        *,
        endpoint: Endpoint | None = None,
        limits: Limits | None = None,
        machine: Machine | None = None,
    ) -> None:
        self.region = parse_region(region)
        self.endpoint = endpoint or region_endpoint(region)
        self._credentials = credentials
        self._limits = limits or Limits()
        self._machine = machine or Machine()
        self._signer = SigV4(region, "kms")
        self._headers = {
            "host": self.endpoint.authority,
            "content-type": wire.CONTENT_TYPE,
        }
        self._clock_offset = 0.0
        self._public_keys = PublicKeys(self._fetch_public_key)
        self._pool = Pool(
            lambda timeout: self._machine.connect(self.endpoint, timeout), self._limits.idle
        )

    @classmethod
    def from_environment(
        cls,
        region: str | None = None,
        endpoint: str | None = None,
        *,
        profile: str | None = None,
        limits: Limits | None = None,
        environ: Mapping[str, str] = os.environ,
    ) -> Self:
        """Return a client set up as the AWS command line would be. No call is made.

        Region: the argument, AWS_REGION, AWS_DEFAULT_REGION, then the profile's where botocore is installed.
        Endpoint: the argument, AWS_ENDPOINT_URL_KMS, AWS_ENDPOINT_URL, then the Region's own (the FIPS one under
        AWS_USE_FIPS_ENDPOINT). Certificates: AWS_CA_BUNDLE, or the system's. Credentials: see `CredentialChain`.

        Raises:
            ConfigError: no Region is set, or a setting is malformed.
        """
        chosen = region or environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION")
        chosen = parse_region(chosen or profile_region(profile))
        return cls(
            chosen,
            CredentialChain(profile=profile, environ=environ),
            endpoint=_endpoint(chosen, endpoint, environ),
            limits=limits,
            machine=Machine(connect=Dialler(environ.get("AWS_CA_BUNDLE") or None)),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the kept connections. The client still works afterwards, with a new connection for each call."""
        self._pool.close()

    def get_public_key(self, key_id: str) -> KmsPublicKey:
        """Return the public key of a key id, key ARN, alias name or alias ARN. It needs `kms:GetPublicKey`.

        A key ARN is asked once in this client's life; callers at the same moment share one call.

        Raises:
            ConfigError: not a name of a key.
            KmsRegionMismatch: an ARN of another Region; KMS was not called.
            KmsError: KMS refused or could not be reached.
        """
        return self._public_keys.get(key_id)

    def sign(self, key_arn: str, request: KmsSignRequest) -> KmsSignature:
        """Have KMS sign, and return what it answers: not proved, s in either half. It needs `kms:Sign`.

        Raises:
            ConfigError: not a name of a key.
            KmsRegionMismatch: an ARN of another Region; KMS was not called.
            KmsError: KMS refused or could not be reached.
        """
        require_region(parse_key_name(key_arn), self.region)
        response, unanswered = self._call(wire.sign_call(key_arn, request))
        try:
            return wire.read_signature(response, request, unanswered)
        except KmsProtocolError as error:  # KMS may have signed all the same
            error.request_id, error.unanswered = wire.request_id(response) or None, unanswered
            raise

    def _fetch_public_key(self, key_id: str) -> KmsPublicKey:
        require_region(parse_key_name(key_id), self.region)
        return wire.read_public_key(self._call(wire.public_key_call(key_id))[0])

    def _call(self, call: Call) -> tuple[Response, int]:
        """Return the answer, and how many earlier attempts may have reached KMS and got none."""
        course = _Course(self._machine.monotonic() + self._limits.deadline)
        try:
            return self._try(call, course), course.unanswered
        except KmsError as error:
            error.unanswered = course.unanswered
            raise

    def _try(self, call: Call, course: _Course) -> Response:
        attempt = 1
        while True:
            try:
                return self._attempt(call, course)
            except KmsError as error:
                if not error.retryable or attempt >= self._limits.attempts:
                    raise
                self._wait(attempt, course.deadline, error)
            attempt += 1

    def _wait(self, attempt: int, deadline: float, error: KmsError) -> None:
        ceiling = min(self._limits.longest_wait, self._limits.first_wait * 2.0 ** (attempt - 1))
        pause = self._machine.random() * ceiling
        if self._machine.monotonic() + pause >= deadline:
            raise error
        self._machine.sleep(pause)

    def _attempt(self, call: Call, course: _Course) -> Response:
        """One attempt, and a second one at once where only our clock was wrong."""
        known = self._clock_offset
        now = self._machine.now() + known
        response = self._exchange(self._render(call, now), course)
        if offset := faults.clock_offset(response, now):
            self._clock_offset = known + offset
            now = self._machine.now() + known + offset
            response = self._exchange(self._render(call, now), course)
        if response.status != 200:
            raise faults.error_of(response)
        return response

    def _render(self, call: Call, now: float) -> bytes:
        headers = {**self._headers, "x-amz-target": call.target}
        return render_post(
            self._signer.sign(self._credentials(), headers, call.body, now), call.body
        )

    def _exchange(self, request: bytes, course: _Course) -> Response:
        remaining = self._stopwatch(course.deadline)
        while True:
            connection = self._pool.take(self._machine.monotonic(), remaining())
            try:
                response = connection.ask(request, remaining)
            except StaleConnection:
                # Not an attempt: the server hung up on an idle connection. The next one is new.
                course.unanswered += 1
                connection.close()
                self._pool.drop_idle()
                continue
            except BaseException:
                course.unanswered += 1
                connection.close()
                raise
            if response.keeps_alive:
                self._pool.give_back(connection, self._machine.monotonic())
            else:
                connection.close()
            return response

    def _stopwatch(self, deadline: float) -> Callable[[], float]:
        """Return a function that gives the seconds left for this attempt, and raises when there are none."""
        monotonic = self._machine.monotonic
        end = min(deadline, monotonic() + self._limits.attempt_timeout)

        def remaining() -> float:
            left = end - monotonic()
            if left <= 0:
                raise KmsTimeout("KMS did not answer in time", hint="check the network path to KMS")
            return left

        return remaining


def _endpoint(region: str, url: str | None, environ: Mapping[str, str]) -> Endpoint:
    url = url or environ.get("AWS_ENDPOINT_URL_KMS") or environ.get("AWS_ENDPOINT_URL")
    if url:
        return parse_endpoint(url)
    return region_endpoint(region, fips=environ.get("AWS_USE_FIPS_ENDPOINT", "").lower() == "true")
