"""A provider written out by hand: whatever bytes a test says, when it says so."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def read_request(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """Head and body of one request, or answer, with a content-length."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(
        (int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0
    )
    return head, await reader.readexactly(length)


def sse(*data: str) -> bytes:
    return b"".join(b"data: " + item.encode() + b"\n\n" for item in data)


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


def delta(text: str, finish: str | None = None) -> str:
    end = f'"{finish}"' if finish else "null"
    return (
        '{"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,'
        f'"delta":{{"content":"{text}"}},"finish_reason":{end}}}]}}'
    )


USAGE = (
    '{"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[],'
    '"usage":{"prompt_tokens":7,"completion_tokens":2,"total_tokens":9}}'
)


class RawServer:
    """A listening socket that plays `handler` on every connection and notes when the other side went away."""

    def __init__(self) -> None:
        self.connections = 0
        self.closed_by_peer = asyncio.Event()
        self.requests: list[tuple[bytes, bytes]] = []

    async def until_closed(self, reader: asyncio.StreamReader) -> None:
        """Wait until the peer closes; for handlers that stall."""
        try:
            while await reader.read(65536):
                pass
        except ConnectionError:
            pass
        self.closed_by_peer.set()


@asynccontextmanager
async def raw_server(
    handler: Callable[[RawServer, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
    listening: socket.socket | None = None,
):
    """Serves on a port of its own, or on one that somebody keeps `listening` for several servers in turn."""
    state = RawServer()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        state.connections += 1
        try:
            await handler(state, reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            state.closed_by_peer.set()
        finally:
            writer.close()

    if listening is None:
        server = await asyncio.start_server(handle, "127.0.0.1", 0)
    else:
        server = await asyncio.start_server(handle, sock=listening.dup())
    state.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        yield state
