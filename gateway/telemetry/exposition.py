"""A page as Prometheus series: names, help texts, and the text format (by `prometheus_client`)."""

from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder

from gateway.telemetry import page as cells
from gateway.telemetry.page import Histogram, Labels, Page, Pulled

_METERS = (
    ("input", cells.INPUT),
    ("output", cells.OUTPUT),
    ("cache_read", cells.CACHE_READ),
    ("cache_write", cells.CACHE_WRITE),
    ("reasoning", cells.REASONING),
)
_SERVED = ("team", "model", "provider")
_TIMED = ("operation", "mode")
_FAULTS = (("none", cells.FAULTLESS), ("provider", cells.PROVIDER_FAULT), ("gateway", cells.GATEWAY_FAULT))


def expose(page: Page, accept: str = "") -> tuple[bytes, str]:
    """Body and content type of a scrape: OpenMetrics if the `accept` header asks for it, else Prometheus text."""
    encoder, content_type = choose_encoder(accept)
    registry = CollectorRegistry()
    registry.register(_Collector(page))
    return encoder(registry), content_type


def families(page: Page) -> Iterable[Metric]:
    """The same as values."""
    return _Collector(page).collect()


class _Collector:
    def __init__(self, page: Page) -> None:
        self._page = page

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterator[Metric]:
        page = self._page
        yield from _traffic(page)
        yield from _histograms(page)
        attempts = CounterMetricFamily(
            "tollway_upstream_attempts",
            "Tries at providers by class of their answer; error: none came.",
            labels=("provider", "status_class"),
        )
        for attempt, count in page.attempts.items():
            attempts.add_metric(attempt, count)
        yield attempts
        retries = CounterMetricFamily(
            "tollway_upstream_retries",
            "Tries after one that failed: at the same target again (retry), or at another (fallback).",
            labels=("provider", "kind"),
        )
        for provider in {provider: None for provider, _ in (*page.attempts, *page.retries)}:
            for kind in ("retry", "fallback"):
                retries.add_metric((provider, kind), page.retries.get((provider, kind), 0))
        yield retries
        yield from _guardrails(page)
        yield CounterMetricFamily(
            "tollway_metrics_failures", "Figures that could not be taken: a defect.", value=page.failures
        )
        for pulled in page.pulled.values():
            yield _pulled(pulled)
        for waits in page.waits.values():
            family = HistogramMetricFamily(waits.name, waits.help, labels=(waits.label,))
            for label, histogram in sorted(waits.samples.items()):
                _add_histogram(family, (label,), histogram, waits.bounds)
            yield family


def _traffic(page: Page) -> Iterator[Metric]:
    requests = CounterMetricFamily("tollway_requests", "Finished exchanges.", labels=(*_SERVED, "operation", "outcome"))
    served: dict[tuple[str, str, str], list[int]] = {}
    judged: dict[tuple[str, str, str, str], list[int]] = {}
    for key, cell in page.traffic.items():
        requests.add_metric(key, cell[cells.REQUESTS])
        team, model, provider, operation, _ = key
        faults = judged.setdefault((team, model, provider, operation), [0, 0, 0])
        for at, (_, place) in enumerate(_FAULTS):
            faults[at] += cell[place]
        sums = served.setdefault((team, model, provider), list(cells.CELL))
        for at, value in enumerate(cell):
            sums[at] += value
    yield requests
    tokens = CounterMetricFamily(
        "tollway_tokens",
        "Tokens; cache_read and cache_write are parts of input, reasoning is a part of output.",
        labels=(*_SERVED, "meter"),
    )
    yield _availability(judged)
    cost = CounterMetricFamily(
        "tollway_cost_usd", "Cost in USD of what has a price; the ledger has the exact sums.", labels=_SERVED
    )
    by_model: dict[str, tuple[int, int]] = {}
    for labels, cell in served.items():
        for meter, at in _METERS:
            if cell[at] or (meter in ("input", "output") and cell[cells.INPUT]):
                tokens.add_metric((*labels, meter), cell[at])
        if cell[cells.NANOS]:
            cost.add_metric(labels, cell[cells.NANOS] / 1e9)
        unpriced, estimated = by_model.get(labels[1], (0, 0))
        by_model[labels[1]] = unpriced + cell[cells.UNPRICED], estimated + cell[cells.ESTIMATED]
    yield tokens
    yield cost
    unpriced_family = CounterMetricFamily(
        "tollway_unpriced_requests", "Exchanges that cost something and have no price.", labels=("model",)
    )
    estimated_family = CounterMetricFamily(
        "tollway_usage_estimated", "Exchanges whose tokens were counted by the gateway.", labels=("model",)
    )
    for model, (unpriced, estimated) in by_model.items():
        if unpriced:
            unpriced_family.add_metric((model,), unpriced)
        if estimated:
            estimated_family.add_metric((model,), estimated)
    yield unpriced_family
    yield estimated_family


