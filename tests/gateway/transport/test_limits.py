"""The bounds are the ones asked for: one byte or field more is one too many."""

import asyncio
import math

import pytest

from gateway.errors import ProtocolBroken
from gateway.transport.connection import Connection
from gateway.transport.limits import Limits
from gateway.transport.response import PooledResponse

OK = b"HTTP/1.1 200 OK\r\n"
END = b"content-length: 0\r\n\r\n"
CHUNKED = OK + b"transfer-encoding: chunked\r\n\r\n"


class Nobody:
    """A pool that does not care, and a transport that goes nowhere."""

    def released(self, connection: Connection) -> None: ...

    def retired(self, connection: Connection) -> None: ...

    def vanished(self, connection: Connection) -> None: ...

    def write(self, data: bytes) -> None: ...

    def abort(self) -> None: ...


def answered(limits: Limits, *reads: bytes) -> PooledResponse:
    async def run() -> PooledResponse:
        connection = Connection(asyncio.get_running_loop(), Nobody(), limits, 55.0)
        connection.connection_made(Nobody())  # pyright: ignore[reportArgumentType]
        response = connection.begin(False, 60.0, math.inf)
        connection.hand_over(response, [b"request"])
        for data in reads:
            connection.data_received(data)
        return response

    return asyncio.run(run())


@pytest.mark.parametrize("extra", [0, 1])
def test_header_fields(extra: int) -> None:
    response = answered(Limits(max_headers=10), OK + b"x: y\r\n" * (9 + extra) + END)
    assert isinstance(response.error, ProtocolBroken) == bool(extra)


@pytest.mark.parametrize("extra", [0, 1])
def test_head_size(extra: int) -> None:
    """Counted as `name: value` and CRLF, whether the head comes in one read or in many."""
    head = b"x: " + b"y" * (100 - 5 - 19 + extra) + b"\r\n" + END
    body = b"z" * 200
    whole = answered(Limits(max_head=100), OK + head.replace(b": 0", b": 9") + body)
    assert isinstance(whole.error, ProtocolBroken) == bool(extra)


def test_endless_head() -> None:
    response = answered(Limits(max_head=100), OK, b"x: ", *[b"y" * 10] * 9)
    assert isinstance(response.error, ProtocolBroken)


@pytest.mark.parametrize("extra", [0, 1])
def test_trailers(extra: int) -> None:
    trailer = b"x: " + b"y" * (95 + extra) + b"\r\n"
    response = answered(Limits(max_overhead=100), CHUNKED + b"0\r\n" + trailer + b"\r\n")
    assert isinstance(response.error, ProtocolBroken) == bool(extra)


@pytest.mark.parametrize("size", [1, 100])
def test_overhead_in_proportion(size: int) -> None:
    """Eight bytes of framing are free with each byte of data, however long the stream."""
    chunk = b"%x;e=%b\r\n%b\r\n" % (size, b"e" * 40, b"x" * size)
    response = answered(Limits(max_overhead=500), CHUNKED, *[chunk] * 100)
    assert isinstance(response.error, ProtocolBroken) == (size == 1)
