"""Sends the figures of a gateway to an OTLP collector every so often, for those who do not scrape.

One worker of a gateway does, for all: whoever holds the lock of the runtime directory. A collector that is slow or dead
makes gaps and nothing else: cumulative figures lose nothing by being sent later.
"""

import asyncio
import contextlib
from pathlib import Path

from gateway.seams import Clock
from gateway.sole import sole
from gateway.telemetry.logs import alert, info
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.otlp import Encoder
from gateway.telemetry.otlp_http import Sender
from gateway.telemetry.page import Page

TIMEOUT = 10.0
RETRY = 2.0
"""Seconds between two looks whether the worker that sent is gone."""


class Push:
    """One worker's."""

    def __init__(
        self, metrics: Metrics, encoder: Encoder, sender: Sender, clock: Clock, interval: float, directory: Path
    ) -> None:
        """`interval`: seconds between two exports; `directory`: of the lock."""
        self._metrics = metrics
        self._encoder = encoder
        self._sender = sender
        self._clock = clock
        self._interval = interval
        self._lock = directory / "otlp-metrics.lock"
        self._begun_ns = clock.now_ns()
        self._sound = True

    async def run(self) -> None:
        """Send until cancelled, and once more then; waits for its turn while another worker does."""
        while True:
            with contextlib.suppress(OSError), sole(self._lock) as held:
                if held:
                    await self._keep_sending()
            await asyncio.sleep(RETRY)

    async def _keep_sending(self) -> None:
        try:
            while True:
                await asyncio.sleep(self._interval)
                await asyncio.to_thread(self.send, self._metrics.page())
        finally:
            await asyncio.shield(asyncio.to_thread(self.send, self._metrics.page(), RETRY))
            self._sender.close()

    def send(self, page: Page, timeout: float = TIMEOUT) -> bool:
        """Send `page` with every other worker's; say when that begins to fail, and when it is well again. Blocks."""
        from gateway.telemetry.exposition import families
        from gateway.telemetry.otlp_metrics import encode_metrics

        try:
            whole = self._metrics.gathered(page)
        except OSError:
            return False
        now_ns = self._clock.now_ns()
        sent = self._sender.send(encode_metrics(self._encoder, families(whole), self._begun_ns, now_ns), timeout)
        sound = sent.end == "taken"
        if sound != self._sound:
            self._sound = sound
            if sound:
                info("metrics_exported_again")
            else:
                alert("metrics_not_exported", reason=sent.reason)
        return sound
