"""A client's connection: HTTP/1.1 by httptools, in the place of uvicorn's own protocol class.

uvicorn runs the process (sockets, loop, shutdown); this is what it makes for every connection. What a gateway needs
beyond uvicorn's: an exchange is told at once when its client leaves; heads are bounded in size and in time, bodies in
time between two pieces and in the rate of all of them (one sweep twice a second looks at all connections; none has a
timer of its own); and what is not HTTP gets the error envelope. Pipelined requests wait their turn.

A request below /v1/ goes straight to the road, stepped by this connection's and the provider's callbacks (`ride.py`);
everything else to the ASGI application. A head that is the last one over again is not parsed anew (`opening.py`).
"""

import asyncio
import math
import sys
from collections import deque
from typing import ClassVar, NoReturn, cast
from urllib.parse import unquote

import httptools
from uvicorn.config import Config
from uvicorn.server import ServerState

from gateway.app import App
from gateway.cycle import Cycle, Flow
from gateway.errors import LATE_BODY, BadRequest, BodyTimeout, Refusal
from gateway.offer import parser_of_body
from gateway.opening import Opening, learn
from gateway.ride import Ride
from gateway.seams import Headers
from gateway.settings.snapshot import ServerOptions
from gateway.telemetry.logs import alert
from gateway.wire.envelopes import error_body

