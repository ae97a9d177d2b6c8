"""The client's side of one exchange: a body to read and an answer to write.

`Client` is what the road knows. Under our own server it is the connection's `Cycle` itself (`gateway/cycle.py`); under
any other ASGI server it is an `AsgiClient`. Back-pressure is the server's: writing waits while the client's buffer is
full, and nothing is read from the provider meanwhile; the body is only read when its next piece is wanted.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator

from starlette.types import Message, Receive, Scope, Send

from gateway.errors import BodyTooLarge
from gateway.seams import Headers
from gateway.wire.headers import content_length

CLOSE = (b"connection", b"close")
_BODILESS_METHODS = frozenset(("GET", "HEAD", "DELETE", "OPTIONS"))


class ClientLeft(Exception):
    """The client closed its connection."""


class Client(ABC):
    """One request's connection to its client."""

    method: str
    path: str
    """As sent, with its percent-encoding: decoding it could make one path look like another."""
    query: bytes
    headers: Headers
    length: int | None
    """The declared length of the body, bytes; our own server takes it out of the headers."""
    body_done = False
    """The body was received to its end."""

    @abstractmethod
    async def receive(self) -> Message:
        """ASGI's `receive`: the next piece of the body, or the news that the client has gone."""

    @abstractmethod
    async def send(self, message: Message) -> None:
        """ASGI's `send`."""

    def take(self, limit: int) -> bytes | None:
        """The whole body, if it is there already: the usual case, which then costs no suspension. Raises as `read`."""
        if self.length is not None and self.length > limit:
            raise too_large(limit)
        body = self.taken()
        if body is not None and len(body) > limit:
            raise too_large(limit)
        return body

    def taken(self) -> bytes | None:
        """The whole body, if all of it has arrived and nothing was received yet; else None, and nothing is taken."""
        return None

    async def read(self, limit: int) -> bytes:
        """The whole body. Raises `BodyTooLarge` when it is, or says it is, over `limit` bytes."""
        if self.length is not None and self.length > limit:
            raise too_large(limit)
        pieces = [piece async for piece in self.chunks(limit)]
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def chunks(self, limit: int | None = None) -> AsyncIterator[bytes]:
        """What is left of the body, piece by piece as it comes."""
        size = 0
        while not self.body_done:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                raise ClientLeft
            if not message.get("more_body", False):
                self.body_ended()
            if piece := message.get("body", b""):
                size += len(piece)
                if limit is not None and size > limit:
                    raise too_large(limit)
                yield piece

    def body_ended(self) -> None:
        self.body_done = True

    async def head(self, status: int, headers: Headers) -> None:
        """Begin the answer. A body that was not read to its end cannot be followed by another request."""
        if not self.body_done and self.method not in _BODILESS_METHODS:
            headers = [*headers, CLOSE]
        await self.send({"type": "http.response.start", "status": status, "headers": headers})

    async def write(self, data: bytes, more: bool = True) -> None:
        """Write a piece of the answer's body; waits while the client's buffer is full."""
        if not self.push(data, more):
            await self.send({"type": "http.response.body", "body": data, "more_body": more})

    def push(self, data: bytes, more: bool = True) -> bool:
        """Write without suspending; False: it has to be awaited, nothing was written."""
        return False

    def flowing(self) -> bool:
        """Whether `push_chunk` would write now."""
        return False

    def push_chunk(self, framed: bytes) -> None:
        """Write a piece of the answer's body that is framed as an HTTP chunk already. Only while `flowing`."""
        raise RuntimeError("this client takes no chunks")

    async def answer(self, status: int, headers: Headers, body: bytes) -> None:
        """A whole answer. `headers` holds its content-length."""
        await self.head(status, headers)
        await self.write(body, more=False)

    def reply(self, status: int, block: bytes, body: bytes) -> bool:
        """A whole answer in one write, without suspending. `block` is its header fields, each ended with CRLF, the
        content-length among them, and `wire.headers.sound`. False: nothing was written; `answer` it."""
        return False

    def open(self, status: int, block: bytes) -> bool:
        """Begin an answer of unknown length without suspending, with header fields as for `reply`. False: nothing was
        begun; use `head`."""
        return False

    @abstractmethod
    def abort(self) -> None:
        """Cut the connection: the only honest end of a body that was begun and cannot be finished."""


class AsgiClient(Client):
    """A client behind another ASGI server than ours."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self.method = scope["method"]
        raw: bytes | None = scope.get("raw_path")
        self.path = raw.decode("latin-1") if raw else scope["path"]
        self.query = scope["query_string"]
        self.headers = scope["headers"]
        self.length = content_length(self.headers)
        self._read = asyncio.Event()

    async def receive(self) -> Message:
        return await self._receive()

    async def send(self, message: Message) -> None:
        await self._send(message)

    def body_ended(self) -> None:
        super().body_ended()
        self._read.set()

    async def left(self) -> None:
        """Returns when the client has gone: while the body is read, reading tells it; afterwards nothing else does."""
        if not self.body_done:
            await self._read.wait()
        while (await self.receive())["type"] != "http.disconnect":
            pass

    def abort(self) -> None:
        """ASGI cannot cut a connection; the server does, when an answer is left without its end."""


def too_large(limit: int) -> BodyTooLarge:
    """The refusal of a body of more than `limit` bytes."""
    return BodyTooLarge(f"The request body is larger than this gateway takes: at most {limit} bytes are allowed.")
