from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from bursar.crossmint.client import CrossmintClient
from bursar.crossmint.limits import Limits
from bursar.crossmint.locators import RecipientLocator, TokenLocator
from bursar.crossmint.requests import NewTransfer
from bursar.errors import (
    BursarError,
    CrossmintAuth,
    CrossmintBadRequest,
    CrossmintError,
    CrossmintOutcomeUnknown,
    CrossmintProtocolError,
    CrossmintRateLimited,
    CrossmintUnavailable,
    JournalUnavailable,
    RequestError,
)
from tests.unit.crossmint import bodies
from tests.unit.crossmint.bodies import OTHER, WALLET
from tests.unit.crossmint.conftest import KEY, FakeServer, FakeTime, connect

TRANSFER = NewTransfer(
    token=TokenLocator.parse("base-sepolia:usdc"),
    recipient=RecipientLocator.parse(OTHER),
    amount="0.2",
)
FAILED = httpx2.Response(503, json={"error": True, "message": "down"})
LIMITED = httpx2.Response(429, json={"error": True, "message": "slow down"})
NOT_SENT: list[Exception] = [
    httpx2.ConnectError("refused"),
    httpx2.ConnectTimeout("slow"),
    httpx2.PoolTimeout("busy"),
]
MAYBE_SENT: list[Exception] = [
    httpx2.ReadTimeout("slow"),
    httpx2.WriteTimeout("slow"),
    httpx2.ReadError("reset"),
    httpx2.WriteError("reset"),
    httpx2.RemoteProtocolError("closed"),
    OSError("odd"),
]


def pay(client: CrossmintClient) -> Any:
    return client.create_transfer(WALLET, TRANSFER, idempotency_key="pay-1")


@pytest.mark.parametrize("failure", [*NOT_SENT, *MAYBE_SENT, FAILED], ids=repr)
def test_a_read_is_repeated_until_it_succeeds(
    client: CrossmintClient, server: FakeServer, time: FakeTime, failure: Any
) -> None:
    server.answers(failure, failure, httpx2.Response(200, json=bodies.wallet()))
    assert client.get_wallet(WALLET).address == WALLET
    assert len(server.requests) == 3
    assert time.sleeps == [0.375, 0.75]


@pytest.mark.parametrize("failure", [*NOT_SENT, *MAYBE_SENT, FAILED], ids=repr)
def test_a_read_is_given_up_after_some_attempts(
    client: CrossmintClient, server: FakeServer, failure: Any
) -> None:
    server.answers(failure)
    with pytest.raises(CrossmintUnavailable) as caught:
        client.get_wallet(WALLET)
    assert caught.value.retryable
    assert len(server.requests) == 4


@pytest.mark.parametrize("failure", NOT_SENT, ids=repr)
def test_a_write_that_was_never_sent_says_so_and_is_not_repeated(
    client: CrossmintClient, server: FakeServer, failure: Exception
) -> None:
    server.answers(failure)
    with pytest.raises(CrossmintUnavailable):
        pay(client)
    assert len(server.requests) == 1


@pytest.mark.parametrize("failure", MAYBE_SENT, ids=repr)
def test_a_write_that_may_have_been_sent_has_an_unknown_outcome(
    client: CrossmintClient, server: FakeServer, failure: Exception
) -> None:
    server.answers(failure)
    with pytest.raises(CrossmintOutcomeUnknown) as caught:
        pay(client)
    assert not caught.value.retryable
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [500, 502, 503, 504, 520, 408])
def test_a_server_error_on_a_write_is_an_unknown_outcome_with_the_record(
    client: CrossmintClient, server: FakeServer, status: int
) -> None:
    server.answers({"error": True, "message": "oops", "id": "rec-1"}, status=status)
    with pytest.raises(CrossmintOutcomeUnknown) as caught:
        pay(client)
    assert (caught.value.status, caught.value.record_id) == (status, "rec-1")
    assert len(server.requests) == 1


@pytest.mark.parametrize("body", [b"<html>", b"", b'{"id": "../x"}', b'{"id": 3}', b"[]"])
def test_a_record_id_that_is_none_is_left_out(
    client: CrossmintClient, server: FakeServer, body: bytes
) -> None:
    server.answers(httpx2.Response(502, content=body))
    with pytest.raises(CrossmintOutcomeUnknown) as caught:
        pay(client)
    assert caught.value.record_id is None


def test_a_write_that_was_rate_limited_did_not_act_and_is_repeated_with_the_same_key(
    client: CrossmintClient, server: FakeServer, time: FakeTime
) -> None:
    limited = httpx2.Response(429, headers={"Retry-After": "7"}, json={})
    server.answers(limited, LIMITED, httpx2.Response(201, json=bodies.transaction()))
    pay(client)
    assert len(server.requests) == 3
    assert {r.headers["x-idempotency-key"] for r in server.requests} == {"pay-1"}
    assert time.sleeps[0] >= 7


