"""One connection: what it times, and how it names what went wrong."""

from collections.abc import Callable
from typing import Any

import pytest

from loadtest.generator import Result, Run, read_load
from loadtest.mock import MockProvider

Fixture = Callable[..., Any]


async def _run(mock: MockProvider, text: str, keys: list[str] | None = None) -> Result:
    return await Run(read_load(text), mock.base_url, ["sk-a"] if keys is None else keys).run()


async def test_streams_measure_first_event_and_gaps(start_mock: Fixture) -> None:
    mock = await start_mock("defaults: {first_event: 60ms, gap: 20ms, output: {tokens: 5}}\n")
    stage = (await _run(mock, "stages:\n- {concurrency: 2, duration: 300ms, request: {stream: true}}\n")).stages[0]
    assert stage.ttft_ms.p50 is not None
    assert stage.ttft_ms.p50 >= 59
    assert stage.gap_ms.p50 is not None
    assert stage.gap_ms.p90 >= 10
    # However slow the machine is: a stream takes its first event and its gaps, and a gap is one of them.
    assert stage.latency_ms.p50 >= max(59, stage.ttft_ms.p50 * 0.95) + 5 * 19
    assert stage.gap_ms.p50 * 2 < stage.latency_ms.p50


@pytest.mark.parametrize(
    ("scenario", "stream", "kind"),
    [
        ("e429", False, "http_429"),
        ("reset", False, "reset"),
        ("resetmid", True, "cut_in_body"),
        ("closemid", True, "cut_in_body"),
        ("nodone", True, "stream_incomplete"),
        ("errorevent", True, "stream_error"),
        ("badchunk", True, "protocol"),
        ("stall", False, "timeout"),
        ("long", False, "cut_in_body"),
    ],
)
async def test_errors_by_kind(mock: MockProvider, scenario: str, stream: bool, kind: str) -> None:
    text = f"""
timeout: {"300ms" if kind == "timeout" else "5s"}
stages:
  - {{rate: 40, duration: 100ms, request: {{model: mock-{scenario}, stream: {str(stream).lower()}}}}}
"""
    result = await _run(mock, text)
    assert set(result.stages[0].errors) == {kind}
    assert result.stages[0].failed == 4
    assert any("no correct answer" in warning for warning in result.warnings)
