"""Shows that one budget holds over gateways that serve: processes, workers, sockets, streams, Redis and the books.

    .venv/bin/python tools/show_served_limits.py [--gateways 2] [--workers 4] [--concurrency 1000] [--requests 4000]
        [--lease 5]
    .venv/bin/python tools/show_served_limits.py --store memory [--concurrency 1000] [--requests 4000]

So many `tollway serve` processes with so many workers each share one budget in a Redis of their own; so many requests
at one time, every other one a stream, until `--requests` were asked: the budget is used up on the way. What clients
were answered, priced by the usage in the answers, must be what the ledgers of the gateways say and what the counter in
Redis holds, to the nano-dollar, and no more than the budget. Figures are printed as JSON; exit code 1 when one of that
is not so. `--lease`: each worker may take so many per cent of the budget in advance.

`--store memory`: one gateway of one worker, whose own memory counts; the counter is what its admin API says.
"""

import argparse
import asyncio
import contextlib
import hashlib
import json
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import uvloop
import yaml
from show_limits import reached
from show_limits import serve as serve_redis

from gateway.quota import Bound, Calendar, Rule

KEY, ADMIN = "sk-show", "sk-show-admin"
INPUT, OUTPUT = 1_000, 10_000
"""Nano-dollars a token: 1 and 10 USD per million."""
ANSWER = 40
"""Tokens an answer may have."""
POOL = 20
"""Requests at one time in one client."""
PATIENCE = 300.0
"""Seconds for one answer: a machine that is shared may stop for a minute."""
SETTLED = 120.0
"""Seconds until the books must hold everything."""
RULE = "teams.show.budget"


def configuration(directory: Path, limits: dict[str, str], provider: str, nanos: int) -> dict[str, Any]:
    key, admin = (
        {"id": "show", "hash": f"sha256:{hashlib.sha256(each.encode()).hexdigest()}"} for each in (KEY, ADMIN)
    )
    return {
        "version": 1,
        "server": {"host": "127.0.0.1", "port": 0, "drain": "2s", "runtime_dir": str(directory / "run")},
        "providers": {"mock": {"dialect": "openai", "base_url": f"{provider}/v1", "api_key": "sk-upstream"}},
        "models": {"mock": {"targets": [{"provider": "mock"}]}},
        "prices": {"models": [{"model": "mock", "usd_per_million_tokens": {"input": "1", "output": "10"}}]},
        "limits": limits,
        "admin": {"keys": [{**admin, "role": "viewer"}]},
        "teams": {"show": {"keys": [key], "budget": {"amount": f"{nanos / 1e9:.9f} USD", "per": "year"}}},
        "ledger": {"url": f"sqlite:///{directory}/tollway.db", "journal": str(directory / "journal")},
    }


@contextlib.contextmanager
def child(*command: str) -> Iterator[str]:
    """A process that says where it listens on its first line; its URL."""
    process = subprocess.Popen([sys.executable, "-m", *command], stdout=subprocess.PIPE, text=True)  # noqa: S603
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if "http://" not in line:
            raise SystemExit(f"{command[0]} did not start")
        yield "http://" + line.split("http://")[1].split()[0]
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


class Clients:
    """Requests to all gateways in turn; `nanos` is what their answers cost by the usage they state."""

    def __init__(self, urls: list[str], seen: Counter[int]) -> None:
        self.urls = urls
        self.seen = seen
        self.asked = self.nanos = self.streams = self.unstated = 0
        self.took: list[float] = []

    async def press(self, client: httpx.AsyncClient, requests: int) -> None:
        while self.asked < requests:
            self.asked += 1
            await self.one(client, self.asked)

    async def one(self, client: httpx.AsyncClient, number: int) -> None:
        stream = bool(number // len(self.urls) % 2)
        body = {"model": "mock", "max_tokens": ANSWER, "messages": [{"role": "user", "content": f"Hello {number}"}]}
        if stream:
            body = {**body, "stream": True, "stream_options": {"include_usage": True}}
        begun = time.monotonic()
        answer = await client.post(
            self.urls[number % len(self.urls)] + "/v1/chat/completions",
            json=body,
            headers={"authorization": f"Bearer {KEY}"},
        )
        self.took.append(time.monotonic() - begun)
        self.seen[answer.status_code] += 1
        if answer.status_code != 200:
            return
        self.streams += stream
        usage = _usage(answer.text) if stream else answer.json().get("usage")
        if usage is None:
            self.unstated += 1
        else:
            self.nanos += usage["prompt_tokens"] * INPUT + usage["completion_tokens"] * OUTPUT


def _usage(events: str) -> dict[str, int] | None:
    for line in events.splitlines():
        if line.startswith("data: {") and (usage := json.loads(line[6:]).get("usage")):
            return usage
    return None


async def drive(clients: Clients, options: argparse.Namespace) -> None:
    """A few requests at a time in each of many clients: the pool of one looks through all its connections for every
    request, and a thousand of them would keep this process busy instead of the gateway. Connections do not expire:
    httpx closes one that has, in the moment in which it hands it to a request."""
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None, keepalive_expiry=None)
    trust = httpx.create_ssl_context()
    async with contextlib.AsyncExitStack() as stack, asyncio.TaskGroup() as group:
        for number in range(options.concurrency):
            if number % POOL == 0:
                made = httpx.AsyncClient(timeout=PATIENCE, limits=limits, verify=trust, trust_env=False)
                client = await stack.enter_async_context(made)
            group.create_task(clients.press(client, options.requests))


