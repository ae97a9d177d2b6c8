"""Fuzz the SSE parser for a time: `python -m tests.fuzz.fuzz_sse --seconds 60 [--seed N]`.

Streams are grown from pieces that matter to the grammar, mutated, cut anywhere and fed. Each run must give the events
of one piece, keep every byte, agree with a reader written from the specification (WHATWG HTML 9.2.6), and break at the
cap exactly when an event is over it. Exit 1 on the first difference, with the input that shows it.
"""

import random
import re
import sys

from gateway.errors import ProtocolBroken
from gateway.wire.sse import SseEvent, SseParser
from tests.fuzz.running import arguments, fuzz

PIECES = [
    b"data: x", b"data:y", b"data", b"data:  z", b"event: e", b"event:", b"id: 1", b"retry: 9", b": ping", b":",
    b"\n", b"\n\n", b"\n\n\n", b"\r", b"\r\n", b"\r\r", b"\r\n\r\n", b"\xef\xbb\xbf", b"\xef", b"\xbb\xbf",
    "data: é€𝄞".encode(), b"Data: no", b" data: no", b"data: [DONE]\n\n", b'data: {"a":1}\n\n', b"data: b\r\n\r\n",
    b"event: m\ndata: 1\n\n", b"\x00", b"data: " + b"x" * 300,
]  # fmt: skip


def reference(stream: bytes) -> list[tuple[bytes, bytes | None]]:
    """The events of a whole stream, one for each blank line."""
    lines = re.split(rb"\r\n|\r|\n", stream.removeprefix(b"\xef\xbb\xbf"))[:-1]
    blocks: list[tuple[bytes, bytes | None]] = []
    name, data = b"", list[bytes]()
    for line in lines:
        if not line:
            blocks.append((name, b"\n".join(data) if data else None))
            name, data = b"", []
            continue
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            data.append(value)
        elif field == b"event":
            name = value
    return blocks


def parse(chunks: list[bytes], cap: int) -> tuple[list[SseEvent], bytes, bool]:
    """Events, what is left over, and whether the cap was broken."""
    parser = SseParser(cap)
    events: list[SseEvent] = []
    try:
        for chunk in chunks:
            events += parser.feed(chunk)
        events += parser.close()
    except ProtocolBroken:
        return events, b"", True
    return events, parser.leftover, False


def grow(chance: random.Random) -> bytes:
    stream = bytearray(b"".join(chance.choices(PIECES, k=chance.randrange(40))))
    for _ in range(chance.randrange(4)):
        at = chance.randrange(len(stream) + 1)
        stream[at : at + chance.randrange(3)] = chance.randbytes(chance.randrange(3))
    return bytes(stream)


def cut(chance: random.Random, stream: bytes) -> list[bytes]:
    at = sorted(chance.randrange(len(stream) + 1) for _ in range(chance.randrange(10)))
    return [stream[a:b] for a, b in zip([0, *at], [*at, len(stream)], strict=True)]


def difference(chance: random.Random, stream: bytes) -> str:
    """What is wrong with one stream in one random cutting; empty when nothing is."""
    chunks = cut(chance, stream)
    whole = parse([stream], 1 << 20)
    if whole != parse(chunks, 1 << 20):
        return f"chunks {chunks!r} differ from one piece"
    if b"".join(event.raw for event in whole[0]) + whole[1] != stream:
        return "bytes were lost"
    if [(event.name, event.data) for event in whole[0]] != reference(stream):
        return "not what the specification says"
    cap = chance.randrange(1, 400)
    bounded = parse(chunks, cap)
    over = [len(raw) > cap for raw in (*(event.raw for event in whole[0]), whole[1])]
    if bounded[2] != any(over):
        return f"cap {cap} broken: {bounded[2]}, chunks {chunks!r}"
    if any(over) and bounded[0] != whole[0][: over.index(True)]:
        return f"cap {cap}: other events before the broken one, chunks {chunks!r}"
    return ""


def main() -> int:
    size = 0

    def one(chance: random.Random, count: int) -> str:
        nonlocal size
        stream = grow(chance)
        size += len(stream)
        wrong = difference(chance, stream)
        return wrong and f"{stream!r}\n{wrong}"

    return fuzz(arguments(__doc__).parse_args(), one, "stream", lambda: f" in {size} bytes")


if __name__ == "__main__":
    sys.exit(main())
