"""The client on a line that breaks, stalls, throttles and lies: the local stub with faults."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import coincurve
import pytest

from bursar.chains import evm
from bursar.chains.evm import Scheme
from bursar.errors import (
    KmsAccessDenied,
    KmsCredentials,
    KmsError,
    KmsKeyDisabled,
    KmsKeyNotFound,
    KmsKeyUnusable,
    KmsProtocolError,
    KmsThrottled,
    KmsTimeout,
    KmsUnavailable,
    KmsWrongUsage,
    WrongKey,
)
from bursar.kms.client import KmsClient, Limits
from bursar.kms.names import parse_endpoint
from bursar.kms.sigv4 import Credentials
from bursar.signer import KmsSigner
from tests.fakes.kms_server import (
    Delay,
    Fault,
    HangUp,
    HangUpAfterwards,
    Key,
    KmsServer,
    Refuse,
    Reply,
    SignWith,
)

QUICK = Limits(deadline=2.0, attempt_timeout=0.2, attempts=4, first_wait=0.001)
REQUEST = evm.kms_request(bytes(range(32)))


def client(server: KmsServer, limits: Limits = QUICK) -> KmsClient:
    credentials = Credentials(server.access_key_id, server.secret_access_key, server.session_token)
    return KmsClient(
        server.region, lambda: credentials, endpoint=parse_endpoint(server.url), limits=limits
    )


@pytest.fixture
def key(kms_server: KmsServer) -> Key:
    return kms_server.create_key(alias="alias/treasury")


PASSING: list[Fault] = [
    Refuse("ThrottlingException"),
    Refuse("com.amazonaws.kms#ThrottlingException"),
    Refuse("KMSInternalException", status=500),
    Refuse("DependencyTimeoutException", status=503),
    Refuse("KeyUnavailableException", status=500),
    HangUp(),
    Delay(0.4),
    Reply(b"HTTP/1.1 503 Slow Down\r\nContent-Length: 0\r\n\r\n"),
]


@pytest.mark.parametrize("fault", PASSING, ids=repr)
def test_a_passing_fault_is_retried_and_gives_one_signature(
    kms_server: KmsServer, key: Key, fault: Fault
) -> None:
    with client(kms_server) as kms:
        signer = KmsSigner.open(kms, key.arn)
        kms_server.script.extend([fault, fault])
        signed = signer.sign_hash(bytes(32), Scheme.EIP191)
    assert len(kms_server.calls("Sign")) == 3
    assert evm.parse_signature(signed.signature.to_bytes(), signed.digest, signer.address)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("ThrottlingException", KmsThrottled),
        ("KMSInternalException", KmsUnavailable),
        ("DependencyTimeoutException", KmsUnavailable),
    ],
)
def test_retries_are_bounded(
    kms_server: KmsServer, key: Key, kind: str, expected: type[KmsError]
) -> None:
    kms_server.script.extend([Refuse(kind, status=500)] * 10)
    with client(kms_server) as kms, pytest.raises(expected):
        kms.sign(key.arn, REQUEST)
    assert len(kms_server.calls("Sign")) == QUICK.attempts


FINAL = {
    "AccessDeniedException": KmsAccessDenied,
    "NotFoundException": KmsKeyNotFound,
    "DisabledException": KmsKeyDisabled,
    "KMSInvalidStateException": KmsKeyUnusable,
    "InvalidKeyUsageException": KmsWrongUsage,
    "ExpiredTokenException": KmsCredentials,
    "SomethingNewException": KmsError,
}


@pytest.mark.parametrize(("kind", "expected"), FINAL.items())
def test_a_refusal_is_not_retried_and_keeps_aws_s_words_to_itself(
    kms_server: KmsServer, key: Key, kind: str, expected: type[KmsError]
) -> None:
    kms_server.script.append(Refuse(kind))
    with client(kms_server) as kms, pytest.raises(expected) as caught:
        kms.sign(key.arn, REQUEST)
    assert type(caught.value) is expected
    assert len(kms_server.calls("Sign")) == 1
    assert caught.value.request_id
    for secret in ("111122223333", "secret-name", "arn:"):
        assert secret not in str(caught.value.to_dict())


def test_the_deadline_is_for_everything_retries_included(kms_server: KmsServer, key: Key) -> None:
    kms_server.delay = 1.0
    limits = Limits(deadline=0.4, attempt_timeout=0.15, attempts=100, first_wait=0.01)
    began = time.monotonic()
    with client(kms_server, limits) as kms, pytest.raises(KmsTimeout):
        kms.sign(key.arn, REQUEST)
    assert 0.15 < time.monotonic() - began < 0.8


def test_a_kept_connection_that_the_server_closed_is_replaced_without_costing_an_attempt(
    kms_server: KmsServer, key: Key
) -> None:
    with client(kms_server, Limits(attempts=1)) as kms:
        for _ in range(3):
            kms_server.script.append(HangUpAfterwards())
            kms.sign(key.arn, REQUEST)
    assert len(kms_server.calls("Sign")) == 3
    assert kms_server.connections == 3


def test_calls_in_turn_share_one_connection(kms_server: KmsServer, key: Key) -> None:
    with client(kms_server) as kms:
        for _ in range(5):
            kms.sign(key.arn, REQUEST)
    assert kms_server.connections == 1


def test_a_connection_that_timed_out_is_never_used_again(kms_server: KmsServer, key: Key) -> None:
    """Otherwise its late answer would be taken for the answer to the next request."""
    other = kms_server.create_key()
    with client(kms_server) as kms:
        kms.sign(key.arn, REQUEST)
        kms_server.script.append(Delay(0.3))
        assert kms.sign(other.arn, REQUEST).key_arn == other.arn
        time.sleep(0.2)
        assert kms.sign(key.arn, REQUEST).key_arn == key.arn


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        b"<html>captive portal</html>\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: http://elsewhere/\r\nContent-Length: 0\r\n\r\n",
    ],
)
def test_what_is_not_kms_s_protocol_is_refused_at_once(
    kms_server: KmsServer, key: Key, data: bytes
) -> None:
    kms_server.script.append(Reply(data))
    with client(kms_server) as kms, pytest.raises(KmsProtocolError):
        kms.sign(key.arn, REQUEST)
    assert len(kms_server.calls("Sign")) == 1


def test_a_signature_by_another_key_is_not_released_and_both_addresses_are_named(
    kms_server: KmsServer, key: Key
) -> None:
    other = coincurve.PrivateKey()
    other_address = evm.PublicKey(other.public_key.format(compressed=False)[1:]).address
    with client(kms_server) as kms:
        signer = KmsSigner.open(kms, key.arn)
        kms_server.script.append(SignWith(other))
        with pytest.raises(WrongKey) as caught:
            signer.sign_hash(bytes(range(32)), Scheme.RAW)
    assert signer.address in caught.value.message
    assert other_address in caught.value.message
    assert len(kms_server.calls("Sign")) == 1


def test_an_alias_that_moves_changes_nothing_for_an_open_signer(
    kms_server: KmsServer, key: Key
) -> None:
    with client(kms_server) as kms:
        signer = KmsSigner.open(kms, "alias/treasury")
        moved_to = kms_server.create_key(alias="alias/treasury")
        signer.sign_hash(bytes(range(32)), Scheme.RAW)
        assert kms_server.calls("Sign")[-1].fields["KeyId"] == key.arn
        assert KmsSigner.open(kms, "alias/treasury").key.key_arn == moved_to.arn


def test_a_wrong_clock_is_corrected_once_and_remembered(kms_server: KmsServer, key: Key) -> None:
    kms_server.clock_ahead = -7200
    with client(kms_server) as kms:
        kms.sign(key.arn, REQUEST)
        kms.sign(key.arn, REQUEST)
    assert len(kms_server.calls("Sign")) == 3


def test_a_wrong_secret_is_not_taken_for_a_wrong_clock(kms_server: KmsServer, key: Key) -> None:
    kms_server.secret_access_key = "right"
    wrong = Credentials(kms_server.access_key_id, "wrong")
    endpoint = parse_endpoint(kms_server.url)
    with (
        KmsClient(kms_server.region, lambda: wrong, endpoint=endpoint) as kms,
        pytest.raises(KmsCredentials),
    ):
        kms.sign(key.arn, REQUEST)
    assert len(kms_server.calls("Sign")) == 1


def test_a_session_token_is_sent_and_signed(kms_server: KmsServer, key: Key) -> None:
    kms_server.session_token = "IQoJ/token+of=a//role"
    with client(kms_server) as kms:
        assert kms.sign(key.arn, REQUEST).key_arn == key.arn
    assert "x-amz-security-token" in kms_server.requests[0].headers["authorization"]


def test_a_hundred_first_callers_share_one_get_public_key(kms_server: KmsServer, key: Key) -> None:
    barrier = threading.Barrier(100)
    kms_server.delay = 0.1

    def open_signer(kms: KmsClient) -> str:
        barrier.wait(10)
        return KmsSigner.open(kms, key.arn).address

    with client(kms_server) as kms, ThreadPoolExecutor(100) as threads:
        addresses = {job.result() for job in [threads.submit(open_signer, kms) for _ in range(100)]}
    assert len(addresses) == 1
    assert len(kms_server.calls("GetPublicKey")) == 1


def test_after_warm_up_a_signature_is_one_call_from_any_thread(
    kms_server: KmsServer, key: Key
) -> None:
    with client(kms_server) as kms, ThreadPoolExecutor(8) as threads:
        signer = KmsSigner.open(kms, key.arn)
        hashes = [bytes([i]) * 32 for i in range(1, 65)]
        signed = list(threads.map(lambda one: signer.sign_hash(one, Scheme.RAW), hashes))
    assert [one.digest for one in signed] == hashes
    assert len(kms_server.requests) == 1 + 64
    assert kms_server.connections <= 9


def test_a_closed_client_keeps_no_connection(kms_server: KmsServer, key: Key) -> None:
    kms = client(kms_server)
    kms.sign(key.arn, REQUEST)
    kms.close()
    kms.sign(key.arn, REQUEST)
    kms.sign(key.arn, REQUEST)
    assert kms_server.connections == 3


def test_a_port_where_nobody_listens_is_unavailable(kms_server: KmsServer) -> None:
    url = kms_server.url
    with KmsServer() as gone:
        url = gone.url
    credentials = Credentials("AKID", "secret")
    with (
        KmsClient(
            "us-east-1", lambda: credentials, endpoint=parse_endpoint(url), limits=QUICK
        ) as kms,
        pytest.raises(KmsUnavailable),
    ):
        kms.get_public_key("alias/treasury")


def test_plain_http_where_tls_is_due_is_an_error_of_ours(kms_server: KmsServer) -> None:
    credentials = Credentials("AKID", "secret")
    endpoint = parse_endpoint(kms_server.url.replace("http:", "https:"))
    with (
        KmsClient("us-east-1", lambda: credentials, endpoint=endpoint, limits=QUICK) as kms,
        pytest.raises(KmsError),
    ):
        kms.get_public_key("alias/treasury")


def test_the_environment_alone_sets_a_client_up(kms_server: KmsServer, key: Key) -> None:
    environ = {
        "AWS_REGION": kms_server.region,
        "AWS_ENDPOINT_URL_KMS": kms_server.url,
        "AWS_ACCESS_KEY_ID": kms_server.access_key_id,
        "AWS_SECRET_ACCESS_KEY": kms_server.secret_access_key,
    }
    with KmsClient.from_environment(environ=environ) as kms:
        assert kms.get_public_key("alias/treasury").key_arn == key.arn


FORK = """
import os, sys
from bursar.chains.evm import kms_request
from bursar.kms import KmsClient

with KmsClient.from_environment() as kms:
    request = kms_request(bytes(range(32)))
    kms.sign(sys.argv[1], request)
    child = os.fork()
    kms.sign(sys.argv[1], request)
    if child:
        sys.exit(os.waitpid(child, 0)[1])
"""


def test_a_forked_child_opens_a_connection_of_its_own(kms_server: KmsServer, key: Key) -> None:
    environ = {
        "AWS_REGION": kms_server.region,
        "AWS_ENDPOINT_URL_KMS": kms_server.url,
        "AWS_ACCESS_KEY_ID": kms_server.access_key_id,
        "AWS_SECRET_ACCESS_KEY": kms_server.secret_access_key,
    }
    subprocess.run([sys.executable, "-c", FORK, key.arn], env=environ, check=True, timeout=30)
    assert kms_server.connections == 2
    assert len(kms_server.calls("Sign")) == 3
