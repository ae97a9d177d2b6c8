"""The text of a scrape: names that alerts and dashboards rely on, and buckets that add up."""

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as classic

from gateway.telemetry.exposition import expose
from gateway.telemetry.page import REQUEST_BOUNDS, Family, Page, Pulled, new_timings

NAMES = {
    "tollway_requests": "counter",
    "tollway_tokens": "counter",
    "tollway_cost_usd": "counter",
    "tollway_unpriced_requests": "counter",
    "tollway_usage_estimated": "counter",
    "tollway_request_seconds": "histogram",
    "tollway_availability_requests": "counter",
    "tollway_stage_seconds": "histogram",
    "tollway_time_per_output_token_seconds": "histogram",
    "tollway_time_to_first_byte_seconds": "histogram",
    "tollway_overhead_seconds": "histogram",
    "tollway_upstream_attempts": "counter",
    "tollway_upstream_retries": "counter",
    "tollway_guardrail_matches": "counter",
    "tollway_guardrail_findings": "counter",
    "tollway_guardrail_findings_logged": "counter",
    "tollway_guardrail_findings_dropped": "counter",
    "tollway_guardrail_failures": "counter",
    "tollway_guardrail_detector_seconds": "histogram",
    "tollway_metrics_failures": "counter",
}


def test_names_and_types_of_an_empty_page() -> None:
    body, _ = expose(Page())
    assert {family.name: family.type for family in classic(body.decode())} == NAMES


@given(st.lists(st.floats(0, 2000), max_size=50))
def test_buckets_are_cumulative(seconds: list[float]) -> None:
    timings = new_timings()
    for value in seconds:
        timings.request.observe(REQUEST_BOUNDS, value)
    body, _ = expose(Page(timings={("chat.completions", "unary"): timings}))
    found = {
        sample.labels["le"]: sample.value
        for family in classic(body.decode())
        for sample in family.samples
        if sample.name == "tollway_request_seconds_bucket"
    }
    assert found.pop("+Inf") == len(seconds)
    assert {float(bound): count for bound, count in found.items()} == {
        bound: sum(value <= bound for value in seconds) for bound in REQUEST_BOUNDS
    }


def test_pulled_families() -> None:
    page = Page(
        pulled={
            "a": Pulled(Family("tollway_a", "A.", "gauge", ("x",)), {('quo"te\n',): 1.5}),
            "b": Pulled(Family("tollway_b", "B.", "counter"), {(): 2.0}),
        }
    )
    for accept, parse in (("", classic), ("application/openmetrics-text;version=1.0.0", openmetrics)):
        body, _ = expose(page, accept)
        samples = {(s.name, tuple(s.labels.values())): s.value for f in parse(body.decode()) for s in f.samples}
        assert samples["tollway_a", ('quo"te\n',)] == 1.5
        assert samples["tollway_b_total", ()] == 2.0