def test_a_read_honours_retry_after(
    client: CrossmintClient, server: FakeServer, time: FakeTime
) -> None:
    date = {
        "Date": "Sat, 03 Jan 2026 10:00:00 GMT",
        "Retry-After": "Sat, 03 Jan 2026 10:00:20 GMT",
    }
    server.answers(
        httpx2.Response(429, headers=date, json={}), httpx2.Response(200, json=bodies.wallet())
    )
    client.get_wallet(WALLET)
    assert 20 <= time.sleeps[0] < 21


def test_a_wait_beyond_the_longest_is_handed_to_the_caller(
    client: CrossmintClient, server: FakeServer, time: FakeTime
) -> None:
    server.answers(httpx2.Response(429, headers={"Retry-After": "3600"}, json={}))
    with pytest.raises(CrossmintRateLimited) as caught:
        client.get_wallet(WALLET)
    assert caught.value.retry_after == 3600
    assert (len(server.requests), time.sleeps) == (1, [])


@pytest.mark.parametrize("value", ["soon", "-5", "1e9", "", "9" * 30, "Sat, 99 Jan 2026"])
def test_an_unusable_retry_after_is_as_good_as_none(
    client: CrossmintClient, server: FakeServer, value: str
) -> None:
    server.answers(httpx2.Response(429, headers={"Retry-After": value}, json={}))
    with pytest.raises(CrossmintRateLimited) as caught:
        client.get_wallet(WALLET)
    assert caught.value.retry_after is None
    assert len(server.requests) == 4


def test_writes_and_reads_have_allowances_of_their_own(server: FakeServer, time: FakeTime) -> None:
    limits = Limits(writes_per_minute=2, reads_per_minute=3)
    client = connect(server, time, limits)
    server.answers(lambda r: httpx2.Response(200, json=_by_method(r)))
    for _ in range(3):
        client.get_wallet(WALLET)
    for _ in range(2):
        pay(client)
    assert time.sleeps == []
    pay(client)
    client.get_wallet(WALLET)
    assert time.sleeps == [60]
    client.close()


class Watched:
    """An allowance that remembers what it was told, and allows so many calls."""

    def __init__(self, calls: int = 100) -> None:
        self.told: list[tuple[str, bool, float | None]] = []
        self._left = calls

    def take(self, *, write: bool) -> None:
        if not self._left:
            raise JournalUnavailable("nobody knows")
        self._left -= 1
        self.told.append(("take", write, None))

    def refused(self, *, write: bool, retry_after: float | None) -> None:
        self.told.append(("refused", write, retry_after))


def watched(server: FakeServer, time: FakeTime, allowance: Watched) -> CrossmintClient:
    return CrossmintClient(
        KEY,
        transport=httpx2.MockTransport(server.handle),
        clock=time.clock(),
        allowance=allowance,
    )


def test_an_allowance_is_asked_before_each_attempt_and_told_of_each_429(
    server: FakeServer, time: FakeTime
) -> None:
    slow_down = httpx2.Response(429, headers={"Retry-After": "7"}, json={})
    allowance = Watched()
    with watched(server, time, allowance) as client:
        server.answers(slow_down, LIMITED, httpx2.Response(201, json=bodies.transaction()))
        pay(client)
        server.answers(FAILED, httpx2.Response(200, json=bodies.wallet()))
        client.get_wallet(WALLET)
    assert allowance.told == [
        ("take", True, None),
        ("refused", True, 7),
        ("take", True, None),
        ("refused", True, None),
        ("take", True, None),
        ("take", False, None),
        ("take", False, None),
    ]


def test_the_last_429_is_told_too(server: FakeServer, time: FakeTime) -> None:
    allowance = Watched()
    server.answers(httpx2.Response(429, headers={"Retry-After": "3600"}, json={}))
    with watched(server, time, allowance) as client, pytest.raises(CrossmintRateLimited):
        client.get_wallet(WALLET)
    assert allowance.told == [("take", False, None), ("refused", False, 3600)]


@pytest.mark.parametrize("allowed", [0, 1])
def test_what_is_not_allowed_is_not_sent(server: FakeServer, time: FakeTime, allowed: int) -> None:
    server.answers(LIMITED)
    with watched(server, time, Watched(allowed)) as client, pytest.raises(JournalUnavailable):
        pay(client)
    assert len(server.requests) == allowed


def _by_method(request: httpx2.Request) -> Any:
    return bodies.wallet() if request.method == "GET" else bodies.transaction()


def test_redirects_are_not_followed(client: CrossmintClient, server: FakeServer) -> None:
    server.answers(httpx2.Response(302, headers={"Location": "https://evil.example.com/"}))
    with pytest.raises(CrossmintProtocolError, match="302"):
        client.get_wallet(WALLET)
    assert len(server.requests) == 1


