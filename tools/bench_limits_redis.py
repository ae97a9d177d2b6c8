"""What one request costs in the shared limit store: admissions and settlements through a real `redis-server`.

    .venv/bin/python tools/bench_limits_redis.py [--url redis://…] [--seconds 3] [--repeat 5] [--concurrency 32]
        [--lease 5]

Starts a server of its own on a free port unless one is named. So many requests at a time, each a `Ride` as in the
gateway: admit, settle, again. Four bounds: requests and tokens per rolling minute, money per calendar month, requests
under way. Prints, as JSON, pairs per second; processor microseconds a pair, ours and the server's; milliseconds an
admission took; pairs a call carried. `--rate` sends so many pairs a second instead of as many as go; `--work` keeps the
process busy for so many microseconds between a request's admission and its settlement, as a gateway is; they are not
counted as ours. `--lease` lets the worker take so many per cent of each limit in advance.
"""

import argparse
import asyncio
import json
import os
import shutil
import socket
import statistics
import subprocess
import tempfile
import time

import hiredis
import uvloop

from gateway.clock import SystemClock
from gateway.limits.shared.redis_open import SharedStore
from gateway.limits.stores import open_store
from gateway.quota import Bound, Calendar, Charge, Measure, Rolling, Rule, Window
from gateway.ride import Ride

RESERVED = Charge(input_tokens=1200, output_tokens=256, nanos=330_000)
ACTUAL = Charge(input_tokens=1100, output_tokens=96, nanos=220_000)


def bound(measure: Measure, window: Window | None, soft: int | None = None) -> Bound:
    rule = Rule(id=f"teams.search.{measure}", measure=measure, amount=10**15, window=window, soft=soft)
    return Bound(rule, rule.id, "t:search")


FOUR = (
    bound("requests", Rolling(60)),
    bound("tokens", Rolling(60)),
    bound("usd", Calendar("month", "Europe/Berlin"), 8 * 10**14),
    bound("concurrent", None),
)


class Load:
    """So many rides at a time, until the end is said."""

    def __init__(self, store: SharedStore, bounds: tuple[Bound, ...], work: float) -> None:
        self.work = work / 1e6
        self.store = store
        self.bounds = bounds
        self.loop = asyncio.get_running_loop()
        self.number = 0
        self.live = 0
        self.waits: list[float] = []
        self.degraded = 0
        self.over = False
        self.gone: asyncio.Future[None] = self.loop.create_future()

    def adopted(self, task: "asyncio.Task[None]") -> None:
        raise AssertionError("an admission became a task")

    def ended(self, subject: object, error: BaseException | None) -> None:
        self.live -= 1
        if error is not None and not self.gone.done():
            self.gone.set_exception(error)
        elif not self.over and subject is None:
            self.loop.call_soon(self.begin)
        elif not self.live and self.over and not self.gone.done():
            self.gone.set_result(None)

    def begin(self, once: bool = False) -> None:
        self.live += 1
        self.number += 1
        ride = Ride(self.loop, self, once or None)
        ride.begin(self.one(f"0190-{os.getpid():08}-{self.number:024}"))

    async def one(self, hold: str) -> None:
        begun = time.perf_counter()
        decision = self.store.admit_now(hold, self.bounds, RESERVED, 600.0)
        if decision is None:
            decision = await self.store.admit(hold, self.bounds, RESERVED, 600.0)
        self.waits.append(time.perf_counter() - begun)
        if self.work:
            end = time.process_time() + self.work
            while time.process_time() < end:
                pass
        self.degraded += getattr(decision, "degraded", True)
        self.store.settle(hold, ACTUAL)


def server_seconds(port: int) -> float:
    """Processor time the server has taken so far."""
    with socket.create_connection(("127.0.0.1", port)) as sock:
        sock.sendall(hiredis.pack_command(("INFO", "cpu")))
        text = sock.recv(65536).decode()
    values = dict(line.split(":") for line in text.split("\r\n") if ":" in line)
    return float(values["used_cpu_sys"]) + float(values["used_cpu_user"])


async def run(url: str, port: int, bounds: tuple[Bound, ...], options: argparse.Namespace) -> dict[str, float]:
    store = open_store(url, clock=SystemClock(), worker=f"bench-{os.getpid()}", patience=5.0, lease=options.lease / 100)
    assert isinstance(store, SharedStore)
    while not store.up:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    load = Load(store, bounds, options.work)
    before, cpu, server = time.perf_counter(), time.process_time(), server_seconds(port)
    if options.rate:
        for number in range(int(options.rate * options.seconds)):
            await asyncio.sleep(max(0.0, before + number / options.rate - time.perf_counter()))
            load.begin(once=True)
    else:
        for _ in range(options.concurrency):
            load.begin()
        await asyncio.sleep(options.seconds)
    load.over = True
    if load.live:
        await load.gone
    pairs, took = len(load.waits), time.perf_counter() - before
    cpu, server = time.process_time() - cpu, server_seconds(port) - server
    gauges = store.gauges()
    await store.aclose()
    waits = sorted(load.waits)
    return {
        "pairs_per_second": round(pairs / took),
        "us_of_ours": round(cpu / pairs * 1e6 - options.work, 1),
        "us_of_the_server": round(server / pairs * 1e6, 1),
        "admit_ms_p50": round(waits[len(waits) // 2] * 1e3, 3),
        "admit_ms_p99": round(waits[len(waits) * 99 // 100] * 1e3, 3),
        "pairs_per_call": round(gauges.operations / 2 / max(1, gauges.calls), 1),
        "leased_percent": round(100 * gauges.leased / pairs, 2),
        "degraded": load.degraded,
    }


def median(runs: list[dict[str, float]]) -> dict[str, float]:
    return {name: statistics.median(run[name] for run in runs) for name in runs[0]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="")
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--concurrency", type=int, default=32)
    parser.add_argument("--rate", type=float, default=0.0)
    parser.add_argument("--lease", type=float, default=0.0)
    parser.add_argument("--work", type=float, default=0.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        server: subprocess.Popen[bytes] | None = None
        url = options.url
        if not url:
            with socket.socket() as sock:
                sock.bind(("127.0.0.1", 0))
                port = sock.getsockname()[1]
            program = shutil.which("redis-server") or "redis-server"
            command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", directory]
            server = subprocess.Popen(command, stdout=subprocess.DEVNULL)  # noqa: S603
            url = f"redis://127.0.0.1:{port}"
        port = int(url.rsplit(":", 1)[1].split("/")[0])
        try:
            for name, bounds in (("one bound", FOUR[:1]), ("four bounds", FOUR)):
                runs = [uvloop.run(run(url, port, bounds, options)) for _ in range(options.repeat)]
                print(json.dumps({"bounds": name, **median(runs)}))  # noqa: T201
        finally:
            if server is not None:
                server.terminate()
                server.wait()


if __name__ == "__main__":
    main()
