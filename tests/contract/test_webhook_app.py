"""The endpoint over a real socket on loopback, with deliveries signed by the sender's own library."""

from __future__ import annotations

import base64
import contextlib
import json
import logging
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import httpx2
import pytest
from svix.webhooks import Webhook

from bursar.errors import ConfigError, JournalUnavailable
from bursar.webhooks.app import LARGEST_BODY, WebhookReceiver, serve, webhook_app
from bursar.webhooks.verification import Delivery, WebhookVerifier

SECRET = "whsec_" + base64.b64encode(secrets.token_bytes(24)).decode()
BODY = json.dumps({"type": "wallets.transfer.out", "data": {"transferId": "tx-1"}})


@dataclass
class Memory:
    """`Seen` in memory. `away` makes it fail."""

    ids: set[str] = field(default_factory=set)
    away: bool = False

    def first(self, delivery: str, at: datetime) -> bool:
        assert at.tzinfo is UTC
        if self.away:
            raise JournalUnavailable("away")
        is_new = delivery not in self.ids
        self.ids.add(delivery)
        return is_new

    def forget(self, delivery: str) -> None:
        self.ids.discard(delivery)


@dataclass
class Endpoint:
    url: str = ""
    memory: Memory = field(default_factory=Memory)
    hints: list[Delivery] = field(default_factory=list)
    trouble: Exception | None = None
    hold: threading.Event | None = None

    def hint(self, delivery: Delivery) -> None:
        if self.hold:
            self.hold.wait(10)
        if self.trouble:
            raise self.trouble
        self.hints.append(delivery)

    def post(
        self, body: str = BODY, *, name: str = "msg_1", ago: float = 0, **headers: str
    ) -> httpx2.Response:
        at = datetime.now(UTC) - timedelta(seconds=ago)
        sent = {
            "svix-id": name,
            "svix-timestamp": str(int(at.timestamp())),
            "svix-signature": Webhook(SECRET).sign(name, at, body),
            "content-type": "application/json",
            **{key.replace("_", "-"): value for key, value in headers.items()},
        }
        return self.send("POST", "/crossmint", headers=sent, content=body.encode())

    def send(self, method: str, path: str, **more: object) -> httpx2.Response:
        with httpx2.Client(trust_env=False, timeout=20) as http:
            return http.request(method, self.url + path, **more)  # type: ignore[arg-type]


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    found = Endpoint()
    receiver = WebhookReceiver(WebhookVerifier(SECRET), found.memory, found.hint)
    with serve(webhook_app(receiver, within=1.0), port=0) as server:
        found.url = server.url
        yield found


def test_a_genuine_delivery_is_passed_on_once(endpoint: Endpoint) -> None:
    assert endpoint.post().status_code == 204
    assert endpoint.post().status_code == 204
    assert endpoint.hints == [Delivery("msg_1", "wallets.transfer.out", transfer="tx-1")]
    assert endpoint.post(name="msg_2").status_code == 204
    assert [hint.id for hint in endpoint.hints] == ["msg_1", "msg_2"]


def test_a_content_type_may_have_a_charset(endpoint: Endpoint) -> None:
    assert endpoint.post(content_type="application/json; charset=utf-8").status_code == 204


def test_what_is_not_genuine_is_refused_and_not_remembered(endpoint: Endpoint) -> None:
    assert endpoint.post(svix_signature="v1,AAAA").status_code == 401
    assert endpoint.post(ago=400).status_code == 401
    assert endpoint.post(ago=-400).status_code == 401
    assert endpoint.post(svix_id="msg_other").status_code == 401
    bare = endpoint.send("POST", "/crossmint", json={"type": "x"})
    assert (bare.status_code, bare.json()) == (401, {"code": "webhook_rejected"})
    assert (endpoint.hints, endpoint.memory.ids) == ([], set())


def test_what_is_malformed_is_refused_after_its_signature(endpoint: Endpoint) -> None:
    assert endpoint.post("[]").status_code == 400
    assert endpoint.post("[]", svix_signature="v1,AAAA").status_code == 401
    assert endpoint.memory.ids == set()


def test_a_body_that_is_too_large_is_not_read_on(endpoint: Endpoint) -> None:
    assert endpoint.post("x" * (LARGEST_BODY + 1)).status_code == 413
    assert endpoint.post("x" * LARGEST_BODY).status_code == 400


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_other_content_types_are_refused(endpoint: Endpoint, kind: str) -> None:
    assert endpoint.post(content_type=kind).status_code == 415


def test_other_paths_and_methods_are_refused(endpoint: Endpoint) -> None:
    assert endpoint.send("GET", "/crossmint").status_code == 405
    assert endpoint.send("PUT", "/crossmint").status_code == 405
    assert endpoint.send("POST", "/crossmint/").status_code == 404
    assert endpoint.send("GET", "/").status_code == 404
    health = endpoint.send("GET", "/healthz")
    assert (health.status_code, health.json()) == (200, {"status": "ok"})
    assert "server" not in health.headers


def test_a_giant_header_is_refused(endpoint: Endpoint) -> None:
    assert endpoint.post(svix_signature="v1," + "A" * 15_000).status_code == 401
    head = b"POST /crossmint HTTP/1.1\r\nhost: x\r\nsvix-signature: v1," + b"A" * 10**6
    answer = b"reset"
    with contextlib.suppress(ConnectionError):  # it may be hung up on before all of it is sent
        answer = exchange(endpoint, head)
    assert answer == b"reset" or answer.startswith(b"HTTP/1.1 400 ")
    assert endpoint.send("GET", "/healthz").status_code == 200


