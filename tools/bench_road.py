"""What one unary request costs in Python alone: the road of a configuration, with sockets that are not there.

    .venv/bin/python tools/bench_road.py [--config loadtest/rig.yaml] [--rounds 20000] [--events 100] [--profile]

Prints microseconds per request, the 2nd percentile of short slices, booked in a row as under load (on a machine that
others use too, the calm ones tell what the code costs): the client's bytes go in, the provider's answer is handed back
at once, the answer's bytes are dropped. No kernel, no event loop's turn, nothing beside it: what is left is what this
code can save. Spans are encoded with each slice; a configuration with traces needs a
collector (tools/otlp_sink.py), or they are lost.
`--profile` prints where the time goes by function (with cProfile's own weight on every call).
"""

import argparse
import asyncio
import cProfile
import pstats
import shutil
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import uvloop

from gateway.app import App
from gateway.clock import SystemClock
from gateway.link import Link
from gateway.server import build_world, settle_heap
from gateway.settings.reload import Configuration
from gateway.transport.connection import Connection
from gateway.transport.pool import Site

FILLER = "Please summarise the following customer conversation and list the action items. " * 10
BODY = (
    '{"model":"bench-json","messages":[{"role":"system","content":"You are a helpful assistant."},'
    '{"role":"user","content":"' + FILLER + '"}],"temperature":0.2,"max_tokens":256}'
).encode()
REQUEST = (
    b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nAuthorization: Bearer sk-bench\r\n"
    b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(BODY), BODY)
)
TEXT = "Lorem ipsum dolor sit amet, consectetur adipiscing elit, sed do eiusmod tempor incididunt ut labore et dolore. "
COMPLETION = (
    '{"id":"chatcmpl-abc123","object":"chat.completion","created":1717171717,"model":"bench-json","choices":[{"index":0,'
    '"message":{"role":"assistant","content":"' + TEXT * 4 + '"},"logprobs":null,"finish_reason":"stop"}],"usage":'
    '{"prompt_tokens":120,"completion_tokens":96,"total_tokens":216,"prompt_tokens_details":{"cached_tokens":0},'
    '"completion_tokens_details":{"reasoning_tokens":0}},"system_fingerprint":"fp_44709d6fcb"}'
).encode()
ANSWER = (
    b"HTTP/1.1 200 OK\r\nServer: nginx\r\nDate: Fri, 27 Nov 2026 14:00:00 GMT\r\nContent-Type: application/json\r\n"
    b"Content-Length: %d\r\nConnection: keep-alive\r\n\r\n%b" % (len(COMPLETION), COMPLETION)
)
SLICE = 20
"""Requests timed together."""

EVENT_HEAD = b'data: {"id":"chatcmpl-abc","object":"chat.completion.chunk","created":1717171717,"model":"bench-sse"'
EVENT = EVENT_HEAD + (
    b',"system_fingerprint":"fp_x","choices":[{"index":0,"delta":{"content":" token"},"logprobs":null,'
    b'"finish_reason":null}]}\n\n'
)
USAGE = EVENT_HEAD + b',"choices":[],"usage":{"prompt_tokens":12,"completion_tokens":100,"total_tokens":112}}\n\n'


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


STREAM_BODY = (
    b'{"model": "bench-sse", "stream": true, "stream_options": {"include_usage": true}, '
    b'"messages": [{"role": "user", "content": "Tell me a story about a gateway."}]}'
)
STREAM_REQUEST = (
    b"POST /v1/chat/completions HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer sk-bench\r\n"
    b"content-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(STREAM_BODY), STREAM_BODY)
)
STREAM_BEGINS = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n" + chunk(
    EVENT
)
STREAM_ENDS = chunk(USAGE) + chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n"


class Nowhere:
    """A transport whose bytes go nowhere."""

    def __init__(self) -> None:
        self.last = b""

    def write(self, data: bytes) -> None:
        self.last = data

    def is_closing(self) -> bool:
        return False

    def get_extra_info(self, name: str, default: object = None) -> object:
        return default

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    def close(self) -> None: ...

    def abort(self) -> None: ...


async def measure(config: Path, rounds: int, profile: bool, events: int) -> None:
    shutil.rmtree("var/bench-road", ignore_errors=True)
    configuration = Configuration(config, clock=SystemClock(), workers=1)
    world = build_world(configuration)
    upstream: list[Connection] = []

    async def opened(site: Site, request: object, deadline: float) -> Connection:
        connection = site._make()
        connection.connection_made(Nowhere())
        site._connections.add(connection)
        upstream.append(connection)
        return connection

    Site._open = opened
    state = SimpleNamespace(connections=set(), tasks=set(), total_requests=0, default_headers=[(b"date", b"today")])
    link = Link(SimpleNamespace(loaded_app=App(world, None)), state, {}, asyncio.get_running_loop())
    client = Nowhere()
    link.connection_made(client)
    request = STREAM_REQUEST if events else REQUEST
    answer = [STREAM_BEGINS, *[chunk(EVENT)] * (events - 1), STREAM_ENDS] if events else [ANSWER]
    for _ in range(3):
        link.data_received(request)
        await asyncio.sleep(0.01)
        for piece in answer:
            upstream[0].data_received(piece)
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.01)
    assert client.last.startswith(b"HTTP/1.1 200") or client.last.endswith(b"0\r\n\r\n"), client.last[:300]

    if world.traces is not None:
        world.traces.start(asyncio.get_running_loop())
    outbox = world.outbox_of(asyncio.get_running_loop())

    def some(count: int) -> None:
        ask: Callable[[bytes], None] = link.data_received
        tell: Callable[[bytes], None] = upstream[0].data_received
        for _ in range(count):
            ask(request)
            for piece in answer:
                tell(piece)
            if world.endings._due:
                world.endings._next()
            outbox.flush()
        world.books.close()
        while world.traces is not None and world.traces._finished:
            world.traces._encode()

    settle_heap()
    some(max(rounds // 10, 2))
    assert client.last.startswith(b"HTTP/1.1 200") or client.last.endswith(b"0\r\n\r\n"), client.last[:300]
    if profile:
        profiler = cProfile.Profile()
        profiler.runcall(some, rounds)
        pstats.Stats(profiler).sort_stats("tottime").print_stats(55)
        return
    times: list[float] = []
    for _ in range(rounds // SLICE):
        begun = time.perf_counter()
        some(SLICE)
        times.append((time.perf_counter() - begun) / SLICE * 1e6)
    times.sort()
    low = times[len(times) // 50]
    sys.stdout.write(
        f"{config}: {low:.1f} us a request (least {times[0]:.1f}, median {statistics.median(times):.1f})\n"
    )
    if world.journal is not None:
        world.journal.close()
    if world.traces is not None:
        await world.traces.aclose(2.0)
        exporter = world.traces.exporter
        sys.stdout.write(
            f"spans exported {exporter.exported}, failed {exporter.failed}; exchanges dropped {world.traces.dropped}\n"
        )


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--config", type=Path, default=Path("loadtest/rig.yaml"))
parser.add_argument("--rounds", type=int, default=20_000)
parser.add_argument("--profile", action="store_true")
parser.add_argument("--events", type=int, default=0, help="a stream of so many events instead of a unary answer")
given = parser.parse_args()
uvloop.run(measure(given.config, given.rounds, given.profile, given.events))
