"""A client's connection: HTTP/1.1 by httptools, in the place of uvicorn's own protocol class.

uvicorn runs the process (sockets, loop, shutdown); this is what it makes for every connection. What a gateway needs
beyond uvicorn's: an exchange is told at once when its client leaves; heads are bounded in size and in time, bodies in
time between two pieces (one sweep a second looks at all connections; none has a timer of its own); and what is not
HTTP gets the error envelope. Pipelined requests wait their turn.
"""

import asyncio
from collections import deque
from typing import ClassVar, cast
from urllib.parse import unquote

import httptools
from starlette.types import ASGIApp
from uvicorn.config import Config
from uvicorn.protocols.utils import get_local_addr, get_remote_addr, is_ssl
from uvicorn.server import ServerState

from gateway.cycle import Cycle, Flow
from gateway.errors import BadRequest, Refusal
from gateway.wire.envelopes import error_body
from gateway.wire.head import Head
from gateway.world import Live

_REASONS = {400: b"Bad Request", 408: b"Request Timeout", 431: b"Request Header Fields Too Large"}
_ASGI = {"version": "3.0", "spec_version": "2.3"}


class HeadTooLarge(Refusal):
    """431: request line and headers over `server.max_headers`."""

    status = 431
    type = "invalid_request_error"
    anthropic_type = "invalid_request_error"
    code = "headers_too_large"


class HeadTimeout(Refusal):
    """408: the head did not arrive in time."""

    status = 408
    type = "invalid_request_error"
    anthropic_type = "invalid_request_error"
    code = "request_timeout"


