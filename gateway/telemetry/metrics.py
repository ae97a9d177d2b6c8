"""Prometheus metrics: counted as plain integers on the hot path, made into series when somebody scrapes.

`prometheus_client`'s own counters take a lock and a label look-up for every increment, about 15 µs for the ten an
exchange needs; here it is one dict access and a few additions (`docs/decisions/0005-metrics.md`). With several workers
each leaves its page where the others find it (`share.py`), so that any of them answers a scrape for all.
"""

import asyncio
import contextlib
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from gateway.facts import ALLOWED, Attempt, Exchange
from gateway.telemetry.page import (
    CACHE_READ,
    CACHE_WRITE,
    CELL,
    DETECTOR_BOUNDS,
    ESTIMATED,
    FAULTLESS,
    FIRST_BYTE_BOUNDS,
    GATEWAY_FAULT,
    INPUT,
    NANOS,
    OUTPUT,
    OVERHEAD_BOUNDS,
    PROVIDER_FAULT,
    REASONING,
    REQUEST_BOUNDS,
    REQUESTS,
    STAGE_BOUNDS,
    TOKEN_BOUNDS,
    UNPRICED,
    Family,
    Histogram,
    Labels,
    Page,
    Pulled,
    Speed,
    Stages,
    Timings,
    Waits,
    new_histogram,
    new_speed,
    new_timings,
)
from gateway.telemetry.share import Share

MAX_SERIES = 2000
"""Combinations of labels kept apart; clients can make up model names where a route has a wildcard."""
MAX_SPEEDS = 300
"""The same for histograms, of which each combination is fourteen series, and of a stream twelve more."""
MAX_NAME = 120
MAX_TOKENS = 10**12
MAX_NANOS = 10**16
"""One exchange beyond these is nonsense of a provider, and would spoil a counter for good."""
NONE = "none"
"""Label value of what an exchange never had, such as the team of a wrong key."""
OTHER = "other"
"""Label value of what is beyond `MAX_SERIES` or `MAX_SPEEDS`."""
_PROVIDER_STATUS = frozenset((401, 403, 408, 429))
"""Passed through, these are no fault of the client: it neither chose the credential nor shares its quota with itself
alone."""
_STATUS_CLASSES = ("error", "1xx", "2xx", "3xx", "4xx", "5xx")