LINGER = 5.0
"""Seconds that a client which is still sending has to read a last answer."""
_REASONS = {400: b"Bad Request", 408: b"Request Timeout", 431: b"Request Header Fields Too Large"}


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
    encoded: ClassVar[tuple[Headers, bytes]] = ([], b"")
    """The headers of every answer as they were last seen, and their bytes."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, object],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self.app = cast(App, config.loaded_app)  # pyright: ignore[reportUnknownMemberType]
        self.loop = _loop or asyncio.get_running_loop()
        self.outbox = self.app.world.outbox_of(self.loop)
        self.state = server_state
        self.ride: Ride | None = None
        """The exchange under way on this connection, or the last one; None when the application behind the road is."""
        self.cycle: Cycle | None = None
        self._parser = httptools.HttpRequestParser(self)
        # As uvicorn does: bytes after a request that says `connection: close` do not spoil its answer.
        self._parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self._begun = False
        """The parser is inside a message."""
        self._offered = False
        """It stopped before a body, because the request offers another protocol."""
        self._due = 0
        """Bytes of a body still to come, of a request that the parser has not seen."""
        self._known: Opening | None = None
        self._fresh: Cycle | None = None
        """Parsed from the present data, and not started yet."""
        self._waiting: deque[Cycle] = deque()
        self._refusal: Refusal | None = None
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._head_size = 0
        self._head_since: float | None = None
        self._length: bytes | None = None
        self._expects_continue = False
        self._hosts = 0
        self._chunked = False
        self._leaves_at = math.inf
        """When a connection that was answered for good is cut, whatever is still sent."""
        self._heard_at = self._quiet_since = self._swept_at = self.loop.time()

    # -- the transport's calls -------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.flow = Flow(self.transport)
        self.state.connections.add(self)  # pyright: ignore[reportArgumentType]

    def connection_lost(self, exc: Exception | None) -> None:
        self.state.connections.discard(self)  # pyright: ignore[reportArgumentType]
        if self.ride is not None:
            self.ride.stop("client_left")
        for cycle in (self.cycle, *self._waiting):
            if cycle is not None:
                cycle.lost()
        self._waiting.clear()
        self.flow.resume_writing()

    def eof_received(self) -> None:
        """A half-closed client is a client that left: asyncio closes the transport."""

    def data_received(self, data: bytes) -> None:
        self._heard_at = self.loop.time()
        if self._due:
            data = self._rest_of_body(data)
        elif self._known is not None and not self._begun and self._idle():
            known = self._known.match(data)
            if known is not None and len(data) - known[1] <= known[0]:
                return self._again(self._known, data, *known)
        if data:
            self._parse(data)
        return None

    def pause_writing(self) -> None:
        self.flow.pause_writing()

    def resume_writing(self) -> None:
        self.flow.resume_writing()

    # -- a head that is known --------------------------------------------------------------------------------------

    def _again(self, known: Opening, data: bytes, length: int, at: int) -> None:
        """The last head once more: a request without the parser."""
        cycle = self.cycle = Cycle(self, "POST", known.path, known.query, known.head.headers, length, known.head)
        if self.leaving:
            cycle.keep_alive = False
        body = data[at:]
        if body:
            cycle.body.append(body)
            cycle.came = len(body)
        self._due = length - len(body)
        if not self._due:
            cycle.more_body = False
        self._start(cycle)

    def _rest_of_body(self, data: bytes) -> bytes:
        """Feed what belongs to the body that is due; returns what does not."""
        body, rest = data[: self._due], data[self._due :]
        self._due -= len(body)
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete:
            cycle.feed(body)
            if not self._due:
                cycle.feed_end()
        return rest

    # -- the parser and its calls ----------------------------------------------------------------------------------

    def _parse(self, data: bytes) -> None:
        whole = not self._begun
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as offer:
            if self._offered:
                self._offered = False
                self._parser = parser_of_body(self, None if self._chunked else self._length)
                return self._parse(data[offer.args[0] :])
            # The request is answered as if it had not asked; what follows it is not HTTP.
            if self.cycle is not None:
                self.cycle.keep_alive = False
        except httptools.HttpParserError:
            self._start_fresh()
            refusal = self._refusal or BadRequest("This is not a valid HTTP/1.1 request.", code="invalid_http")
            return self.refuse(refusal)
        cycle = self._fresh
        if cycle is not None:
            if whole and cycle.parsed is None and cycle.length is not None and cycle.method == "POST":
                self._learn(cycle, data)
            self._start_fresh()
        return None

    def _learn(self, cycle: Cycle, data: bytes) -> None:
        """Remember this head, if it is the only thing in `data` beside its body."""
        if cycle.http10 or cycle.expects_continue or not cycle.keep_alive or not cycle.path.startswith("/v1/"):
            return
        self._known = learn(data, cycle.path, cycle.query, cycle.headers)
        if self._known is not None:
            cycle.parsed = self._known.head

    def on_message_begin(self) -> None:
        self._begun = True
        self._url = b""
        self._headers = []
        self._head_size = 0
        self._head_since = self._heard_at
        self._length = None
        self._expects_continue = False
        self._hosts = 0
        self._chunked = False

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
        if name == b"host":
            self._hosts += 1
        elif name == b"expect" and value.lower() == b"100-continue":
            self._expects_continue = True
        elif name == b"transfer-encoding":
            self._chunked = True
            if value.strip().lower() != b"chunked":
                self._wrong("The request's transfer-encoding is not known here; allowed is chunked.")
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        self._head_since = None
        parser = self._parser
        http10 = parser.get_http_version() == "1.0"
        if self._hosts != 1 and not http10:
            # RFC 9112 section 3.2: two proxies that take different ones would not agree whose request this is.
            self._wrong("An HTTP/1.1 request has exactly one host field.")
        if http10 and self._chunked:
            self._wrong("An HTTP/1.0 request has no transfer-encoding.")
        url = self._url
        if url[:1] != b"/":
            parsed = httptools.parse_url(url)
            url = (parsed.path or b"/") + (b"?" + parsed.query if parsed.query else b"")
        path, _, query = url.partition(b"?")
        length = None if self._length is None else int(self._length)
        cycle = Cycle(self, parser.get_method().decode("ascii"), path.decode("latin-1"), query, self._headers, length)
        if http10:
            cycle.http10 = True
            cycle.keep_alive = False
        elif self.leaving or not parser.should_keep_alive():
            cycle.keep_alive = False
        cycle.expects_continue = self._expects_continue
        if self._idle():
            self.cycle = self._fresh = cycle
        else:
            self._waiting.append(cycle)
            self.flow.pause_reading()

    def on_body(self, body: bytes) -> None:
        cycle = self._waiting[-1] if self._waiting else self.cycle
        if cycle is not None and not cycle.response_complete:
            cycle.feed(body)

    def on_message_complete(self) -> None:
        if self._parser.should_upgrade() and (self._chunked or int(self._length or b"0")):
            self._offered = True
            return
        self._begun = False
        cycle = self._waiting[-1] if self._waiting else self.cycle
        if cycle is not None and not cycle.response_complete:
            cycle.feed_end()

    def _wrong(self, message: str) -> NoReturn:
        """Refuse a head that the parser let through (RFC 9112 sections 3.2 and 6.1)."""
        self._refusal = BadRequest(message, code="invalid_http")
        raise ValueError("not a valid head")

    def _grow(self, size: int) -> None:
        self._head_size += size
        if self._head_size > self.max_head:
            self._refusal = HeadTooLarge(
                f"The request line and headers are larger than this gateway takes: at most {self.max_head} bytes."
            )
            raise ValueError("head too large")

    # -- requests in turn ------------------------------------------------------------------------------------------

    def _idle(self) -> bool:
        """A request that comes now is the next one: none is under way, nor will be on the loop's next turn."""
        return (self.cycle is None or self.cycle.response_complete) and not self._waiting

    def _start_fresh(self) -> None:
        cycle, self._fresh = self._fresh, None
        if cycle is not None:
            self._start(cycle)

    def _start(self, cycle: Cycle) -> None:
        """Begin the exchange; it runs up to where it has to wait before this returns."""
        path = cycle.path
        if path.startswith("/v1/") or ("%" in path and unquote(path).startswith("/v1/")):
            ride = self.ride = Ride(self.loop, self, cycle)
            ride.begin(self.app.road(cycle, cycle.parsed, ride))
        else:
            self.ride = None
            self.adopted(self.loop.create_task(self._serve(cycle)))

    def adopted(self, task: "asyncio.Task[None]") -> None:
        """The server waits for this task when it leaves."""
        self.state.tasks.add(task)
        task.add_done_callback(self.state.tasks.discard)

    async def _serve(self, cycle: Cycle) -> None:
        """Run the ASGI application behind the road."""
        try:
            await self.app.behind(cycle.scope(), cycle.receive, cycle.send)
        finally:
            self.ended(cycle, None)

    def ended(self, subject: Cycle, error: BaseException | None) -> None:
        """Nobody works at this request any more; an answer that was not finished is cut off."""
        if error is not None and not isinstance(error, asyncio.CancelledError):
            alert("defect", error=type(error).__name__)
        if not subject.response_complete and not subject.disconnected:
            self.abort()

    # -- what a cycle asks of its connection -----------------------------------------------------------------------

    def always(self) -> tuple[Headers, bytes]:
        headers = self.state.default_headers
        encoded = Link.encoded
        if encoded[0] is not headers:
            block = b"".join([b"%b: %b\r\n" % pair for pair in headers])
            encoded = Link.encoded = (headers, block)
        return encoded

    def write(self, data: bytes) -> None:
        self.outbox.write(self.transport, data)

    def close(self) -> None:
        """Close the connection, when all is written."""
        self.outbox.flush()
        self.transport.close()

    def linger(self) -> None:
        """End our side when all is written, and read on for a while without looking (RFC 9112 section 9.6): a socket
        that is closed with bytes unread is reset, and the client loses the answer that tells it to stop sending."""
        self.outbox.flush()
        if self.transport.is_closing() or not self.transport.can_write_eof():
            return self.close()
        self._due = sys.maxsize
        self._leaves_at = self.loop.time() + LINGER
        self.flow.resume_reading()
        return self.transport.write_eof()

    def answered(self) -> None:
        self.state.total_requests += 1
        self._quiet_since = self._heard_at
        cycle = self.cycle
        if cycle is not None and not cycle.keep_alive:
            return
        if self._waiting:
            # Not at once: a request may be answered before this returns, and a hundred may be waiting.
            self.loop.call_soon(self._next)
        elif self.flow.read_paused:
            self.flow.resume_reading()

    def _next(self) -> None:
        if self._waiting and not self.transport.is_closing():
            self.cycle = self._waiting.popleft()
            self._start(self.cycle)

    # -- ends ------------------------------------------------------------------------------------------------------

    def shutdown(self) -> None:
        """uvicorn's call when the process leaves: close when idle, else after the answer."""
        if self.cycle is None or self.cycle.response_complete:
            self.close()
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
            if self.ride is not None:
                self.ride.stop("client_left")
        body = error_body(refusal, "openai", "")
        self.write(
            b"HTTP/1.1 %d %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%b"
            % (refusal.status, _REASONS.get(refusal.status, b"Bad Request"), len(body), body)
        )
        self.close()

    def abort(self) -> None:
        """Cut the connection without a proper end."""
        if self.cycle is not None:
            self.cycle.disconnected = True
        self.outbox.flush()
        self.transport.abort()

    def sweep(self, now: float, options: ServerOptions, stood_still: bool = False) -> None:
        """Called about twice a second: end what has been waited for too long. `stood_still`: the process did not run,
        and has read nothing of what came meanwhile, so that every wait begins anew."""
        since, self._swept_at = self._swept_at, now
        if stood_still:
            self._heard_at = self._quiet_since = now
            self._head_since = self._head_since and now
        if stood_still or self.transport.is_closing():
            return
        cycle = self.cycle
        if now >= self._leaves_at:
            self.transport.abort()
        elif self._head_since is not None:
            if now - self._head_since > options.header_timeout:
                self._head_since = None
                self.refuse(HeadTimeout("The request head did not arrive in time."))
        elif cycle is None:
            if now - self._quiet_since > options.header_timeout:
                self.close()
        elif cycle.response_complete:
            if now - self._quiet_since > self.keep_alive:
                self.close()
        elif cycle.more_body and not cycle.response_started and not self.flow.read_paused:
            cycle.waited += now - since
            due = options.body_rate * (cycle.waited - options.body_timeout)
            late = cycle.waited > options.body_total > 0
            if late or now - self._heard_at > options.body_timeout or cycle.came < due:
                if self.ride is not None:
                    self.ride.stop("body_timeout")
                else:
                    self.refuse(BodyTimeout(LATE_BODY))
