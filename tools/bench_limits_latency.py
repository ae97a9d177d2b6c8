"""What limits add to a request's latency at half load: with each store, beside the same gateway without limits.

    .venv/bin/python tools/bench_limits_latency.py [--with redis] [--with memory] [--with lease] [--seconds 20]
        [--runs 5] [--rate 0]

Starts the mock provider, a `redis-server` of its own, and a gateway for each kind with the limits of
`loadtest/rig-limits.yaml` (requests and tokens per minute, concurrency, a monthly budget), and one without. First a
closed loop finds out how many requests a second the slowest of them serves. Then requests arrive at half of that rate
(or at `--rate`), whether or not earlier ones were answered, at one gateway after the other, again and again; latency
counts from when a request was due. Prints a JSON line for each kind: medians over the runs of p50 and p99, and of what
they are more than without limits in the same round, in milliseconds.

Nothing else should run on the machine: provider, Redis, gateway and generator share it, and the 99th percentile is what
others disturb first. `lag_ms_p99` says how late the generator itself was; where it is near the difference, the
difference says nothing.
"""

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import yaml
from show_limits import serve as serve_redis

from loadtest.compare import mock_command
from loadtest.generator import LoadScenario, Run
from loadtest.generator.result import StageResult
from loadtest.generator.scenario import RequestMix, Stage
from loadtest.machine import free_port, start, wait_for
from loadtest.units import Seconds

ROOT = Path(__file__).resolve().parent.parent
KEY = "sk-bench"
WITHOUT = "none"
KINDS = ("redis", "memory", "lease")
USERS = 32
"""Of the closed loop."""


def configuration(directory: Path, kind: str, port: int, upstream: str, redis: str) -> dict[str, Any]:
    tree: dict[str, Any] = yaml.safe_load((ROOT / "loadtest" / "rig-limits.yaml").read_text(encoding="utf-8"))
    tree["server"] |= {"port": port, "runtime_dir": str(directory / "run")}
    tree["ledger"] = {"url": f"sqlite:///{directory / 'ledger.db'}", "journal": str(directory / "journal")}
    for provider in tree["providers"].values():
        provider["base_url"] = f"{upstream}/v1"
    if kind == WITHOUT:
        for name in ("budget", "limits"):
            del tree["teams"]["bench"][name]
    elif kind != "memory":
        tree["limits"] = {"store": redis, **({"lease": "5%"} if kind == "lease" else {})}
    return tree


def serve(stack: ExitStack, directory: Path, kinds: list[str]) -> dict[str, str]:
    """Base URLs of the gateways, by kind."""
    redis, server = serve_redis(str(directory))
    stack.callback(lambda: (server.terminate(), server.wait()))
    environment = {"PYTHONPATH": str(ROOT)}
    upstream, scenario = free_port(), directory / "provider.yaml"
    scenario.write_text("version: 1\n", encoding="utf-8")
    started = stack.enter_context(start(mock_command(upstream, scenario), directory / "mock.log", environment))
    if not wait_for(f"http://127.0.0.1:{upstream}/healthz", 60, started):
        raise SystemExit(f"the mock provider did not start: {started.last_words()}")
    urls: dict[str, str] = {}
    for kind in kinds:
        own, port = directory / kind, free_port()
        own.mkdir()
        config = own / "gateway.yaml"
        config.write_text(yaml.safe_dump(configuration(own, kind, port, f"http://127.0.0.1:{upstream}", redis)))
        command = [sys.executable, "-m", "gateway.cli.main", "serve", "--config", str(config)]
        started = stack.enter_context(start(command, own / "gateway.log", environment))
        if not wait_for(f"http://127.0.0.1:{port}/readyz", 60, started):
            raise SystemExit(f"the gateway '{kind}' did not start: {started.last_words()}")
        urls[kind] = f"http://127.0.0.1:{port}/v1"
    return urls


def load(url: str, stage: Stage, warm: float) -> StageResult:
    request = RequestMix(model="bench-json", max_tokens=16)
    scenario = LoadScenario(stages=[stage], warmup=Seconds(warm), timeout=Seconds(60), request=request)
    result = asyncio.run(Run(scenario, url, [KEY]).run()).stages[0]
    if result.failed:
        raise SystemExit(f"{result.failed} of {result.requests} requests failed: {result.errors} {result.statuses}")
    return result


def half_load(urls: dict[str, str], seconds: float, say: Callable[[str], None]) -> float:
    """Half of what the slowest gateway serves in a closed loop, requests a second."""
    rates: list[float] = []
    for kind, url in urls.items():
        rates.append(load(url, Stage(duration=Seconds(seconds), concurrency=USERS), 2.0).rps)
        say(f"{kind}: {rates[-1]:,.0f} requests a second")
    return min(rates) / 2


def measure(urls: dict[str, str], rate: float, options: argparse.Namespace, say: Callable[[str], None]) -> None:
    found: dict[str, list[StageResult]] = {kind: [] for kind in urls}
    for number in range(options.runs):
        say(f"run {number + 1} of {options.runs} at {rate:,.0f} requests a second")
        # Turned round each time, so that what changes over time favours nobody.
        for kind in list(urls)[:: 1 if number % 2 else -1]:
            stage = Stage(duration=Seconds(options.seconds), rate=rate)
            found[kind].append(load(urls[kind], stage, 1.0))
    for kind, results in found.items():
        report: dict[str, Any] = {"limits": kind, "rate": round(rate, 1), "runs": options.runs}
        for name in ("p50", "p99"):
            own = [getattr(result.latency_ms, name) for result in results]
            base = [getattr(result.latency_ms, name) for result in found[WITHOUT]]
            added = [mine - other for mine, other in zip(own, base, strict=True)]
            report[f"ms_{name}"] = round(statistics.median(own), 3)
            if kind != WITHOUT:
                report[f"added_ms_{name}"] = round(statistics.median(added), 3)
                report[f"added_ms_{name}_of_runs"] = [round(each, 3) for each in added]
        report["lag_ms_p99"] = round(statistics.median([result.lag_ms.p99 or 0.0 for result in results]), 3)
        print(json.dumps(report), flush=True)  # noqa: T201


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--with", dest="kinds", action="append", choices=KINDS, help="default: redis")
    parser.add_argument("--seconds", type=float, default=20.0, help="of each measurement")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--rate", type=float, default=0.0, help="requests a second; 0: half of what is served")
    options = parser.parse_args()
    kinds = [WITHOUT, *dict.fromkeys(options.kinds or ["redis"])]

    def say(text: str) -> None:
        print(text, file=sys.stderr, flush=True)  # noqa: T201

    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        urls = serve(stack, Path(name), kinds)
        rate = options.rate or half_load(urls, min(options.seconds, 5.0), say)
        measure(urls, rate, options, say)


if __name__ == "__main__":
    main()
