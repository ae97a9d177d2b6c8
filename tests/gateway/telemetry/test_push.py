"""Who sends metrics, when, and what a collector that is away does to it."""

import asyncio
import re
from pathlib import Path

import httpx
import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from gateway.clock import SystemClock
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.otlp import Encoder
from gateway.telemetry.otlp_http import Sent
from gateway.telemetry.push import Push
from tests.gateway.telemetry.test_spans import exchange
from tests.support.collector import collector
from tests.support.served import wait_for


class Collected:
    """A sender that takes everything, or nothing."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.closed = False
        self.well = True

    def send(self, body: bytes, timeout: float) -> Sent:
        self.bodies.append(body)
        return Sent("taken") if self.well else Sent("again", "ConnectError")

    def close(self) -> None:
        self.closed = True

    def requests(self) -> list[float]:
        """The counter's value in each export."""
        return [
            sum(
                point.as_double
                for metric in scope.metrics
                if metric.name == "tollway_requests_total"
                for point in metric.sum.data_points
            )
            for body in self.bodies
            for scope in ExportMetricsServiceRequest.FromString(body).resource_metrics[0].scope_metrics
        ]


def push(metrics: Metrics, sender: Collected, directory: Path, interval: float = 0.01) -> Push:
    return Push(metrics, Encoder({}, ("t", "1"), ""), sender, SystemClock(), interval, directory)


async def until(condition) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.005)


async def test_one_worker_sends_for_all_and_another_takes_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.telemetry.push.RETRY", 0.02)
    shared = tmp_path / "metrics"
    workers = [(Metrics(shared), Collected()) for _ in range(2)]
    for metrics, _ in workers:
        metrics.record(exchange())
        metrics.gathered(metrics.page())
    tasks = [asyncio.create_task(push(metrics, sender, tmp_path).run()) for metrics, sender in workers]
    await until(lambda: any(sender.bodies for _, sender in workers))
    first, second = sorted(workers, key=lambda pair: not pair[1].bodies)
    await until(lambda: len(first[1].bodies) > 2)
    assert not second[1].bodies
    assert set(first[1].requests()) == {2.0}
    at = workers.index(first)
    tasks[at].cancel()
    await asyncio.gather(tasks[at], return_exceptions=True)
    assert first[1].closed
    await until(lambda: second[1].bodies)
    tasks[1 - at].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def test_a_collector_that_is_away_is_told_of_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr(
        "gateway.telemetry.push.alert", lambda event, **fields: told.append(f"{event} {fields['reason']}")
    )
    monkeypatch.setattr("gateway.telemetry.push.info", lambda event, **fields: told.append(event))
    metrics, sender = Metrics(), Collected()
    made = push(metrics, sender, tmp_path)
    assert made.send(metrics.page())
    sender.well = False
    assert not made.send(metrics.page())
    assert not made.send(metrics.page())
    sender.well = True
    assert made.send(metrics.page())
    assert told == ["metrics_not_exported ConnectError", "metrics_exported_again"]


def test_a_served_gateway_of_two_workers(serve) -> None:
    with collector() as receiver:
        gateway = serve("--workers", "2", telemetry={"otlp": receiver.url, "otlp_metrics": "1s", "sample": "0%"})
        headers, body = {"authorization": "Bearer sk-search"}, {"model": "mock-echo", "messages": []}
        for _ in range(8):
            httpx.post(gateway.v1 + "/chat/completions", json=body, headers=headers)

        def counted() -> float:
            names = [path for path, _ in receiver.requests]
            assert set(names) <= {"/v1/metrics"}
            exports = [ExportMetricsServiceRequest.FromString(each) for each in receiver.bodies]
            metrics = [
                each for each in (exports or [ExportMetricsServiceRequest()])[-1:] for each in each.resource_metrics
            ]
            points = [
                p
                for r in metrics
                for s in r.scope_metrics
                for m in s.metrics
                if m.name == "tollway_requests_total"
                for p in m.sum.data_points
            ]
            return sum(point.as_double for point in points)

        wait_for(lambda: counted() == 8, "eight requests at the collector")
        shown = re.findall(r"^tollway_requests_total\S* (\S+)$", httpx.get(gateway.url + "/metrics").text, re.MULTILINE)
        assert sum(map(float, shown)) == 8
        assert gateway.stop() == 0
