"""What Anthropic's message batches used: told only line by line in their file of results, as JSON Lines of
`{"custom_id", "result": {"type": "succeeded", "message": {"model", "usage"}}}`.

Source: docs.anthropic.com/en/api/retrieving-message-batch-results.
"""

import re
from collections.abc import Iterator

import msgspec

from gateway.dialects.tail import read_usage
from gateway.facts import Usage

LONGEST = 4 * 1024 * 1024
"""Bytes of a line that is looked at."""
_PATH = re.compile(r"/v1/messages/batches/([^/]+)/results")


class Line(msgspec.Struct, frozen=True):
    """One request of a batch that succeeded."""

    model: str
    usage: Usage
    tier: str | None


class _Message(msgspec.Struct, gc=False):
    model: str = ""
    usage: msgspec.Raw = msgspec.Raw()


class _Result(msgspec.Struct, gc=False):
    message: _Message | None = None


class _Line(msgspec.Struct, gc=False):
    result: _Result | None = None


_line = msgspec.json.Decoder(_Line).decode


def batch_of(path: str) -> str | None:
    """The id of the batch whose results are at `path` (with `/v1`)."""
    match = _PATH.fullmatch(path)
    return match[1] if match is not None else None


class Results:
    """Takes a file of results as it comes, and gives what its lines tell. Never raises; what is no such line, or is too
    long, is passed over."""

    def __init__(self) -> None:
        self._rest = bytearray()
        self._skips = False

    def feed(self, chunk: bytes) -> Iterator[Line]:
        """The lines that `chunk` ends; an empty one is the end of the file."""
        *ended, last = (chunk or b"\n").split(b"\n")
        for piece in ended:
            self._rest += piece
            if not self._skips and (found := _read(bytes(self._rest))) is not None:
                yield found
            self._rest.clear()
            self._skips = False
        self._rest += last
        if len(self._rest) > LONGEST:
            self._rest.clear()
            self._skips = True


def _read(text: bytes) -> Line | None:
    try:
        result = _line(text).result
    except (ValueError, RecursionError):
        return None
    message = result.message if result is not None else None
    if message is None:
        return None
    usage, tier = read_usage(message.usage)
    return None if usage is None else Line(message.model, usage, tier or "batch")


def added(one: Usage, other: Usage) -> Usage:
    """What both used together."""
    return Usage(**{name: getattr(one, name) + getattr(other, name) for name in Usage.__struct_fields__})
