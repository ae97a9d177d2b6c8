"""The result of a run: the shape of `--json`, made from the merged tallies."""

from typing import Any

import msgspec

from loadtest.generator.histogram import Histogram
from loadtest.generator.scenario import LoadScenario, Stage
from loadtest.generator.tally import Tally

_KINDS = 5
"""Kinds of failures that a warning names."""
PERCENTILES = (50.0, 90.0, 95.0, 99.0, 99.9)


class Summary(msgspec.Struct):
    """A histogram in milliseconds; None where nothing was measured."""

    count: int
    mean: float | None
    p50: float | None
    p90: float | None
    p95: float | None
    p99: float | None
    p99_9: float | None = msgspec.field(name="p99.9")
    max: float | None = None


class Point(msgspec.Struct):
    """One second of a stage; latencies in milliseconds."""

    second: int
    done: int
    errors: int
    p50: float | None
    p99: float | None


class StageResult(msgspec.Struct):
    """One stage. `rps` counts correct answers that came within the stage; `curve` is (share, milliseconds)."""

    name: str
    mode: str
    concurrency: int | None
    rate: float | None
    duration_s: float
    requests: int
    ok: int
    failed: int
    rps: float
    errors: dict[str, int]
    statuses: dict[str, int]
    connections: int
    events: int
    events_per_s: float
    bytes: int
    input_tokens: int
    output_tokens: int
    output_tokens_per_s: float
    generator_cpu: float
    latency_ms: Summary
    service_ms: Summary
    ttft_ms: Summary
    gap_ms: Summary
    lag_ms: Summary
    series: list[Point]
    curve: list[tuple[float, float]]


class Result(msgspec.Struct):
    """A whole run; `warnings` say what makes its numbers doubtful."""

    scenario: str
    base_url: str
    processes: int
    stages: list[StageResult]
    warnings: list[str]

    def json(self) -> bytes:
        """The run as indented JSON."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2)


def result_of(scenario: LoadScenario, base_url: str, tallies: list[Tally]) -> Result:
    """The result of merged tallies, one per stage."""
    stages = [_stage(stage, tally) for stage, tally in zip(scenario.stages, tallies, strict=True)]
    warnings: list[str] = []
    for stage in stages:
        if stage.generator_cpu > 0.9:
            warnings.append(
                f"{stage.name}: the generator itself used {stage.generator_cpu:.0%} of a core; add processes"
            )
        if stage.mode == "open" and stage.rate and stage.requests and stage.ok and stage.rps < 0.95 * stage.rate:
            warnings.append(f"{stage.name}: {stage.rate:g}/s were due, {stage.rps:g}/s were answered in time")
        if not stage.ok:
            warnings.append(f"{stage.name}: no correct answer at all")
        if stage.failed:
            most = sorted(stage.errors.items(), key=lambda kind: -kind[1])
            told = ", ".join(f"{kind} ({count:,})" for kind, count in most[:_KINDS])
            warnings.append(f"{stage.name}: {stage.failed:,} failed: {told}{', …' if len(most) > _KINDS else ''}")
    return Result(scenario.name, base_url, scenario.processes, stages, warnings)


def summary_of(histogram: Histogram) -> Summary:
    """Percentiles in milliseconds."""
    if histogram.count == 0:
        return Summary(0, None, None, None, None, None, None)
    values: list[Any] = [histogram.percentile(p) / 1000 for p in PERCENTILES]
    return Summary(histogram.count, round(histogram.mean / 1000, 4), *values, max=histogram.greatest / 1000)


def _stage(stage: Stage, tally: Tally) -> StageResult:
    duration = float(stage.duration)
    return StageResult(
        name=stage.label,
        mode="closed" if stage.concurrency is not None else "open",
        concurrency=stage.concurrency,
        rate=stage.rate,
        duration_s=duration,
        requests=tally.started,
        ok=tally.ok,
        failed=tally.failed,
        rps=round(tally.in_time / duration, 2),
        errors=dict(sorted(tally.errors.items())),
        statuses={str(status): count for status, count in sorted(tally.statuses.items())},
        connections=tally.connections,
        events=tally.events,
        events_per_s=round(tally.events / duration, 1),
        bytes=tally.bytes,
        input_tokens=tally.input_tokens,
        output_tokens=tally.output_tokens,
        output_tokens_per_s=round(tally.output_tokens / duration, 1),
        generator_cpu=round(tally.cpu_seconds / duration, 3),
        latency_ms=summary_of(tally.latency),
        service_ms=summary_of(tally.service),
        ttft_ms=summary_of(tally.ttft),
        gap_ms=summary_of(tally.gap),
        lag_ms=summary_of(tally.lag),
        series=[
            Point(
                second=index,
                done=second.done,
                errors=second.errors,
                p50=second.latency.percentile(50) / 1000 if second.done else None,
                p99=second.latency.percentile(99) / 1000 if second.done else None,
            )
            for index, second in sorted(tally.seconds.items())
        ],
        curve=[(round(share, 6), micros / 1000) for share, micros in tally.latency.curve()],
    )
