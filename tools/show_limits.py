"""Shows that limits in Redis hold when many processes press against them at once. Figures are printed as JSON.

    .venv/bin/python tools/show_limits.py budget [--processes 8] [--concurrency 125] [--lease 5] [--url redis://…]
    .venv/bin/python tools/show_limits.py rate [--processes 8] [--seconds 180] [--times 5]

`budget`: so many requests at a time in each process, a part of them streams that extend their reservation, some given
up; again and again until one budget is used up. What was truly spent, summed by the processes, must not be more than
the budget, and be what the counter says, to the nano-dollar.

`rate`: 600 requests per minute, once as a rolling window and once as a smooth rate, driven at `--times` the rate. What
was admitted, over the whole time and in any one minute of it, beside what the rule says.

`--lease`: each process may take so many per cent of a limit in advance (`limits.lease`). Nothing else changes: not a
nano-dollar more is spent; what is left over at the end is what was in leases when requests were refused.

A `redis-server` of its own on a free port, unless one is named. Exit code 1 when a limit did not hold.
"""

import argparse
import asyncio
import json
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from typing import Any

import uvloop

from gateway.clock import SystemClock
from gateway.limits.shared.redis_open import SharedStore
from gateway.limits.stores import open_store
from gateway.quota import NOTHING, Admitted, Bound, Calendar, Charge, Decision, Refused, Rolling, Rule, Smooth, Window

BUDGET = 2_000_000_000_003
"""Nano-dollars: two thousand dollars and a little, so that the last request will not fit by chance."""
RATE = 600
TOLERANCE = 0.005
PATIENCE = 60.0
"""Seconds until Redis must be there, and until the last settlement must have arrived."""


def budget_bound(run: str, amount: int) -> Bound:
    rule = Rule(
        id="teams.search.budget", measure="usd", amount=amount, window=Calendar("year"), on_store_failure="closed"
    )
    return Bound(rule, f"{run}.budget", "t:search")


def rate_bounds(run: str) -> dict[str, Bound]:
    windows: dict[str, Window] = {"rolling": Rolling(60), "smooth": Smooth(60, 3)}
    return {
        name: Bound(Rule(id=name, measure="requests", amount=RATE, window=window), f"{run}.{name}", "t:search")
        for name, window in windows.items()
    }


async def reached(url: str, worker: str, patience: float, lease: float = 0.0) -> SharedStore:
    store = open_store(url, clock=SystemClock(), worker=worker, patience=patience, lease=lease / 100)
    assert isinstance(store, SharedStore)
    end = time.monotonic() + PATIENCE
    while not store.up:
        if time.monotonic() > end:
            raise SystemExit(f"no Redis answers at {url.rpartition('@')[2]} for {PATIENCE:.0f} s")
        await asyncio.sleep(0.01)
    return store


async def decided(store: SharedStore, hold: str, bound: Bound, charge: Charge, seconds: float) -> Decision:
    """As the road asks: at once if the store can."""
    now = store.admit_now(hold, (bound,), charge, seconds)
    if now is None:
        return await store.admit(hold, (bound,), charge, seconds)
    await asyncio.sleep(0)  # A request is never without a wait: others have their turn.
    return now


# --- budget -----------------------------------------------------------------------------------------------------------


