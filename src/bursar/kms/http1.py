"""Just enough HTTP/1.1 to talk to KMS: one request, one answer with a Content-Length. Pure.

Anything KMS does not send (chunks, folded headers, informational answers, upgrades, two answers at once) is
refused, never guessed at. Source: RFC 9112.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from bursar.errors import KmsProtocolError

MAX_HEAD = 16 * 1024
MAX_BODY = 64 * 1024

_STATUS_LINE = re.compile(r"\AHTTP/1\.1 ([2-5][0-9]{2})(?: [\x20-\x7e\x80-\xff]*)?\Z")
_HEADER = re.compile(r"\A([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\x20-\x7e\x80-\xff\t]*)\Z")
_LENGTH = re.compile(r"\A[0-9]{1,9}\Z", re.ASCII)
# Headers that decide something here: twice the same one is ambiguous.
_SINGLE = frozenset(
    {"content-length", "connection", "date", "x-amzn-requestid", "x-amzn-errortype"}
)


@dataclass(frozen=True, slots=True)
class Response:
    """One whole answer. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def keeps_alive(self) -> bool:
        """Whether the server leaves the connection open for another request."""
        return self.headers.get("connection", "keep-alive").lower() == "keep-alive"


def render_post(headers: Mapping[str, str], body: bytes) -> bytes:
    """Return the bytes of `POST /` with these headers, the body and its length."""
    lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
    return f"POST / HTTP/1.1\r\n{lines}content-length: {len(body)}\r\n\r\n".encode("latin-1") + body


class ResponseReader:
    """Reads one answer from bytes as they arrive.

    Feed it until `is_complete`, then take `response`. Bytes beyond the answer are an error, since one connection
    carries one request at a time. `largest` is how many bytes a body may have.
    """

    def __init__(self, largest: int = MAX_BODY) -> None:
        self._largest = largest
        self._data = bytearray()
        self._status = 0
        self._headers: dict[str, str] = {}
        self._body_at = 0
        self._end = 0

    @property
    def has_begun(self) -> bool:
        """Whether any byte of the answer came."""
        return bool(self._data)

    @property
    def is_complete(self) -> bool:
        """Whether the whole answer is here."""
        return self._body_at > 0 and len(self._data) == self._end

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the connection.

        Raises:
            KmsProtocolError: not an answer of the one accepted form, or larger than KMS's answers are.
        """
        self._data += data
        if not self._body_at:
            self._find_head()
        if self._body_at and len(self._data) > self._end:
            raise KmsProtocolError("there are bytes after the answer")

    def response(self) -> Response:
        """Return the answer.

        Raises:
            KmsProtocolError: it is not complete.
        """
        if not self.is_complete:
            raise KmsProtocolError("the answer is cut short")
        return Response(self._status, self._headers, bytes(self._data[self._body_at : self._end]))

    def _find_head(self) -> None:
        split = self._data.find(b"\r\n\r\n", 0, MAX_HEAD)
        if split < 0:
            if len(self._data) >= MAX_HEAD:
                raise KmsProtocolError("the answer's head is too long")
            return
        status_line, *lines = self._data[:split].decode("latin-1").split("\r\n")
        self._status = _read_status(status_line)
        self._headers = _read_headers(lines)
        self._body_at = split + 4
        self._end = self._body_at + _body_length(self._headers, self._largest)


def _read_status(line: str) -> int:
    match = _STATUS_LINE.match(line)
    if match is None:
        raise KmsProtocolError("the answer does not begin with an HTTP/1.1 status line")
    return int(match[1])


def _read_headers(lines: list[str]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for line in lines:
        match = _HEADER.match(line)
        if match is None:
            raise KmsProtocolError("the answer has a malformed header")
        name = match[1].lower()
        if name in headers and name in _SINGLE:
            raise KmsProtocolError(f"the answer has two {name} headers")
        headers[name] = match[2].rstrip(" \t")
    return headers


def _body_length(headers: Mapping[str, str], largest: int) -> int:
    if "transfer-encoding" in headers:
        raise KmsProtocolError("the answer is chunked, which KMS's answers never are")
    if headers.get("content-encoding", "identity") != "identity":
        raise KmsProtocolError("the answer is compressed, which nobody asked for")
    length = headers.get("content-length", "")
    if not _LENGTH.match(length):
        raise KmsProtocolError("the answer has no usable Content-Length")
    if int(length) > largest:
        raise KmsProtocolError(f"the answer is {length} bytes; no more than {largest} are read")
    return int(length)
