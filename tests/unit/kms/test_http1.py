from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.errors import KmsProtocolError
from bursar.kms.http1 import MAX_BODY, MAX_HEAD, Response, ResponseReader, render_post

ANSWER = (
    b"HTTP/1.1 200 OK\r\nx-amzn-RequestId: abc-1\r\nDate: Mon, 23 Nov 2026 23:04:23 GMT\r\n"
    b"Content-Type: application/x-amz-json-1.1\r\nContent-Length: 7\r\n\r\n" + b'{"a":1}'
)


def read(data: bytes) -> Response:
    reader = ResponseReader()
    reader.feed(data)
    return reader.response()


def test_a_request_is_the_headers_the_length_and_the_body() -> None:
    assert render_post({"host": "h", "x-amz-target": "T"}, b"{}") == (
        b"POST / HTTP/1.1\r\nhost: h\r\nx-amz-target: T\r\ncontent-length: 2\r\n\r\n{}"
    )


@given(st.lists(st.integers(0, len(ANSWER)), max_size=8))
def test_an_answer_reads_the_same_however_it_is_cut(cuts: list[int]) -> None:
    reader = ResponseReader()
    edges = [0, *sorted(cuts), len(ANSWER)]
    for start, end in itertools.pairwise(edges):
        assert not reader.is_complete or start == end
        reader.feed(ANSWER[start:end])
    answer = reader.response()
    assert (answer.status, answer.body, answer.keeps_alive) == (200, b'{"a":1}', True)
    assert answer.headers["x-amzn-requestid"] == "abc-1"


@pytest.mark.parametrize("end", range(len(ANSWER)))
def test_a_cut_answer_is_never_complete(end: int) -> None:
    reader = ResponseReader()
    reader.feed(ANSWER[:end])
    assert not reader.is_complete
    assert reader.has_begun == (end > 0)
    with pytest.raises(KmsProtocolError, match="cut short"):
        reader.response()


OK = b"HTTP/1.1 200 OK\r\n"
UNUSUAL = {
    "HTTP/1.0": b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
    "HTTP/2": b"HTTP/2 200\r\nContent-Length: 0\r\n\r\n",
    "informational": b"HTTP/1.1 100 Continue\r\n\r\n",
    "two-digit status": b"HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n",
    "not HTTP": b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
    "bare line feeds": b"HTTP/1.1 200 OK\nContent-Length: 0\n\n\r\n\r\n",
    "no length": OK + b"Date: x\r\n\r\n",
    "chunked": OK + b"Transfer-Encoding: chunked\r\n\r\n",
    "chunked and length": OK + b"Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n",
    "gzip": OK + b"Content-Encoding: gzip\r\nContent-Length: 0\r\n\r\n",
    "two lengths": OK + b"Content-Length: 0\r\nContent-Length: 0\r\n\r\n",
    "negative length": OK + b"Content-Length: -1\r\n\r\n",
    "signed length": OK + b"Content-Length: +1\r\n\r\n",
    "hex length": OK + b"Content-Length: 0x10\r\n\r\n",
    "listed length": OK + b"Content-Length: 2, 2\r\n\r\n",
    "other digits": OK + "Content-Length: ²\r\n\r\n".encode("latin-1"),
    "huge length": OK + b"Content-Length: 999999999\r\n\r\n",
    "too long": OK + f"Content-Length: {MAX_BODY + 1}\r\n\r\n".encode(),
    "endless digits": OK + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n",
    "folded header": OK + b"Content-Length: 0\r\n folded\r\n\r\n",
    "space before colon": OK + b"Content-Length : 0\r\n\r\n",
    "no colon": OK + b"Content-Length 0\r\n\r\n",
    "NUL in header": OK + b"X: \x00\r\nContent-Length: 0\r\n\r\n",
    "CR in header": OK + b"X: a\rb\r\nContent-Length: 0\r\n\r\n",
    "two request ids": OK
    + b"x-amzn-requestid: a\r\nX-Amzn-RequestId: b\r\nContent-Length: 0\r\n\r\n",
    "bytes after": OK + b"Content-Length: 1\r\n\r\nab",
    "second answer": ANSWER + ANSWER,
    "endless head": OK + b"X: " + b"a" * MAX_HEAD,
}


@pytest.mark.parametrize("data", UNUSUAL.values(), ids=UNUSUAL)
def test_what_kms_never_sends_is_refused(data: bytes) -> None:
    with pytest.raises(KmsProtocolError):
        read(data)


@pytest.mark.parametrize(
    ("connection", "kept"), [("close", False), ("Keep-Alive", True), ("upgrade", False)]
)
def test_the_connection_is_kept_only_where_the_server_keeps_it(
    connection: str, *, kept: bool
) -> None:
    head = f"Connection: {connection}\r\nContent-Length: 0\r\n\r\n".encode()
    assert read(OK + head).keeps_alive is kept


def test_a_header_that_decides_nothing_may_come_twice() -> None:
    assert read(OK + b"Via: a\r\nVia: b\r\nContent-Length: 0\r\n\r\n").headers["via"] == "b"


@given(st.lists(st.binary(max_size=60), max_size=12))
def test_arbitrary_bytes_raise_only_our_error(pieces: list[bytes]) -> None:
    reader = ResponseReader()
    try:
        for piece in pieces:
            reader.feed(piece)
        reader.response()
    except KmsProtocolError:
        return


@given(st.integers(0, len(ANSWER) - 1), st.integers(0, 255))
def test_one_wrong_byte_raises_only_our_error(at: int, value: int) -> None:
    try:
        read(ANSWER[:at] + bytes([value]) + ANSWER[at + 1 :])
    except KmsProtocolError:
        return
