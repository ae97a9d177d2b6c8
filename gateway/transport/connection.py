"""One HTTP/1.1 connection: an asyncio Protocol that feeds llhttp (httptools) and hands bytes to one response at a time.

Strategy
--------
- **One wake-up per small exchange.** A request is one write; who sent it waits on one `Signal`, which `data_received`
  fires after the whole read was parsed, as the last thing it does: the exchange runs on from there. When head and body
  came in the same segment, `chunk()` finds everything buffered and never waits. Everywhere else a signal is only set,
  and the exchange runs on the loop's next turn.
- **The plainest answers skip the parser** (`whole.py`): a 200 with its length, whole in one read. So does a chunk that
  is a read of its own, where the parser stands between two chunks: it is offered to the response's relay as it is.
- **The connection is given back when the last body byte was parsed**, not when the caller has read it: a slow client
  does not hold a provider connection. So the response owns its buffer, and the connection owns only what is still
  being parsed.
- **One lazy timer** (`alarm.py`) for the head's, the body's and the whole exchange's time, and to end idle connections.
- **llhttp is the judge of syntax**, in its strict mode: obs-fold, bare CR or LF, both length headers, two lengths,
  bad chunk sizes are errors. What it leaves to its user is decided here: sizes, `transfer-encoding` other than
  `chunked`, 101, HEAD, bodies that end with the connection, and bytes after the end (RFC 9112 sections 6.3, 7.1,
  9.6).
- **Any doubt closes.** A connection is kept only if the response was complete and self-delimited, the request fully
  written, and not one byte came too many.
"""

import asyncio
import math
from typing import Protocol, cast

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from gateway.errors import DeadlineExceeded, HeaderTimeout, ProtocolBroken
from gateway.outbox import Outbox
from gateway.ride import Signal
from gateway.seams import Headers
from gateway.transport.alarm import Alarm
from gateway.transport.failures import Fault, cut_off, ends_with_connection, head_size, words
from gateway.transport.limits import Limits
from gateway.transport.response import PooledResponse
from gateway.transport.staleness import Socket, never_read
from gateway.transport.whole import WholeReader

_BODY_WEIGHT = 9
"""One body byte excuses eight bytes of framing beside itself."""


class Keeper(Protocol):
    """What a connection tells its pool."""

    def released(self, connection: "Connection") -> None:
        """The exchange is over; the connection can serve another."""

    def retired(self, connection: "Connection") -> None:
        """The connection serves no more. Called once, at the moment of the decision."""

    def vanished(self, connection: "Connection") -> None:
        """The socket is closed. Called once."""


