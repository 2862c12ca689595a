"""The door of a sandbox's servers: programs of this machine may come in, web pages may not.

A web page can send requests to loopback: to `127.0.0.1` by name, or under its own name once its DNS answers
`127.0.0.1` (DNS rebinding). Browsers say so in `Host`, `Origin` and `Sec-Fetch-Site`, which no page can change
(Fetch Standard, "forbidden request-header"). Programs send the server's own `Host` and none of the others.

Standard library alone: `guarded_ministack.py` loads this file by its path, under ministack's Python.
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from http import HTTPStatus
from typing import Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers = Iterable[tuple[bytes, bytes]]

# RFC 6761, section 6.3: names under localhost are loopback, whoever asks. AWS's APIs and buckets use them.
_OWN_NAME = re.compile(r"127\.0\.0\.1|(?:[a-z0-9_.-]+\.)?localhost", re.IGNORECASE)
# A page of this very server, and an address typed by hand. Another port of localhost is "same-site".
_OWN_SITE = {"same-origin", "none"}
_STARTS = {"http.response.start", "websocket.accept", "websocket.http.response.start"}


def refusal(headers: Headers, port: int) -> str:
    """Return why a request with these headers is turned away by the server on `port`; empty where it is not."""
    given = [(name.lower(), value.decode("latin-1").strip()) for name, value in headers]
    hosts = [value for name, value in given if name == b"host"]
    name, _, its_port = hosts[0].rpartition(":") if len(hosts) == 1 else ("", "", "")
    if its_port != str(port) or not _OWN_NAME.fullmatch(name):
        return f"Host is not 127.0.0.1:{port} or localhost:{port}"
    if any(name == b"origin" for name, _ in given):
        return "it has an Origin, so it comes from a web page"
    if any(name == b"sec-fetch-site" and value not in _OWN_SITE for name, value in given):
        return "Sec-Fetch-Site says that it comes from a web page"
    return ""


class Guard:
    """ASGI 3 middleware: 403 for what `refusal` names, and no CORS headers on any answer."""

    def __init__(self, app: App, port: int) -> None:
        self.app = app
        self.port = port

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what may come in. Lifespan events pass as they are."""
        if scope["type"] not in {"http", "websocket"}:
            await self.app(scope, receive, send)
        elif why := refusal(scope["headers"], self.port):
            await refuse(scope, send, f"Refused by the sandbox: {why}.")
        else:
            await self.app(scope, receive, _without_cors(send))


async def refuse(scope: Scope, send: Send, message: str) -> None:
    """Answer 403 with a JSON body that says why; a WebSocket is closed before it opens."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})
        return
    body = json.dumps({"error": True, "message": message}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
    ]
    await send({"type": "http.response.start", "status": HTTPStatus.FORBIDDEN, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _without_cors(send: Send) -> Send:
    async def stripped(message: Message) -> None:
        if message["type"] in _STARTS:
            kept = [
                (name, value)
                for name, value in message.get("headers", [])
                if not name.lower().startswith(b"access-control-")
            ]
            message = {**message, "headers": kept}
        await send(message)

    return stripped
