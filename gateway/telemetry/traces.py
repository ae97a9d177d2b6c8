"""Traces: finished exchanges are chosen, and made into spans a little later, between two turns of the event loop.

On the way of a request there is one decision and one append. A few at a time, after their answers have left, notebooks
become spans and spans bytes (`spans.py`, `otlp.py`), which a thread brings to the collector (`exporter.py`). That the
loop itself does the encoding is by measurement: a thread that encodes takes the interpreter from the loop in the middle
of requests and finds every notebook cold, which cost three times as much.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from typing import Protocol

from gateway.facts import Exchange
from gateway.telemetry.exporter import Exporter
from gateway.telemetry.logs import alert
from gateway.telemetry.otlp import Encoder
from gateway.telemetry.sampling import Sampling
from gateway.telemetry.semconv import Names
from gateway.telemetry.span import Span
from gateway.telemetry.spans import Memo, Peer, spans_of
from gateway.telemetry.templates import Templates
from gateway.wire.traceparent import encode_traceparent, trace_id_of

SLICE = 16
"""Exchanges that are encoded in one turn of the loop, some 7 µs each."""
_SPAN_BITS = (1 << 64) - 1
MOST_CONTENT = 32 * 1024 * 1024
"""Bytes of what was said that may wait to be sent."""
WAIT = 0.25
"""Seconds that fewer wait for others."""


class Loop(Protocol):
    """What is asked of an event loop."""

    def call_soon(self, callback: Callable[[], None]) -> object: ...

    def call_later(self, delay: float, callback: Callable[[], None]) -> object: ...

    def call_soon_threadsafe(self, callback: Callable[[], None]) -> object: ...


class Traces:
    """The traces of one worker process. Implements `gateway.seams.Sink`; used on the event loop, but for what says
    otherwise."""

    def __init__(
        self, sampling: Sampling, names: Names, peers: Mapping[str, Peer], encoder: Encoder, exporter: Exporter
    ) -> None:
        self.sampling = sampling
        """Replaced by a reload, from any thread."""
        self.peers = peers
        """Providers by name; replaced by a reload."""
        self.dropped = 0
        """Exchanges that were to be traced and found the queue full."""
        self.defects = 0
        """Exchanges no spans could be made of."""
        self.exporter = exporter
        self._names = names
        self._encoder = encoder
        self._loop: Loop | None = None
        self.content_dropped = 0
        """Exchanges whose trace is without what was said, because too much of it waits."""
        self._heavy = 0
        """Weight of the content of exchanges that wait to be encoded."""
        self._finished: deque[Exchange | Span] = deque()
        self._due = False
        self._timed = False
        self._memo: Memo = {}
        self._templates = Templates(names, encoder)

    @property
    def queued(self) -> int:
        """Exchanges that wait to be encoded or sent."""
        return len(self._finished) + self.exporter.queued

    def start(self, loop: Loop) -> None:
        """Begin to encode and to send; what came before is kept."""
        self._loop = loop
        self.exporter.start()
        self._soon()

    def record(self, exchange: Exchange) -> None:
        """Take a finished exchange, if it is to be traced. Never raises, never blocks."""
        if self.sampling.keeps(exchange):
            content = exchange.content
            if content is not None:
                weight = content.weight
                if self.exporter.held + self._heavy + weight > MOST_CONTENT:
                    exchange.content = None
                    self.content_dropped += 1
                else:
                    self._heavy += weight
            self._put(exchange)

    def traceparent(self, exchange: Exchange) -> bytes:
        """The `traceparent` of the attempt that is about to be made. Every request asks: what `encode_traceparent` does
        for a trace of its own is written out here."""
        attempts = exchange.attempts
        number = len(attempts) if attempts else 1
        if exchange.parent is not None:
            return encode_traceparent(exchange, number, sampled=True)
        trace = exchange.id.replace("-", "")
        flags = "01" if trace[18:] >= self.sampling.threshold else "00"
        return f"00-{trace}-{int(trace[16:], 16) + number & _SPAN_BITS:016x}-{flags}".encode()

    def trace_id(self, exchange: Exchange) -> str:
        """What a log line calls the trace of an exchange."""
        return trace_id_of(exchange)

    def note(self, span: Span) -> None:
        """Take a span that belongs to no exchange, such as a reload. From any thread."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(lambda: self._put(span))

    async def aclose(self, limit: float) -> None:
        """Encode what waits, and send it for at most `limit` seconds."""
        while self._finished:
            self._encode()
            await asyncio.sleep(0)
        await asyncio.to_thread(self.exporter.close, limit)

    def _put(self, item: Exchange | Span) -> None:
        if self.queued >= self.exporter.capacity:
            self.dropped += 1
            if isinstance(item, Exchange) and item.content is not None:
                self._heavy -= item.content.weight
            return
        self._finished.append(item)
        self._soon()

    def _soon(self) -> None:
        """A whole slice is encoded in the next turn, less of one in a while: the code and its data are cold when an
        exchange comes alone, which then costs as much as five in a row."""
        if self._loop is None or not self._finished:
            return
        if len(self._finished) >= SLICE:
            if not self._due:
                self._due = True
                self._loop.call_soon(self._turn)
        elif not self._timed:
            self._timed = True
            self._loop.call_later(WAIT, self._late)

    def _turn(self) -> None:
        self._due = False
        self._encode()
        self._soon()

    def _late(self) -> None:
        self._timed = False
        self._encode()
        self._soon()

    def _encode(self) -> None:
        """Make spans of the next few, and hand them over."""
        for _ in range(min(SLICE, len(self._finished))):
            item = self._finished.popleft()
            if isinstance(item, Exchange) and item.content is not None:
                weight = item.content.weight
                self._heavy -= weight
                self.exporter.put(partial(self._encoded, item), weight)
            elif (made := self._encoded(item))[1]:
                self.exporter.put(made)

    def _encoded(self, item: Exchange | Span) -> tuple[bytes, int]:
        """The spans of an exchange, or one that belongs to none, and how many they are; 0: a defect. What was said is
        read on the exporter's thread, all else on the loop."""
        try:
            if isinstance(item, Span):
                return self._encoder.span(item), 1
            quick = self._templates.encode(item, self.peers) if item.content is None else None
            if quick is not None:
                return quick, 2
            spans = spans_of(item, self._names, self.peers, self._memo)
            return b"".join([self._encoder.span(span) for span in spans]), len(spans)
        except Exception as error:
            self.defects += 1
            alert("trace_defect", error=type(error).__name__)
            return b"", 0
