"""Reading from an Ethereum node over JSON-RPC. Blocking; safe to share between threads.

The endpoint's address often holds an API key, so it is in no error, log or `repr`. That is why requests go to
httpx2's transport and not through its client, which logs the address of every request; and why a node's own words
are never repeated, for some quote it.

Source: JSON-RPC 2.0; ethereum/execution-apis.
"""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from bursar import strict_json
from bursar.crossmint.limits import Clock
from bursar.crossmint.problems import retry_after
from bursar.errors import ChainError, ChainUnavailable
from bursar.settlement.endpoint import Endpoint
from bursar.strict_json import NotStrictJson

if TYPE_CHECKING:
    import httpx2

# "limit exceeded" of EIP-1474, which stands for too many calls and for too large a range; and what some send
# in its place.
LIMIT_CODES: Final = frozenset({-32005, -32029, -32097, 429})
# What carries a JSON-RPC error in its body, at some providers.
_REFUSING: Final = frozenset({400, 413, 422})
_CHECK: Final = "check chain.rpc_url"


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one read may take. Times are in seconds, sizes in bytes.

    `timeout` bounds one attempt, `attempts` how often a read is tried, `longest_wait` the wait between two.
    """

    attempts: int = 4
    timeout: float = 20.0
    first_wait: float = 0.5
    longest_wait: float = 30.0
    largest_answer: int = 16 * 1024 * 1024

    def wait(self, attempt: int, jitter: float) -> float:
        """Return how long to wait after the attempt of this number (from 1): doubled each time, half random."""
        span = min(self.first_wait * 2.0 ** (attempt - 1), self.longest_wait)
        return span / 2 + span / 2 * jitter


@dataclass(frozen=True, slots=True)
class NodeRefusal:
    """An error that the node answered with, by its code alone."""

    code: int

    @property
    def is_limit(self) -> bool:
        """Whether it may mean that too much was asked in too short a time."""
        return self.code in LIMIT_CODES


@dataclass(frozen=True, slots=True)
class _Busy:
    """No answer this time: why, and how many seconds the node asked to be left alone."""

    why: str
    retry_after: float = 0.0


class JsonRpc:
    """One node's endpoint: https, or http on loopback. A user name and password in the address are sent as such.

    `transport` and `clock` are the seams for tests.

    Raises:
        ConfigError: no such address; the message does not show it.
    """

    def __init__(
        self,
        url: str,
        *,
        bounds: Bounds | None = None,
        transport: httpx2.BaseTransport | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._endpoint = Endpoint.of(url)
        self.bounds, self.clock = bounds or Bounds(), clock or Clock()
        self._ids = itertools.count(1)
        self._transport = transport or self._endpoint.transport()

    def __repr__(self) -> str:
        return "JsonRpc()"

    def __reduce__(self) -> Any:
        raise TypeError("an endpoint's address is not pickled")

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def read(self, method: str, *params: Any) -> Any:
        """Return the result of a method that changes nothing, tried again where the node has trouble.

        Raises:
            ChainUnavailable: it could not be reached, or turns calls away, after all attempts.
            ChainError: it refused, or does not speak JSON-RPC.
        """
        answer = self._repeated(method, params, is_divisible=False)
        if isinstance(answer, NodeRefusal):
            raise refused(method, answer)
        return answer

    def try_read(self, method: str, *params: Any) -> Any:
        """Do as `read`, but return a `NodeRefusal` at once, for whoever can ask for less.

        Raises:
            ChainUnavailable, ChainError: as `read`.
        """
        return self._repeated(method, params, is_divisible=True)

    def pause(self, attempt: int, asked: float = 0.0) -> None:
        """Wait after the attempt of this number, and as long as the node asked for."""
        self.clock.sleep(asked + self.bounds.wait(attempt, self.clock.jitter()))

    def _repeated(self, method: str, params: tuple[Any, ...], *, is_divisible: bool) -> Any:
        attempt = 1
        while True:
            answer = self._once(method, params)
            is_limit = isinstance(answer, NodeRefusal) and answer.is_limit and not is_divisible
            if not is_limit and not isinstance(answer, _Busy):
                return answer
            asked = answer.retry_after if isinstance(answer, _Busy) else 0.0
            if attempt >= self.bounds.attempts or asked > self.bounds.longest_wait:
                break
            self.pause(attempt, asked)
            attempt += 1
        if isinstance(answer, NodeRefusal):
            return answer
        raise ChainUnavailable(
            f"the chain's node cannot be reached for {method} ({answer.why})",
            hint="nothing was changed; look again later, or check chain.rpc_url",
        )

    def _once(self, method: str, params: tuple[Any, ...]) -> Any:
        number = next(self._ids)
        call = {"jsonrpc": "2.0", "id": number, "method": method, "params": list(params)}
        answer = self._exchange(json.dumps(call).encode())
        if isinstance(answer, _Busy):
            return answer
        status, body = answer
        if status != 200 and status not in _REFUSING:
            raise _wrong_status(status)
        found = _read(body, number)
        if refusal := _refusal(found):
            return refusal
        if status != 200:
            raise _wrong_status(status)
        if found is None or "result" not in found:
            raise ChainError(f"the node's answer to {method} is not JSON-RPC's", hint=_CHECK)
        return found["result"]

    def _exchange(self, content: bytes) -> _Busy | tuple[int, bytes]:
        import httpx2

        request = httpx2.Request(
            "POST",
            self._endpoint.url,
            headers=self._endpoint.headers,
            content=content,
            extensions={"timeout": httpx2.Timeout(self.bounds.timeout).as_dict()},
        )
        try:
            response = self._transport.handle_request(request)
            try:
                return _busy(response) or (response.status_code, self._body(response))
            finally:
                response.close()
        except (httpx2.HTTPError, httpx2.StreamError, httpx2.InvalidURL, OSError) as error:
            return _Busy(type(error).__name__)

    def _body(self, response: httpx2.Response) -> bytes:
        if response.headers.get("content-encoding", "identity").lower() != "identity":
            raise ChainError("the node's answer is compressed, though that was declined")
        deadline = self.clock.now() + self.bounds.timeout
        body = bytearray()
        for part in response.iter_bytes():
            body += part
            if len(body) > self.bounds.largest_answer:
                raise ChainError(
                    f"the node's answer is longer than {self.bounds.largest_answer} bytes"
                )
            if self.clock.now() > deadline:
                raise TimeoutError
        return bytes(body)


def refused(method: str, refusal: NodeRefusal) -> ChainError:
    """Return the error for a refusal that stays."""
    kind = ChainUnavailable if refusal.is_limit else ChainError
    return kind(
        f"the chain's node refuses {method} (code {refusal.code})",
        hint="its provider may limit this method, or how much may be asked in a time",
    )


def _busy(response: httpx2.Response) -> _Busy | None:
    status = response.status_code
    if status not in (408, 429) and status < 500:
        return None
    headers = {name.lower(): value for name, value in response.headers.items()}
    return _Busy(f"HTTP {status}", retry_after(headers) or 0.0)


def _wrong_status(status: int) -> ChainError:
    hints = {401: "its API key", 403: "its API key", 404: "its path"}
    return ChainError(
        f"the chain's node answered HTTP {status}; redirects are not followed",
        hint=f"check {hints.get(status, 'the address')} in chain.rpc_url",
    )


def _read(body: bytes, number: int) -> dict[str, Any] | None:
    """Return the answer to the call of this number, if it is one. An error may come without a number."""
    try:
        found = strict_json.loads(body)
    except NotStrictJson:
        return None
    if not isinstance(found, dict):
        return None
    numbers = (number, None) if found.get("error") is not None else (number,)
    return found if found.get("id") in numbers else None


def _refusal(found: dict[str, Any] | None) -> NodeRefusal | None:
    error = found.get("error") if found else None
    if error is None:
        return None
    code = error.get("code") if isinstance(error, dict) else None
    return NodeRefusal(code if isinstance(code, int) and abs(code) < 2**31 else 0)
