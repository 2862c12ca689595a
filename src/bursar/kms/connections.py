"""Kept-alive connections to one endpoint: TLS, deadlines, and who holds which. No KMS in here.

TLS always verifies the certificate and the host name. Name resolution is the platform's, with a time limit of
its own. Proxies are not used.
"""

from __future__ import annotations

import os
import socket
import ssl
import threading
import time
from collections.abc import Callable
from typing import Protocol

from bursar.errors import KmsError, KmsProtocolError, KmsTimeout, KmsUnavailable
from bursar.kms.http1 import MAX_BODY, Response, ResponseReader
from bursar.kms.names import Endpoint

_CHUNK = 16 * 1024


class Stream(Protocol):
    """The part of a connected socket that is used."""

    def settimeout(self, seconds: float | None, /) -> None:
        """Bound the next operation."""
        ...

    def sendall(self, data: bytes, /) -> None:
        """Send everything."""
        ...

    def recv(self, size: int, /) -> bytes:
        """Return at most `size` bytes; none means that the server hung up."""
        ...

    def close(self) -> None:
        """Let go of the connection."""
        ...


Connect = Callable[[Endpoint, float], Stream]


class StaleConnection(Exception):
    """A kept connection turned out to be closed by the server before it answered anything."""


class Dialler:
    """Opens sockets to an endpoint. The TLS context, which is costly, is made at the first https connection."""

    def __init__(self, ca_file: str | None = None) -> None:
        self._ca_file = ca_file
        self._context: ssl.SSLContext | None = None

    def __call__(self, endpoint: Endpoint, timeout: float) -> Stream:
        """Return a connected socket, over TLS for https. `timeout` is in seconds."""
        plain = _connect(endpoint.address, time.monotonic() + timeout)
        try:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if endpoint.scheme == "http":
                return plain
            return self._tls().wrap_socket(plain, server_hostname=endpoint.address[0])
        except BaseException:
            plain.close()
            raise

    def _tls(self) -> ssl.SSLContext:
        if self._context is None:
            self._context = ssl.create_default_context(cafile=self._ca_file)
        return self._context


class Connection:
    """One connection, used by one thread at a time. An answer's body has at most `largest` bytes."""

    def __init__(self, stream: Stream, largest: int = MAX_BODY) -> None:
        self._stream = stream
        self._largest = largest
        self._limit = 0.0
        self.was_used = False
        self.idle_since = 0.0

    def ask(self, request: bytes, remaining: Callable[[], float]) -> Response:
        """Send a request and return the whole answer. `remaining` gives the seconds left.

        Raises:
            StaleConnection: it had been used before, and closed without a byte of an answer.
            KmsUnavailable: it broke.
            KmsTimeout: the time ran out.
            KmsProtocolError: the answer is not HTTP as KMS speaks it.
        """
        reader = ResponseReader(self._largest)
        try:
            self._bound(remaining())
            self._stream.sendall(request)
            while not reader.is_complete:
                self._bound(remaining())
                reader.feed(self._receive())
        except OSError as error:
            if self.was_used and not reader.has_begun and not isinstance(error, TimeoutError):
                raise StaleConnection from None
            raise socket_error(error) from None
        self.was_used = True
        return reader.response()

    def close(self) -> None:
        """Close it. What is wrong with a connection that is thrown away does not matter."""
        try:
            self._stream.close()
        except OSError:
            return

    def _bound(self, seconds: float) -> None:
        # A system call each time, so the limit stays while it is right to a twentieth.
        if not 0.95 * self._limit <= seconds <= 1.05 * self._limit:
            self._stream.settimeout(seconds)
            self._limit = seconds

    def _receive(self) -> bytes:
        data = self._stream.recv(_CHUNK)
        if not data:
            raise ConnectionResetError
        return data


class Pool:
    """Idle connections, newest first. Threads may share it; a forked child starts with an empty one."""

    def __init__(
        self,
        open_one: Callable[[float], Stream],
        idle_seconds: float,
        largest: int = MAX_BODY,
    ) -> None:
        self._open_one = open_one
        self._idle_seconds = idle_seconds
        self._largest = largest
        self._lock = threading.Lock()
        self._idle: list[Connection] = []
        self._owner = os.getpid()
        self._is_open = True

    def take(self, now: float, timeout: float) -> Connection:
        """Return an idle connection that is young enough, or a new one.

        Raises:
            KmsUnavailable: it cannot be opened.
            KmsTimeout: not within `timeout` seconds.
            KmsProtocolError: the server's certificate is not to be trusted.
        """
        old: list[Connection] = []
        with self._lock:
            if (
                self._owner != os.getpid()
            ):  # the parent's sockets: sharing them would mix answers up
                self._owner, old, self._idle = os.getpid(), self._idle, []
            found = self._idle.pop() if self._idle else None
            if found and now - found.idle_since > self._idle_seconds:  # so are all below it
                old, self._idle, found = [found, *self._idle], [], None
        for connection in old:
            connection.close()
        return found or self._open(timeout)

    def give_back(self, connection: Connection, now: float) -> None:
        """Keep a connection for the next call; close it where the pool is closed."""
        connection.idle_since = now
        with self._lock:
            if self._is_open and self._owner == os.getpid():
                self._idle.append(connection)
                return
        connection.close()

    def drop_idle(self) -> None:
        """Close all idle connections: one was stale, so the rest likely are."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def close(self) -> None:
        """Close all idle connections and keep none from now on."""
        self._is_open = False
        self.drop_idle()

    def _open(self, timeout: float) -> Connection:
        try:
            return Connection(self._open_one(timeout), self._largest)
        except OSError as error:
            raise socket_error(error) from None


def _connect(address: tuple[str, int], end: float) -> socket.socket:
    """Try the host's addresses in turn, each with an equal share of the time that is left."""
    found = socket.getaddrinfo(*address, type=socket.SOCK_STREAM)
    last: OSError = ConnectionError("the name has no address")
    for index, (family, kind, protocol, _, target) in enumerate(found):
        stream = socket.socket(family, kind, protocol)
        try:
            stream.settimeout(max(0.001, (end - time.monotonic()) / (len(found) - index)))
            stream.connect(target)
        except OSError as error:
            stream.close()
            last = error
        else:
            stream.settimeout(max(0.001, end - time.monotonic()))
            return stream
    raise last


def socket_error(error: OSError) -> KmsError:
    """Return our error for a socket's."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return KmsProtocolError(
            "the TLS certificate of the KMS endpoint is not to be trusted",
            hint="behind an inspecting proxy, point AWS_CA_BUNDLE at its certificates",
        )
    if isinstance(error, TimeoutError):
        return KmsTimeout("KMS did not answer in time", hint="check the network path to KMS")
    if isinstance(error, socket.gaierror):
        return KmsUnavailable(
            "the KMS endpoint's name does not resolve", hint="check AWS_REGION and the endpoint"
        )
    return KmsUnavailable(f"the connection to KMS failed ({type(error).__name__})")