def ledgers(configs: list[Path]) -> int:
    """Nano-dollars in the books of all gateways."""
    total = 0
    for config in configs:
        command = [sys.executable, "-m", "gateway.cli.main", "spend", "--json", "--config", str(config)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)  # noqa: S603
        if done.returncode == 0:
            whole, _, part = json.loads(done.stdout)["total"]["cost_usd"].partition(".")
            total += int(whole) * 10**9 + int(part[:9].ljust(9, "0"))
    return total


def counter_in_memory(url: str) -> int:
    """Nano-dollars used and reserved, as the gateway says."""
    answer = httpx.get(url + "/admin/v1/budgets", headers={"authorization": f"Bearer {ADMIN}"}, timeout=10)
    (row,) = [row for row in answer.raise_for_status().json()["budgets"] if row["rule"] == RULE]
    return sum(int(Decimal(row[name]) * 10**9) for name in ("used", "reserved"))


async def counter(redis: str, nanos: int) -> int:
    """Nano-dollars used and reserved in Redis."""
    store = await reached(redis, "show-served", patience=30.0)
    rule = Rule(id=RULE, measure="usd", amount=nanos, window=Calendar("year"))
    level = (await store.levels([Bound(rule, RULE, "t:show")]))[0]
    await store.aclose()
    return level.used + level.reserved


def until(wanted: int, found: Callable[[], int]) -> int:
    """What is found in the end: `wanted`, or more, or whatever it is when time is over."""
    end = time.monotonic() + SETTLED
    while (value := found()) < wanted and time.monotonic() < end:
        time.sleep(0.2)
    return value


def serves(url: str) -> int:
    """1 when a gateway is ready."""
    try:
        return int(httpx.get(url + "/readyz", timeout=10).status_code == 200)
    except httpx.TransportError:
        return 0


def show(directory: Path, limits: dict[str, str], options: argparse.Namespace) -> bool:
    configs = [directory / str(number) / "gateway.yaml" for number in range(options.gateways)]
    with contextlib.ExitStack() as stack:
        provider = stack.enter_context(child("loadtest.mock", "--port", "0"))
        urls: list[str] = []
        for config in configs:
            config.parent.mkdir()
            config.write_text(yaml.safe_dump(configuration(config.parent, limits, provider, options.nanos)))
            command = ("gateway.cli.main", "serve", "--config", str(config), "--workers", str(options.workers))
            urls.append(stack.enter_context(child(*command)))
        for url in urls:
            until(1, lambda url=url: serves(url))
        clients = Clients(urls, Counter())
        begun = time.monotonic()
        uvloop.run(drive(clients, options))
        seconds = time.monotonic() - begun
        booked = until(clients.nanos, lambda: ledgers(configs))
        used = (
            counter_in_memory(urls[0])
            if options.store == "memory"
            else uvloop.run(counter(limits["store"], options.nanos))
        )
    took = sorted(clients.took)
    holds = (
        clients.nanos == booked == used <= options.nanos and not clients.unstated and set(clients.seen) <= {200, 402}
    )
    report = {
        "store": options.store,
        "gateways": options.gateways,
        "workers": options.workers,
        "concurrent": options.concurrency,
        "budget_nanos": options.nanos,
        "answers_nanos": clients.nanos,
        "ledger_nanos": booked,
        "counter_nanos": used,
        "left_nanos": options.nanos - booked,
        "answers": {str(status): count for status, count in sorted(clients.seen.items())},
        "streams": clients.streams,
        "seconds": round(seconds, 1),
        "slowest_seconds": round(took[-1], 2),
        "holds": holds,
    }
    print(json.dumps(report))  # noqa: T201
    return holds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gateways", type=int, default=2)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--concurrency", type=int, default=1000)
    parser.add_argument("--requests", type=int, default=4000)
    parser.add_argument("--nanos", type=int, default=800_000_003, help="the budget, nano-dollars")
    parser.add_argument("--store", choices=("redis", "memory"), default="redis")
    parser.add_argument("--lease", type=float, default=0.0, help="per cent of the budget a worker may take in advance")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        if options.store == "memory":
            options.gateways = options.workers = 1
            raise SystemExit(0 if show(Path(directory), {"store": "memory://"}, options) else 1)
        redis, server = serve_redis(directory)
        limits = {"store": redis, **({"lease": f"{options.lease:g}%"} if options.lease else {})}
        try:
            held = show(Path(directory), limits, options)
        finally:
            server.terminate()
            server.wait()
    raise SystemExit(0 if held else 1)


if __name__ == "__main__":
    main()
