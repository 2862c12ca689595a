"""The client with a scripted line and a clock of its own: no socket, no waiting."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from bursar.chains.evm import kms_request
from bursar.errors import (
    ConfigError,
    KmsError,
    KmsProtocolError,
    KmsRegionMismatch,
    KmsThrottled,
    KmsTimeout,
    KmsUnavailable,
)
from bursar.kms.client import KmsClient, Limits, Machine
from bursar.kms.connections import Stream
from bursar.kms.names import Endpoint
from bursar.kms.sigv4 import Credentials

ARN = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
REQUEST = kms_request(bytes(range(32)))
SIGNED = {"KeyId": ARN, "Signature": "MAYCAQECAQE=", "SigningAlgorithm": "ECDSA_SHA_256"}


def http(fields: object, status: int = 200) -> bytes:
    body = json.dumps(fields).encode()
    return f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


GOOD = http(SIGNED)
THROTTLED = http({"__type": "ThrottlingException"}, 400)
Event = bytes | Exception


def drops(data: bytes) -> Iterator[Event]:
    """Give the bytes one at a time."""
    yield from (data[i : i + 1] for i in range(len(data)))


@dataclass
class Line:
    """A network and a clock. Each `recv` takes the next event; each takes `latency` seconds."""

    events: list[Event]
    latency: float = 0.0
    time: float = 1000.0
    opened: int = 0
    closed: int = 0
    sent: list[bytes] = field(default_factory=list)
    slept: list[float] = field(default_factory=list)
    timeouts: list[float] = field(default_factory=list)
    dice: Iterator[float] | None = None
    cannot_connect: OSError | None = None

    def connect(self, _endpoint: Endpoint, _timeout: float) -> Stream:
        if self.cannot_connect:
            raise self.cannot_connect
        self.opened += 1
        return self

    def settimeout(self, seconds: float | None, /) -> None:
        assert seconds is not None
        assert seconds > 0
        self.timeouts.append(seconds)

    def sendall(self, data: bytes, /) -> None:
        self.sent.append(data)

    def recv(self, _size: int, /) -> bytes:
        self.time += self.latency
        event = self.events.pop(0)
        if isinstance(event, Exception):
            raise event
        return event

    def close(self) -> None:
        self.closed += 1

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time += seconds

    def random(self) -> float:
        return next(self.dice) if self.dice else 1.0

    def client(self, limits: Limits | None = None, region: str = "us-east-1") -> KmsClient:
        machine = Machine(
            connect=self.connect,
            now=lambda: self.time,
            monotonic=lambda: self.time,
            sleep=self.sleep,
            random=self.random,
        )
        credentials = Credentials("AKID", "secret")
        return KmsClient(region, lambda: credentials, limits=limits, machine=machine)


def test_the_waits_grow_and_are_drawn_from_the_whole_range() -> None:
    line = Line([*[THROTTLED] * 5, GOOD], dice=iter([1.0, 0.0, 0.5, 1.0, 1.0]))
    limits = Limits(attempts=6, first_wait=0.1, longest_wait=0.5)
    assert line.client(limits).sign(ARN, REQUEST).key_arn == ARN
    assert line.slept == pytest.approx([0.1, 0.0, 0.2, 0.5, 0.5])


def test_a_wait_that_would_pass_the_deadline_is_not_begun() -> None:
    line = Line([THROTTLED] * 50, latency=0.3)
    with pytest.raises(KmsThrottled):
        line.client(Limits(deadline=1.0, attempts=50, first_wait=0.2)).sign(ARN, REQUEST)
    assert line.time <= 1001.0
    assert 1 < len(line.sent) < 5


def test_no_operation_is_given_longer_than_its_attempt_or_the_deadline() -> None:
    line = Line([TimeoutError()] * 10, latency=0.9)
    limits = Limits(deadline=2.0, attempt_timeout=1.0, attempts=9, first_wait=0.01)
    with pytest.raises(KmsTimeout):
        line.client(limits).sign(ARN, REQUEST)
    assert max(line.timeouts) <= 1.0
    assert line.timeouts[-1] < 1.0


def test_an_answer_that_drips_in_is_cut_off_by_the_attempt_s_time() -> None:
    line = Line(list(drops(GOOD)), latency=0.1)
    with pytest.raises(KmsTimeout):
        line.client(Limits(deadline=1.0, attempts=1)).sign(ARN, REQUEST)
    assert line.closed == 1


def test_an_answer_in_pieces_is_one_answer() -> None:
    line = Line(list(drops(GOOD)))
    assert line.client().sign(ARN, REQUEST).key_arn == ARN


@pytest.mark.parametrize("error", [ConnectionResetError(), BrokenPipeError(), OSError("x")])
def test_a_new_connection_that_breaks_costs_an_attempt(error: Exception) -> None:
    line = Line([error] * 9)
    with pytest.raises(KmsUnavailable):
        line.client(Limits(attempts=3)).sign(ARN, REQUEST)
    assert len(line.sent) == 3
    assert line.opened == line.closed == 3


@pytest.mark.parametrize(
    ("error", "expected", "hint"),
    [
        (socket.gaierror(-2, "Name or service not known"), KmsUnavailable, "AWS_REGION"),
        (ConnectionRefusedError(), KmsUnavailable, None),
        (TimeoutError(), KmsTimeout, "network path"),
        (ssl.SSLCertVerificationError("self-signed"), KmsProtocolError, "AWS_CA_BUNDLE"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_connection_that_cannot_be_opened_says_why(
    error: OSError, expected: type[KmsError], hint: str | None
) -> None:
    line = Line([], cannot_connect=error)
    with pytest.raises(expected) as caught:
        line.client(Limits(attempts=2)).sign(ARN, REQUEST)
    assert (hint or "") in (caught.value.hint or "")
    assert len(line.slept) == (1 if expected.retryable else 0)


def test_a_kept_connection_that_breaks_costs_none() -> None:
    line = Line([GOOD, b"", GOOD])
    kms = line.client(Limits(attempts=1))
    kms.sign(ARN, REQUEST)
    kms.sign(ARN, REQUEST)
    assert (line.opened, line.closed, line.slept) == (2, 1, [])


def test_a_kept_connection_that_breaks_inside_an_answer_costs_one() -> None:
    line = Line([GOOD, GOOD[:20], b""])
    kms = line.client(Limits(attempts=1))
    kms.sign(ARN, REQUEST)
    with pytest.raises(KmsUnavailable):
        kms.sign(ARN, REQUEST)


def test_an_old_idle_connection_is_not_tried() -> None:
    line = Line([GOOD, GOOD, GOOD])
    kms = line.client(Limits(idle=5.0))
    kms.sign(ARN, REQUEST)
    line.time += 4
    kms.sign(ARN, REQUEST)
    line.time += 6
    kms.sign(ARN, REQUEST)
    assert (line.opened, line.closed) == (2, 1)


def test_a_connection_that_the_server_gives_up_is_not_kept() -> None:
    closing = GOOD.replace(b"\r\nContent", b"\r\nConnection: close\r\nContent")
    line = Line([closing, GOOD])
    kms = line.client()
    kms.sign(ARN, REQUEST)
    kms.sign(ARN, REQUEST)
    assert line.opened == 2


def test_a_line_that_does_not_speak_http_is_dropped_at_once() -> None:
    line = Line([b"SSH-2.0-OpenSSH\r\n\r\n"])
    with pytest.raises(KmsProtocolError):
        line.client().sign(ARN, REQUEST)
    assert (len(line.sent), line.closed) == (1, 1)


def test_nothing_is_sent_for_a_key_of_another_region_or_no_key() -> None:
    line = Line([])
    kms = line.client(region="eu-central-2")
    calls: list[Callable[[str], object]] = [lambda key: kms.sign(key, REQUEST), kms.get_public_key]
    for call in calls:
        with pytest.raises(KmsRegionMismatch):
            call(ARN)
        with pytest.raises(ConfigError):
            call("treasury")
    assert line.opened == 0


def test_the_request_names_the_region_s_host_and_carries_no_secret() -> None:
    line = Line([GOOD])
    line.client(region="us-east-1").sign(ARN, REQUEST)
    head = line.sent[0].partition(b"\r\n\r\n")[0]
    assert head.startswith(b"POST / HTTP/1.1\r\nhost: kms.us-east-1.amazonaws.com\r\n")
    assert b"secret" not in line.sent[0]


def test_credentials_are_asked_for_each_attempt_so_that_they_can_be_renewed() -> None:
    line = Line([THROTTLED, GOOD])
    asked: list[str] = []

    def provider() -> Credentials:
        asked.append("asked")
        return Credentials(f"AKID{len(asked)}", "secret")

    kms = line.client()
    kms._credentials = provider
    kms.sign(ARN, REQUEST)
    assert b"Credential=AKID1/" in line.sent[0]
    assert b"Credential=AKID2/" in line.sent[1]


def test_a_client_from_the_environment_makes_no_call() -> None:
    environ = {"AWS_REGION": "eu-central-2", "AWS_DEFAULT_REGION": "us-east-1"}
    kms = KmsClient.from_environment(environ=environ)
    assert (kms.region, kms.endpoint.authority) == (
        "eu-central-2",
        "kms.eu-central-2.amazonaws.com",
    )


@pytest.mark.parametrize(
    ("environ", "authority"),
    [
        ({"AWS_DEFAULT_REGION": "cn-north-1"}, "kms.cn-north-1.amazonaws.com.cn"),
        (
            {"AWS_REGION": "us-gov-west-1", "AWS_USE_FIPS_ENDPOINT": "true"},
            "kms-fips.us-gov-west-1.amazonaws.com",
        ),
        (
            {"AWS_REGION": "us-east-1", "AWS_USE_FIPS_ENDPOINT": "True"},
            "kms-fips.us-east-1.amazonaws.com",
        ),
        (
            {"AWS_REGION": "us-east-1", "AWS_USE_FIPS_ENDPOINT": "False"},
            "kms.us-east-1.amazonaws.com",
        ),
        ({"AWS_REGION": "us-east-1", "AWS_ENDPOINT_URL": "http://127.0.0.1:1"}, "127.0.0.1:1"),
        (
            {
                "AWS_REGION": "us-east-1",
                "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
                "AWS_ENDPOINT_URL_KMS": "http://127.0.0.1:2",
            },
            "127.0.0.1:2",
        ),
    ],
)
def test_the_endpoint_follows_the_environment(environ: dict[str, str], authority: str) -> None:
    assert KmsClient.from_environment(environ=environ).endpoint.authority == authority


def test_arguments_win_over_the_environment() -> None:
    environ = {"AWS_REGION": "us-east-1", "AWS_ENDPOINT_URL_KMS": "http://127.0.0.1:2"}
    kms = KmsClient.from_environment("eu-west-1", "http://127.0.0.1:3", environ=environ)
    assert (kms.region, kms.endpoint.port) == ("eu-west-1", 3)


IMPORTS = "import sys, bursar.kms.client; print(*sys.modules)"
HEAVY = {
    "boto3",
    "botocore",
    "http.client",
    "email",
    "urllib.parse",
    "urllib.request",
    "logging",
    "asyncio",
    "random",
    "coincurve",
    "Crypto",
    "concurrent.futures",
    "pydantic",
    "httpx2",
    "eth_account",
}


def test_importing_the_client_loads_only_what_a_cold_start_can_afford() -> None:
    out = subprocess.run(
        [sys.executable, "-c", IMPORTS], capture_output=True, text=True, check=True
    ).stdout
    assert "bursar.kms.client" in out.split()
    assert HEAVY & set(out.split()) == set()


def test_an_error_of_the_client_is_kms_s() -> None:
    line = Line([OSError("no route")] * 9)
    with pytest.raises(KmsError) as caught:
        line.client(Limits(attempts=1)).get_public_key("alias/treasury")
    assert caught.value.retryable
