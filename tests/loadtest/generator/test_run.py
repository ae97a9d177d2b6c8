"""The generator against the mock: its numbers are the mock's numbers."""

from collections.abc import Callable
from typing import Any

import pytest

from loadtest.generator import LoadError, Result, Run, read_load
from loadtest.generator.run import check_target
from loadtest.mock import MockProvider

Fixture = Callable[..., Any]


async def _run(mock: MockProvider, text: str, keys: list[str] | None = None) -> Result:
    return await Run(read_load(text), mock.base_url, ["sk-a"] if keys is None else keys).run()


async def test_closed_loop_over_processes_counts_what_the_mock_served(mock: MockProvider) -> None:
    progress: list[tuple[int, int, int, int]] = []
    scenario = read_load("""
processes: 2
stages:
  - {name: unary, concurrency: 3, duration: 300ms, request: {max_tokens: 7}}
  - {name: streamed, concurrency: 2, duration: 300ms, request: {stream: true, max_tokens: 5}}
""")
    result = await Run(scenario, mock.base_url, ["sk-a"], lambda *now: progress.append(now)).run()
    unary, streamed = result.stages
    totals = mock.stats.totals
    assert unary.requests + streamed.requests == totals.requests == totals.completed
    assert unary.failed == streamed.failed == 0
    assert totals.output_tokens == unary.output_tokens + streamed.output_tokens == 7 * unary.ok + 5 * streamed.ok
    assert totals.input_tokens == unary.input_tokens + streamed.input_tokens
    assert streamed.ok == totals.streams
    assert streamed.events == streamed.ok * 9  # role, 5 tokens, finish, usage, [DONE]
    assert streamed.gap_ms.count == streamed.ok * 8
    assert unary.connections == 3
    assert unary.latency_ms.count == unary.ok
    assert len({record.id for record in mock.requests}) == totals.requests
    assert {stage for stage, *_ in progress} <= {0, 1}


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
    assert stage.service_ms.p50 < 500
    assert any("were due" in warning for warning in result.warnings)


async def test_streams_measure_first_event_and_gaps(start_mock: Fixture) -> None:
    mock = await start_mock("defaults: {first_event: 60ms, gap: 20ms, output: {tokens: 5}}\n")
    stage = (await _run(mock, "stages:\n- {concurrency: 2, duration: 300ms, request: {stream: true}}\n")).stages[0]
    assert stage.ttft_ms.p50 is not None
    assert 59 <= stage.ttft_ms.p50 < 160
    assert stage.gap_ms.p50 is not None
    assert 10 <= stage.gap_ms.p90 < 60
    assert stage.latency_ms.p50 >= 59 + 5 * 19


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
timeout: 100ms
stages:
  - {{rate: 40, duration: 100ms, request: {{model: mock-{scenario}, stream: {str(stream).lower()}}}}}
"""
    result = await _run(mock, text)
    assert set(result.stages[0].errors) == {kind}
    assert result.stages[0].failed == 4
    assert any("no correct answer" in warning for warning in result.warnings)


@pytest.mark.parametrize("operation", ["chat", "completions", "responses", "messages"])
@pytest.mark.parametrize("stream", [False, True])
async def test_every_operation(mock: MockProvider, operation: str, stream: bool) -> None:
    mix = f"{{operation: {operation}, stream: {str(stream).lower()}, max_tokens: 3, prompt_bytes: [10, 90]}}"
    result = await _run(mock, f"stages:\n- {{rate: 40, duration: 100ms, request: {mix}}}\n")
    stage = result.stages[0]
    assert (stage.ok, stage.failed, stage.output_tokens) == (4, 0, 12)
    assert stage.input_tokens == mock.stats.totals.input_tokens > 0


async def test_embeddings_keys_and_models_are_mixed(mock: MockProvider) -> None:
    text = """
request: {operation: embeddings, models: {one: 1, two: 1}, key_weights: [1, 1]}
stages:
  - {rate: 400, duration: 200ms}
"""
    result = await _run(mock, text, ["sk-a", "sk-b"])
    assert result.stages[0].ok == 80
    assert set(mock.stats.totals.by_model) == {"one", "two"}
    with pytest.raises(LoadError, match="2 entries for 1 keys"):
        await _run(mock, text, ["sk-a"])


async def test_nobody_listens() -> None:
    scenario = read_load("stages:\n- {concurrency: 2, duration: 100ms}\n")
    result = await Run(scenario, "http://127.0.0.1:1/v1", []).run()
    assert set(result.stages[0].errors) == {"connect"}


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/v1", "http://localhost/v1", "https://[::1]:1/v1"])
def test_this_machine_may_be_loaded(url: str) -> None:
    check_target(url, allow_remote=False)


@pytest.mark.parametrize("url", ["http://192.0.2.1/v1", "https://gateway.example/v1", "http://127.0.0.1.example/"])
def test_another_machine_only_on_request(url: str) -> None:
    with pytest.raises(LoadError, match="--allow-remote"):
        check_target(url, allow_remote=False)
    check_target(url, allow_remote=True)


def test_what_is_no_url() -> None:
    with pytest.raises(LoadError, match="is not a base URL"):
        check_target("ftp://x", allow_remote=True)