class Metrics:
    """The figures of one worker process. Implements `gateway.seams.Sink`; used from one thread, but for `render`."""

    def __init__(self, shared: Path | None = None, max_series: int = MAX_SERIES, max_speeds: int = MAX_SPEEDS) -> None:
        """`shared`: directory where the workers of one gateway leave their pages; None: this process is alone.
        Raises `OSError` when it cannot be used."""
        self._page = Page()
        self._max_series = max_series
        self._max_speeds = max_speeds
        self._taken = 0
        self._sources: list[tuple[Family, Callable[[], Iterable[tuple[Labels, float]]]]] = []
        self._histograms: list[tuple[Waits, Callable[[], Iterable[tuple[str, Sequence[int], float]]]]] = []
        self._share = Share(shared) if shared is not None else None

    # -- hot path --------------------------------------------------------------------------------------------------

    def record(self, exchange: Exchange) -> None:
        """Count a finished exchange. Never raises."""
        try:
            self._record(exchange)
        except Exception:
            self._page.failures += 1

    def _record(self, x: Exchange) -> None:
        attempts = x.attempts
        provider, model = x.provider, x.model
        if not provider and attempts:
            provider, model = attempts[-1].provider, attempts[-1].model
        caller, operation = x.caller, x.operation
        name = operation.name if operation is not None else NONE
        team = caller.team if caller is not None else NONE
        key = (team, model or NONE, provider or NONE, name, x.outcome)
        cell = self._page.traffic.get(key)
        if cell is None:
            cell = self._new_cell(key)
        cell[REQUESTS] += 1
        if x.outcome == "ok":
            cell[FAULTLESS] += 1
        else:
            fault = _fault(x)
            if fault:
                cell[fault] += 1
        usage = x.usage
        nanos = x.cost.nanos
        if usage is not None:
            _add_usage(cell, x)
        elif nanos is None and _charged(x):
            cell[UNPRICED] += 1
        if nanos is not None and 0 < nanos < MAX_NANOS:
            cell[NANOS] += nanos
        if x.request_verdict is not ALLOWED or x.response_verdict is not ALLOWED:
            self._count_verdicts(x)
        if attempts:
            upstream = 0.0
            counts = self._page.attempts
            for attempt in attempts:
                status = attempt.status
                kind = "429" if status == 429 else _STATUS_CLASSES[status // 100] if status < 600 else "5xx"
                tried = (attempt.provider, kind)
                counts[tried] = counts.get(tried, 0) + 1
                upstream += attempt.seconds
            if len(attempts) > 1:
                self._count_retries(attempts)
            reading = x.reading
            mode = "stream" if reading is not None and reading.stream else "unary"
            timings = self._page.timings.get((name, mode))
            if timings is None:
                timings = self._page.timings[name, mode] = new_timings()
            _observe(timings, x, upstream)
            if x.first_byte_at and x.outcome != "upstream_status":  # an error that came soon is no soon answer
                served = (team, model, provider, name, mode)
                speed = self._page.speeds.get(served)
                if speed is None:
                    speed = self._new_speed(served)
                _observe_speed(speed, x, mode)
        if x.read_at:
            _observe_stages(self._page.stages, x)

    def _count_retries(self, attempts: list[Attempt]) -> None:
        counts = self._page.retries
        tried: set[tuple[str, str]] = set()
        for number, attempt in enumerate(attempts):
            target = (attempt.provider, attempt.model)
            if number:
                key = (attempt.provider, "retry" if target in tried else "fallback")
                counts[key] = counts.get(key, 0) + 1
            tried.add(target)

    def _count_verdicts(self, x: Exchange) -> None:
        """Rules come from the configuration, so their number needs no bound."""
        page = self._page
        page.findings_logged += len(x.findings)
        page.findings_dropped += x.findings_dropped
        for direction, verdict in (("request", x.request_verdict), ("response", x.response_verdict)):
            for result in verdict.results:
                counts = page.guardrails.setdefault((result.rule, direction, result.mode, result.action), [0, 0])
                counts[0] += 1
                counts[1] += result.count
            for failure in verdict.failures:
                key = (failure.detector, "closed" if failure.closed else "open")
                page.guardrail_failures[key] = page.guardrail_failures.get(key, 0) + 1

    def detector(self, name: str, outcome: str, seconds: float) -> None:
        """Count one inspection by a detector outside of the engine. Names come from the configuration and outcomes are
        few, so their number needs no bound."""
        key = (name, outcome)
        asked = self._page.detectors.get(key)
        if asked is None:
            asked = self._page.detectors[key] = new_histogram(DETECTOR_BOUNDS)
        asked.observe(DETECTOR_BOUNDS, max(seconds, 0.0))

    def _new_cell(self, key: tuple[str, str, str, str, str]) -> list[int]:
        """A cell for new labels: its own; beyond the bound, one for the team; far beyond, one for all."""
        traffic = self._page.traffic
        team, model, provider, operation, outcome = map(_clean, key)
        key = (team, model, provider, operation, outcome)
        if key not in traffic and len(traffic) >= self._max_series:
            key = (team, OTHER, provider, operation, outcome)
            if key not in traffic and len(traffic) >= 2 * self._max_series:
                key = (OTHER, OTHER, OTHER, operation, outcome)
        return traffic.setdefault(key, list(CELL))

    def _new_speed(self, key: tuple[str, str, str, str, str]) -> Speed:
        """Histograms for new labels, bounded as cells are."""
        speeds = self._page.speeds
        team, model, provider, operation, mode = map(_clean, key)
        key = (team, model, provider, operation, mode)
        if key not in speeds and len(speeds) >= self._max_speeds:
            key = (team, OTHER, provider, operation, mode)
            if key not in speeds and len(speeds) >= 2 * self._max_speeds:
                key = (OTHER, OTHER, OTHER, operation, mode)
        return speeds.setdefault(key, new_speed())

    # -- what others own -------------------------------------------------------------------------------------------

    def pull(self, family: Family, read: Callable[[], Iterable[tuple[Labels, float]]]) -> None:
        """Ask `read` for (label values, value) pairs whenever the figures are wanted. It must be quick."""
        self._sources.append((family, read))

    def pull_one(self, family: Family, read: Callable[[], float]) -> None:
        """As `pull`, for a family without labels."""
        self.pull(family, lambda: [((), read())])

    def pull_waits(self, empty: Waits, read: Callable[[], Iterable[tuple[str, Sequence[int], float]]]) -> None:
        """As `pull`, for a histogram: (label value, count of each bucket and above all, sum)."""
        self._histograms.append((empty, read))

    # -- publication -----------------------------------------------------------------------------------------------

    def page(self) -> Page:
        """A copy of everything, pulled figures included. Call it on the thread that records."""
        self._taken += 1
        page = Page(number=self._taken)
        for family, read in self._sources:
            try:
                page.pulled[family.name] = Pulled(family, {labels: float(value) for labels, value in read()})
            except Exception:
                self._page.failures += 1
        for empty, read in self._histograms:
            try:
                samples = {label: Histogram(list(counts), total) for label, counts, total in read()}
                page.waits[empty.name] = Waits(empty.name, empty.help, empty.label, empty.bounds, samples)
            except Exception:
                self._page.failures += 1
        page.add(self._page)
        return page

    async def expose(self, accept: str = "") -> tuple[bytes, str]:
        """The exposition of the whole gateway and its content type; files and text are worked on in a thread.

        Raises `OSError` when the other workers' pages cannot be read: a failed scrape is a gap, while figures without
        the others would look like a reset.
        """
        return await asyncio.to_thread(self.render, self.page(), accept)

    def render(self, page: Page, accept: str = "") -> tuple[bytes, str]:
        """The exposition of `page` and every other worker's. `prometheus_client` is imported by the first scrape: it
        takes 60 ms that no start should wait for."""
        from gateway.telemetry.exposition import expose

        return expose(self.gathered(page), accept)

    def gathered(self, page: Page) -> Page:
        """`page` with every other worker's. Blocks for the reading of files. Raises `OSError`."""
        return self._share.gather(page) if self._share is not None else page

    async def keep_publishing(self, interval: float = 1.0) -> None:
        """Leave the page for the other workers every `interval` seconds, and once more when cancelled. Returns at once
        when there are none. A disk that cannot be written is tried again: the next scrape says so by failing."""
        if self._share is None:
            return
        try:
            while True:
                with contextlib.suppress(OSError):
                    await asyncio.to_thread(self._share.publish, self.page())
                await asyncio.sleep(interval)
        finally:
            self.close()

    def close(self) -> None:
        """Leave the last page. What this worker counted stays in the figures of the others."""
        if self._share is not None:
            self._share.close(self.page())


def _add_usage(cell: list[int], x: Exchange) -> None:
    """Figures are added only where they are possible: a counter never goes back."""
    usage = x.usage
    if usage is None:
        return
    tokens = usage.input_tokens
    if 0 < tokens < MAX_TOKENS:
        cell[INPUT] += tokens
    tokens = usage.output_tokens
    if 0 < tokens < MAX_TOKENS:
        cell[OUTPUT] += tokens
    tokens = usage.cache_read_tokens
    if 0 < tokens < MAX_TOKENS:
        cell[CACHE_READ] += tokens
    tokens = usage.cache_write_5m_tokens + usage.cache_write_1h_tokens
    if 0 < tokens < MAX_TOKENS:
        cell[CACHE_WRITE] += tokens
    tokens = usage.reasoning_tokens
    if 0 < tokens < MAX_TOKENS:
        cell[REASONING] += tokens
    if x.usage_estimated:
        cell[ESTIMATED] += 1
    if x.cost.nanos is None:
        cell[UNPRICED] += 1


def _charged(x: Exchange) -> bool:
    """Whether something was charged though no usage tells how much; the rule of the journal's `unpriced`."""
    operation = x.operation
    return operation is not None and operation.charged and x.model != "" and x.headers_at > 0 and 0 < x.status < 400


def _observe(timings: Timings, x: Exchange, upstream: float) -> None:
    received = x.received_at
    _put(timings.request, REQUEST_BOUNDS, x.finished_at - received)
    if x.first_byte_at:
        _put(timings.overhead, OVERHEAD_BOUNDS, x.first_byte_at - received - upstream)


def _observe_speed(speed: Speed, x: Exchange, mode: str) -> None:
    first_byte_at = x.first_byte_at
    _put(speed.first_byte, FIRST_BYTE_BOUNDS, first_byte_at - x.received_at)
    usage = x.usage
    if mode == "stream" and usage is not None:
        later = usage.output_tokens - 1
        if 0 < later < MAX_TOKENS:
            _put(speed.per_token, TOKEN_BOUNDS, (x.finished_at - first_byte_at) / later)


def _observe_stages(stages: Stages, x: Exchange) -> None:
    read_at = x.read_at
    _put(stages.read, STAGE_BOUNDS, read_at - x.received_at)
    if x.inspected_at:
        _put(stages.inspect, STAGE_BOUNDS, x.inspected_at - read_at)
    elif x.outcome == "blocked" and x.attempts is None:
        _put(stages.inspect, STAGE_BOUNDS, x.finished_at - read_at)
    if x.first_byte_at and x.headers_at:
        _put(stages.answer, STAGE_BOUNDS, x.first_byte_at - x.headers_at)


def _put(histogram: Histogram, bounds: tuple[float, ...], seconds: float) -> None:
    """`Histogram.observe` of what a clock that was set may have made negative. A function, because a method of a
    structure costs half as much again."""
    histogram.counts[bisect_left(bounds, seconds)] += 1
    if seconds > 0.0:
        histogram.total += seconds


def _fault(x: Exchange) -> int:
    """The place in a cell where an exchange counts that did not end `ok`; 0: in none, because the client is the reason.
    A block is an answer as it should be, unless a detector failed and its rule is closed."""
    outcome = x.outcome
    if outcome in ("upstream_error", "upstream_timeout"):
        return PROVIDER_FAULT
    if outcome == "upstream_status":
        return PROVIDER_FAULT if x.status >= 500 or x.status in _PROVIDER_STATUS else 0
    if outcome == "refused":
        return GATEWAY_FAULT if x.status >= 500 else 0
    if outcome == "blocked":
        return GATEWAY_FAULT if x.request_verdict.failed or x.response_verdict.failed else FAULTLESS
    return GATEWAY_FAULT if outcome in ("error", "shutdown") else 0


def _clean(name: str) -> str:
    """A label value that UTF-8 can hold, of bounded length."""
    return name[:MAX_NAME].encode("utf-8", "replace").decode()
