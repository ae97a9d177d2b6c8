"""Measures what a noisy team does to a quiet one that shares a provider with it.

A gateway in front of the mock provider, whose capacity is limited; two teams of equal weight. The quiet team asks for
half of its share, evenly, alone; then again while the noisy team asks for ten times its own share. Both arrive whether
or not earlier requests were answered (open loop), and latency counts from when a request was due. On a machine that
cannot carry that, `closed` lets the noisy team keep ten times its share of places asked for. Runs alternate.

What limits is meant to be the provider, not this machine: its answers take about a tenth of a second.
"""

import asyncio
import hashlib
import math
import statistics
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec
import yaml

from loadtest.compare import mock_command
from loadtest.generator import LoadScenario, Run
from loadtest.generator.result import StageResult
from loadtest.generator.scenario import RequestMix, Stage
from loadtest.machine import free_port, start, wait_for
from loadtest.units import Seconds

_ROOT = Path(__file__).resolve().parent.parent  # so that an uninstalled checkout works
_SIGMA = 0.4
_KEYS = {"quiet": "sk-fair-quiet", "noisy": "sk-fair-noisy"}


class FairnessError(Exception):
    """It cannot be measured; the message is for the person at the terminal."""


class FairSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What is measured. `latency` is the median of the provider's answers, in seconds (log-normal)."""

    concurrent: int = 20
    latency: float = 0.1
    quiet: float = 0.5
    """Load of the quiet team, in shares."""
    noisy: float = 10.0
    """Load of the noisy team, in shares."""
    seconds: float = 20.0
    runs: int = 3
    warm: float = 2.0
    """Seconds before anything is measured, in which the noisy team begins."""
    closed: bool = False
    """The noisy team keeps ten times its share of places asked for, instead of asking at ten times its rate."""
    together: bool = False
    """Both keys are one team's: what it would be without sharing."""

    @property
    def share(self) -> float:
        """Requests a second that are one team's share: half of what the provider can serve."""
        return self.concurrent / (self.latency * math.exp(_SIGMA**2 / 2)) / 2


class Pair(msgspec.Struct, frozen=True):
    """One run: latencies of the quiet team in milliseconds, alone and beside the noisy one."""

    alone_p50: float | None
    alone_p99: float | None
    beside_p50: float | None
    beside_p99: float | None
    ratio: float | None
    """beside_p99 / alone_p99."""
    quiet_failed: int
    """Requests of the quiet team that were not answered correctly, in both."""
    noisy_served: float
    """Correct answers a second."""
    noisy_refused: float
    """Refusals (503 and others) a second."""


class Fairness(msgspec.Struct, frozen=True):
    """All runs, and the median of their ratios. Rates are requests a second."""

    concurrent: int
    provider_rate: float
    quiet_rate: float
    noisy_rate: float | None
    """None: a closed loop."""
    seconds: float
    one_team: bool
    alone_p99: float | None
    beside_p99: float | None
    """Medians, milliseconds."""
    ratio: float | None
    runs: list[Pair]

    def json(self) -> bytes:
        """Indented JSON."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2)


def measure_fairness(settings: FairSettings, say: Callable[[str], None]) -> Fairness:
    """Start provider and gateway, measure, stop both. Raises FairnessError."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tollway-fair-")))
        base_url = _serve(settings, directory, stack)
        pairs: list[Pair] = []
        for at in range(settings.runs):
            say(f"run {at + 1} of {settings.runs}: alone")
            alone = asyncio.run(_quiet(settings, base_url))
            say(f"run {at + 1} of {settings.runs}: beside the noisy team")
            pairs.append(_pair(alone, *asyncio.run(_both(settings, base_url))))
        return _summed(settings, pairs)


def gateway_config(settings: FairSettings, directory: Path, port: int, upstream: str) -> dict[str, Any]:
    """The configuration of the gateway that is measured: two teams, or one, and a provider of limited capacity."""

    def key(name: str) -> dict[str, str]:
        return {"id": name, "hash": "sha256:" + hashlib.sha256(_KEYS[name].encode()).hexdigest()}

    keys = {name: [key(name)] for name in _KEYS}
    teams = {"both": [*keys["quiet"], *keys["noisy"]]} if settings.together else keys
    return {
        "version": 1,
        "server": {"host": "127.0.0.1", "port": port, "runtime_dir": str(directory / "run")},
        "providers": {
            "mock": {
                "dialect": "openai",
                "base_url": f"{upstream}/v1",
                "capacity": {"concurrent": settings.concurrent, "queue": 10 * settings.concurrent, "wait": "30s"},
            }
        },
        "models": {"mock": {"targets": [{"provider": "mock"}]}},
        "teams": {name: {"keys": each} for name, each in teams.items()},
        "prices": "off",
        "ledger": "off",
    }