class Link(asyncio.Protocol):
    """One connection. The server sets the bounds on a subclass of its own."""

    max_head: ClassVar[int] = 64 * 1024
    """Bytes."""
    keep_alive: ClassVar[float] = 75.0
    """Seconds without a request after which a connection is closed."""
    leaving: ClassVar[bool] = False
    """The process drains: no connection is kept after its answer."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, object],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self.app = cast(ASGIApp, config.loaded_app)  # pyright: ignore[reportUnknownMemberType]
        self.loop = _loop or asyncio.get_running_loop()
        self.state = server_state
        self.live: Live | None = None
        """The exchange under way on this connection, or the last one."""
        self.task: asyncio.Task[None] | None = None
        """The task that runs it."""
        self.head: Head | None = None
        """The last request's head, for the next one's sake."""
        self.cycle: Cycle | None = None
        self._parser = httptools.HttpRequestParser(self)
        # As uvicorn does: bytes after a request that says `connection: close` do not spoil its answer.
        self._parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self._waiting: deque[Cycle] = deque()
        self._refusal: Refusal | None = None
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._head_size = 0
        self._head_since: float | None = None
        self._length: bytes | None = None
        self._expects_continue = False
        self._heard_at = self._quiet_since = self.loop.time()

    # -- the transport's calls -------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.flow = Flow(self.transport)
        self._scope_base: dict[str, object] = {
            "type": "http",
            "asgi": _ASGI,
            "http_version": "1.1",
            "server": get_local_addr(self.transport),
            "client": get_remote_addr(self.transport),
            "scheme": "https" if is_ssl(self.transport) else "http",
            "root_path": "",
            "tollway.link": self,
        }
        self.state.connections.add(self)  # pyright: ignore[reportArgumentType]

    def connection_lost(self, exc: Exception | None) -> None:
        self.state.connections.discard(self)  # pyright: ignore[reportArgumentType]
        if self.live is not None:
            self.live.stop("client_left")
        for cycle in (self.cycle, *self._waiting):
            if cycle is not None:
                cycle.lost()
        self._waiting.clear()
        self.flow.resume_writing()

    def eof_received(self) -> None:
        """A half-closed client is a client that left: asyncio closes the transport."""

    def data_received(self, data: bytes) -> None:
        self._heard_at = self.loop.time()
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            # The request is answered as if it had not asked; what follows it is not HTTP.
            if self.cycle is not None:
                self.cycle.keep_alive = False
        except httptools.HttpParserError:
            self.refuse(self._refusal or BadRequest("This is not a valid HTTP/1.1 request.", code="invalid_http"))

    def pause_writing(self) -> None:
        self.flow.pause_writing()

    def resume_writing(self) -> None:
        self.flow.resume_writing()

    # -- the parser's calls ----------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        self._url = b""
        self._headers = []
        self._head_size = 0
        self._head_since = self._heard_at
        self._length = None
        self._expects_continue = False

    def on_url(self, url: bytes) -> None:
        self._url += url
        self._grow(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        self._head_size += len(name) + len(value) + 4
        if self._head_size > self.max_head:
            self._grow(0)
        if name == b"content-length":
            self._length = value  # llhttp lets one through, and digits only
            return
        if name == b"expect" and value.lower() == b"100-continue":
            self._expects_continue = True
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        self._head_since = None
        parser = self._parser
        url = self._url
        if url[:1] != b"/":
            parsed = httptools.parse_url(url)
            url = (parsed.path or b"/") + (b"?" + parsed.query if parsed.query else b"")
        raw_path, _, query = url.partition(b"?")
        path = raw_path.decode("latin-1")
        method = parser.get_method().decode("ascii")
        scope = self._scope_base.copy()
        scope["method"] = method
        scope["path"] = unquote(path) if "%" in path else path
        scope["raw_path"] = raw_path
        scope["query_string"] = query
        scope["headers"] = headers = self._headers
        length = self._length
        scope["tollway.length"] = None if length is None else int(length)
        if length is not None and path[:4] != "/v1/":
            headers.append((b"content-length", length))
        http10 = parser.get_http_version() == "1.0"
        cycle = Cycle(
            scope,
            self.transport,
            self.flow,
            is_head=method == "HEAD",
            http10=http10,
            keep_alive=not http10 and not self.leaving and parser.should_keep_alive(),
            expects_continue=self._expects_continue,
            on_done=self._answered,
            always=self.state.default_headers,
            loop=self.loop,
        )
        scope["tollway.cycle"] = cycle
        if self.cycle is None or self.cycle.response_complete:
            self.cycle = cycle
            self._start(cycle)
        else:
            self._waiting.append(cycle)
            self.flow.pause_reading()

    def on_body(self, body: bytes) -> None:
        cycle = self._waiting[-1] if self._waiting else self.cycle
        if cycle is not None and not cycle.response_complete:
            cycle.feed(body)

    def on_message_complete(self) -> None:
        cycle = self._waiting[-1] if self._waiting else self.cycle
        if cycle is not None and not cycle.response_complete:
            cycle.feed_end()

    def _grow(self, size: int) -> None:
        self._head_size += size
        if self._head_size > self.max_head:
            self._refusal = HeadTooLarge(
                f"The request line and headers are larger than this gateway takes: at most {self.max_head} bytes."
            )
            raise ValueError("head too large")

    # -- requests in turn ------------------------------------------------------------------------------------------

    def _start(self, cycle: Cycle) -> None:
        task = self.task = self.loop.create_task(self._run(cycle))
        self.state.tasks.add(task)

    async def _run(self, cycle: Cycle) -> None:
        task = self.task
        try:
            await self.app(cycle.scope, cycle.receive, cycle.send)
        finally:
            if task is not None:
                self.state.tasks.discard(task)
            if not cycle.response_complete and not cycle.disconnected:
                self.abort()

    def _answered(self) -> None:
        self.state.total_requests += 1
        self._quiet_since = self._heard_at
        if self.transport.is_closing():
            return
        if self._waiting:
            self.cycle = self._waiting.popleft()
            self._start(self.cycle)
        else:
            self.flow.resume_reading()

    # -- ends ------------------------------------------------------------------------------------------------------

    def shutdown(self) -> None:
        """uvicorn's call when the process leaves: close when idle, else after the answer."""
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()
        else:
            self.cycle.keep_alive = False

    def refuse(self, refusal: Refusal) -> None:
        """Answer outside any exchange, and close. Nothing is written into an answer that is under way."""
        if self.transport.is_closing():
            return
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete:
            if not cycle.more_body:
                # That request is whole and will be answered; what came after it never will.
                cycle.keep_alive = False
                return self.flow.pause_reading()
            if cycle.response_started:
                return self.abort()
            cycle.lost()
            if self.live is not None:
                self.live.stop("client_left")
        body = error_body(refusal, "openai", "")
        self.transport.write(
            b"HTTP/1.1 %d %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%b"
            % (refusal.status, _REASONS.get(refusal.status, b"Bad Request"), len(body), body)
        )
        self.transport.close()

    def abort(self) -> None:
        """Cut the connection without a proper end."""
        if self.cycle is not None:
            self.cycle.disconnected = True
        self.transport.abort()

    def sweep(self, now: float, head_timeout: float, body_timeout: float) -> None:
        """Called about twice a second: end what has been waited for too long."""
        if self.transport.is_closing():
            return
        cycle = self.cycle
        if self._head_since is not None:
            if now - self._head_since > head_timeout:
                self._head_since = None
                self.refuse(HeadTimeout("The request head did not arrive in time."))
        elif cycle is None:
            if now - self._quiet_since > head_timeout:
                self.transport.close()
        elif cycle.response_complete:
            if now - self._quiet_since > self.keep_alive:
                self.transport.close()
        elif self.live is not None and self._awaits_body(cycle) and now - self._heard_at > body_timeout:
            self.live.stop("body_timeout")

    def _awaits_body(self, cycle: Cycle) -> bool:
        return cycle.more_body and not cycle.response_started and not self.flow.read_paused
