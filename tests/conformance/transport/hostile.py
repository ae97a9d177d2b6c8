"""A hostile provider, played on raw sockets, and every transport that must survive it."""

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from gateway.seams import Origin, Timeouts, Transport, UpstreamRequest, UpstreamResponse
from gateway.transport.httpx_transport import HttpxTransport
from gateway.transport.limits import Limits
from gateway.transport.pool import Pool

PATIENCE = 60.0
"""Seconds after which a condition that should come at once counts as never."""


@dataclass
class Heard:
    """One request as it came over the wire."""

    line: bytes
    headers: list[tuple[bytes, bytes]]
    body: bytes

    def header(self, name: bytes) -> bytes | None:
        return next((value for key, value in self.headers if key.lower() == name), None)


class Talk:
    """One connection, seen from the server."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        self.reader = reader
        self.writer = writer
        self.number = number
        self.ended = asyncio.Event()
        self.heard: list[Heard] = []

    async def head(self) -> Heard:
        raw = await self.reader.readuntil(b"\r\n\r\n")
        line, *rest = raw[:-4].split(b"\r\n")
        headers = [(name, value.strip()) for name, _, value in (field.partition(b":") for field in rest)]
        return Heard(line, headers, b"")

    async def request(self) -> Heard:
        heard = await self.head()
        if heard.header(b"transfer-encoding") is not None:
            while size := int((await self.reader.readuntil(b"\r\n"))[:-2], 16):
                heard.body += (await self.reader.readexactly(size + 2))[:-2]
            await self.reader.readexactly(2)
        else:
            heard.body = await self.reader.readexactly(int(heard.header(b"content-length") or 0))
        return heard

    async def say(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    def reset(self) -> None:
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def gone(self) -> None:
        """Returns when the client has closed or reset the connection."""
        with contextlib.suppress(ConnectionError):
            async with asyncio.timeout(PATIENCE):
                while await self.reader.read(65_536):
                    pass


Script = Callable[[Talk], Awaitable[None]]


@dataclass
class Peer:
    """A server whose every connection follows a script."""

    script: Script
    tls: ssl.SSLContext | None = None
    talks: list[Talk] = field(default_factory=list)
    failures: list[BaseException] = field(default_factory=list)
    server: asyncio.Server | None = None
    port: int = 0
    running: set["asyncio.Task[Any]"] = field(default_factory=set)

    async def start(self) -> "Peer":
        self.server = await asyncio.start_server(self._meet, "127.0.0.1", 0, ssl=self.tls)
        self.port = self.server.sockets[0].getsockname()[1]
        return self

    async def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talk = Talk(reader, writer, len(self.talks))
        self.talks.append(talk)
        task = asyncio.current_task()
        assert task is not None
        self.running.add(task)
        try:
            await self.script(talk)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass  # the client left, which is what many tests are about; or the test is over
        except Exception as error:
            self.failures.append(error)
        finally:
            self.running.discard(task)
            writer.close()
            talk.ended.set()

    async def talk(self, number: int = 0) -> Talk:
        """The n-th connection, when it has come."""
        await until(lambda: len(self.talks) > number)
        return self.talks[number]

    def origin(self, **more: Any) -> Origin:
        return Origin("https" if self.tls else "http", more.pop("host", "127.0.0.1"), self.port, **more)

    async def stop(self) -> None:
        assert self.server is not None
        self.server.close()
        for task in list(self.running):
            task.cancel()
        await asyncio.gather(*self.running, return_exceptions=True)


async def until(condition: Callable[[], object]) -> None:
    """Wait for a condition; a test waits for what must become true, never for a time."""
    loop = asyncio.get_running_loop()
    limit = loop.time() + PATIENCE
    while not condition():
        assert loop.time() < limit, "the condition never became true"
        await asyncio.sleep(0.001)


@dataclass(frozen=True)
class Kind:
    """A transport under test, and where it is allowed to differ from the pool. Each flag says why."""

    name: str
    make: Callable[[], Transport]

    answers_early: bool = True
    """httpcore reads the response only after the whole request body was sent; an early response waits for that."""
    proves_unread: bool = True
    """httpcore keeps its sockets to itself, so there is no acknowledgement count to prove that a POST was not read."""
    refuses_obs_fold: bool = True
    """h11 unfolds obsolete line folding into a space (RFC 9112 section 5.2 allows a user agent either)."""
    distrusts_extra_bytes: bool = True
    """h11 keeps bytes after a response as the beginning of the next one."""
    bounds_extensions: bool = True
    """h11 bounds each chunk header, not their proportion to the data."""
    sees_partial_answers: bool = True
    """httpcore reports an EOF after the first bytes of a head as one without an answer, so an idempotent request is
    repeated then as well."""
    closes_cancelled_handshakes: bool = True
    """anyio leaves the socket of an interrupted TLS handshake to the garbage collector."""


KINDS = (
    Kind("pool", lambda: Pool(Limits(probe_after=0.0))),
    Kind(
        "httpx",
        HttpxTransport,
        answers_early=False,
        proves_unread=False,
        refuses_obs_fold=False,
        distrusts_extra_bytes=False,
        bounds_extensions=False,
        sees_partial_answers=False,
        closes_cancelled_handshakes=False,
    ),
)


def ask(origin: Origin, method: str = "POST", target: bytes = b"/v1/x", **more: Any) -> UpstreamRequest:
    """A request with time-outs that nothing meets which is not about them."""
    body = more.pop("body", b"{}" if method == "POST" else b"")
    timeouts = more.pop("timeouts", Timeouts(connect=PATIENCE, queue=PATIENCE, header=PATIENCE))
    headers = more.pop("headers", [(b"x-a", b"1")])
    return UpstreamRequest(
        origin=origin, method=method, target=target, headers=headers, body=body, timeouts=timeouts, **more
    )


async def whole(response: UpstreamResponse) -> bytes:
    """The body, read to its end, and the connection given back."""
    parts: list[bytes] = []
    while data := await response.chunk():
        parts.append(data)
    response.close()
    return b"".join(parts)


def soon(seconds: float) -> float:
    return asyncio.get_running_loop().time() + seconds


@dataclass(frozen=True)
class Certificates:
    """A small public-key world: our authority, a server, a client, and a stranger's authority."""

    ca_file: str
    stranger_file: str
    client_file: str
    server: ssl.SSLContext
    strict_server: ssl.SSLContext
    """Demands a client certificate."""
    names: list[str | None]
    """Server names that clients asked for (SNI)."""
