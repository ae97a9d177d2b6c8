"""One request and its answer on a client's connection.

To the road it is the `Client` itself; to an ASGI application behind us its `scope`, `receive` and `send`. Unlike
uvicorn's cycle, the answer's head waits for the first piece of its body and leaves with it in one write; header values
are checked together instead of one by one; and there is no event object: a waiting `receive` is one future.
"""

import asyncio
from http import HTTPStatus
from typing import Protocol
from urllib.parse import unquote

from starlette.types import Message, Scope
from uvicorn.protocols.utils import get_local_addr, get_remote_addr, is_ssl

from gateway.client import Client
from gateway.seams import Headers
from gateway.wire.head import Head

HIGH_WATER = 64 * 1024
"""Bytes of a body that may wait unread before the connection's reading is paused."""

_PHRASES = {status.value: status.phrase for status in HTTPStatus}
_STATUS_LINES = {
    status: b"HTTP/1.1 %d %b\r\n" % (status, _PHRASES.get(status, "").encode()) for status in range(100, 600)
}

_FRAMING = frozenset((b"content-length", b"connection"))
_BODILESS = frozenset((204, 304))
_CHUNKED = (b"transfer-encoding", b"chunked")
_CLOSE = (b"connection", b"close")
_ASGI = {"version": "3.0", "spec_version": "2.3"}


class Flow:
    """Back-pressure of one connection, both ways."""

    __slots__ = ("_transport", "_waiter", "read_paused", "write_paused")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._waiter: asyncio.Future[None] | None = None
        self.read_paused = False
        self.write_paused = False

    def pause_reading(self) -> None:
        if not self.read_paused:
            self.read_paused = True
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        if self.read_paused:
            self.read_paused = False
            self._transport.resume_reading()

    def pause_writing(self) -> None:
        self.write_paused = True

    def resume_writing(self) -> None:
        self.write_paused = False
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
        self._waiter = None

    async def drained(self) -> None:
        """Returns when the write buffer is low again."""
        while self.write_paused:
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter


class Wire(Protocol):
    """What a cycle needs of its connection."""

    transport: asyncio.Transport
    flow: Flow
    loop: asyncio.AbstractEventLoop

    def write(self, data: bytes) -> None:
        """Write before the event loop waits again."""

    def close(self) -> None:
        """Close the connection, when all is written."""

    def linger(self) -> None:
        """Close it so that a client that is still sending can read what was written."""

    def answered(self) -> None:
        """The answer is complete."""

    def always(self) -> tuple[Headers, bytes]:
        """Header fields of every answer, such as the date: as they are, and encoded."""
        ...

    def abort(self) -> None:
        """Cut the connection without a proper end."""


