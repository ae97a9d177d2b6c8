"""A budget in Redis, pressed on from many processes at once, some of which are killed: never a nano-dollar too much."""

import json
import signal
import subprocess
import sys
from pathlib import Path

from gateway.limits.shared.packing import counter_name
from tests.gateway.limits.helpers import budget, holds, opened
from tests.support.redis_servers import RedisServer

SHOW = Path(__file__).resolve().parents[2] / "tools" / "show_limits.py"


def show(redis: RedisServer, *options: str) -> dict[str, int]:
    command = [sys.executable, str(SHOW), *options, "--url", redis.url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False, cwd=SHOW.parents[1])
    assert done.stdout, done.stderr
    report = json.loads(done.stdout)
    assert done.returncode == 0, report
    return report


def test_a_thousand_requests_at_a_time_spend_no_more_than_the_budget(redis_server: RedisServer) -> None:
    """Spend is at most the budget, and the counter holds what was spent, to the nano-dollar."""
    report = show(redis_server, "budget", "--processes", "4", "--concurrency", "250", "--amount", "400000000007")
    assert report["spent_nanos"] == report["counter_nanos"] <= report["budget_nanos"]
    assert report["refused"] > 0


HOLDER = """
import asyncio, sys
from gateway.clock import SystemClock
from gateway.limits.stores import open_store
from gateway.quota import Bound, Calendar, Charge, Rule

async def main():
    store = open_store(sys.argv[1], clock=SystemClock(), worker="doomed", patience=20)
    while not store.up:
        await asyncio.sleep(0.01)
    bound = Bound(Rule(id="r", measure="usd", amount=1000, window=Calendar("year")), sys.argv[2], "g")
    await store.admit("doomed", [bound], Charge(nanos=600), 0.5)
    print("held", flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


async def test_what_a_killed_worker_held_is_given_back(redis_server: RedisServer) -> None:
    bound = budget(1000, group="g")
    command = [sys.executable, "-c", HOLDER, redis_server.url, bound.key]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=SHOW.parents[1])
    assert process.stdout is not None
    assert process.stdout.readline() == b"held\n"
    process.send_signal(signal.SIGKILL)
    process.wait(60)
    assert redis_server.ask("HGET", counter_name("tollway", bound), "t") == b"600"
    async with opened(f"{redis_server.url}?prefix=tollway") as store:
        await holds(store, bound, 0)
