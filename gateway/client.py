"""The client's side of one exchange: ASGI's `receive` and `send` as a body to read and an answer to write.

Back-pressure is the server's: `send` waits while the client's write buffer is full, and nothing is read from the
provider meanwhile; `receive` is only called when the next piece is wanted.
"""

import asyncio
from collections.abc import AsyncIterator

from starlette.types import Receive, Scope, Send

from gateway.cycle import Cycle
from gateway.errors import BodyTooLarge
from gateway.seams import Headers
from gateway.wire.headers import content_length

CLOSE = (b"connection", b"close")


class ClientLeft(Exception):
    """The client closed its connection."""


class Client:
    """One request's connection to its client."""

    __slots__ = (
        "_cycle",
        "_read",
        "_receive",
        "_send",
        "body_done",
        "headers",
        "length",
        "method",
        "path",
        "query",
        "scope",
    )

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope = scope
        self._cycle: Cycle | None = scope.get("tollway.cycle")
        self._receive = receive
        self._send = send
        self.method: str = scope["method"]
        raw: bytes | None = scope.get("raw_path")
        self.path: str = raw.decode("latin-1") if raw else scope["path"]
        """As sent, with its percent-encoding: decoding it could make one path look like another."""
        self.query: bytes = scope["query_string"]
        self.headers: Headers = scope["headers"]
        self.length: int | None = scope["tollway.length"] if "tollway.length" in scope else content_length(self.headers)
        """The declared length of the body, bytes; our own server takes it out of the headers."""
        self.body_done = False
        self._read: asyncio.Event | None = None

    def take(self, limit: int) -> bytes | None:
        """The whole body, if it is there already: the usual case, which then costs no suspension. Raises as `read`."""
        if self.length is not None and self.length > limit:
            raise _too_large(limit)
        body = None if self._cycle is None else self._cycle.take()
        if body is not None:
            self._done()
            if len(body) > limit:
                raise _too_large(limit)
        return body

    async def read(self, limit: int) -> bytes:
        """The whole body. Raises `BodyTooLarge` when it is, or says it is, over `limit` bytes."""
        if self.length is not None and self.length > limit:
            raise _too_large(limit)
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise ClientLeft
        body: bytes = message.get("body", b"")
        if not message.get("more_body", False):
            self._done()
            if len(body) > limit:
                raise _too_large(limit)
            return body
        pieces = [body]
        size = len(body)
        async for piece in self.chunks():
            size += len(piece)
            if size > limit:
                raise _too_large(limit)
            pieces.append(piece)
        return b"".join(pieces)

    async def chunks(self, limit: int | None = None) -> AsyncIterator[bytes]:
        """What is left of the body, piece by piece as it comes."""
        size = 0
        while not self.body_done:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientLeft
            if not message.get("more_body", False):
                self._done()
            if piece := message.get("body", b""):
                size += len(piece)
                if limit is not None and size > limit:
                    raise _too_large(limit)
                yield piece

    def _done(self) -> None:
        self.body_done = True
        if self._read is not None:
            self._read.set()

    async def left(self) -> None:
        """Returns when the client has gone. Only for servers that cannot tell us otherwise: while the body is read,
        reading tells it."""
        self._read = asyncio.Event()
        if not self.body_done:
            await self._read.wait()
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def head(self, status: int, headers: Headers) -> None:
        """Begin the answer. A body that was not read to its end cannot be followed by another request."""
        if not self.body_done and self.method not in ("GET", "HEAD", "DELETE", "OPTIONS"):
            headers = [*headers, CLOSE]
        await self._send({"type": "http.response.start", "status": status, "headers": headers})

    async def write(self, data: bytes, more: bool = True) -> None:
        if not self.push(data, more):
            await self._send({"type": "http.response.body", "body": data, "more_body": more})

    def push(self, data: bytes, more: bool = True) -> bool:
        """Write without suspending; False: it has to be awaited, nothing was written."""
        return self._cycle is not None and self._cycle.push(data, more)

    async def answer(self, status: int, headers: Headers, body: bytes) -> None:
        """A whole answer, in one write if the client's buffer is not full. `headers` holds its content-length."""
        cycle = self._cycle
        if cycle is not None and self.body_done and not cycle.disconnected and not cycle.flow.write_paused:
            cycle.begin(status, headers)
            cycle.push(body, False)
            return
        await self.head(status, headers)
        await self.write(body, more=False)

    def abort(self) -> None:
        """Cut the connection: the only honest end of a body that was begun and cannot be finished."""
        link = self.scope.get("tollway.link")
        if link is not None:
            link.abort()


def _too_large(limit: int) -> BodyTooLarge:
    return BodyTooLarge(f"The request body is larger than this gateway takes: at most {limit} bytes are allowed.")