class Connection(Alarm, asyncio.Protocol):
    """A kept or serving connection. The pool calls `begin`, `hand_over` or `write`; responses call `wait`, `drained`,
    `retire`."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        keeper: Keeper,
        limits: Limits,
        idle_seconds: float,
        whole: WholeReader | None = None,
    ) -> None:
        super().__init__(loop)
        self._whole = whole or WholeReader(limits.max_head, limits.max_headers)
        self._keeper = keeper
        self._limits = limits
        self._idle_seconds = idle_seconds
        self._transport: asyncio.Transport | None = None
        self._parser = HttpResponseParser(self)
        self._reading: PooledResponse | None = None
        """The response being parsed; None: any byte that comes is one too many."""
        self._fields: Headers | None = None
        """Where header fields of a response's head go, as they came; None outside of a head."""
        self._max_overhead = limits.max_overhead
        self._high_water = limits.high_water
        self._fed = 0
        """Bytes read since the request began, while the head was incomplete."""
        self._excess = 0
        self._at_chunk = False
        """The parser's last event was the end of a chunk, or the end of the head of a chunked body."""
        self._between_chunks = False
        """The next byte read is the first of a chunk: the parser has nothing of it."""
        self._keep = False
        self._read_paused = False
        self._write_paused = False
        self._write_waiter: asyncio.Future[None] | None = None
        self._idle_until = math.inf
        self._acknowledged = 0
        self.served = False
        """It has carried a whole exchange before."""
        self.retired = False

    # --- for the pool -------------------------------------------------------------------------------------------

    def usable(self, now: float) -> bool:
        """Whether a kept connection may carry another request; looks at the socket itself after a longer rest."""
        transport = self._transport
        if self.retired or transport is None or transport.is_closing() or self._idle_until <= now:
            return False
        self._acknowledged = 0
        if now - (self._idle_until - self._idle_seconds) >= self._limits.probe_after:
            sock = self._socket()
            if sock.has_news():
                return False
            self._acknowledged = sock.acknowledged()
        return True

    def begin(self, bodyless: bool, header_timeout: float, deadline: float) -> PooledResponse:
        """Start an exchange: the next bytes read belong to the response returned."""
        response = PooledResponse(self, bodyless, header_timeout, deadline)
        self._reading = response
        self._fields = []
        self._fed = 0
        self._excess = 0
        self._at_chunk = self._between_chunks = False
        self._keep = False
        if deadline < self._timer_at:
            self._arm(deadline)
        return response

    def hand_over(self, response: PooledResponse, writes: list[bytes], outbox: Outbox | None = None) -> Signal[bool]:
        """Write a whole request, into `outbox` if there is one; the signal comes with the head (or the end)."""
        waiter: Signal[bool] = Signal()
        response.waiter = waiter
        transport = self._transport
        if transport is not None:
            for data in writes:
                if outbox is not None:
                    outbox.write(transport, data)
                else:
                    transport.write(data)
        self.request_done(response)
        return waiter

    def write(self, data: bytes) -> bool:
        """Write a piece of a request; False: wait for `writable` before the next."""
        if self._transport is not None and not self.retired:
            self._transport.write(data)
        return not self._write_paused

    async def writable(self) -> None:
        """Back-pressure: returns when the peer has taken enough, or the connection is over."""
        if self._write_paused and not self.retired:
            self._write_waiter = self._loop.create_future()
            try:
                await self._write_waiter
            finally:
                self._write_waiter = None

    def request_done(self, response: PooledResponse) -> None:
        """The last request byte was written: the header time-out runs from when the peer's TCP has taken it."""
        response.request_done = True
        if not self._write_paused and not response.head_done:
            until = response.until = self._loop.time() + response.header_timeout
            if until < self._timer_at:
                self._arm(until)

    def fail(self, response: PooledResponse, error: BaseException) -> None:
        """End the exchange with `error` and close the connection. What was buffered can still be read."""
        if response.complete or response.error is not None:
            return
        response.error = error
        self.retire()
        response.wake(False)

    def abandon(self, error: BaseException) -> None:
        """Close the connection; an exchange on it ends with `error`."""
        if self._reading is not None:
            self.fail(self._reading, error)
        self.retire()

    def retire(self) -> None:
        """Close the connection at once: nothing more is read or written. Idempotent."""
        if self.retired:
            return
        self.retired = True
        self._reading = None
        if self._transport is not None:
            self._transport.abort()
        self._wake_writer()
        self._keeper.retired(self)

    # --- for responses ------------------------------------------------------------------------------------------

    def wait(self, response: PooledResponse, before: float) -> Signal[bool]:
        """The signal that the next body bytes are here; True when `before` came first."""
        waiter: Signal[bool] = Signal()
        response.waiter = waiter
        response.until = before
        if before < self._timer_at:
            self._arm(before)
        return waiter

    def drained(self, response: PooledResponse) -> None:
        """The response's buffer is empty: read on, if reading had been stopped."""
        if self._read_paused and self._reading is response and self._transport is not None:
            self._read_paused = False
            self._transport.resume_reading()

    # --- asyncio.Protocol ---------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports do not subclass asyncio's.
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        response = self._reading
        if response is None:
            return self.retire()
        if self._between_chunks and response.relay is not None and response.relayed(data):
            return
        in_head = not response.head_done
        if in_head:
            if not self._fed and not response.bodyless:
                body = self._whole.read(data, response.headers)
                if body is not None:
                    return self._arrived(response, body)
            self._fed += len(data)
        before = response.size
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as error:
            self._keep = False
            if not response.complete:
                self.fail(response, ProtocolBroken(words(error), sent=True))
                return
        self._between_chunks = self._at_chunk and data[-2:] == b"\r\n"
        if response.complete:
            self._finish(response)
        elif not response.head_done:
            if self._fed > self._limits.max_head:
                self.fail(response, ProtocolBroken("response head is larger than allowed", sent=True))
            return
        elif not in_head and not self._lean(len(data), response.size - before):
            self.fail(response, ProtocolBroken("chunk extensions or trailers are larger than allowed", sent=True))
            return
        elif response.size > self._high_water and not self._read_paused and self._transport is not None:
            self._read_paused = True
            self._transport.pause_reading()
        waiter = response.waiter
        if waiter is not None and (in_head or response.parts or response.complete):
            waiter.fire(False)

    def _arrived(self, response: PooledResponse, body: bytes) -> None:
        """A whole answer came in one piece."""
        self._fed = 1
        response.status = 200
        response.head_done = response.complete = True
        if body:
            response.parts.append(body)
            response.size = len(body)
        self._keep = True
        self._finish(response)
        if response.waiter is not None:
            response.waiter.fire(False)

    def eof_received(self) -> bool:
        response = self._reading
        if response is None:
            self.retire()
        elif response.head_done and ends_with_connection(response):
            response.complete = True
            self._keep = False
            self._finish(response)
            response.wake(False)
        else:
            self._note_evidence(response)
            self.fail(response, cut_off(response))
        return False

    def connection_lost(self, exc: BaseException | None) -> None:
        response = self._reading
        if response is not None:
            if exc is None or isinstance(exc, BrokenPipeError):
                self._note_evidence(response)
            self.fail(response, cut_off(response, exc))
        self.retire()
        self._disarm()
        self._transport = None
        self._keeper.vanished(self)

    def pause_writing(self) -> None:
        self._write_paused = True

    def resume_writing(self) -> None:
        self._write_paused = False
        self._wake_writer()
        response = self._reading
        if response is not None and response.request_done and not response.head_done:
            self.request_done(response)

    # --- httptools callbacks ------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        if self._reading is None:
            self._keep = False

    def on_header(self, name: bytes, value: bytes) -> None:
        fields = self._fields
        if fields is not None:
            fields.append((name, value))
        elif self._reading is not None:  # a trailer: counted and dropped, as RFC 9110 section 6.5.1 allows
            self._excess += len(name) + len(value) + 4
            if self._excess > self._max_overhead:
                raise Fault("trailers are larger than allowed")

    def on_headers_complete(self) -> None:
        response = self._reading
        fields = self._fields
        if response is None or fields is None:
            return
        parser = self._parser
        status = parser.get_status_code()
        if self._fed > self._limits.max_head and head_size(fields) > self._limits.max_head:
            raise Fault("response head is larger than allowed")
        if len(fields) > self._limits.max_headers:
            raise Fault("response has too many header fields")
        if not self.served and parser.get_http_version() not in ("1.1", "1.0"):
            raise Fault("response is not HTTP/1.1")
        if status < 200:
            if status == 101:
                raise Fault("peer switched protocols unasked (101)")
            fields.clear()
            return
        headers = response.headers
        for name, value in fields:
            name = name.lower()
            if name == b"transfer-encoding" and value.rstrip().lower() != b"chunked":
                raise Fault("response has a transfer-encoding that was not asked for")
            headers.append((name, value.rstrip()))
            self._at_chunk = self._at_chunk or name == b"transfer-encoding"
        self._fields = None
        response.status = status
        response.head_done = True
        if response.bodyless:
            # llhttp cannot be told of HEAD, and would take what follows for a body: this connection ends here.
            response.complete = True
            self._reading = None

    def on_body(self, body: bytes) -> None:
        response = self._reading
        if response is not None:
            response.parts.append(body)
            response.size += len(body)

    def on_chunk_header(self) -> None:
        self._at_chunk = False

    def on_chunk_complete(self) -> None:
        self._at_chunk = True

    def on_message_complete(self) -> None:
        self._at_chunk = False
        response = self._reading
        if response is not None and response.head_done:
            response.complete = True
            self._keep = self._parser.should_keep_alive()
            self._reading = None

    # --- inside -------------------------------------------------------------------------------------------------

    def _finish(self, response: PooledResponse) -> None:
        """The response is whole: keep the connection, or close it when anything is in doubt."""
        self._reading = None
        if self._read_paused and self._transport is not None and self._keep:
            self._read_paused = False
            self._transport.resume_reading()
        if self._keep and response.request_done and not self._write_paused and not self.retired:
            self.served = True
            until = self._idle_until = self._loop.time() + self._idle_seconds
            if until < self._timer_at:
                self._arm(until)
            self._keeper.released(self)
        else:
            self.retire()

    def _lean(self, read: int, body: int) -> bool:
        """Whether framing stays in proportion to the data it frames."""
        excess = self._excess + read - _BODY_WEIGHT * body
        self._excess = max(excess, 0)
        return excess <= self._max_overhead

    def _note_evidence(self, response: PooledResponse) -> None:
        response.unanswered = self.served and not self._fed
        if response.unanswered and self._acknowledged:
            response.unread = never_read(self._acknowledged, self._socket().acknowledged())

    def _socket(self) -> Socket:
        sock = None if self._transport is None else self._transport.get_extra_info("socket")
        return Socket(-1 if sock is None else sock.fileno())

    def _wake_writer(self) -> None:
        if self._write_waiter is not None and not self._write_waiter.done():
            self._write_waiter.set_result(None)

    def _due(self) -> float:
        if self.retired:
            return math.inf
        response = self._reading
        return self._idle_until if response is None else min(response.deadline, response.until)

    def _expire(self, now: float) -> None:
        response = self._reading
        if response is None:
            self.retire()
        elif response.deadline <= now:
            self.fail(response, DeadlineExceeded("the exchange's time was over", sent=True))
        elif not response.head_done:
            message = f"no response head within {response.header_timeout:g} s"
            self.fail(response, HeaderTimeout(message, sent=True))
        else:
            response.until = math.inf
            if response.deadline < math.inf:
                self._arm(response.deadline)
            response.wake(True)
