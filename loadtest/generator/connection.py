"""One client connection of the generator: sends a ready request, times what comes back, reports one outcome."""

import asyncio
from collections.abc import Callable
from time import perf_counter
from typing import cast

import httptools

from loadtest.generator.histogram import Histogram
from loadtest.generator.sse import EventCounter, usage_in


class Call:
    """One request under way and its outcome. Times are `perf_counter` seconds."""

    __slots__ = (
        "bytes",
        "deadline",
        "due",
        "error",
        "events",
        "first",
        "input_tokens",
        "output_tokens",
        "sent",
        "status",
    )

    def __init__(self, due: float, deadline: float) -> None:
        self.due = due
        self.deadline = deadline
        self.sent = 0.0
        self.first = 0.0
        self.status = 0
        self.error = ""
        self.events = 0
        self.bytes = 0
        self.input_tokens = 0
        self.output_tokens = 0


class ClientConnection(asyncio.Protocol):
    """A keep-alive connection that carries one call at a time; `done` gets every call exactly once."""

    def __init__(self, done: "Callable[[ClientConnection, Call], None]", gaps: Histogram) -> None:
        self._done = done
        self.gaps = gaps
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._call: Call | None = None
        self._events: EventCounter | None = None
        self._body: list[bytes] = []
        self._last_event = 0.0
        self._keep = True
        self._framed = False

    @property
    def usable(self) -> bool:
        """Whether another call can be sent on it."""
        return self._transport is not None and not self._transport.is_closing() and self._keep

    @property
    def call(self) -> Call | None:
        """The call under way."""
        return self._call

    def send(self, request: bytes, call: Call) -> None:
        """Send a request; its outcome goes to `done`."""
        self._call = call
        self._events = None
        self._body = []
        call.sent = perf_counter()
        if self._transport is None or self._transport.is_closing():
            self._finish("connection_lost")
            return
        self._transport.write(request)

    def fail(self, kind: str) -> None:
        """End the call under way, and the connection with it."""
        self._keep = False
        if self._transport is not None:
            self._transport.abort()
        self._finish(kind)

    def close(self) -> None:
        """Close an idle connection."""
        if self._transport is not None:
            self._transport.close()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Feed the parser."""
        call = self._call
        if call is None:
            # Bytes that belong to no request: a server that lies about lengths.
            self._keep = False
            self.close()
            return
        call.bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self.fail("protocol")

    def connection_lost(self, exc: Exception | None) -> None:
        """A call under way is broken, unless its body ends with the connection."""
        self._transport = None
        call = self._call
        if call is None:
            return
        if call.status and exc is None and not self._framed:
            self.on_message_complete()
        elif call.status:
            self._finish("cut_in_body")
        else:
            self._finish("reset" if exc is not None else "closed_before_answer")

    # httptools callbacks

    def on_message_begin(self) -> None:
        """A new answer, which has no length yet."""
        self._framed = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """Note what decides how the body is read."""
        lower = name.lower()
        if lower == b"content-type" and value.startswith(b"text/event-stream"):
            self._events = EventCounter()
        elif lower in (b"content-length", b"transfer-encoding"):
            self._framed = True

    def on_headers_complete(self) -> None:
        """Note the status; informational answers are passed over."""
        status = self._parser.get_status_code()
        if self._call is not None and status >= 200:
            self._call.status = status

    def on_body(self, body: bytes) -> None:
        """Count events, or keep the body for its usage."""
        call = self._call
        if call is None:
            return
        if self._events is None:
            if not call.first:
                call.first = perf_counter()
            self._body.append(body)
            return
        count = self._events.feed(body)
        if not count:
            return
        now = perf_counter()
        if call.first:
            self.gaps.record(now - self._last_event)
        else:
            call.first = now
        for _ in range(count - 1):
            # Events that arrived together were no time apart for the client.
            self.gaps.record(0.0)
        self._last_event = now
        call.events += count

    def on_message_complete(self) -> None:
        """Judge the answer."""
        call = self._call
        if call is None or call.status < 200:
            return
        self._keep = self._transport is not None and self._parser.should_keep_alive()
        events = self._events
        if call.status >= 300:
            self._finish(f"http_{call.status}")
        elif events is None:
            call.input_tokens, call.output_tokens = usage_in(b"".join(self._body)) or (0, 0)
            self._finish("")
        else:
            call.input_tokens, call.output_tokens = events.input_tokens, events.output_tokens
            self._finish("stream_error" if events.error else "" if events.final else "stream_incomplete")

    def _finish(self, error: str) -> None:
        call, self._call = self._call, None
        if call is not None:
            call.error = error
            if not self._keep:
                self.close()
            self._done(self, call)
