"""Brings encoded spans to a collector: a bounded queue, and a thread that empties it.

The thread only joins bytes and waits for the network, so it hardly takes the interpreter from the event loop. A
collector that is slow or dead fills the queue and no more; what finds it full is not even encoded.
"""

import threading
from collections import deque
from collections.abc import Callable

from gateway.telemetry.logs import alert, info
from gateway.telemetry.otlp import Encoder
from gateway.telemetry.otlp_http import Sender, Sent

CAPACITY = 2048
"""Traces that may wait; about 2 KB each."""
BATCH = 512
"""Traces in one export."""
BATCH_BYTES = 4 * 1024 * 1024
"""Size at which it is sent with fewer: collectors take 20 MiB by default."""
INTERVAL = 0.5
"""Seconds after which a smaller batch is sent."""
TIMEOUT = 10.0
"""Seconds one export may take."""
TRIES = 5
"""How often one export is tried before its spans are given up."""
BACKOFF = 1.0
"""Seconds before the second try; doubles each time. A collector's own `retry-after` goes first."""
FLUSH = 5.0
"""Seconds the end of the process may take to send what waits."""


Made = tuple[bytes, int] | Callable[[], tuple[bytes, int]]
"""The spans of one trace, encoded and joined, and how many they are; or what gives them and does not raise."""


class Exporter:
    """One process's way to its collector. `put` is called from one thread, everything else from any."""

    def __init__(
        self,
        encoder: Encoder,
        sender: Sender,
        *,
        capacity: int = CAPACITY,
        interval: float = INTERVAL,
        backoff: float = BACKOFF,
    ) -> None:
        self.capacity = capacity
        self.exported = 0
        """Spans a collector has taken."""
        self.failed = 0
        """Spans that were given up: refused, not taken in time, or left at the end of the process."""
        self._encoder = encoder
        self._sender = sender
        self._interval = interval
        self._backoff = backoff
        self._waiting: deque[tuple[Made, int]] = deque()
        self._put = self._taken = 0
        """Weights; each is written by one thread alone."""
        self._wake = threading.Event()
        self._leaving = threading.Event()
        self._thread: threading.Thread | None = None
        self._sound = True

    @property
    def queued(self) -> int:
        """Traces that wait."""
        return len(self._waiting)

    @property
    def held(self) -> int:
        """Weight of the traces that wait."""
        return self._put - self._taken

    def put(self, made: "Made", weight: int = 0) -> None:
        """Take a trace, or what will make it: that is called on the thread, for traces with much text in them. Never
        blocks; the caller keeps to `capacity`, and to its own bound on the sum of weights."""
        waiting = self._waiting
        self._put += weight
        waiting.append((made, weight))
        if len(waiting) == BATCH:
            self._wake.set()

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
            alert("traces_lost", reason="the collector did not answer in time")

    def _run(self) -> None:
        while not self._leaving.is_set():
            self._wake.wait(self._interval)
            self._wake.clear()
            self._drain()
        self._drain()
        self._sender.close()

    def _drain(self) -> None:
        """Send all that waits now, batch by batch. A process that leaves gives up at the first that is not taken."""
        while self._waiting:
            batch, spans = self._batch()
            if self._export(self._encoder.request(batch)):
                self.exported += spans
                continue
            self.failed += spans
            if self._leaving.is_set():
                while self._waiting:
                    self.failed += self._batch()[1]

    def _batch(self) -> tuple[list[bytes], int]:
        """The next traces for one export, encoded, and how many spans they have."""
        batch: list[bytes] = []
        size = spans = 0
        while self._waiting and len(batch) < BATCH and size < BATCH_BYTES:
            made, weight = self._waiting.popleft()
            encoded, count = made() if callable(made) else made
            self._taken += weight
            batch.append(encoded)
            size += len(encoded)
            spans += count
        return batch, spans

    def _export(self, body: bytes) -> bool:
        """Try until it is taken, refused, or tried often enough; a process that leaves tries once more."""
        pause = self._backoff
        for _ in range(TRIES):
            last = self._leaving.is_set()
            sent = self._sender.send(body, FLUSH / 2 if last else TIMEOUT)
            self._tell(sent)
            if sent.end != "again" or last:
                return sent.end == "taken"
            self._leaving.wait(pause if sent.pause is None else sent.pause)
            pause *= 2
        return False

    def _tell(self, sent: Sent) -> None:
        """Log when the collector stops taking spans, and when it takes them again."""
        sound = sent.end == "taken"
        if sound != self._sound:
            self._sound = sound
            if sound:
                info("traces_exported_again")
            else:
                alert("traces_not_exported", reason=sent.reason)
