"""Calls to one AWS service that speaks AWS JSON: signed, tried again in time, on a clock that is put right.

What KMS and DynamoDB have in common, and nothing of what they are called for. Source: "AWS JSON 1.0 protocol",
"AWS JSON 1.1 protocol" (Smithy).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from bursar.errors import BursarError, KmsTimeout
from bursar.kms import faults
from bursar.kms.connections import Connect, Dialler, Pool, StaleConnection
from bursar.kms.credentials import CredentialsProvider, profile_region
from bursar.kms.http1 import MAX_BODY, Response, render_post
from bursar.kms.names import Endpoint, parse_endpoint, parse_region, region_endpoint
from bursar.kms.sigv4 import SigV4
from bursar.kms.wire import Call


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


@dataclass(frozen=True, slots=True)
class Dialect:
    """What is one service's own.

    `name` is what SigV4 calls it, `fault` gives what is wrong with an answer (None: it is what was asked for) and
    `largest` is how many bytes a body may have. A fault that is retryable is asked about again.
    """

    name: str
    content_type: str
    fault: Callable[[Response], BursarError | None]
    largest: int = MAX_BODY


@dataclass(frozen=True, slots=True)
class Access:
    """Where a service answers, and as whom it is asked."""

    region: str
    endpoint: Endpoint
    credentials: CredentialsProvider


@dataclass(slots=True)
class Course:
    """How one call goes: until when, how often no answer came though one was asked, and what went wrong so far."""

    deadline: float
    unanswered: int = 0
    failures: list[BursarError] = field(default_factory=list)


class JsonService:
    """Asks one service, over connections that are kept. Threads may share it."""

    def __init__(
        self,
        dialect: Dialect,
        access: Access,
        limits: Limits | None = None,
        machine: Machine | None = None,
    ) -> None:
        self._dialect = dialect
        self._credentials = access.credentials
        self._limits = limits or Limits()
        self._machine = machine or Machine()
        self._signer = SigV4(access.region, dialect.name)
        self._headers = {
            "host": access.endpoint.authority,
            "content-type": dialect.content_type,
        }
        self._clock_offset = 0.0
        self._pool = Pool(
            lambda timeout: self._machine.connect(access.endpoint, timeout),
            self._limits.idle,
            dialect.largest,
        )

    def close(self) -> None:
        """Close the kept connections. Later calls still work, each over a new one."""
        self._pool.close()

    def begin(self) -> Course:
        """Return the course of a call that begins now; it tells afterwards how the call went."""
        return Course(self._machine.monotonic() + self._limits.deadline)

    def call(self, call: Call, course: Course) -> Response:
        """Return the answer. What passes is tried again.

        Raises:
            KmsError: the service could not be reached, did not answer in time, or does not speak its protocol.
            BursarError: whatever the dialect says is wrong.
        """
        attempt = 1
        while True:
            try:
                return self._attempt(call, course)
            except BursarError as error:
                course.failures.append(error)
                if not error.retryable or attempt >= self._limits.attempts:
                    raise
                self.wait(attempt, course, error)
            attempt += 1

    def wait(self, attempt: int, course: Course, error: BursarError) -> None:
        """Wait after the attempt of this number, counted from 1; raise the error where time would run out."""
        ceiling = min(self._limits.longest_wait, self._limits.first_wait * 2.0 ** (attempt - 1))
        pause = self._machine.random() * ceiling
        if self._machine.monotonic() + pause >= course.deadline:
            raise error
        self._machine.sleep(pause)

    def _attempt(self, call: Call, course: Course) -> Response:
        """One attempt, and a second one at once where only our clock was wrong."""
        known = self._clock_offset
        now = self._machine.now() + known
        response = self._exchange(self._render(call, now), course)
        if offset := faults.clock_offset(response, now):
            self._clock_offset = known + offset
            now = self._machine.now() + known + offset
            response = self._exchange(self._render(call, now), course)
        if fault := self._dialect.fault(response):
            raise fault
        return response

    def _render(self, call: Call, now: float) -> bytes:
        headers = {**self._headers, "x-amz-target": call.target}
        return render_post(
            self._signer.sign(self._credentials(), headers, call.body, now), call.body
        )

    def _exchange(self, request: bytes, course: Course) -> Response:
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


def chosen_region(region: str | None, profile: str | None, environ: Mapping[str, str]) -> str:
    """Return the Region given, or AWS_REGION, AWS_DEFAULT_REGION, the profile's where botocore is installed.

    Raises:
        ConfigError: no Region is set, or it is malformed.
    """
    chosen = region or environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION")
    return parse_region(chosen or profile_region(profile))


def chosen_endpoint(
    service: str, region: str, url: str | None, environ: Mapping[str, str]
) -> Endpoint:
    """Return the endpoint given, or AWS_ENDPOINT_URL_<SERVICE>, AWS_ENDPOINT_URL, the Region's own.

    The Region's own is the FIPS one under AWS_USE_FIPS_ENDPOINT.

    Raises:
        ConfigError: it is malformed.
    """
    named = environ.get(f"AWS_ENDPOINT_URL_{service.upper()}")
    if url := url or named or environ.get("AWS_ENDPOINT_URL"):
        return parse_endpoint(url)
    fips = environ.get("AWS_USE_FIPS_ENDPOINT", "").lower() == "true"
    return region_endpoint(region, fips=fips, service=service)
