"""What every stream reader keeps: usage, tier, end, failure, and the text delivered so far."""

import io
from collections.abc import Callable

import msgspec

from gateway.dialects.tail import read_usage
from pricing.shapes import merge
from pricing.usage import Usage


class Delivered:
    """State of one streamed answer. Text goes into one growing buffer of a byte per ASCII character, because a list of
    pieces costs sixty bytes for each token."""

    __slots__ = ("_text", "failed", "finished", "job", "service_tier", "usage")

    def __init__(self) -> None:
        self.usage: Usage | None = None
        self.service_tier: str | None = None
        self.finished = False
        self.failed = False
        self.job = ""
        self._text = io.StringIO()

    def listener(self, head: bytes, tail: bytes) -> Callable[[str], object] | None:
        """See `StreamReader.listener`."""
        return None

    def lacking(self) -> bytes:
        """See `StreamReader.lacking`."""
        return b""

    def text(self) -> str:
        """The output text delivered so far: all choices, reasoning and tool arguments, as they came."""
        return self._text.getvalue()

    def size(self) -> int:
        """How many characters that text has."""
        return self._text.tell()

    def take_usage(self, raw: msgspec.Raw) -> bool:
        """Note a usage object, the last one winning; whether there was one."""
        usage, tier = read_usage(raw)
        if usage is None:
            return False
        self.usage = usage
        self.service_tier = tier or self.service_tier
        return True

    def merge_usage(self, raw: msgspec.Raw) -> None:
        """Note a usage object that adds to the ones before it."""
        usage, tier = read_usage(raw)
        self.usage = merge(self.usage, usage)
        self.service_tier = tier or self.service_tier


def given(raw: msgspec.Raw) -> bool:
    """Whether a member is there and not null, empty or false-like (`{}`, `""`, `[]`)."""
    return len(raw) > 2 and bytes(raw) not in (b"null", b"false")
