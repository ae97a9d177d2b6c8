"""A collector that takes everything and keeps nothing: what a measurement of traces sends to.

    .venv/bin/python tools/otlp_sink.py [--port 4318]

Answers every POST with 200, on kept connections, and says every ten seconds how many exports and bytes came. It reads
nothing of them, so that it hardly takes the machine from what is measured.
"""

import argparse
import asyncio
import re
import sys

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n"


class Sink(asyncio.Protocol):
    """One connection."""

    exports = 0
    bytes = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.head = b""
        self.left = 0

    def data_received(self, data: bytes) -> None:
        Sink.bytes += len(data)
        while data:
            if self.left:
                taken = min(self.left, len(data))
                self.left -= taken
                data = data[taken:]
                if not self.left:
                    self.answer()
                continue
            self.head += data
            head, end, data = self.head.partition(b"\r\n\r\n")
            if not end:
                return
            self.head = b""
            found = _LENGTH.search(head)
            self.left = int(found[1]) if found else 0
            if not self.left:
                self.answer()

    def answer(self) -> None:
        Sink.exports += 1
        if isinstance(self.transport, asyncio.Transport):
            self.transport.write(ANSWER)


async def serve(port: int) -> None:
    await asyncio.get_running_loop().create_server(Sink, "127.0.0.1", port)
    while True:
        await asyncio.sleep(10)
        sys.stdout.write(f"{Sink.exports} exports, {Sink.bytes} bytes\n")
        sys.stdout.flush()


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--port", type=int, default=4318)
asyncio.run(serve(parser.parse_args().port))
