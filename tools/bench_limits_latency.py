"""What limits add to a request's latency at half load: with each store, beside the same gateway without limits.

    .venv/bin/python tools/bench_limits_latency.py [--with redis] [--with memory] [--with lease] [--seconds 5]
        [--runs 5] [--rate 0]

Starts a provider that costs next to nothing (`tools/lean_load.py`), a `redis-server` of its own, and a gateway for
each kind with the limits of `loadtest/rig-limits.yaml` (requests and tokens per minute, concurrency, a monthly budget),
and one without. As on the rig, the gateways have one core and everything else has the others. First a closed loop finds
out how many requests a second the slowest of them serves. Then requests arrive at half of that rate (or at `--rate`),
at random and whether or not earlier ones were answered, at one gateway after the other, again and again; latency counts
from when a request was due. Prints a JSON line for each kind: medians over the runs of p50 and p99, and of what they
are more than without limits in the same round, in milliseconds.

Nothing else should run on the machine: the 99th percentile is what others disturb first.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import yaml
from show_limits import serve as serve_redis

from loadtest.machine import free_port, start, wait_for

ROOT = Path(__file__).resolve().parent.parent
KEY = "sk-bench"
WITHOUT = "none"
KINDS = ("redis", "memory", "lease")
USERS = 32
"""Of the closed loop."""
LEAN = [sys.executable, str(ROOT / "tools" / "lean_load.py")]
CORES = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [0]


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


def use(cores: list[int]) -> None:
    """What is started from now on runs there; where cores cannot be chosen, or there is one, anywhere."""
    if len(CORES) > 1:
        os.sched_setaffinity(0, cores)


def serve(stack: ExitStack, directory: Path, kinds: list[str]) -> dict[str, int]:
    """Ports of the gateways, by kind."""
    use(CORES[1:])
    redis, server = serve_redis(str(directory))
    stack.callback(lambda: (server.terminate(), server.wait()))
    environment = {"PYTHONPATH": str(ROOT)}
    upstream = free_port()
    provider = stack.enter_context(start([*LEAN, "provider", str(upstream)], directory / "provider.log", environment))
    if not wait_for(f"http://127.0.0.1:{upstream}/", 60, provider):
        raise SystemExit(f"the provider did not start: {provider.last_words()}")
    ports: dict[str, int] = {}
    use(CORES[:1])
    for kind in kinds:
        own, port = directory / kind, free_port()
        own.mkdir()
        config = own / "gateway.yaml"
        config.write_text(yaml.safe_dump(configuration(own, kind, port, f"http://127.0.0.1:{upstream}", redis)))
        command = [sys.executable, "-m", "gateway.cli.main", "serve", "--config", str(config)]
        started = stack.enter_context(start(command, own / "gateway.log", environment))
        if not wait_for(f"http://127.0.0.1:{port}/readyz", 60, started):
            raise SystemExit(f"the gateway '{kind}' did not start: {started.last_words()}")
        ports[kind] = port
    use(CORES[1:])
    return ports


def load(port: int, seconds: float, rate: float = 0.0) -> dict[str, float]:
    told = [*LEAN, "load", str(port), KEY, "--seconds", str(seconds), "--rate", str(rate)]
    command = told if rate else [*told, "--connections", str(USERS)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603
    result: dict[str, float] = json.loads(done.stdout)
    if result["failed"]:
        raise SystemExit(f"{result['failed']} of {result['requests']} requests failed")
    return result


def half_load(ports: dict[str, int], seconds: float, say: Callable[[str], None]) -> float:
    """Half of what the slowest gateway serves in a closed loop, requests a second."""
    rates: list[float] = []
    for kind, port in ports.items():
        load(port, 1.0)
        rates.append(load(port, seconds)["rps"])
        say(f"{kind}: {rates[-1]:,.0f} requests a second")
    return min(rates) / 2


def measure(ports: dict[str, int], rate: float, options: argparse.Namespace, say: Callable[[str], None]) -> None:
    found: dict[str, list[dict[str, float]]] = {kind: [] for kind in ports}
    for number in range(options.runs):
        say(f"run {number + 1} of {options.runs} at {rate:,.0f} requests a second")
        # Turned round each time, so that what changes over time favours nobody.
        for kind in list(ports)[:: 1 if number % 2 else -1]:
            found[kind].append(load(ports[kind], options.seconds, rate))
    for kind, results in found.items():
        report: dict[str, Any] = {"limits": kind, "rate": round(rate, 1), "runs": options.runs}
        for name in ("p50", "p99"):
            own = [result[name] for result in results]
            added = [mine - other[name] for mine, other in zip(own, found[WITHOUT], strict=True)]
            report[f"ms_{name}"] = round(statistics.median(own), 3)
            if kind != WITHOUT:
                report[f"added_ms_{name}"] = round(statistics.median(added), 3)
                report[f"added_ms_{name}_of_runs"] = [round(each, 3) for each in added]
        report["lag_ms_p99"] = round(statistics.median([result["lag_p99"] for result in results]), 3)
        print(json.dumps(report), flush=True)  # noqa: T201


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--with", dest="kinds", action="append", choices=KINDS, help="default: redis")
    parser.add_argument("--seconds", type=float, default=5.0, help="of each measurement")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--rate", type=float, default=0.0, help="requests a second; 0: half of what is served")
    options = parser.parse_args()
    kinds = [WITHOUT, *dict.fromkeys(options.kinds or ["redis"])]

    def say(text: str) -> None:
        print(text, file=sys.stderr, flush=True)  # noqa: T201

    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        ports = serve(stack, Path(name), kinds)
        rate = options.rate or half_load(ports, min(options.seconds, 5.0), say)
        measure(ports, rate, options, say)


if __name__ == "__main__":
    main()
