"""Metrics as OTLP protobuf bytes: what a scrape shows, as `ExportMetricsServiceRequest` of opentelemetry-proto 1.x.

Names and labels are those of the exposition, so that dashboards and alerts hold for both. Counters are cumulative,
monotonic sums; histograms have explicit bounds. The tests decode everything with the official messages.
"""

import struct
from collections.abc import Iterable, Mapping

from prometheus_client.core import Metric

from gateway.telemetry.otlp import Encoder, field, text, varint

_CUMULATIVE = b"\x10\x02"
_MONOTONIC = b"\x18\x01"
_TIMES = struct.Struct("<cQcQ").pack
_DOUBLE = struct.Struct("<d").pack
_COUNT_AND_SUM = struct.Struct("<cQcd").pack

Labels = tuple[tuple[str, str], ...]


def encode_metrics(encoder: Encoder, families: Iterable[Metric], begun_ns: int, now_ns: int) -> bytes:
    """The body of one export. `begun_ns`: when counting began, `now_ns`: when the figures were taken; nanoseconds since
    the epoch."""
    times = _TIMES(b"\x11", begun_ns, b"\x19", now_ns)
    return encoder.request([encoded for family in families if (encoded := _metric(family, times))])


def _metric(family: Metric, times: bytes) -> bytes:
    """A `Metric` as a field of its scope; empty: it has no series."""
    kind = family.type
    name = family.name + "_total" if kind == "counter" else family.name
    if kind == "histogram":
        points = _histogram(family, times)
        data = field(b"\x4a", points + _CUMULATIVE)
    else:
        points = b"".join(
            [field(b"\x0a", times + b"\x21" + _DOUBLE(sample.value) + _attributes(b"\x3a", sample.labels))
             for sample in family.samples if sample.name == name]
        )  # fmt: skip
        data = field(b"\x3a", points + _CUMULATIVE + _MONOTONIC) if kind == "counter" else field(b"\x2a", points)
    if not points:
        return b""
    unit = text(b"\x1a", "s") if family.name.endswith("_seconds") else b""
    return field(b"\x12", text(b"\x0a", name) + text(b"\x12", family.documentation) + unit + data)


def _histogram(family: Metric, times: bytes) -> bytes:
    """Its `HistogramDataPoint`s: of cumulative buckets, what is in each."""
    reached: dict[Labels, list[tuple[float, float]]] = {}
    sums: dict[Labels, float] = {}
    for sample in family.samples:
        labels = tuple(sorted((name, value) for name, value in sample.labels.items() if name != "le"))
        if sample.name.endswith("_bucket"):
            reached.setdefault(labels, []).append((float(sample.labels["le"]), sample.value))
        elif sample.name.endswith("_sum"):
            sums[labels] = sample.value
    points: list[bytes] = []
    for labels, buckets in reached.items():
        below, counts = 0, list[int]()
        for _, count in buckets:
            counts.append(int(count) - below)
            below = int(count)
        bounds = [bound for bound, _ in buckets[:-1]]
        packed = struct.pack(f"<{len(counts)}Q", *counts)
        limits = struct.pack(f"<{len(bounds)}d", *bounds)
        points.append(
            field(
                b"\x0a",
                times
                + _COUNT_AND_SUM(b"\x21", below, b"\x29", sums.get(labels, 0.0))
                + b"\x32%b%b\x3a%b%b" % (varint(len(packed)), packed, varint(len(limits)), limits)
                + _attributes(b"\x4a", dict(labels)),
            )
        )
    return b"".join(points)


def _attributes(tag: bytes, labels: Mapping[str, str]) -> bytes:
    return b"".join(
        [field(tag, text(b"\x0a", name) + field(b"\x12", text(b"\x0a", value))) for name, value in labels.items()]
    )
