"""Counting exchanges: what each adds to which series, bounds on labels, and the cost of a count."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as classic

from gateway.facts import UNPRICED, Attempt, Caller, Cost, Exchange, Operation, Reading, Usage, Verdict
from gateway.telemetry.metrics import MAX_NANOS, OTHER, Metrics
from gateway.telemetry.page import Family
from guardrails.interface import Failure
from tests.support.counting import calls

CHAT = Operation("chat.completions", "openai", path="/chat/completions")
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def exchange(**changes: object) -> Exchange:
    fields: dict[str, object] = {
        "id": "id",
        "request_id": "id",
        "received_ns": 0,
        "received_at": 100.0,
        "operation": CHAT,
        "caller": Caller(key_id="key", team="search"),
        "reading": Reading(model="fast"),
        "attempts": [Attempt(provider="openai", model="gpt-4o", status=200, seconds=0.4)],
        "provider": "openai",
        "model": "gpt-4o",
        "status": 200,
        "outcome": "ok",
        "usage": Usage(input_tokens=100, output_tokens=20),
        "cost": Cost(nanos=1_500_000_000),
        "headers_at": 100.4,
        "first_byte_at": 100.403,
        "finished_at": 100.45,
    }
    return Exchange(**{**fields, **changes})  # type: ignore[arg-type]


def samples(metrics: Metrics) -> Samples:
    body, content_type = metrics.render(metrics.page())
    assert content_type.startswith("text/plain")
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in classic(body.decode())
        for sample in family.samples
    }


def value(found: Samples, name: str, **labels: str) -> float:
    """The sum of every sample of `name` that has these labels."""
    wanted = set(labels.items())
    return sum(value for (sample, has), value in found.items() if sample == name and wanted <= has)


def test_one_exchange_in_every_series() -> None:
    metrics = Metrics()
    usage = Usage(
        input_tokens=1000,
        output_tokens=200,
        cache_read_tokens=300,
        cache_write_5m_tokens=40,
        cache_write_1h_tokens=2,
        reasoning_tokens=50,
    )
    metrics.record(exchange(usage=usage))
    found = samples(metrics)
    served = {"team": "search", "model": "gpt-4o", "provider": "openai"}
    assert value(found, "tollway_requests_total", **served, operation="chat.completions", outcome="ok") == 1
    meters = {"input": 1000, "output": 200, "cache_read": 300, "cache_write": 42, "reasoning": 50}
    for meter, tokens in meters.items():
        assert value(found, "tollway_tokens_total", **served, meter=meter) == tokens
    assert value(found, "tollway_cost_usd_total", **served) == 1.5
    assert value(found, "tollway_upstream_attempts_total", provider="openai", status_class="2xx") == 1
    timed = {"operation": "chat.completions", "mode": "unary"}
    assert value(found, "tollway_request_seconds_count", **timed) == 1
    assert value(found, "tollway_request_seconds_sum", **timed) == pytest.approx(0.45)
    assert value(found, "tollway_time_to_first_byte_seconds_bucket", **served, **timed, le="0.5") == 1
    assert value(found, "tollway_time_to_first_byte_seconds_bucket", **served, **timed, le="0.25") == 0
    assert value(found, "tollway_overhead_seconds_sum", **timed) == pytest.approx(0.003)
    assert value(found, "tollway_overhead_seconds_bucket", **timed, le="0.005") == 1
    assert value(found, "tollway_unpriced_requests_total") == 0
    assert value(found, "tollway_usage_estimated_total") == 0
    assert value(found, "tollway_metrics_failures_total") == 0


def test_a_refusal_has_no_provider_and_no_latency() -> None:
    metrics = Metrics()
    metrics.record(
        exchange(
            caller=None, attempts=None, provider="", model="", status=401, outcome="refused", usage=None,
            cost=Cost(nanos=0), headers_at=0.0, first_byte_at=0.0,
        )
    )  # fmt: skip
    found = samples(metrics)
    labels = {"team": "none", "model": "none", "provider": "none", "outcome": "refused"}
    assert value(found, "tollway_requests_total", **labels) == 1
    assert value(found, "tollway_request_seconds_count") == 0
    assert value(found, "tollway_tokens_total") == 0


def test_a_failure_counts_for_the_provider_that_was_asked_last() -> None:
    metrics = Metrics()
    attempts = [
        Attempt(provider="a", model="m1", status=429, seconds=0.1),
        Attempt(provider="b", model="m2", status=503, seconds=0.1),
        Attempt(provider="c", model="m3", error="ConnectTimeout", seconds=0.1),
    ]
    metrics.record(
        exchange(attempts=attempts, provider="", model="", outcome="upstream_timeout", status=504, usage=None,
                 cost=Cost(nanos=0), headers_at=0.0)
    )  # fmt: skip
    found = samples(metrics)
    assert value(found, "tollway_requests_total", provider="c", model="m3", outcome="upstream_timeout") == 1
    for provider, kind in (("a", "429"), ("b", "5xx"), ("c", "error")):
        assert value(found, "tollway_upstream_attempts_total", provider=provider, status_class=kind) == 1


def test_a_stream_is_timed_apart() -> None:
    metrics = Metrics()
    metrics.record(exchange(reading=Reading(model="fast", stream=True)))
    assert value(samples(metrics), "tollway_request_seconds_count", mode="stream") == 1


def test_the_pace_of_a_stream_is_seconds_for_each_token_after_the_first() -> None:
    metrics = Metrics()
    stream = Reading(model="fast", stream=True)
    metrics.record(exchange(reading=stream, usage=Usage(output_tokens=11), first_byte_at=100.5, finished_at=100.8))
    metrics.record(exchange(reading=stream, usage=Usage(output_tokens=1)))
    metrics.record(exchange(reading=stream, usage=None))
    metrics.record(exchange(usage=Usage(output_tokens=11)))
    found = samples(metrics)
    assert value(found, "tollway_time_per_output_token_seconds_count", model="gpt-4o", provider="openai") == 1
    assert value(found, "tollway_time_per_output_token_seconds_sum") == pytest.approx(0.03)


def test_stages() -> None:
    metrics = Metrics()
    metrics.record(exchange(read_at=100.002, inspected_at=100.006))
    metrics.record(exchange(read_at=100.002))
    metrics.record(
        exchange(
            read_at=100.002, outcome="blocked", attempts=None, finished_at=100.022, first_byte_at=0.0, headers_at=0.0
        )
    )
    found = samples(metrics)
    assert value(found, "tollway_stage_seconds_sum", stage="read") == pytest.approx(0.006)
    assert value(found, "tollway_stage_seconds_count", stage="inspect") == 2
    assert value(found, "tollway_stage_seconds_sum", stage="inspect") == pytest.approx(0.024)
    assert value(found, "tollway_stage_seconds_sum", stage="answer") == pytest.approx(0.006)


CLOSED = Verdict("block", "block", failures=(Failure("d", "TimeoutError", ("r",), closed=True),), failed=True)
FOUND = Verdict("block", "block", failures=CLOSED.failures)


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"outcome": "ok"}, "none"),
        ({"outcome": "blocked", "status": 400}, "none"),
        ({"outcome": "blocked", "status": 400, "request_verdict": FOUND}, "none"),
        ({"outcome": "blocked", "status": 503, "request_verdict": CLOSED}, "gateway"),
        ({"outcome": "blocked", "status": 503, "response_verdict": CLOSED}, "gateway"),
        ({"outcome": "refused", "status": 401}, None),
        ({"outcome": "refused", "status": 429}, None),
        ({"outcome": "refused", "status": 503}, "gateway"),
        ({"outcome": "upstream_status", "status": 400}, None),
        ({"outcome": "upstream_status", "status": 404}, None),
        ({"outcome": "upstream_status", "status": 401}, "provider"),
        ({"outcome": "upstream_status", "status": 429}, "provider"),
        ({"outcome": "upstream_status", "status": 500}, "provider"),
        ({"outcome": "upstream_error", "status": 502}, "provider"),
        ({"outcome": "upstream_timeout", "status": 504}, "provider"),
        ({"outcome": "client_left", "status": 499}, None),
        ({"outcome": "cut", "status": 402}, None),
        ({"outcome": "shutdown", "status": 503}, "gateway"),
        ({"outcome": "error", "status": 500}, "gateway"),
    ],
)
def test_whose_fault_it_was(changes: dict[str, object], fault: str | None) -> None:
    """ "Requests that were to be answered, by whose fault it was if they were not; the client's own do not count." """
    metrics = Metrics()
    metrics.record(exchange(**changes))
    found = samples(metrics)
    served = {"team": "search", "model": "gpt-4o", "provider": "openai", "operation": "chat.completions"}
    counted = {name: value(found, "tollway_availability_requests_total", **served, fault=name)
               for name in ("none", "provider", "gateway")}  # fmt: skip
    assert counted == {name: float(name == fault) for name in counted}


def test_histograms_of_made_up_models_stay_within_the_bound() -> None:
    metrics = Metrics(max_speeds=10)
    for number in range(300):
        metrics.record(exchange(model=f"m{number}", caller=Caller(key_id="k", team=f"team-{number}")))
    found = samples(metrics)
    name = "tollway_time_to_first_byte_seconds_count"
    assert len([series for series, _ in found if series == name]) <= 21
    assert value(found, name) == 300
    assert value(found, name, team=OTHER, model=OTHER) > 200


@pytest.mark.parametrize("usage", [Usage(input_tokens=5), None])
def test_unpriced_and_estimated(usage: Usage | None) -> None:
    metrics = Metrics()
    metrics.record(exchange(usage=usage, cost=UNPRICED, usage_estimated=usage is not None))
    found = samples(metrics)
    assert value(found, "tollway_unpriced_requests_total", model="gpt-4o") == 1
    assert value(found, "tollway_usage_estimated_total", model="gpt-4o") == (1 if usage else 0)
    assert value(found, "tollway_cost_usd_total") == 0


def test_speech_that_was_passed_through_is_not_free() -> None:
    """A model without a price is recorded with `cost = null` and counted in a metric, never as 0."""
    metrics = Metrics()
    speech = Operation(name="passthrough", wire="openai", reads_body=False, generates=False)
    metrics.record(exchange(usage=None, cost=UNPRICED, operation=speech))
    assert value(samples(metrics), "tollway_unpriced_requests_total", model="gpt-4o") == 1


def test_an_upstream_error_without_usage_is_not_unpriced() -> None:
    metrics = Metrics()
    metrics.record(exchange(usage=None, cost=UNPRICED, status=400, outcome="upstream_status"))
    assert value(samples(metrics), "tollway_unpriced_requests_total") == 0


def test_made_up_models_stay_within_the_bound() -> None:
    metrics = Metrics(max_series=20)
    for number in range(500):
        metrics.record(exchange(model=f"made-up-{number}", caller=Caller(key_id="k", team=f"team-{number % 3}")))
    found = samples(metrics)
    series = [labels for name, labels in found if name == "tollway_requests_total"]
    assert len(series) <= 23
    assert value(found, "tollway_requests_total") == 500
    assert value(found, "tollway_requests_total", model=OTHER, team="team-1") > 100
    assert value(found, "tollway_tokens_total", meter="input") == 50_000


def test_far_beyond_the_bound_teams_are_one() -> None:
    metrics = Metrics(max_series=5)
    for number in range(300):
        metrics.record(exchange(model=f"m{number}", caller=Caller(key_id="k", team=f"team-{number}")))
    found = samples(metrics)
    assert len([name for name, _ in found if name == "tollway_requests_total"]) <= 11
    assert value(found, "tollway_requests_total") == 300
    assert value(found, "tollway_requests_total", team=OTHER, model=OTHER, provider=OTHER) > 200


@given(name=st.text(min_size=1, max_size=300) | st.just("\ud800 lone surrogate"), team=st.text(max_size=20))
def test_any_name_can_be_scraped(name: str, team: str) -> None:
    metrics = Metrics()
    metrics.record(exchange(model=name, caller=Caller(key_id="k", team=team)))
    body, _ = metrics.render(metrics.page())
    assert sum(s.value for f in classic(body.decode()) for s in f.samples if s.name == "tollway_requests_total") == 1


def test_nonsense_of_a_provider_does_not_spoil_a_counter() -> None:
    metrics = Metrics()
    metrics.record(exchange(usage=Usage(input_tokens=10**30, output_tokens=-5), cost=Cost(nanos=MAX_NANOS)))
    metrics.record(exchange(usage=Usage(input_tokens=7, output_tokens=1), cost=Cost(nanos=-1)))
    found = samples(metrics)
    assert value(found, "tollway_tokens_total", meter="input") == 7
    assert value(found, "tollway_tokens_total", meter="output") == 1
    assert value(found, "tollway_cost_usd_total") == 0


def test_recording_never_raises() -> None:
    metrics = Metrics()
    metrics.record(exchange(attempts=[object()], provider="p", model="m"))  # not an attempt
    assert value(samples(metrics), "tollway_metrics_failures_total") == 1


def test_pulled_figures_and_a_broken_source() -> None:
    metrics = Metrics()
    metrics.pull_one(Family("tollway_in_flight", "Exchanges under way.", "gauge"), lambda: 3)
    metrics.pull(Family("pool", "Connections.", "gauge", ("origin",)), lambda: [(("http://a",), 2), (("http://b",), 1)])
    metrics.pull_one(Family("broken", "Never there.", "counter"), lambda: 1 // 0)
    found = samples(metrics)
    assert value(found, "tollway_in_flight") == 3
    assert value(found, "pool", origin="http://a") == 2
    assert not [name for name, _ in found if name.startswith("broken")]
    assert value(found, "tollway_metrics_failures_total") == 1


async def test_open_metrics_on_request() -> None:
    metrics = Metrics()
    metrics.record(exchange())
    body, content_type = await metrics.expose("application/openmetrics-text; version=1.0.0")
    assert content_type.startswith("application/openmetrics-text")
    names = {family.name for family in openmetrics(body.decode())}
    assert {"tollway_requests", "tollway_tokens", "tollway_overhead_seconds"} <= names


async def test_publishing_returns_at_once_when_alone() -> None:
    await Metrics().keep_publishing()


def test_a_count_is_cheap() -> None:
    """The hot path's share: about 3 µs, which is so many calls, whatever was counted before."""
    metrics = Metrics()
    for number in range(100):
        metrics.record(exchange(model=f"m{number}"))
    x = exchange()
    metrics.record(x)
    (each,) = {calls(lambda: metrics.record(x)) for _ in range(100)}
    assert each <= 20


def test_retries_and_fallbacks() -> None:
    """ "Tries after one that failed: at the same target again (retry), or at another (fallback)." """
    metrics = Metrics()
    tried = [("a", "m"), ("b", "m"), ("a", "m"), ("a", "n")]
    metrics.record(
        exchange(attempts=[Attempt(provider=provider, model=model, status=503) for provider, model in tried])
    )
    metrics.record(exchange())
    found = metrics.page()
    found.add(metrics.page())
    assert found.retries == {("b", "fallback"): 2, ("a", "retry"): 2, ("a", "fallback"): 2}
    assert found.without_gauges().retries == found.retries


def test_an_error_that_comes_soon_is_no_soon_answer():
    """ "To the first byte of a served answer": a provider that failed at once made its objective look kept."""
    metrics = Metrics()
    metrics.record(exchange(outcome="upstream_status", status=500))
    metrics.record(exchange(outcome="client_left", status=499))
    found = samples(metrics)
    assert value(found, "tollway_time_to_first_byte_seconds_count") == 1
    assert value(found, "tollway_request_seconds_count") == 2
