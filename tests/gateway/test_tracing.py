"""From a configuration to the traces of a process."""

from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.clock import Ids, SystemClock
from gateway.facts import Exchange
from gateway.settings.reload import Configuration
from gateway.telemetry.sampling import NEVER
from gateway.telemetry.spans import Peer
from gateway.tracing import follow, open_traces, peers_of

PROVIDERS = """
providers:
  openai: {dialect: openai, base_url: "https://api.openai.com/v1", api_key: sk-canary}
  local: {dialect: openai, base_url: "http://127.0.0.1:9/v1"}
models:
  gpt-4o: {targets: [{provider: openai}]}
  "local/*": {targets: [{provider: local}]}
"""


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], Configuration]:
    def make(telemetry: str) -> Configuration:
        path = tmp_path / "gateway.yaml"
        path.write_text(f"version: 1\ntelemetry: {telemetry}\n{PROVIDERS}")
        return Configuration(path, clock=SystemClock(), env={"EMPTY": ""})

    return make


@pytest.mark.parametrize("telemetry", ["{}", "{otlp: ''}", "{otlp: '${env:EMPTY:-}'}", "{otlp: '${env:UNSET:-}'}"])
def test_no_endpoint_no_traces(write: Callable[[str], Configuration], telemetry: str) -> None:
    assert open_traces(write(telemetry).snapshot) is None


def test_what_an_endpoint_makes(write: Callable[[str], Configuration]) -> None:
    snapshot = write("{otlp: 'http://c:4318', sample: 0%, keep: [], slow: 1s}").snapshot
    traces = open_traces(snapshot)
    assert traces is not None
    assert traces.sampling.threshold == NEVER
    assert traces.sampling.slow == float("inf")
    assert traces.peers == {"openai": Peer("openai", "api.openai.com", 443), "local": Peer("openai", "127.0.0.1", 9)}
    assert traces.peers == peers_of(snapshot.routes)


def test_what_a_reload_changes(write: Callable[[str], Configuration]) -> None:
    traces = open_traces(write("{otlp: 'http://c:4318', sample: 0%, keep: []}").snapshot)
    assert traces is not None
    id_ = Ids().uuid7(0)
    x = Exchange(id_, id_, 0, 0.0, outcome="refused")
    assert not traces.sampling.keeps(x)
    follow(traces, write("{otlp: 'http://c:4318', sample: 0%, keep: [refused]}").snapshot)
    assert traces.sampling.keeps(x)
