"""The gateway's metrics as values: what Prometheus would scrape, of all workers, read back into numbers.

The names are those of the exposition, which are public; how metrics are counted is nobody's business here.
"""

import asyncio
from collections.abc import Iterator, Mapping

from gateway.telemetry.metrics import Metrics

Labels = Mapping[str, str]


class Figures:
    """Samples by name. Empty where metrics are off."""

    def __init__(self, samples: Mapping[str, list[tuple[dict[str, str], float]]]) -> None:
        self._samples = samples

    def __bool__(self) -> bool:
        return bool(self._samples)

    def of(self, name: str, **labels: str) -> Iterator[tuple[dict[str, str], float]]:
        """Samples of a name whose labels have these values."""
        for found, value in self._samples.get(name, ()):
            if all(found.get(label) == wanted for label, wanted in labels.items()):
                yield found, value

    def sum(self, name: str, **labels: str) -> float:
        """The sum of such samples; 0 where there is none."""
        return sum(value for _, value in self.of(name, **labels))

    def by(self, label: str, name: str, **labels: str) -> dict[str, float]:
        """Sums by one label."""
        sums: dict[str, float] = {}
        for found, value in self.of(name, **labels):
            sums[found.get(label, "")] = sums.get(found.get(label, ""), 0.0) + value
        return sums

    def quantile(self, q: float, name: str, **labels: str) -> float | None:
        """A quantile of a histogram in seconds, as `histogram_quantile` of Prometheus reckons it: linear within its
        bucket, and the last bound for what is beyond. None: nothing was observed."""
        buckets: dict[float, float] = {}
        for found, value in self.of(f"{name}_bucket", **labels):
            bound = float(found["le"])
            buckets[bound] = buckets.get(bound, 0.0) + value
        ordered = sorted(buckets.items())
        if not ordered or ordered[-1][1] <= 0:
            return None
        rank, below, passed = q * ordered[-1][1], 0.0, 0.0
        for bound, reached in ordered:
            if reached >= rank and reached > passed:
                if bound == float("inf"):
                    return below
                return below + (bound - below) * (rank - passed) / (reached - passed)
            below, passed = bound, reached
        return below


async def figures_of(metrics: Metrics | None) -> Figures:
    """The figures of now. Raises `OSError` when the other workers' cannot be read."""
    if metrics is None:
        return Figures({})
    body, _ = await metrics.expose()
    return await asyncio.to_thread(read, body.decode())


def read(text: str) -> Figures:
    """Read the text format of Prometheus."""
    from prometheus_client.parser import text_string_to_metric_families

    samples: dict[str, list[tuple[dict[str, str], float]]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            samples.setdefault(sample.name, []).append((dict(sample.labels), float(sample.value)))
    return Figures(samples)
