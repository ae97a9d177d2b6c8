"""A client's connection, as uvicorn's httptools protocol with what a gateway must add to it.

- An exchange is told at once when its client leaves (uvicorn only marks the request as disconnected).
- Heads are bounded in size and in time, bodies in time between two pieces. One sweep a second looks at all
  connections; no connection has a timer of its own for this.
- What is not HTTP gets the error envelope.
"""

import asyncio
from typing import ClassVar

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from gateway.errors import BadRequest, Refusal
from gateway.wire.envelopes import error_body
from gateway.world import Live

REASONS = {400: b"Bad Request", 408: b"Request Timeout", 431: b"Request Header Fields Too Large"}


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


class Link(HttpToolsProtocol):
    """One connection. `max_head` (bytes) is set by the server that makes the class its own."""

    max_head: ClassVar[int] = 64 * 1024

    live: Live | None = None
    """The exchange under way on this connection, or the last one."""
    _opened_at = 0.0
    _head_size = 0
    _head_since: float | None = None
    _heard_at = 0.0
    _refusal: Refusal | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._opened_at = self.loop.time()
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.live is not None:
            self.live.stop("client_left")
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._heard_at = self.loop.time()
        super().data_received(data)

    def on_message_begin(self) -> None:
        self._head_size = 0
        self._head_since = self._heard_at
        super().on_message_begin()
        self.scope["tollway.link"] = self  # pyright: ignore[reportGeneralTypeIssues]

    def on_url(self, url: bytes) -> None:
        self._grow(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._grow(len(name) + len(value) + 4)
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._head_since = None
        super().on_headers_complete()

    def _grow(self, size: int) -> None:
        self._head_size += size
        if self._head_size > self.max_head:
            self._refusal = HeadTooLarge(
                f"The request line and headers are larger than this gateway takes: at most {self.max_head} bytes."
            )
            raise httptools.HttpParserError("head too large")

    def send_400_response(self, msg: str) -> None:
        """Whatever the parser refused. Replaces uvicorn's plain text."""
        self.refuse(self._refusal or BadRequest("This is not a valid HTTP/1.1 request.", code="invalid_http"))

    def refuse(self, refusal: Refusal) -> None:
        """Answer outside any exchange, and close. Nothing is written into an answer that has begun."""
        if self.cycle is not None and self.cycle.response_started and not self.cycle.response_complete:
            return self.abort()
        body = error_body(refusal, "openai", "")
        reason = REASONS.get(refusal.status, b"Bad Request")
        self.transport.write(
            b"HTTP/1.1 %d %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%b"
            % (refusal.status, reason, len(body), body)
        )
        self.transport.close()

    def abort(self) -> None:
        """Cut the connection without a proper end."""
        if self.cycle is not None:
            self.cycle.disconnected = True
        self.transport.abort()

    def sweep(self, now: float, head_timeout: float, body_timeout: float) -> None:
        """Called about once a second: end what has been waited for too long."""
        if self._head_since is not None:
            if now - self._head_since > head_timeout:
                self._head_since = None
                self.refuse(HeadTimeout("The request head did not arrive in time."))
            return
        cycle = self.cycle
        if cycle is None:
            if now - self._opened_at > head_timeout and not self.transport.is_closing():
                self.transport.close()
            return
        waiting = cycle.more_body and not cycle.response_started and not self.flow.read_paused
        if waiting and now - self._heard_at > body_timeout and self.live is not None:
            self.live.stop("body_timeout")