def _availability(judged: dict[tuple[str, str, str, str], list[int]]) -> Metric:
    """All three series of a set of labels, or none: a fault that is seen for the first time must be a step from 0."""
    family = CounterMetricFamily(
        "tollway_availability_requests",
        "Requests that were to be answered, by whose fault it was if they were not; the client's own are not counted.",
        labels=(*_SERVED, "operation", "fault"),
    )
    for labels, faults in judged.items():
        if any(faults):
            for (fault, _), count in zip(_FAULTS, faults, strict=True):
                family.add_metric((*labels, fault), count)
    return family


def _guardrails(page: Page) -> Iterator[Metric]:
    labels = ("rule", "direction", "mode", "action")
    exchanges = CounterMetricFamily(
        "tollway_guardrail_matches",
        "Exchanges in which a rule found something; action: what it demands.",
        labels=labels,
    )
    findings = CounterMetricFamily("tollway_guardrail_findings", "What the rules found in all.", labels=labels)
    for key, (matched, found) in page.guardrails.items():
        exchanges.add_metric(key, matched)
        findings.add_metric(key, found)
    failures = CounterMetricFamily(
        "tollway_guardrail_failures",
        "Exchanges in which a detector failed; closed: the text did not pass, open: it passed unjudged.",
        labels=("detector", "outcome"),
    )
    for key, count in page.guardrail_failures.items():
        failures.add_metric(key, count)
    asked = HistogramMetricFamily(
        "tollway_guardrail_detector_seconds",
        "From asking a detector outside of the process to its verdict; every outcome but ok is a failure.",
        labels=("detector", "outcome"),
    )
    for key, seconds in page.detectors.items():
        _add_histogram(asked, key, seconds, cells.DETECTOR_BOUNDS)
    yield exchanges
    yield findings
    yield CounterMetricFamily(
        "tollway_guardrail_findings_logged", "Findings written to the findings log.", value=page.findings_logged
    )
    yield CounterMetricFamily(
        "tollway_guardrail_findings_dropped",
        "Findings not logged: more than the log takes of one exchange.",
        value=page.findings_dropped,
    )
    yield failures
    yield asked


def _histograms(page: Page) -> Iterator[Metric]:
    request = HistogramMetricFamily(
        "tollway_request_seconds",
        "From the request's head to the end of its answer, if a provider was asked.",
        labels=_TIMED,
    )
    overhead = HistogramMetricFamily(
        "tollway_overhead_seconds", "The part of time_to_first_byte that was not spent on providers.", labels=_TIMED
    )
    for labels, timings in page.timings.items():
        _add_histogram(request, labels, timings.request, cells.REQUEST_BOUNDS)
        _add_histogram(overhead, labels, timings.overhead, cells.OVERHEAD_BOUNDS)
    yield request
    yield overhead
    stage = HistogramMetricFamily(
        "tollway_stage_seconds",
        "The gateway's own stages: read (head, key, body, limits), inspect (guardrails on the request), answer (from "
        "the provider's head to the first byte for the client).",
        labels=("stage",),
    )
    for name in ("read", "inspect", "answer"):
        _add_histogram(stage, (name,), getattr(page.stages, name), cells.STAGE_BOUNDS)
    yield stage
    yield from _speeds(page)


def _speeds(page: Page) -> Iterator[Metric]:
    first_byte = HistogramMetricFamily(
        "tollway_time_to_first_byte_seconds",
        "From the request's head to the first byte of a served answer.",
        labels=(*_SERVED, *_TIMED),
    )
    per_token = HistogramMetricFamily(
        "tollway_time_per_output_token_seconds",
        "Streams: from the first byte to the end of the answer, by its output tokens after the first.",
        labels=("model", "provider", "operation"),
    )
    paces: dict[tuple[str, str, str], Histogram] = {}
    for labels, speed in page.speeds.items():
        _add_histogram(first_byte, labels, speed.first_byte, cells.FIRST_BYTE_BOUNDS)
        _, model, provider, operation, mode = labels
        if mode == "stream":
            pace = paces.setdefault((model, provider, operation), cells.new_histogram(cells.TOKEN_BOUNDS))
            pace.add(speed.per_token)
    for labels, pace in paces.items():
        _add_histogram(per_token, labels, pace, cells.TOKEN_BOUNDS)
    yield first_byte
    yield per_token


def _add_histogram(
    family: HistogramMetricFamily, labels: Labels, histogram: Histogram, bounds: tuple[float, ...]
) -> None:
    buckets: list[tuple[str, float]] = []
    below = 0
    for bound, count in zip((*map(str, bounds), "+Inf"), histogram.counts, strict=True):
        below += count
        buckets.append((bound, below))
    family.add_metric(labels, buckets, histogram.total)


def _pulled(pulled: Pulled) -> Metric:
    family = pulled.family
    maker = CounterMetricFamily if family.kind == "counter" else GaugeMetricFamily
    metric = maker(family.name, family.help, labels=family.labels)
    for labels, value in sorted(pulled.samples.items()):
        metric.add_metric(labels, value)
    return metric
