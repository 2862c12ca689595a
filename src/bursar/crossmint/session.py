"""The network: one call out, one answer in, repeated only where a repeat cannot act twice.

Reads are repeated on 5xx, timeouts and broken connections. Writes are repeated on 429 alone, which the
server answers before acting. A write that broke after it may have been sent is `CrossmintOutcomeUnknown`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from bursar.crossmint.calls import Answer, ApiKey, Call, is_loopback
from bursar.crossmint.limits import CallAllowance, Clock, Limits, OwnAllowance
from bursar.crossmint.problems import error_for
from bursar.errors import (
    CrossmintError,
    CrossmintOutcomeUnknown,
    CrossmintProtocolError,
    CrossmintRateLimited,
    CrossmintUnavailable,
    RequestError,
)
from bursar.version import VERSION

if TYPE_CHECKING:
    import httpx2

CLIENT_NAME = "bursar"
_LOOK_IT_UP = "it may have happened: look it up, or repeat with the same idempotency key"

Read = TypeVar("Read")


class Session:
    """Sends calls for one API key to one origin. Safe to share between threads."""

    def __init__(  # noqa: PLR0913  the client's, passed on
        self,
        key: ApiKey,
        origin: str,
        *,
        transport: httpx2.BaseTransport | None = None,
        limits: Limits | None = None,
        clock: Clock | None = None,
        allowance: CallAllowance | None = None,
    ) -> None:
        import httpx2

        self._key, self.origin = key, origin
        self._limits, self._clock = limits or Limits(), clock or Clock()
        self._allowance = allowance or OwnAllowance(self._limits, self._clock)
        self._invalid_url = httpx2.InvalidURL
        self._http = httpx2.Client(
            transport=transport,
            timeout=self._limits.timeout,
            follow_redirects=False,
            trust_env=not is_loopback(origin),  # no proxy between us and this machine
        )

    def __repr__(self) -> str:
        return f"Session({self.origin}, {self._key!r})"

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def ask(self, call: Call, read: Callable[[Any], Read]) -> Read:
        """Return the answer as `read` reads it.

        Raises:
            CrossmintOutcomeUnknown: a write was answered with success, in words that cannot be read.
            CrossmintError: one of its kinds, by meaning.
        """
        try:
            return read(self.send(call))
        except CrossmintProtocolError as error:
            if not call.writes or not _success(error.status):
                raise
            failure = CrossmintOutcomeUnknown(error.message, hint=_LOOK_IT_UP, status=error.status)
        raise failure

    def send(self, call: Call) -> Any:
        """Return the decoded JSON of a successful answer.

        Raises:
            CrossmintError: one of its kinds, by meaning.
            BursarError: the allowance's own; the call did nothing.
        """
        attempt = 1
        while True:
            self._allowance.take(write=call.writes)
            failure, body = self._attempt(call)
            if failure is None:
                return body
            if isinstance(failure, CrossmintRateLimited):
                self._allowance.refused(write=call.writes, retry_after=failure.retry_after)
            if attempt >= self._limits.attempts or not _may_repeat(call, failure):
                raise failure
            wait = self._wait(failure, attempt)
            if wait > self._limits.longest_wait:
                raise failure
            self._clock.sleep(wait)
            attempt += 1

    def _wait(self, failure: CrossmintError, attempt: int) -> float:
        backoff = self._limits.backoff(attempt, self._clock.jitter())
        asked = failure.retry_after if isinstance(failure, CrossmintRateLimited) else None
        return backoff if asked is None else asked + backoff * self._clock.jitter()

    def _attempt(self, call: Call) -> tuple[CrossmintError | None, Any]:
        """Return a failure, or None and the decoded body."""
        try:
            answer = self._exchange(call)
            if not 200 <= answer.status < 300:
                raise error_for(call, answer)
            return None, answer.json()
        except CrossmintError as error:
            failure = error
        failure.message = self._key.hide(failure.message)
        failure.args = (failure.message,)
        return failure, None

    def _exchange(self, call: Call) -> Answer:
        import httpx2

        request = self._request(call)
        try:
            response = self._http.send(request, stream=True)
            try:
                return Answer(
                    response.status_code,
                    {name.lower(): value for name, value in response.headers.items()},
                    self._key.hidden_in(self._body(call, response)),
                )
            finally:
                response.close()
        except _not_sent(httpx2) as error:
            failure: CrossmintError = _unreachable(call, error, self.origin)
        except (httpx2.HTTPError, httpx2.StreamError, httpx2.InvalidURL, OSError) as error:
            failure = _broken(call, error)
        # Raised here, out of the handler: the other exception holds the request and with it the key.
        raise failure

    def _request(self, call: Call) -> httpx2.Request:
        headers = {
            "X-API-KEY": self._key.reveal(),
            "accept": "application/json",
            "accept-encoding": "identity",  # so that the size that is bounded is the size that comes
            "user-agent": f"{CLIENT_NAME}/{VERSION}",
            "x-client-name": CLIENT_NAME,
            "x-client-version": VERSION,
        }
        if call.idempotency_key is not None:
            headers["x-idempotency-key"] = call.idempotency_key
        content = None
        if call.body is not None:
            headers["content-type"] = "application/json"
            content = _encode(call.body)
        try:
            return self._http.build_request(
                call.method,
                f"{self.origin}/api{call.path}",
                params=call.query,
                headers=headers,
                content=content,
            )
        except (UnicodeError, self._invalid_url):
            pass
        raise RequestError(f"could not {call.name}: a value cannot be put into a URL")

    def _body(self, call: Call, response: httpx2.Response) -> bytes:
        if response.headers.get("content-encoding", "identity").lower() != "identity":
            raise _unreadable(call, "is compressed, though that was declined", response.status_code)
        limit, deadline = self._limits.largest_answer, self._clock.now() + self._limits.timeout
        body = bytearray()
        for part in response.iter_bytes():
            body += part
            if len(body) > limit:
                raise _unreadable(call, f"is longer than {limit} bytes", response.status_code)
            if self._clock.now() > deadline:
                raise _broken(call, TimeoutError())
        return bytes(body)


def _encode(body: Mapping[str, Any]) -> bytes:
    try:
        return json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    except (ValueError, TypeError, RecursionError):
        raise RequestError("the request holds a value that JSON cannot carry") from None


def _success(status: int | None) -> bool:
    return status is None or 200 <= status < 300


def _may_repeat(call: Call, failure: CrossmintError) -> bool:
    if isinstance(failure, CrossmintRateLimited):
        return True
    return isinstance(failure, CrossmintUnavailable) and not call.writes


def _not_sent(httpx2: Any) -> tuple[type[Exception], ...]:
    """Return the failures after which certainly no byte of the request reached the server."""
    return (
        httpx2.ConnectError,
        httpx2.ConnectTimeout,
        httpx2.PoolTimeout,
        httpx2.UnsupportedProtocol,
        httpx2.LocalProtocolError,
        httpx2.ProxyError,
    )


def _unreachable(call: Call, error: Exception, origin: str) -> CrossmintUnavailable:
    sandbox = "is the sandbox up? bursar sandbox status"
    return CrossmintUnavailable(
        f"could not {call.name}: Crossmint cannot be reached ({type(error).__name__})",
        hint=f"nothing was sent; {sandbox if is_loopback(origin) else 'check the network'}",
    )


def _broken(call: Call, error: Exception) -> CrossmintError:
    what = f"could not {call.name}: no whole answer came ({type(error).__name__})"
    if not call.writes:
        return CrossmintUnavailable(what, hint="nothing was changed; repeat later")
    return CrossmintOutcomeUnknown(what, hint=_LOOK_IT_UP)


def _unreadable(call: Call, why: str, status: int) -> CrossmintProtocolError:
    return CrossmintProtocolError(f"could not {call.name}: the answer {why}", status=status)
