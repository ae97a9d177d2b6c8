"""Open loop: what is due is sent, and waiting counts."""

from collections.abc import Callable
from typing import Any

from loadtest.generator import Result, Run, read_load
from loadtest.mock import MockProvider

Fixture = Callable[..., Any]


async def _run(mock: MockProvider, text: str, keys: list[str] | None = None) -> Result:
    return await Run(read_load(text), mock.base_url, ["sk-a"] if keys is None else keys).run()


async def test_open_loop_sends_exactly_what_is_due(mock: MockProvider) -> None:
    result = await _run(mock, "processes: 2\nstages:\n- {rate: 150, duration: 400ms}\n")
    stage = result.stages[0]
    assert (stage.requests, stage.ok, mock.stats.totals.requests) == (60, 60, 60)
    assert stage.mode == "open"


async def test_open_loop_latency_counts_from_when_a_request_was_due(start_mock: Fixture) -> None:
    """One connection and 50 ms an answer: requests queue, and the queue shows in latency, not in service time."""
    mock = await start_mock("defaults: {latency: 50ms}\n")
    result = await _run(mock, "stages:\n- {rate: 100, duration: 300ms, max_connections: 1}\n")
    stage = result.stages[0]
    assert stage.ok == 30
    assert stage.service_ms.p99 is not None
    assert stage.latency_ms.max is not None
    assert stage.service_ms.p50 >= 49
    assert stage.latency_ms.max > 1000  # 30 answers of 50 ms, all due within 300 ms
    assert stage.service_ms.p50 * 4 < stage.latency_ms.max, "the last waits for all the others, however slow they are"
    assert any("were due" in warning for warning in result.warnings)


async def test_nobody_listens() -> None:
    scenario = read_load("stages:\n- {concurrency: 2, duration: 100ms}\n")
    result = await Run(scenario, "http://127.0.0.1:1/v1", []).run()
    assert set(result.stages[0].errors) == {"connect"}