def _serve(settings: FairSettings, directory: Path, stack: ExitStack) -> str:
    """Base URL of a gateway in front of a mock provider."""
    environment = {"PYTHONPATH": str(_ROOT)}
    scenario = directory / "provider.yaml"
    median, most = round(settings.latency * 1e3), round(settings.latency * 1e4)
    latency = f"{{lognormal: {{median: {median}ms, sigma: {_SIGMA}, max: {most}ms}}}}"
    scenario.write_text(f"version: 1\nseed: 1\ndefaults: {{latency: {latency}}}\n", encoding="utf-8")
    upstream, port = free_port(), free_port()
    started = stack.enter_context(start(mock_command(upstream, scenario), directory / "mock.log", environment))
    if not wait_for(f"http://127.0.0.1:{upstream}/healthz", 30, started):
        raise FairnessError(f"the mock provider did not start: {started.last_words()}")
    config = directory / "gateway.yaml"
    tree = gateway_config(settings, directory, port, f"http://127.0.0.1:{upstream}")
    config.write_text(yaml.safe_dump(tree, sort_keys=False), encoding="utf-8")
    command = [sys.executable, "-m", "gateway.cli.main", "serve", "--config", str(config)]
    started = stack.enter_context(start(command, directory / "gateway.log", environment))
    if not wait_for(f"http://127.0.0.1:{port}/readyz", 60, started):
        raise FairnessError(f"the gateway did not start: {started.last_words()}")
    return f"http://127.0.0.1:{port}/v1"


async def _quiet(settings: FairSettings, base_url: str) -> StageResult:
    stage = Stage(duration=Seconds(settings.seconds), rate=settings.quiet * settings.share, name="quiet")
    return await _load(stage, settings.warm, base_url, "quiet")


async def _both(settings: FairSettings, base_url: str) -> tuple[StageResult, StageResult]:
    lasts = Seconds(settings.seconds + settings.warm + 0.5)
    if settings.closed:
        stage = Stage(duration=lasts, concurrency=round(settings.noisy * settings.concurrent / 2), name="noisy")
    else:
        stage = Stage(duration=lasts, rate=settings.noisy * settings.share, name="noisy")
    quiet, noisy = await asyncio.gather(_quiet(settings, base_url), _load(stage, 0.0, base_url, "noisy"))
    return quiet, noisy


async def _load(stage: Stage, warm: float, base_url: str, team: str) -> StageResult:
    scenario = LoadScenario(
        stages=[stage],
        name=team,
        warmup=Seconds(warm),
        timeout=Seconds(60),
        request=RequestMix(model="mock", max_tokens=16),
    )
    return (await Run(scenario, base_url, [_KEYS[team]]).run()).stages[0]


def _pair(alone: StageResult, beside: StageResult, noisy: StageResult) -> Pair:
    before, after = alone.latency_ms.p99, beside.latency_ms.p99
    return Pair(
        alone.latency_ms.p50,
        before,
        beside.latency_ms.p50,
        after,
        round(after / before, 3) if before and after else None,
        alone.failed + beside.failed,
        noisy.rps,
        round(noisy.failed / noisy.duration_s, 1),
    )


def _summed(settings: FairSettings, pairs: list[Pair]) -> Fairness:
    def median(values: list[float | None]) -> float | None:
        known = [value for value in values if value is not None]
        return round(statistics.median(known), 3) if known else None

    return Fairness(
        settings.concurrent,
        round(2 * settings.share, 1),
        round(settings.quiet * settings.share, 1),
        None if settings.closed else round(settings.noisy * settings.share, 1),
        settings.seconds,
        settings.together,
        median([pair.alone_p99 for pair in pairs]),
        median([pair.beside_p99 for pair in pairs]),
        median([pair.ratio for pair in pairs]),
        pairs,
    )
