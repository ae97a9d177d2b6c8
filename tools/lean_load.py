"""A provider and a load that cost the machine next to nothing, for measuring a gateway beside them on two cores.

    .venv/bin/python tools/lean_load.py provider PORT
    .venv/bin/python tools/lean_load.py load PORT KEY [--rate 3000] [--seconds 5] [--connections 64]

The provider answers every request with the same chat completion. The load sends the same chat again and again: at
`--rate` requests a second, at random (Poisson) and whether or not earlier ones were answered, with latency from when a
request was due; or, without a rate, as many as go. It prints one JSON line; milliseconds.
"""

import argparse
import asyncio
import json
import random
import time
from collections import deque
from typing import cast

import uvloop

ANSWER = json.dumps(
    {
        "id": "chatcmpl-lean",
        "object": "chat.completion",
        "created": 1717171717,
        "model": "bench-json",
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": "Lorem ipsum. " * 40}, "finish_reason": "stop"}
        ],
        "usage": {"prompt_tokens": 120, "completion_tokens": 96, "total_tokens": 216},
    }
).encode()
CHAT = json.dumps(
    {
        "model": "bench-json",
        "messages": [{"role": "user", "content": "Please summarise this conversation and list what is to do. " * 12}],
        "max_tokens": 256,
    }
).encode()
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"


class Reader(asyncio.Protocol):
    """Messages that tell their length, one at a time."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's do not subclass asyncio's
        self.buffer = b""

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head, found, rest = self.buffer.partition(b"\r\n\r\n")
        length = head.lower().partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0]
        if found and len(rest) >= int(length or 0):
            self.buffer = b""
            self.message(head)

    def message(self, head: bytes) -> None:
        raise TypeError

    def send(self, data: bytes) -> None:
        self.transport.write(data)


class Provider(Reader):
    def message(self, head: bytes) -> None:
        self.send(HEAD % len(ANSWER) + ANSWER)


class Load:
    """What was asked, and how long it took."""

    def __init__(self, key: str, until: float, rate: float) -> None:
        self.request = (
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer %b\r\n"
            b"content-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (key.encode(), len(CHAT), CHAT)
        )
        self.until = until
        self.rate = rate
        self.idle: list[Caller] = []
        self.queue: deque[float] = deque()
        self.took: list[float] = []
        self.lag: list[float] = []
        self.failed = 0

    async def run(self, port: int, connections: int) -> None:
        loop = asyncio.get_running_loop()
        for _ in range(connections):
            await loop.create_connection(lambda: Caller(self), "127.0.0.1", port)
        if not self.rate:
            for caller in [*self.idle]:
                caller.ask(time.perf_counter())
            await asyncio.sleep(self.until - time.perf_counter())
            return
        chance, due = random.Random(1), time.perf_counter()  # noqa: S311 - moments, not secrets
        while due < self.until:
            due += chance.expovariate(self.rate)
            if (wait := due - time.perf_counter()) > 0:
                await asyncio.sleep(wait)
            self.lag.append(max(0.0, time.perf_counter() - due))
            if self.idle:
                self.idle.pop().ask(due)
            else:
                self.queue.append(due)
        while len(self.idle) < connections and time.perf_counter() < self.until + 10:  # noqa: ASYNC110 - once, at the end
            await asyncio.sleep(0.01)


class Caller(Reader):
    def __init__(self, load: Load) -> None:
        self.load = load
        self.due = 0.0
        load.idle.append(self)

    def ask(self, due: float) -> None:
        self.due = due
        self.send(self.load.request)

    def message(self, head: bytes) -> None:
        load, now = self.load, time.perf_counter()
        load.took.append(now - self.due)
        load.failed += b" 200 " not in head[:16]
        if load.queue:
            self.ask(load.queue.popleft())
        elif not load.rate and now < load.until:
            self.ask(now)
        else:
            load.idle.append(self)


def at(times: list[float], share: float) -> float:
    """A percentile, in milliseconds."""
    return round(sorted(times)[int(len(times) * share)] * 1000, 3) if times else 0.0


async def provide(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Provider, "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


async def drive(options: argparse.Namespace) -> None:
    load = Load(options.key, time.perf_counter() + options.seconds, options.rate)
    await load.run(options.port, options.connections)
    told = {"requests": len(load.took), "failed": load.failed, "rps": round(len(load.took) / options.seconds)}
    times = {"p50": at(load.took, 0.5), "p90": at(load.took, 0.9), "p99": at(load.took, 0.99)}
    print(json.dumps({**told, **times, "lag_p99": at(load.lag, 0.99)}), flush=True)  # noqa: T201


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_subparsers(dest="what", required=True)
    what.add_parser("provider").add_argument("port", type=int)
    load = what.add_parser("load")
    load.add_argument("port", type=int)
    load.add_argument("key")
    load.add_argument("--rate", type=float, default=0.0, help="requests a second; 0: as many as go")
    load.add_argument("--seconds", type=float, default=5.0)
    load.add_argument("--connections", type=int, default=64)
    options = parser.parse_args()
    uvloop.run(provide(options.port) if options.what == "provider" else drive(options))


if __name__ == "__main__":
    main()
