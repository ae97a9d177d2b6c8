"""The generator against the mock: its numbers are the mock's numbers."""

import pytest

from loadtest.generator import LoadError, Run, read_load
from loadtest.generator.run import check_target
from loadtest.mock import MockProvider


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
