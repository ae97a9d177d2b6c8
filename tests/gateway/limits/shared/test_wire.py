"""One connection, spoken to by a server of the test's own."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.limits.shared.address import Login
from gateway.limits.shared.wire import Reply, ReplyError, Wire, WireLost, connect, encode, greeting, told
from tests.support.redis_servers import RedisServer, free_port


async def wire_to(port: int, lost: list[str]) -> Wire:
    return await connect(asyncio.get_running_loop(), ("127.0.0.1", port), None, None, lost.append)


Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def serving(handler: Handler) -> tuple[asyncio.Server, int]:
    server = await asyncio.start_server(handler, "127.0.0.1", 0)
    return server, server.sockets[0].getsockname()[1]


async def test_replies_come_in_order_and_errors_are_replies(redis_server: RedisServer) -> None:
    wire = await wire_to(redis_server.port, [])
    replies = await wire.ask([encode("ECHO", b"a\r\nb"), encode("NONSENSE"), encode("ECHO", "c"), encode("PING")])
    assert replies[0] == b"a\r\nb"
    assert isinstance(replies[1], ReplyError)
    assert replies[2:] == [b"c", b"PONG"]
    assert wire.waiting_since() is None
    wire.close("done")


async def test_who_waits_when_it_breaks_is_told_that_it_was_sent() -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.transport.abort()

    server, port = await serving(handler)
    lost: list[str] = []
    wire = await wire_to(port, lost)
    with pytest.raises(WireLost) as raised:
        await wire.ask([encode("PING"), encode("PING")])
    assert raised.value.sent
    assert len(lost) == 1
    with pytest.raises(WireLost) as raised:
        await wire.ask([encode("PING")])
    assert not raised.value.sent
    server.close()


@pytest.mark.parametrize(
    ("said", "reason"), [(b"HTTP/1.1 400 Bad\r\n", "does not speak RESP"), (b"+1\r\n+2\r\n", "nobody asked for")]
)
async def test_what_does_not_speak_the_protocol_is_left(said: bytes, reason: str) -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(said)
        await reader.read()
        writer.close()

    server, port = await serving(handler)
    lost: list[str] = []
    wire = await wire_to(port, lost)
    replies: list[Reply] = []
    wire.send(encode("PING"), replies.append)
    while not lost:
        await asyncio.sleep(0.005)
    assert reason in lost[0]
    assert wire.closed
    server.close()


async def test_a_server_that_is_not_there() -> None:
    with pytest.raises(WireLost, match=r"127\.0\.0\.1:\d+: "):
        await wire_to(free_port(), [])


@given(st.lists(st.binary(max_size=20), min_size=1, max_size=6))
def test_commands_are_arrays_of_bulk_strings(parts: list[bytes]) -> None:
    """RESP: `*<count>`, then for each `$<length>` and the bytes."""
    expected = b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)
    assert encode(*parts) == expected


def test_a_connection_begins_with_who_we_are() -> None:
    assert greeting(None) == []
    assert greeting(Login(None, "p"), 2) == [encode("AUTH", "p"), encode("SELECT", 2)]
    assert greeting(Login("u", "p")) == [encode("AUTH", "u", "p")]


async def test_what_a_server_repeats_of_a_command_is_not_told(redis_server: RedisServer) -> None:
    """ "Without the words it was sent": a server that does not know a command repeats what came with it."""
    wire = await wire_to(redis_server.port, [])
    (reply,) = await wire.ask([encode("AUTHX", "default", "s3cret-pass")])
    wire.close("done")
    assert isinstance(reply, ReplyError)
    assert "s3cret-pass" in str(reply), "else there is nothing to keep back"
    assert "s3cret-pass" not in told(reply)
    assert "unknown command" in told(reply)
