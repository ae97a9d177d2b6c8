"""Traces: finished exchanges go into a bounded queue, and a thread of their own makes spans of them and sends them.

On the way of a request there is one decision and one append. The queue holds notebooks, not spans; when it is full,
what comes is dropped and counted, so that a collector that is slow or dead costs neither time nor memory. The thread
gives way to the event loop every few exchanges: both share one interpreter.
"""

import threading
import time
from collections import deque
from collections.abc import Mapping

import msgspec

from gateway.facts import ALLOWED, Exchange, Verdict
from gateway.telemetry.logs import alert, info
from gateway.telemetry.otlp import Encoder
from gateway.telemetry.otlp_http import Sender, Sent
from gateway.telemetry.sampling import Sampling
from gateway.telemetry.semconv import Names
from gateway.telemetry.spans import MAX_NAME, Peer, Span, spans_of
from gateway.wire.traceparent import encode_traceparent, trace_id_of

CAPACITY = 2048
"""Exchanges that may wait; about 2 KB each."""
BATCH = 256
"""Exchanges in one export."""
INTERVAL = 0.5
"""Seconds after which a smaller batch is sent."""
TIMEOUT = 10.0
"""Seconds one export may take."""
TRIES = 5
"""How often one export is tried before its spans are given up."""
FLUSH = 5.0
"""Seconds the end of the process may take to send what waits."""
_BACKOFF = 1.0
_GIVE_WAY = 16
_GAP = 0.0005
"""After so many exchanges the thread rests for so many seconds, and the event loop has the interpreter."""


class Traces:
    """The traces of one worker process. Implements `gateway.seams.Sink`; `record` is called on the event loop."""

    def __init__(
        self,
        sampling: Sampling,
        names: Names,
        peers: Mapping[str, Peer],
        encoder: Encoder,
        sender: Sender,
        *,
        capacity: int = CAPACITY,
        interval: float = INTERVAL,
        backoff: float = _BACKOFF,
    ) -> None:
        self.sampling = sampling
        """Replaced by a reload, from any thread."""
        self.peers = peers
        """Providers by name; replaced by a reload."""
        self.dropped = 0
        """Exchanges that were to be traced and found the queue full."""
        self.exported = 0
        """Spans a collector has taken."""
        self.failed = 0
        """Spans that were given up: refused, not taken in time, or defective."""
        self._names = names
        self._encoder = encoder
        self._sender = sender
        self._capacity = capacity
        self._interval = interval
        self._backoff = backoff
        self._queue: deque[Exchange | Span] = deque()
        self._wake = threading.Event()
        self._leaving = threading.Event()
        self._thread: threading.Thread | None = None
        self._sound = True

    # -- on the way of a request -----------------------------------------------------------------------------------

    def record(self, exchange: Exchange) -> None:
        """Take a finished exchange, if it is to be traced. Never raises, never blocks."""
        if self.sampling.keeps(exchange):
            self._put(_lean(exchange))

    def traceparent(self, exchange: Exchange) -> bytes:
        """The `traceparent` of the attempt that is about to be made."""
        attempts = exchange.attempts
        return encode_traceparent(exchange, len(attempts) if attempts else 1, self.sampling.samples(exchange))

    def trace_id(self, exchange: Exchange) -> str:
        """What a log line calls the trace of an exchange."""
        return trace_id_of(exchange)

    def note(self, span: Span) -> None:
        """Take a span that belongs to no exchange, such as a reload. From any thread."""
        self._put(span)

    def _put(self, item: Exchange | Span) -> None:
        waiting = len(self._queue)
        if waiting >= self._capacity:
            self.dropped += 1
            return
        self._queue.append(item)
        if waiting == BATCH:
            self._wake.set()

    @property
    def queued(self) -> int:
        """Exchanges that wait to be made into spans."""
        return len(self._queue)

    # -- the thread ------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to send."""
        self._thread = threading.Thread(target=self._run, name="traces", daemon=True)
        self._thread.start()

    def close(self, limit: float = FLUSH) -> None:
        """Send what waits, for at most `limit` seconds, and end the thread. Blocks; idempotent."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        self._leaving.set()
        self._wake.set()
        thread.join(limit)
        if thread.is_alive():
            # It hangs in the collector's socket; it is a daemon, and what it holds is lost.
            alert("traces_lost", exchanges=len(self._queue), reason="the collector did not answer in time")

    def _run(self) -> None:
        while not self._leaving.is_set():
            self._wake.wait(self._interval)
            self._wake.clear()
            self._drain()
        self._drain()
        self._sender.close()

    def _drain(self) -> None:
        """Send all that waits now, batch by batch."""
        while self._queue:
            encoded = self._batch()
            if encoded:
                self._export(self._encoder.request(encoded), len(encoded))
            if self._leaving.is_set() and not self._sound:
                self.dropped += len(self._queue)
                self._queue.clear()

    def _batch(self) -> list[bytes]:
        """The next exchanges as encoded spans."""
        encoded: list[bytes] = []
        for number in range(1, BATCH + 1):
            if not self._queue:
                break
            item = self._queue.popleft()
            try:
                spans = [item] if isinstance(item, Span) else spans_of(item, self._names, self.peers)
                encoded += [self._encoder.span(span) for span in spans]
            except Exception as error:
                self.failed += 1
                alert("trace_defect", error=type(error).__name__)
            if number % _GIVE_WAY == 0 and not self._leaving.is_set():
                time.sleep(_GAP)
        return encoded

    def _export(self, body: bytes, spans: int) -> None:
        """Try until it is taken, refused, or tried often enough. A process that leaves tries once more."""
        pause = self._backoff
        for _ in range(TRIES):
            last = self._leaving.is_set()
            sent = self._sender.send(body, FLUSH / 2 if last else TIMEOUT)
            self._tell(sent)
            if sent.end == "taken":
                self.exported += spans
                return
            if sent.end == "refused" or last:
                break
            self._leaving.wait(pause if sent.pause is None else sent.pause)
            pause *= 2
        self.failed += spans

    def _tell(self, sent: Sent) -> None:
        """Log when the collector stops taking spans, and when it takes them again."""
        sound = sent.end == "taken"
        if sound != self._sound:
            self._sound = sound
            if sound:
                info("traces_exported_again")
            else:
                alert("traces_not_exported", reason=sent.reason)


def _lean(x: Exchange) -> Exchange:
    """The notebook without what may be large and no span tells: rewritten texts, and names without end."""
    if x.request_verdict is not ALLOWED and x.request_verdict.rewrites:
        x.request_verdict = _without_texts(x.request_verdict)
    if x.response_verdict is not ALLOWED and x.response_verdict.rewrites:
        x.response_verdict = _without_texts(x.response_verdict)
    if x.reading is not None and len(x.reading.model) > MAX_NAME:
        x.reading = msgspec.structs.replace(x.reading, model=x.reading.model[:MAX_NAME])
    return x


def _without_texts(verdict: Verdict) -> Verdict:
    return msgspec.structs.replace(verdict, rewrites=())