class Spender:
    """Requests of one process; `spent` is what they cost in truth."""

    def __init__(self, store: SharedStore, bound: Bound, seed: int) -> None:
        self.store = store
        self.bound = bound
        self.chance = random.Random(seed)  # noqa: S311
        self.seed = seed
        self.number = 0
        self.spent = self.admitted = self.refused = self.given_up = self.extended = self.away = 0

    async def press(self) -> None:
        """One request after the other until the budget is used up."""
        misses = 0
        while misses < 3:
            misses = 0 if await self.one() else misses + 1

    async def one(self) -> bool:
        self.number += 1
        hold = f"{self.seed}-{self.number}"
        reserved = self.chance.randrange(1, BUDGET // 4000)
        decision = await decided(self.store, hold, self.bound, Charge(nanos=reserved), 600.0)
        if isinstance(decision, Refused):
            if decision.store_away:
                self.away += 1
                await asyncio.sleep(0.05)
                return True
            self.refused += 1
            return False
        self.admitted += 1
        if self.chance.random() < 0.3:
            reserved = await self.stream(hold, reserved)
        if self.chance.random() < 0.05:
            self.given_up += 1
            self.store.settle(hold, NOTHING)
        else:
            actual = self.chance.randrange(reserved + 1) if self.chance.random() < 0.5 else reserved
            self.spent += actual
            self.store.settle(hold, Charge(nanos=actual))
        return True

    async def stream(self, hold: str, reserved: int) -> int:
        """Extends while there is room; what it may cost in all."""
        for _ in range(3):
            more = self.chance.randrange(1, BUDGET // 10_000)
            if not await self.store.extend(hold, Charge(requests=0, nanos=more), 600.0):
                break
            self.extended += 1
            reserved += more
        return reserved


async def spend(url: str, task: dict[str, Any]) -> dict[str, Any]:
    store = await reached(url, f"show-{os.getpid()}", patience=30.0, lease=task["lease"])
    spender = Spender(store, budget_bound(task["run"], task["amount"]), task["seed"])
    begin = asyncio.get_running_loop().time() + max(0.0, task["begin"] - time.time())
    await asyncio.sleep(begin - asyncio.get_running_loop().time())
    await asyncio.gather(*(spender.press() for _ in range(task["concurrency"])))
    names = ("spent", "admitted", "refused", "given_up", "extended", "away")
    leased = store.gauges().leased
    await store.aclose()
    return {**{name: getattr(spender, name) for name in names}, "leased": leased}


async def counted(url: str, bound: Bound) -> tuple[int, int]:
    """What the counter says when the last settlement has arrived, or should have."""
    store = await reached(url, "show", patience=30.0)
    end = time.monotonic() + PATIENCE
    level = (await store.levels([bound]))[0]
    while level.reserved and time.monotonic() < end:
        await asyncio.sleep(0.05)
        level = (await store.levels([bound]))[0]
    await store.aclose()
    return level.used, level.reserved


def show_budget(url: str, options: argparse.Namespace) -> bool:
    run = f"show-{time.time_ns()}"
    task = {"kind": "spend", "run": run, "amount": options.amount, "concurrency": options.concurrency}
    task["lease"] = options.lease
    begun = time.monotonic()
    results = children(url, options.processes, {**task, "begin": time.time() + 1.0})
    spent = sum(result["spent"] for result in results)
    used, reserved = uvloop.run(counted(url, budget_bound(run, options.amount)))
    totals = {
        name: sum(result[name] for result in results)
        for name in ("admitted", "leased", "refused", "given_up", "extended", "away")
    }
    holds = spent <= options.amount and used == spent and not reserved
    report = {
        "processes": options.processes,
        "concurrent": options.processes * options.concurrency,
        "budget_nanos": options.amount,
        "spent_nanos": spent,
        "counter_nanos": used,
        "left_nanos": options.amount - spent,
        **totals,
        "seconds": round(time.monotonic() - begun, 1),
        "holds": holds,
    }
    print(json.dumps(report))  # noqa: T201
    return holds


# --- rate -------------------------------------------------------------------------------------------------------------


async def drive(url: str, task: dict[str, Any]) -> dict[str, Any]:
    store = await reached(url, f"show-{os.getpid()}", patience=30.0, lease=task["lease"])
    bounds = rate_bounds(task["run"])
    await asyncio.sleep(max(0.0, task["begin"] - time.time()))
    begun = time.monotonic()
    admitted: dict[str, list[float]] = {name: [] for name in bounds}
    offered = 0
    pending: set[asyncio.Task[None]] = set()

    async def one(name: str, bound: Bound, number: int) -> None:
        hold = f"{os.getpid()}-{name}-{number}"
        if isinstance(await decided(store, hold, bound, Charge(), 60.0), Admitted):
            admitted[name].append(time.time())
            store.settle(hold, Charge())

    while (elapsed := time.monotonic() - begun) < task["seconds"]:
        while offered < elapsed * task["per_second"]:
            offered += 1
            for name, bound in bounds.items():
                asked = asyncio.get_running_loop().create_task(one(name, bound, offered))
                pending.add(asked)
                asked.add_done_callback(pending.discard)
        await asyncio.sleep(0.005)
    await asyncio.gather(*pending)
    leased = store.gauges().leased
    await store.aclose()
    return {"offered": offered, "admitted": admitted, "leased": leased}


def most_in_a_minute(moments: list[float]) -> int:
    most = first = 0
    for last, moment in enumerate(moments):
        while moments[first] <= moment - 60:
            first += 1
        most = max(most, last - first + 1)
    return most


def show_rate(url: str, options: argparse.Namespace) -> bool:
    per_second = options.times * RATE / 60 / options.processes
    task = {"kind": "drive", "run": f"show-{time.time_ns()}", "seconds": options.seconds, "per_second": per_second}
    task["lease"] = options.lease
    results = children(url, options.processes, {**task, "begin": time.time() + 2.0})
    holds = True
    for name, extra in (("rolling", 0), ("smooth", 3)):
        moments = sorted(moment for result in results for moment in result["admitted"][name])
        # A smooth rate admits all the time; how long that was is told by the first and the last.
        took = moments[-1] - moments[0] if extra else options.seconds
        rule = RATE * took / 60 + extra
        error = len(moments) / rule - 1
        holds = holds and abs(error) <= TOLERANCE
        report = {
            "window": name,
            "processes": options.processes,
            "seconds": options.seconds,
            "offered": sum(result["offered"] for result in results),
            "rule": round(rule, 1),
            "admitted": len(moments),
            "leased": sum(result["leased"] for result in results),
            "error_percent": round(error * 100, 3),
            "most_in_a_minute": most_in_a_minute(moments),
        }
        print(json.dumps(report))  # noqa: T201
    return holds


# --- processes --------------------------------------------------------------------------------------------------------


def children(url: str, count: int, task: dict[str, Any]) -> list[dict[str, Any]]:
    """Run a task in so many processes, and what each of them found."""
    started = [
        subprocess.Popen(  # noqa: S603
            [sys.executable, __file__, "child", url, json.dumps({**task, "seed": number})], stdout=subprocess.PIPE
        )
        for number in range(count)
    ]
    found: list[dict[str, Any]] = []
    for process in started:
        said = process.communicate()[0]
        if process.returncode:
            raise SystemExit("a process failed")
        found.append(json.loads(said))
    return found


def child(url: str, task: dict[str, Any]) -> None:
    work = {"spend": spend, "drive": drive}[task["kind"]]
    json.dump(uvloop.run(work(url, task)), sys.stdout)


def serve(directory: str) -> tuple[str, "subprocess.Popen[bytes]"]:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    program = shutil.which("redis-server")
    if program is None:
        raise SystemExit("redis-server is not installed (Debian: redis-server)")
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", directory]
    return f"redis://127.0.0.1:{port}", subprocess.Popen(command, stdout=subprocess.DEVNULL)  # noqa: S603


def main() -> None:
    if sys.argv[1:2] == ["child"]:
        return child(sys.argv[2], json.loads(sys.argv[3]))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("budget", "rate"))
    parser.add_argument("--url", default="")
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--concurrency", type=int, default=125)
    parser.add_argument("--amount", type=int, default=BUDGET)
    parser.add_argument("--seconds", type=float, default=180.0)
    parser.add_argument("--times", type=float, default=5.0)
    parser.add_argument("--lease", type=float, default=0.0, help="per cent of a limit a process may take in advance")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        url, server = (options.url, None) if options.url else serve(directory)
        try:
            held = (show_budget if options.what == "budget" else show_rate)(url, options)
        finally:
            if server is not None:
                server.terminate()
                server.wait()
    raise SystemExit(0 if held else 1)


if __name__ == "__main__":
    main()
