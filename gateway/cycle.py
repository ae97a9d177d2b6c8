"""One request and its answer on a client's connection, as ASGI's `receive` and `send`.

Unlike uvicorn's cycle, the answer's head waits for the first piece of its body and leaves with it in one write; header
values are checked together instead of one by one; and there is no event object: a waiting `receive` is one future.
"""

import asyncio
from collections.abc import Callable
from http import HTTPStatus

from starlette.types import Message, Scope

from gateway.seams import Headers

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


class Cycle:
    """State of one request on a connection. Its protocol feeds it; the application calls `receive` and `send`."""

    # Beginnings stand on the class: one is made for every request, and most of them never change.
    _size = 0
    more_body = True
    disconnected = False
    response_started = False
    response_complete = False
    _waiter: asyncio.Future[None] | None = None
    _ended = False
    """The end of the body was received; what comes next is a disconnect."""
    _head: bytes | None = None
    _chunked = False
    _left = 0

    def __init__(
        self,
        scope: Scope,
        transport: asyncio.Transport,
        flow: Flow,
        *,
        is_head: bool,
        http10: bool,
        keep_alive: bool,
        expects_continue: bool,
        on_done: Callable[[], None],
        always: Headers,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        """`always`: headers of every answer, such as the date."""
        self._always = always
        self.loop = loop
        self.scope = scope
        self.transport = transport
        self.flow = flow
        self.is_head = is_head
        self.http10 = http10
        self.keep_alive = keep_alive
        self.expects_continue = expects_continue
        self.on_done = on_done
        self.body: list[bytes] = []

    # -- fed by the protocol ---------------------------------------------------------------------------------------

    def feed(self, data: bytes) -> None:
        self.body.append(data)
        self._size += len(data)
        if self._size > HIGH_WATER:
            self.flow.pause_reading()
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

    # -- ASGI ------------------------------------------------------------------------------------------------------

    async def receive(self) -> Message:
        if self.expects_continue:
            self.expects_continue = False
            if not self.response_started and not self.transport.is_closing():
                self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self.flow.resume_reading()
        while not (self.body or self.disconnected or self.response_complete):
            if not self.more_body and not self._ended:
                break
            await self._wait()
        if self.disconnected or self.response_complete:
            return {"type": "http.disconnect"}
        body = self.body[0] if len(self.body) == 1 else b"".join(self.body)
        self.body = []
        self._size = 0
        self._ended = not self.more_body
        return {"type": "http.request", "body": body, "more_body": self.more_body}

    async def _wait(self) -> None:
        self._waiter = self.loop.create_future()
        await self._waiter

    async def send(self, message: Message) -> None:
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drained()
        if self.disconnected:
            return
        if not self.response_started:
            self.begin(message["status"], list(message.get("headers", ())))
        elif self.response_complete:
            raise RuntimeError("the response is already complete")
        else:
            self._body(message.get("body", b""), message.get("more_body", False))

    # -- the same without ASGI's messages and without suspending, for the road -------------------------------------

    def take(self) -> bytes | None:
        """The whole body, if all of it has arrived and nothing was received yet; else None, and nothing is taken."""
        if self.more_body or self._ended or self.disconnected or self.expects_continue:
            return None
        body = self.body[0] if len(self.body) == 1 else b"".join(self.body)
        self.body = []
        self._size = 0
        self._ended = True
        self.flow.resume_reading()
        return body

    def push(self, data: bytes, more: bool) -> bool:
        """Write a piece of the body of an answer that was begun; False: the client's buffer is full, `send` it."""
        if self.disconnected:
            return True
        if self.flow.write_paused:
            return False
        self._body(data, more)
        return True

    def begin(self, status: int, own: Headers) -> None:
        """Make the head, which leaves with the first piece of the body. Applications give names in lower case and
        leave the transfer coding to us."""
        self.response_started = True
        self.expects_continue = False
        headers: Headers = self._always + own
        length: int | None = None
        closes = False
        for name, value in headers:
            if name in _FRAMING:
                if name == b"content-length":
                    length = int(value)
                elif name == b"connection":
                    closes = closes or b"close" in value.lower()
        bodiless = self.is_head or status in _BODILESS
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
        if self.is_head:
            body, self._left = b"", 0
        if self._chunked:
            if body:
                body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) if not more else b"%x\r\n%b\r\n" % (len(body), body)
            elif not more:
                body = b"0\r\n\r\n"
        elif not self.http10 or self._left:
            self._left -= len(body)
            if self._left < 0 or (not more and self._left):
                raise RuntimeError("the response body is not as long as its content-length")
        if self._head is not None:
            body = self._head + body
            self._head = None
        if body:
            self.transport.write(body)
        if not more:
            self.response_complete = True
            self._wake()
            if not self.keep_alive:
                self.transport.close()
            self.on_done()
