from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx2
import pytest

from bursar.crossmint.client import CrossmintClient
from bursar.crossmint.limits import Clock, Limits

# Made here, of the right shape only; no server knows it.
KEY = "sk_staging_" + "A1b2C3d4" * 8


@dataclass
class FakeTime:
    """A clock that moves only when somebody sleeps."""

    seconds: float = 1000.0
    sleeps: list[float] = field(default_factory=list)

    def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.seconds += seconds

    def clock(self) -> Clock:
        return Clock(now=lambda: self.seconds, sleep=self.sleep, jitter=lambda: 0.5)


Reply = httpx2.Response | Exception | Callable[[httpx2.Request], httpx2.Response]


class FakeServer:
    """Answers with what it was told, in order, the last one for ever; keeps the requests."""

    def __init__(self) -> None:
        self.requests: list[httpx2.Request] = []
        self._replies: list[Reply] = []

    def answers(self, *replies: Reply | dict[str, Any] | list[Any], status: int = 200) -> None:
        self._replies = [
            httpx2.Response(status, json=r) if isinstance(r, dict | list) else r for r in replies
        ]

    def handle(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        reply = self._replies.pop(0) if len(self._replies) > 1 else self._replies[0]
        if isinstance(reply, Exception):
            raise reply
        if isinstance(reply, httpx2.Response):
            return httpx2.Response(reply.status_code, headers=reply.headers, content=reply.content)
        return reply(request)

    @property
    def last(self) -> httpx2.Request:
        return self.requests[-1]

    @property
    def path(self) -> str:
        return self.last.url.raw_path.decode()

    @property
    def body(self) -> Any:
        return json.loads(self.last.content)


@pytest.fixture
def server() -> FakeServer:
    return FakeServer()


@pytest.fixture
def time() -> FakeTime:
    return FakeTime()


@pytest.fixture
def client(server: FakeServer, time: FakeTime) -> Iterator[CrossmintClient]:
    with connect(server, time) as client:
        yield client


def connect(server: FakeServer, time: FakeTime, limits: Limits | None = None) -> CrossmintClient:
    return CrossmintClient(
        KEY, transport=httpx2.MockTransport(server.handle), limits=limits, clock=time.clock()
    )