def test_a_header_that_is_not_ascii_is_refused(endpoint: Endpoint) -> None:
    raw = BODY.encode()
    head = (
        b"POST /crossmint HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
        b"svix-id: msg_\xc3\xa9\r\nsvix-timestamp: 1\r\nsvix-signature: v1,\xff\r\n"
        b"connection: close\r\ncontent-length: " + str(len(raw)).encode() + b"\r\n\r\n"
    )
    assert exchange(endpoint, head + raw).startswith(b"HTTP/1.1 401 ")


def test_a_header_that_is_there_twice_is_refused(endpoint: Endpoint) -> None:
    head = (
        b"POST /crossmint HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
        b"svix-id: msg_1\r\nsvix-id: msg_2\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
    )
    assert exchange(endpoint, head).startswith(b"HTTP/1.1 401 ")


def test_a_delivery_that_could_not_be_passed_on_comes_again(endpoint: Endpoint) -> None:
    endpoint.trouble = ValueError("k3y")
    assert endpoint.post().status_code == 500
    endpoint.trouble = None
    assert endpoint.post().status_code == 204
    assert len(endpoint.hints) == 1


def test_without_its_memory_nothing_is_taken(endpoint: Endpoint) -> None:
    endpoint.memory.away = True
    assert endpoint.post().status_code == 503
    assert endpoint.hints == []


def test_whoever_is_slow_to_take_a_hint_does_not_hold_the_answer(endpoint: Endpoint) -> None:
    endpoint.hold = threading.Event()
    assert endpoint.post().status_code == 503
    assert endpoint.post().status_code == 204
    endpoint.hold.set()
    deadline = time.monotonic() + 5
    while not endpoint.hints and time.monotonic() < deadline:
        time.sleep(0.01)
    assert len(endpoint.hints) == 1


def test_a_body_that_does_not_come_is_not_waited_for(endpoint: Endpoint) -> None:
    head = b"POST /crossmint HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
    answer = exchange(endpoint, head + b"content-length: 10\r\n\r\n{")
    assert answer.startswith(b"HTTP/1.1 503 ")


def test_whoever_hangs_up_in_the_middle_leaves_nothing_behind(
    endpoint: Endpoint, caplog: pytest.LogCaptureFixture
) -> None:
    host, port = endpoint.url.removeprefix("http://").split(":")
    head = b"POST /crossmint HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(head + b"content-length: 10\r\n\r\n{")
    assert endpoint.send("GET", "/healthz").status_code == 200
    assert endpoint.post().status_code == 204
    assert "ERROR" not in caplog.text


def test_neither_body_nor_header_nor_secret_is_logged(
    endpoint: Endpoint, caplog: pytest.LogCaptureFixture
) -> None:
    # Ours and the server's; the test's own client logs as it likes.
    for logger in ("bursar", "uvicorn", "starlette"):
        caplog.set_level(logging.INFO, logger)
    endpoint.post('{"type":"k3y-body"}', name="msg_k3y")
    endpoint.post("k3y-body", name="msg_k3y")
    endpoint.post(svix_signature="v1,k3y-signature")
    endpoint.trouble = ValueError("k3y-body")
    endpoint.post(name="msg_k3y_2")
    ours = [r for r in caplog.records if not r.name.startswith(("httpx2", "httpcore2", "asyncio"))]
    said = [record.getMessage() for record in ours]
    assert said == [
        "a webhook delivery was answered 400 (invalid_request)",
        "a webhook delivery was answered 401 (webhook_rejected)",
        "a webhook delivery could not be passed on (ValueError)",
    ]
    assert not any(record.exc_info for record in ours)


def test_an_address_that_is_taken_is_said_so(endpoint: Endpoint) -> None:
    port = int(endpoint.url.rpartition(":")[2])
    receiver = WebhookReceiver(WebhookVerifier(SECRET), endpoint.memory, endpoint.hint)
    with pytest.raises(ConfigError, match=f"cannot listen on .* port {port}"):
        serve(webhook_app(receiver), port=port)
    with pytest.raises(ConfigError, match="0 to 65535"):
        serve(webhook_app(receiver), port=70_000)


def test_a_server_stops_and_leaves_its_address(endpoint: Endpoint) -> None:
    receiver = WebhookReceiver(WebhookVerifier(SECRET), endpoint.memory, endpoint.hint)
    server = serve(webhook_app(receiver, path="/hooks/crossmint"), port=0)
    assert httpx2.get(f"{server.url}/healthz", trust_env=False).status_code == 200
    server.stop()
    server.stop()
    with pytest.raises(httpx2.ConnectError):
        httpx2.get(f"{server.url}/healthz", trust_env=False)


@pytest.mark.parametrize("path", ["", "crossmint", "/", "/healthz", "/{any}", "/é"])
def test_a_path_that_is_none_is_refused(endpoint: Endpoint, path: str) -> None:
    receiver = WebhookReceiver(WebhookVerifier(SECRET), endpoint.memory, endpoint.hint)
    with pytest.raises(ConfigError):
        webhook_app(receiver, path=path)


def exchange(endpoint: Endpoint, raw: bytes) -> bytes:
    """Send bytes, and return what comes back."""
    host, port = endpoint.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(raw)
        return connection.recv(4096)
