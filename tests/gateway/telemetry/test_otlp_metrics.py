"""Metrics as OTLP bytes, read by the official messages and held against the exposition."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from gateway.telemetry.exposition import families
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.otlp import Encoder
from gateway.telemetry.otlp_metrics import encode_metrics
from gateway.telemetry.page import Family
from tests.gateway.telemetry.test_spans import exchange

BEGUN, NOW = 1_700_000_000_000_000_000, 1_700_000_060_000_000_000
Series = dict[tuple[str, tuple[tuple[str, str], ...]], Any]


def sent(made: list[Metric]) -> tuple[ExportMetricsServiceRequest, Series]:
    """The message, and its series: numbers, and (count, sum, counts, bounds)."""
    encoder = Encoder({"service.name": "tollway"}, ("tollway", "1"), "")
    message = ExportMetricsServiceRequest.FromString(encode_metrics(encoder, made, BEGUN, NOW))
    before = message.ByteSize()
    message.DiscardUnknownFields()
    assert message.ByteSize() == before
    (resource,) = message.resource_metrics
    assert resource.resource.attributes[0].value.string_value == "tollway"
    found: Series = {}
    for metric in resource.scope_metrics[0].metrics:
        data = getattr(metric, metric.WhichOneof("data"))
        for point in data.data_points:
            assert (point.start_time_unix_nano, point.time_unix_nano) == (BEGUN, NOW)
            key = metric.name, tuple(sorted((pair.key, pair.value.string_value) for pair in point.attributes))
            assert key not in found
            if metric.HasField("histogram"):
                found[key] = point.count, point.sum, list(point.bucket_counts), list(point.explicit_bounds)
            else:
                found[key] = point.as_double
    return message, found


def test_what_a_gateway_counts() -> None:
    metrics = Metrics()
    metrics.record(exchange())
    metrics.record(exchange(outcome="upstream_error"))
    metrics.pull_one(Family("tollway_in_flight", "x", "gauge"), lambda: 3)
    made = list(families(metrics.page()))
    message, found = sent(made)
    shown: Series = {}
    for family in made:
        for sample in family.samples:
            if family.type != "histogram":
                shown[sample.name, tuple(sorted(sample.labels.items()))] = sample.value
    assert {key: value for key, value in found.items() if not isinstance(value, tuple)} == shown
    key = "tollway_request_seconds", (("mode", "unary"), ("operation", "chat.completions"))
    count, total, counts, bounds = found[key]
    assert (count, total, sum(counts), len(counts)) == (2, 3.0, 2, len(bounds) + 1)
    by_name = {metric.name: metric for metric in message.resource_metrics[0].scope_metrics[0].metrics}
    assert by_name["tollway_requests_total"].sum.is_monotonic
    assert by_name["tollway_requests_total"].sum.aggregation_temporality == 2
    assert by_name["tollway_request_seconds"].histogram.aggregation_temporality == 2
    assert by_name["tollway_request_seconds"].unit == "s"
    assert by_name["tollway_in_flight"].HasField("gauge")


numbers = st.floats(0, 1e12)
rows = st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=8), numbers, max_size=5)


@given(rows, st.lists(st.integers(0, 9), min_size=4, max_size=4))
def test_any_series(series: dict[str, float], counts: list[int]) -> None:
    """ "Names and labels are those of the exposition … Counters are cumulative, monotonic sums; histograms have
    explicit bounds." """
    counter, gauge = CounterMetricFamily("c", "", labels=("l",)), GaugeMetricFamily("g", "", labels=("l",))
    histogram = HistogramMetricFamily("h_seconds", "", labels=("l",))
    reached = [sum(counts[: at + 1]) for at in range(4)]
    for value, number in series.items():
        counter.add_metric([value], number)
        gauge.add_metric([value], number)
        buckets = list(zip(("0.1", "0.5", "2.0", "+Inf"), map(float, reached), strict=True))
        histogram.add_metric([value], buckets, number)
    _, found = sent([counter, gauge, histogram])
    for value, number in series.items():
        label = (("l", value),)
        assert found["c_total", label] == found["g", label] == number
        assert found["h_seconds", label] == (sum(counts), number, counts, [0.1, 0.5, 2.0])
    assert len(found) == 3 * len(series)
