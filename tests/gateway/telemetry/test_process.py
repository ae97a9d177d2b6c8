"""Figures of the operating system."""

from gateway.telemetry.metrics import Metrics
from gateway.telemetry.process import pull_process


def figures(metrics: Metrics) -> dict[str, float]:
    return {name: value for name, pulled in metrics.page().pulled.items() for value in pulled.samples.values()}


def test_they_move() -> None:
    metrics = Metrics()
    pull_process(metrics)
    before = figures(metrics)
    with open(__file__, "rb") as file:
        after = figures(metrics)
        assert file.readable()
    assert after["process_open_fds"] == before["process_open_fds"] + 1
    assert after["process_resident_memory_bytes"] > 1_000_000
    while figures(metrics)["process_cpu_seconds"] <= before["process_cpu_seconds"]:
        sum(range(100_000))
