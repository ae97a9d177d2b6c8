"""HTTP/1.1 server side of the mock: bytes to requests with httptools, plans to bytes with the loop's own timers.

One request is answered at a time; what a client pipelines waits. Reading goes on while an answer is under way, so that
a client that leaves is noticed at once. The write buffer's high-water mark is 0: `write` then tries the socket at
once, and whatever it could not take pauses the plan. So "handed to the socket" is literally true when it is counted.
"""

import asyncio
import hashlib
import os
import socket
import struct
from collections import deque
from collections.abc import Callable
from typing import Protocol, cast
from urllib.parse import unquote

import httptools

from loadtest.mock.reply import End, Headers, Plan, Request, Step
from loadtest.mock.stats import Record

MAX_BODY = 256 * 1024 * 1024
_BATCH = 64 * 1024
_LINGER_0 = struct.pack("ii", 1, 0)


class App(Protocol):
    """What the protocol needs from the provider behind it."""

    def keeps_body(self, method: str, path: str, content_type: str) -> bool:
        """Whether the body is needed whole; else it is only measured."""
        ...

    def answer(self, request: Request) -> tuple[Plan, Record | None]:
        """The plan for a request, and the record to fill in (None: not counted)."""
        ...

    def ended(self, record: Record, completed: bool) -> None:
        """Called once per record: the last byte was handed to the socket, or it never will be."""
        ...


class MockProtocol(asyncio.Protocol):
    """One client connection."""

    def __init__(self, app: App, connections: "set[MockProtocol]", loop: asyncio.AbstractEventLoop) -> None:
        self._app = app
        self._connections = connections
        self._loop = loop
        self._parser = httptools.HttpRequestParser(self)
        self._url = b""
        self._headers: Headers = []
        self._body: list[bytes] = []
        self._size = 0
        self._digest: Callable[[bytes], None] | None = None
        self._hash = hashlib.sha256()
        self._waiting: deque[Request] = deque()
        self._plan: Plan | None = None
        self._record: Record | None = None
        self._keep_alive = True
        self._paused = False
        self._timer: asyncio.TimerHandle | None = None
        self._held: Step | None = None
        self.transport: asyncio.Transport | None = None

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport; count every byte when the socket takes it."""
        # A cast, because uvloop's transports do not derive from asyncio's.
        self.transport = transport = cast(asyncio.Transport, transport)
        transport.set_write_buffer_limits(high=0)
        self._connections.add(self)

    def data_received(self, data: bytes) -> None:
        """Feed the parser; a request it cannot read gets 400 and the connection closes."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserCallbackError as error:
            # A mistake of ours in a callback is not the client's bad request: let the loop report it.
            self._close()
            raise (error.__context__ or error) from None
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            if self.transport is not None and self._plan is None:
                self.transport.write(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
            self._close()

    def pause_writing(self) -> None:
        """The socket is full."""
        self._paused = True

    def resume_writing(self) -> None:
        """The socket took everything that was held back."""
        self._paused = False
        if self._plan is not None and self._timer is None:
            self._run()

    def connection_lost(self, exc: Exception | None) -> None:
        """Whatever was under way is aborted."""
        self._connections.discard(self)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._plan = None
        self._settle(completed=False)
        self.transport = None

    # httptools callbacks

    def on_message_begin(self) -> None:
        """Forget the previous request."""
        self._url = b""
        self._headers = []
        self._body = []
        self._size = 0
        self._digest = None

    def on_url(self, url: bytes) -> None:
        """Collect the target, which may come in parts."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Collect one header; names in lower case."""
        self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Decide whether the body is kept or only measured; say 100 if asked."""
        path = self._url.partition(b"?")[0].decode("latin-1")
        content_type = ""
        for name, value in self._headers:
            if name == b"content-type":
                content_type = value.decode("latin-1")
            elif name == b"expect" and self.transport is not None:
                self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if not self._app.keeps_body(self._parser.get_method().decode(), path, content_type):
            self._hash = hashlib.sha256()
            self._digest = self._hash.update

    def on_body(self, data: bytes) -> None:
        """Keep or measure a part of the body."""
        self._size += len(data)
        if self._digest is not None:
            self._digest(data)
        elif self._size <= MAX_BODY:
            self._body.append(data)

    def on_message_complete(self) -> None:
        """Answer, or queue behind the answer under way."""
        path, _, query = self._url.decode("latin-1").partition("?")
        request = Request(
            method=self._parser.get_method().decode("latin-1"),
            path=unquote(path),
            query=query,
            headers=self._headers,
            body=b"".join(self._body) if self._digest is None else b"",
            size=self._size,
            sha256=self._hash.hexdigest() if self._digest is not None else "",
            keep_alive=self._parser.should_keep_alive(),
        )
        self._body = []
        if self._plan is not None:
            self._waiting.append(request)
        else:
            self._start(request)

    # answering

    def _start(self, request: Request) -> None:
        self._keep_alive = request.keep_alive
        self._plan, self._record = self._app.answer(request)
        self._run()

    def _run(self) -> None:
        """Write steps until one must wait, the socket is full, or the plan has ended."""
        self._timer = None
        transport, plan = self.transport, self._plan
        if transport is None or plan is None or self._paused:
            return
        while True:
            batch: list[bytes] = []
            size = visible = 0
            ended = False
            while size < _BATCH:
                step, self._held = self._held, None
                if step is None:
                    step = next(plan.steps, None)
                if step is None:
                    ended = True
                    break
                if step.delay:
                    # The delay comes before the data: write what is due, then hold this step for the timer.
                    self._held = Step(step.data, 0.0, step.visible)
                    self._timer = self._loop.call_later(step.delay, self._run)
                    break
                batch.append(step.data)
                size += len(step.data)
                visible += step.visible
            if size:
                transport.write(batch[0] if len(batch) == 1 else b"".join(batch))
            if visible and self._record is not None:
                self._record.visible += visible
            if self._timer is not None:
                return
            if ended and (plan.end is not End.KEEP or not self._paused):
                self._finish(plan)
                return
            if self._paused:
                return

    def _finish(self, plan: Plan) -> None:
        if plan.end is End.STALL:
            return
        if plan.end is End.CLOSE and plan.whole and self._paused:
            return
        self._plan = None
        self._settle(completed=plan.whole)
        if plan.end is End.RESET:
            self._reset()
        elif plan.end is End.CLOSE or not self._keep_alive:
            self._close()
        elif self._waiting:
            self._loop.call_soon(self._next)

    def _next(self) -> None:
        if self._plan is None and self._waiting and self.transport is not None:
            self._start(self._waiting.popleft())

    def _settle(self, completed: bool) -> None:
        record, self._record = self._record, None
        if record is not None:
            self._app.ended(record, completed)

    def _close(self) -> None:
        if self.transport is not None:
            self.transport.close()

    def _reset(self) -> None:
        """Close with RST instead of FIN."""
        transport = self.transport
        if transport is None:
            return
        sock = transport.get_extra_info("socket")
        if sock is not None:
            # SO_LINGER belongs to the open socket, so setting it on a duplicate works for every event loop.
            with socket.socket(fileno=os.dup(sock.fileno())) as twin:
                twin.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_0)
        transport.abort()
