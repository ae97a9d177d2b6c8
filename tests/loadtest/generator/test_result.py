"""The shape of a run's result."""

import msgspec
import pytest

from loadtest.generator.result import Result


def test_the_json_says_what_was_measured(result: Result) -> None:
    data = msgspec.json.decode(result.json())
    stage = data["stages"][0]
    assert stage["rps"] == pytest.approx(16.67)
    assert stage["latency_ms"]["p50"] == pytest.approx(25, rel=0.01)
    assert set(stage["latency_ms"]) == {"count", "mean", "p50", "p90", "p95", "p99", "p99.9", "max"}
    assert data["stages"][1]["latency_ms"]["p50"] is None
    assert any("no correct answer" in warning for warning in data["warnings"])
    assert "a<b: 1 failed: http_429 (1)" in data["warnings"]