class Cycle(Client):
    """State of one request on a connection. Its protocol feeds it; the road, or an application, reads and answers."""

    # Beginnings stand on the class: one is made for every request, and most of them never change.
    more_body = True
    disconnected = False
    response_started = False
    response_complete = False
    http10 = False
    keep_alive = True
    expects_continue = False
    came = 0
    """Bytes of the body that were received."""
    waited = 0.0
    """Seconds in which they were waited for: the connection was read."""
    _size = 0
    _waiter: asyncio.Future[None] | None = None
    _ended = False
    """The end of the body was received; what comes next is a disconnect."""
    _head: bytes | None = None
    _chunked = False
    _left = 0

    def __init__(
        self,
        wire: Wire,
        method: str,
        path: str,
        query: bytes,
        headers: Headers,
        length: int | None,
        parsed: Head | None = None,
    ) -> None:
        """`parsed`: what the connection knows of this head already."""
        self.wire = wire
        self.method = method
        self.path = path
        self.query = query
        self.headers = headers
        self.length = length
        self.parsed = parsed
        self.body: list[bytes] = []

    # -- fed by the protocol ---------------------------------------------------------------------------------------

    def feed(self, data: bytes) -> None:
        self.body.append(data)
        self._size += len(data)
        self.came += len(data)
        if self._size > HIGH_WATER:
            self.wire.flow.pause_reading()
        self._wake()

    def feed_end(self) -> None:
        self.more_body = False
        self._wake()

    def lost(self) -> None:
        self.disconnected = True
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None:
            if not self._waiter.done():
                self._waiter.set_result(None)
            self._waiter = None

    # -- what is asked ---------------------------------------------------------------------------------------------

    def scope(self) -> Scope:
        """The request as ASGI's HTTP scope has it (specification 2.3)."""
        path = self.path
        headers = self.headers
        if self.length is not None:
            headers = [*headers, (b"content-length", b"%d" % self.length)]
        transport = self.wire.transport
        return {
            "type": "http",
            "asgi": _ASGI,
            "http_version": "1.0" if self.http10 else "1.1",
            "server": get_local_addr(transport),
            "client": get_remote_addr(transport),
            "scheme": "https" if is_ssl(transport) else "http",
            "root_path": "",
            "method": self.method,
            "path": unquote(path) if "%" in path else path,
            "raw_path": path.encode("latin-1"),
            "query_string": self.query,
            "headers": headers,
        }

    # -- the body --------------------------------------------------------------------------------------------------

    async def receive(self) -> Message:
        if self.expects_continue:
            self.expects_continue = False
            if not self.response_started and not self.wire.transport.is_closing():
                self.wire.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self.wire.flow.resume_reading()
        while not (self.body or self.disconnected or self.response_complete):
            if not self.more_body and not self._ended:
                break
            await self._wait()
        if self.disconnected or self.response_complete:
            return {"type": "http.disconnect"}
        if not self.more_body:
            self.wire.flow.resume_reading()  # or a client that leaves would not be noticed
        return {"type": "http.request", "body": self._take(), "more_body": self.more_body}

    async def _wait(self) -> None:
        self._waiter = self.wire.loop.create_future()
        await self._waiter

    def _take(self) -> bytes:
        body = self.body[0] if len(self.body) == 1 else b"".join(self.body)
        self.body = []
        self._size = 0
        self._ended = not self.more_body
        return body

    def taken(self) -> bytes | None:
        if self.more_body or self._ended or self.disconnected or self.expects_continue:
            return None
        self.body_done = True
        self.wire.flow.resume_reading()
        return self._take()

    # -- the answer ------------------------------------------------------------------------------------------------

    async def send(self, message: Message) -> None:
        if self.wire.flow.write_paused and not self.disconnected:
            await self.wire.flow.drained()
        if self.disconnected:
            return
        if not self.response_started:
            self._begin(message["status"], list(message.get("headers", ())))
        elif self.response_complete:
            raise RuntimeError("the response is already complete")
        else:
            self._body(message.get("body", b""), message.get("more_body", False))

    def push(self, data: bytes, more: bool = True) -> bool:
        if self.disconnected:
            return True
        if self.wire.flow.write_paused:
            return False
        self._body(data, more)
        return True

    def flowing(self) -> bool:
        return (
            self._chunked
            and self._head is None
            and not (self.disconnected or self.response_complete or self.wire.flow.write_paused)
        )

    def push_chunk(self, framed: bytes) -> None:
        self.wire.write(framed)

    async def answer(self, status: int, headers: Headers, body: bytes) -> None:
        if self.body_done and not self.disconnected and not self.wire.flow.write_paused:
            self._begin(status, headers)
            self._body(body, False)
        else:
            await super().answer(status, headers, body)

    def reply(self, status: int, block: bytes, body: bytes) -> bool:
        if (
            self.disconnected
            or not self.body_done
            or not self.keep_alive
            or self.method == "HEAD"
            or status in _BODILESS
            or self.wire.flow.write_paused
        ):
            return self.disconnected
        wire = self.wire
        self.response_started = self.response_complete = True
        wire.write(b"%b%b%b\r\n%b" % (_STATUS_LINES[status], wire.always()[1], block, body))
        wire.answered()
        return True

    def open(self, status: int, block: bytes) -> bool:
        if self.disconnected or not (self.body_done and self.keep_alive) or self.method == "HEAD":
            return False
        self.response_started = self._chunked = True
        always = self.wire.always()[1]
        self._head = b"%b%b%btransfer-encoding: chunked\r\n\r\n" % (_STATUS_LINES[status], always, block)
        return True

    def abort(self) -> None:
        self.wire.abort()

    def _begin(self, status: int, own: Headers) -> None:
        """Make the head, which leaves with the first piece of the body. Applications give names in lower case and
        leave the transfer coding to us."""
        self.response_started = True
        self.expects_continue = False
        headers: Headers = self.wire.always()[0] + own
        length: int | None = None
        closes = False
        for name, value in headers:
            if name in _FRAMING:
                if name == b"content-length":
                    length = int(value)
                elif name == b"connection":
                    closes = closes or b"close" in value.lower()
        bodiless = self.method == "HEAD" or status in _BODILESS
        if length is None and not bodiless:
            if self.http10:
                self.keep_alive = False
            else:
                self._chunked = True
                headers.append(_CHUNKED)
        self._left = 0 if bodiless or length is None else length
        if closes:
            self.keep_alive = False
        elif not self.keep_alive:
            headers.append(_CLOSE)
        head = b"\r\n".join(map(b": ".join, headers))
        lines = len(headers) - 1
        if lines >= 0 and (head.count(b"\n") != lines or head.count(b"\r") != lines or b"\0" in head):
            raise ValueError("a response header holds a line end or NUL")
        self._head = b"%b%b\r\n\r\n" % (_STATUS_LINES[status], head)

    def _body(self, body: bytes, more: bool) -> None:
        if self._chunked:
            if body:
                body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) if not more else b"%x\r\n%b\r\n" % (len(body), body)
            elif not more:
                body = b"0\r\n\r\n"
        elif self.method == "HEAD":
            body, self._left = b"", 0
        elif not self.http10 or self._left:
            self._left -= len(body)
            if self._left < 0 or (not more and self._left):
                raise RuntimeError("the response body is not as long as its content-length")
        if self._head is not None:
            body = self._head + body
            self._head = None
        if body:
            self.wire.write(body)
        if not more:
            self.response_complete = True
            self._wake()
            if not self.keep_alive:
                if self.more_body:
                    self.wire.linger()
                else:
                    self.wire.close()
            self.wire.answered()