def test_an_answer_that_is_too_long_is_not_read_to_the_end(
    server: FakeServer, time: FakeTime
) -> None:
    sent = []

    def endless() -> Iterator[bytes]:
        while True:
            sent.append(1)
            yield b" " * 1000

    client = connect(server, time, Limits(largest_answer=10_000))
    server.answers(lambda _: httpx2.Response(200, content=endless()))
    with pytest.raises(CrossmintProtocolError, match="longer"):
        client.get_wallet(WALLET)
    assert len(sent) < 20
    client.close()


def test_an_answer_that_drips_runs_into_the_deadline(server: FakeServer, time: FakeTime) -> None:
    def dripping() -> Iterator[bytes]:
        while True:
            time.seconds += 10
            yield b" "

    client = connect(server, time, Limits(attempts=1))
    server.answers(lambda _: httpx2.Response(200, content=dripping()))
    with pytest.raises(CrossmintUnavailable):
        client.get_wallet(WALLET)
    with pytest.raises(CrossmintOutcomeUnknown):
        pay(client)
    client.close()


def test_a_connection_that_breaks_in_the_answer_leaves_a_write_unknown(
    client: CrossmintClient, server: FakeServer
) -> None:
    def cut() -> Iterator[bytes]:
        yield b'{"id":'
        raise httpx2.ReadError("reset")

    server.answers(lambda _: httpx2.Response(201, content=cut()))
    with pytest.raises(CrossmintOutcomeUnknown):
        pay(client)


def test_a_compressed_answer_is_refused(client: CrossmintClient, server: FakeServer) -> None:
    server.answers(
        lambda _: httpx2.Response(
            200, headers={"Content-Encoding": "gzip"}, content=iter([b"\x1f\x8b"])
        )
    )
    with pytest.raises(CrossmintProtocolError, match="compressed"):
        client.get_wallet(WALLET)
    assert server.last.headers["accept-encoding"] == "identity"


def test_the_key_goes_into_its_header_and_nowhere_else(
    client: CrossmintClient, server: FakeServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    server.answers({"error": True, "message": f"bad key {KEY}"}, status=401)
    with pytest.raises(CrossmintAuth) as caught:
        client.get_wallet(WALLET)
    assert server.last.headers["x-api-key"] == KEY
    assert KEY not in str(server.last.url)
    assert KEY not in caplog.text
    error: BaseException | None = caught.value
    while error is not None:
        assert KEY not in f"{error!r} {error} {vars(error)}"
        assert not hasattr(error, "request")
        error = error.__context__


@pytest.mark.parametrize("failure", [*NOT_SENT, *MAYBE_SENT], ids=repr)
def test_an_error_holds_no_request(
    client: CrossmintClient, server: FakeServer, failure: Exception
) -> None:
    server.answers(failure)
    with pytest.raises(CrossmintError) as caught:
        pay(client)
    assert caught.value.__context__ is None
    assert caught.value.__cause__ is None


def test_a_message_of_the_server_is_cut_and_cleaned(
    client: CrossmintClient, server: FakeServer
) -> None:
    server.answers({"error": True, "message": "a\r\n\x1b[31m" + "b" * 5000}, status=400)
    with pytest.raises(CrossmintBadRequest) as caught:
        client.get_wallet(WALLET)
    assert len(caught.value.message) < 400
    assert caught.value.message.isprintable()


def test_a_value_that_no_url_can_carry_is_our_error(client: CrossmintClient) -> None:
    with pytest.raises(RequestError):
        client.balances(WALLET, tokens=["\ud800"])


def test_a_value_that_no_json_can_carry_is_our_error(client: CrossmintClient) -> None:
    request = NewTransfer.model_construct(
        **{**TRANSFER.model_dump(), "token": TRANSFER.token, "recipient": "\ud800"}
    )
    with pytest.raises(BursarError):
        client.create_transfer(WALLET, request, idempotency_key="k")


def test_a_real_refused_connection_is_unavailable(time: FakeTime) -> None:
    client = CrossmintClient(
        KEY, base_url="http://127.0.0.1:9", limits=Limits(attempts=2), clock=time.clock()
    )
    with client, pytest.raises(CrossmintUnavailable):
        client.get_wallet(WALLET)
    assert len(time.sleeps) == 1


@pytest.mark.parametrize(
    "reply",
    [
        httpx2.Response(201, content=b"<html>created</html>"),
        httpx2.Response(201, json={"id": "tx-1"}),
        httpx2.Response(201, json=[]),
        httpx2.Response(200, content=b""),
    ],
    ids=["html", "without a status", "list", "empty"],
)
def test_a_success_that_cannot_be_read_is_an_unknown_outcome_not_a_failure(
    client: CrossmintClient, server: FakeServer, reply: httpx2.Response
) -> None:
    server.answers(reply)
    with pytest.raises(CrossmintOutcomeUnknown) as caught:
        pay(client)
    assert "idempotency key" in (caught.value.hint or "")
    assert len(server.requests) == 1
    with pytest.raises(CrossmintProtocolError):
        client.get_wallet(WALLET)
