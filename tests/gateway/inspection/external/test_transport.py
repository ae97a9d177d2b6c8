"""What goes over the wire to a detector's service."""

import asyncio

import pytest

from gateway.inspection.external.shape import Outgoing
from gateway.inspection.external.transport import Unreachable, Wire
from tests.support.raw import RawServer, raw_server, read_request

ASK = Outgoing("POST", "/judge?v=1", [("content-type", "application/json")], b"{}")


def wire(url: str) -> Wire:
    return Wire(url, {"X-Tenant": "t"}, connections=2, max_answer=1000)


async def test_requests_share_a_connection_and_carry_the_headers() -> None:
    heads: list[bytes] = []

    async def handler(server: RawServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head, body = await read_request(reader)
            heads.append(head)
            assert body == b"{}"
            writer.write(b"HTTP/1.1 503 X\r\ncontent-length: 2\r\nretry-after: 4\r\nset-cookie: a=b\r\n\r\nno")

    async with raw_server(handler) as server:
        sender = wire(server.url + "/base/")
        for _ in range(2):
            assert await sender.send(ASK) == (503, b"no", 4.0)
        await sender.aclose()
        assert server.connections == 1
    lines = heads[1].decode().lower().split("\r\n")
    assert lines[0] == "post /base/judge?v=1 http/1.1"
    for line in ("x-tenant: t", "accept-encoding: identity", "content-type: application/json", "content-length: 2"):
        assert line in lines
    assert not [line for line in lines if line.startswith("cookie")]


@pytest.mark.parametrize("url", ["http://", "nonsense", "ftp://127.0.0.1"])
async def test_an_address_that_is_none_is_unreachable(url: str) -> None:
    sender = wire(url)
    with pytest.raises(Unreachable):
        await sender.send(ASK)
    await sender.aclose()


async def test_a_kept_connection_that_was_closed_is_replaced_once() -> None:
    """Also when the peer closes it only on seeing the next request."""
    answers = [True, False, True, False, False]

    async def handler(server: RawServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await read_request(reader)
            if not answers.pop(0):
                return
            writer.write(b"HTTP/1.1 200 X\r\ncontent-length: 2\r\n\r\nok")

    async with raw_server(handler) as server:
        sender = wire(server.url)
        assert (await sender.send(ASK))[1] == b"ok"
        assert (await sender.send(ASK))[1] == b"ok"
        assert server.connections == 2
        with pytest.raises(Unreachable):
            await sender.send(ASK)
        assert server.connections == 3
        await sender.aclose()
