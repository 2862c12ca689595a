"""Who may talk to a sandbox's servers: programs that call them by their own name."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace
from typing import Any

import pytest

from bursar.sandbox import guarded_ministack
from bursar.sandbox.guard import Guard, refusal

PORT = 4566
OWN = (b"host", b"127.0.0.1:4566")
CORS = [(b"Access-Control-Allow-Origin", b"*"), (b"access-control-max-age", b"1")]


async def everything_goes(scope, _receive, send):
    start = "websocket.accept" if scope["type"] == "websocket" else "http.response.start"
    await send({"type": start, "status": 200, "headers": [*CORS, (b"date", b"today")]})
    if scope["type"] == "http":
        await send({"type": "http.response.body", "body": b"inside"})


def ask(app: Any, *headers: tuple[bytes, bytes], kind: str = "http", path: str = "/") -> list[Any]:
    """Return what the application sends for a request with these headers."""
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": kind, "path": path, "headers": list(headers)}
    asyncio.run(app(scope, receive, send))
    return sent


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1:4566", "localhost:4566", "LOCALHOST:4566", "abc123.execute-api.localhost:4566"],
)
def test_a_program_that_names_the_server_itself_comes_in(host):
    assert refusal([(b"Host", host.encode()), (b"user-agent", b"x")], PORT) == ""


@pytest.mark.parametrize(
    "host",
    [
        "evil.example:4566",
        "127.0.0.1.evil.example:4566",
        "localhost.evil.example:4566",
        "evillocalhost:4566",
        "evil.example/.localhost:4566",
        "evil.example#.localhost:4566",
        "user@localhost:4566",
        "127.0.0.2:4566",
        "0.0.0.0:4566",
        "[::1]:4566",
        "127.0.0.1:4567",
        "127.0.0.1",
        "localhost",
        "localhost\n:4566",
        ":4566",
        "",
        "é.localhost:4566",
    ],
)
def test_another_name_or_port_is_refused(host):
    assert refusal([(b"host", host.encode())], PORT).startswith("Host is not")


@pytest.mark.parametrize("hosts", [[], [OWN, OWN], [OWN, (b"Host", b"evil.example:4566")]])
def test_exactly_one_host_is_wanted(hosts):
    assert refusal(hosts, PORT).startswith("Host is not")


@pytest.mark.parametrize(
    "origin", [b"https://evil.example", b"null", b"", b"http://127.0.0.1:4566"]
)
def test_whatever_has_an_origin_is_refused(origin):
    assert "Origin" in refusal([OWN, (b"Origin", origin)], PORT)


@pytest.mark.parametrize("site", [b"cross-site", b"same-site", b"", b"anything"])
def test_what_another_site_makes_the_browser_send_is_refused(site):
    assert "Sec-Fetch-Site" in refusal([OWN, (b"Sec-Fetch-Site", site)], PORT)
    assert refusal([OWN, (b"sec-fetch-site", b"none"), (b"sec-fetch-site", site)], PORT)


@pytest.mark.parametrize("site", [b"none", b"same-origin"])
def test_an_address_typed_into_a_browser_is_no_attack(site):
    assert refusal([OWN, (b"sec-fetch-site", site)], PORT) == ""


def test_a_refused_request_never_reaches_the_server():
    start, body = ask(Guard(everything_goes, PORT), OWN, (b"origin", b"null"))
    assert start["status"] == 403
    assert not [name for name, _ in start["headers"] if name.startswith(b"access-control")]
    assert "web page" in json.loads(body["body"])["message"]


def test_a_refused_websocket_is_closed_before_it_opens():
    sent = ask(Guard(everything_goes, PORT), OWN, (b"origin", b"null"), kind="websocket")
    assert [message["type"] for message in sent] == ["websocket.close"]


@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_no_answer_invites_web_pages(kind):
    sent = ask(Guard(everything_goes, PORT), OWN, kind=kind)
    assert sent[0]["headers"] == [(b"date", b"today")]


def test_lifespan_events_pass_as_they_are():
    seen = []

    async def app(scope, _receive, _send):
        seen.append(scope["type"])

    ask(Guard(app, PORT), kind="lifespan")
    assert seen == ["lifespan"]


@pytest.mark.parametrize(
    ("path", "proof", "status"),
    [
        ("/_ministack/reset", None, 403),
        ("/_ministack/config", b"Bearer wrong", 403),
        ("/_ministack/reset", b"Bearer right", 200),
        ("/_localstack/health", None, 403),
        ("/_ministack/ready", None, 200),
        ("/", None, 200),
    ],
)
def test_ministacks_own_paths_want_the_roots_secret(path, proof, status):
    app = guarded_ministack.AdminOnly(everything_goes, "right")
    headers = [(b"authorization", proof)] if proof else []
    assert ask(app, OWN, *headers, path=path)[0]["status"] == status


def test_a_secret_given_twice_is_none():
    app = guarded_ministack.AdminOnly(everything_goes, "right")
    proof = (b"authorization", b"Bearer right")
    assert ask(app, proof, proof, path="/_ministack/reset")[0]["status"] == 403


def evaluator() -> Any:
    """Return the three functions of ministack's that are replaced, as they call each other."""

    def _is_root_key(key: str) -> Any:
        return found.is_root_access_key(key)

    def pin_signed_request(key: str) -> bool:
        return not found._is_root_key(key)

    found = SimpleNamespace(
        is_root_access_key=lambda key: key in ("", "test"),
        _is_root_key=_is_root_key,
        pin_signed_request=pin_signed_request,
    )
    return found


@pytest.mark.parametrize("key", ["", "test", "000000000000", "AKIAOTHER", "sandbox1"])
def test_only_the_sandboxes_own_key_is_root(key):
    found = evaluator()
    guarded_ministack.keep_one_root(found, "SANDBOX1")
    assert found.is_root_access_key("SANDBOX1")
    assert found._is_root_key("SANDBOX1")
    assert not found.is_root_access_key(key)
    assert not found._is_root_key(key)


def test_the_roots_signature_is_kept_for_checking_like_anybodys():
    found = evaluator()
    guarded_ministack.keep_one_root(found, "SANDBOX1")
    assert found.pin_signed_request("SANDBOX1")
    assert found._is_root_key("SANDBOX1")


def test_another_ministack_is_not_run_unguarded():
    with pytest.raises(AttributeError):
        guarded_ministack.keep_one_root(SimpleNamespace(), "SANDBOX1")
