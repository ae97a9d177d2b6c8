"""CPU per upstream request of each transport, against a small server in a process of its own.

    python tools/bench_transport.py [--requests N] [--connections C] [--body BYTES] [--only pool]

Prints one JSON line per transport and shape: µs of client CPU (user and system) per request for small answers, and per
chunk for a stream. The server's CPU is not counted. Loopback only.
"""

import argparse
import asyncio
import json
import multiprocessing
import time
from collections.abc import Callable
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from sys import path as import_path

import uvloop

import_path.insert(0, str(Path(__file__).resolve().parent.parent))

from gateway.seams import Origin, Transport, UpstreamRequest
from gateway.transport.httpx_transport import HttpxTransport
from gateway.transport.pool import Pool

CHUNKS = 64
"""Chunks of one streamed answer; each is its own write, so nearly each is its own read."""


class Server(asyncio.Protocol):
    """Answers when a request line is in what comes: `/json` at once, `/sse` in chunks."""

    def __init__(self, body: int) -> None:
        fields = b"".join(b"x-upstream-%d: some value %d\r\n" % (n, n) for n in range(6))
        head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n" + fields
        self._json = head + b"content-length: %d\r\n\r\n" % body + b"x" * body
        self._head = head + b"transfer-encoding: chunked\r\n\r\n"
        event = b'data: {"choices":[{"delta":{"content":"token"}}]}\n\n'
        self._event = b"%x\r\n%b\r\n" % (len(event), event)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if b"POST /sse" in data:
            self._transport.write(self._head)
            self._more(CHUNKS)
        elif b"POST /json" in data:
            self._transport.write(self._json)

    def _more(self, left: int) -> None:
        if self._transport.is_closing():
            return
        self._transport.write(self._event if left else b"0\r\n\r\n")
        if left:
            asyncio.get_running_loop().call_later(0.001, self._more, left - 1)


def serve(body: int, pipe: Pipe) -> None:
    async def run() -> None:
        server = await asyncio.get_running_loop().create_server(lambda: Server(body), "127.0.0.1", 0)
        pipe.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    uvloop.run(run())


async def measure(transport: Transport, origin: Origin, target: bytes, requests: int, connections: int) -> float:
    """µs of CPU of this process per request."""
    headers = [
        (b"content-type", b"application/json"),
        (b"authorization", b"Bearer sk-0123456789abcdef"),
        (b"accept", b"application/json"),
        (b"x-request-id", b"0123456789abcdef"),
    ]
    body = b'{"model": "m", "messages": [{"role": "user", "content": "' + b"y" * 200 + b'"}]}'

    async def worker(count: int) -> None:
        for _ in range(count):
            deadline = time.monotonic() + 600
            request = UpstreamRequest(
                origin=origin, method="POST", target=target, headers=headers, body=body, deadline=deadline
            )
            response = await transport.send(request)
            while await response.chunk(time.monotonic() + 60):
                pass
            response.close()

    await asyncio.gather(*(worker(5) for _ in range(connections)))
    before = time.process_time()
    await asyncio.gather(*(worker(requests // connections) for _ in range(connections)))
    return (time.process_time() - before) * 1e6 / (requests // connections * connections)


async def run(make: Callable[[], Transport], name: str, port: int, requests: int, connections: int) -> None:
    transport = make()
    origin = Origin("http", "127.0.0.1", port)
    json_us = await measure(transport, origin, b"/json", requests, connections)
    sse_us = await measure(transport, origin, b"/sse", max(connections, requests // 100), connections)
    await transport.aclose()
    figures = {"us_per_request": round(json_us, 1), "us_per_chunk": round((sse_us - json_us) / CHUNKS, 1)}
    print(json.dumps({"transport": name, "connections": connections, **figures}), flush=True)  # noqa: T201


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--body", type=int, default=500, help="bytes of a small answer")
    parser.add_argument("--only", choices=("pool", "httpx"))
    options = parser.parse_args()
    here, there = multiprocessing.Pipe()
    server = multiprocessing.get_context("fork").Process(target=serve, args=(options.body, there), daemon=True)
    server.start()
    port = here.recv()
    makers: dict[str, Callable[[], Transport]] = {"pool": Pool, "httpx": HttpxTransport}
    for name, make in makers.items():
        if options.only in (None, name):
            requests = options.requests if name == "pool" else max(options.connections, options.requests // 20)
            uvloop.run(run(make, name, port, requests, options.connections))
    server.terminate()


if __name__ == "__main__":
    main()
