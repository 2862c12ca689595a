"""The endpoint that Crossmint's webhooks are delivered to. It needs `bursar[webhooks]`.

```python
receiver = WebhookReceiver(WebhookVerifier(secret), DeliveryMemory.open(engine), look_now)
with serve(webhook_app(receiver), port=8787):
    ...
```
`POST /crossmint` takes deliveries, `GET /healthz` answers 200. It listens on loopback and speaks plain HTTP: TLS
and the way in are the proxy's. Bodies, headers and secrets are not logged.

Sources: Svix, "Receiving Webhooks" (2xx within 15 seconds, or it is delivered again).
"""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Self

import anyio
import anyio.to_thread
import uvicorn
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from bursar.errors import (
    BursarError,
    ConfigError,
    JournalError,
    RequestError,
    RequestTooLarge,
    WebhookRejected,
)
from bursar.webhooks.verification import Delivery, Seen, WebhookVerifier, read_delivery

# Crossmint's deliveries are a few kilobytes.
LARGEST_BODY: Final = 256 * 1024
# Seconds: what is left of Svix's fifteen is for the way back.
ANSWER_WITHIN: Final = 10.0
START_WITHIN: Final = 10.0

_log = logging.getLogger(__name__)
_STATUS: Final[dict[type[BursarError], int]] = {
    WebhookRejected: 401,
    RequestTooLarge: 413,
    RequestError: 400,
    JournalError: 503,
}


@dataclass(frozen=True, slots=True)
class WebhookReceiver:
    """What happens to a delivery. Blocking; safe to share between threads.

    `hint` is called once for each new delivery and returns at once: it wakes whoever looks. Where it raises, the
    delivery is forgotten, so that it comes again. `now` is the seam for tests.
    """

    verifier: WebhookVerifier
    seen: Seen
    hint: Callable[[Delivery], None]
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    def take(self, headers: list[tuple[str, str]], body: bytes) -> None:
        """Take one delivery. One that was seen before is taken without effect.

        Raises:
            WebhookRejected: it is not genuine, or too old.
            RequestError: it is genuine and cannot be read.
            JournalError: it is not known whether it came before.
        """
        now = self.now()
        delivery = read_delivery(self.verifier.genuine(headers, body, now), body)
        if not self.seen.first(delivery.id, now):
            return
        try:
            self.hint(delivery)
        except BaseException:
            self.seen.forget(delivery.id)
            raise


def webhook_app(
    receiver: WebhookReceiver, *, path: str = "/crossmint", within: float = ANSWER_WITHIN
) -> Starlette:
    """Return the ASGI application. `path` is where deliveries are posted, `within` bounds each answer in seconds.

    Raises:
        ConfigError: not a path of its own.
    """
    if not path.startswith("/") or not path.isascii() or path in {"/", "/healthz"} or "{" in path:
        raise ConfigError("a webhook's path begins with a slash and is not /healthz")

    async def deliver(request: Request) -> Response:
        with anyio.move_on_after(within):
            return await _answer(receiver, request)
        _log.warning("a webhook delivery was not answered within %s s", within)
        return JSONResponse({"code": "too_slow"}, 503)

    async def health(_request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    app = Starlette(
        routes=[Route(path, deliver, methods=["POST"]), Route("/healthz", health, methods=["GET"])]
    )
    app.router.redirect_slashes = False
    return app


async def _answer(receiver: WebhookReceiver, request: Request) -> Response:
    try:
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            return JSONResponse({"code": "unsupported_media_type"}, 415)
        body, headers = await _body(request), request.headers.items()
        # Abandoned when time is up: what it does is done all the same, and the next attempt finds it done.
        await anyio.to_thread.run_sync(receiver.take, headers, body, abandon_on_cancel=True)
    except ClientDisconnect:
        return Response()  # nobody is there to read it, and nothing was done
    except BursarError as error:
        status = next((code for kind, code in _STATUS.items() if isinstance(error, kind)), 500)
        _log.warning("a webhook delivery was answered %s (%s)", status, error.code)
        return JSONResponse({"code": error.code}, status)
    except Exception as error:  # noqa: BLE001  whatever `hint` raises is answered, and not shown
        _log.error("a webhook delivery could not be passed on (%s)", type(error).__name__)
        return JSONResponse({"code": "error"}, 500)
    return Response(status_code=204)


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST_BODY:
            raise RequestTooLarge("the delivery is too large")
    return bytes(body)


class WebhookServer:
    """A server on a thread of its own. `serve` makes one; leaving the `with` block stops it.

    `url` is where it listens.
    """

    def __init__(self, app: Starlette, listener: socket.socket) -> None:
        self._listener = listener
        host, port = listener.getsockname()[:2]
        self.url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        self._server = uvicorn.Server(
            uvicorn.Config(
                app,
                http="h11",
                ws="none",
                lifespan="off",
                log_config=None,
                log_level="warning",
                access_log=False,
                proxy_headers=False,
                server_header=False,
                limit_concurrency=64,
                h11_max_incomplete_event_size=16 * 1024,
                timeout_graceful_shutdown=5,
            )
        )
        self._thread = threading.Thread(
            target=self._server.run, args=([listener],), name="webhooks", daemon=True
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> Self:
        """Start it, and return once it answers.

        Raises:
            ConfigError: it does not come up.
        """
        self._thread.start()
        deadline = time.monotonic() + START_WITHIN
        while not self._server.started:
            if not self._thread.is_alive() or time.monotonic() > deadline:
                self.stop()
                raise ConfigError("the webhook endpoint does not come up")
            time.sleep(0.005)
        return self

    def stop(self) -> None:
        """Let the answers in hand be finished, and stop. Stopping twice does nothing."""
        self._server.should_exit = True
        self._thread.join(START_WITHIN)
        self._listener.close()


def serve(app: Starlette, host: str = "127.0.0.1", port: int = 8787) -> WebhookServer:
    """Serve the application on a thread, and return once it answers. Port 0 takes a free one.

    Raises:
        ConfigError: the address is not this machine's, or is taken.
    """
    if not 0 <= port <= 65535:
        raise ConfigError("a port is a number from 0 to 65535")
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.create_server((host, port), family=family, backlog=128)
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise ConfigError(
            f"the webhook endpoint cannot listen on {host} port {port}: {why}"
        ) from None
    return WebhookServer(app, listener).start()
