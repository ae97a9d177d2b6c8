"""One text of a stream that grows, and how an event is written that carries a piece of it."""

import re

from gateway.inspection.follow import Follower
from gateway.inspection.plans import Slot
from gateway.inspection.rewrite import encoded
from gateway.inspection.shapes import Spans
from gateway.wire.surfaces import is_base64

_NUMBER = re.compile(rb"-?[0-9]{1,20}(?:\.[0-9]{1,20})?(?:[eE][+-]?[0-9]{1,3})?").fullmatch
_LARGEST_INDEX = 1 << 31

Key = tuple[str, *tuple[bytes, ...]]
"""Family and ids of a channel."""


class Channel:
    """One text that grows, as the inspector and the client know it."""

    __slots__ = (
        "call",
        "closed",
        "family",
        "follower",
        "ids",
        "json",
        "name",
        "open",
        "out",
        "pending",
        "raw",
        "role",
        "way",
        "worded",
    )

    def __init__(self, name: str, slot: Slot, data: bytes, spans: Spans) -> None:
        self.name = name
        self.family = slot.family
        self.role = slot.role
        self.json = slot.json
        self.ids = ids_of(slot, data, spans)
        self.call = data[slice(*spans[slot.call])] if slot.call >= 0 else b""
        self.way = [(step, data[slice(*spans[at])] if at >= 0 else b"", kind) for step, at, kind in slot.way]
        """Steps to the text, each with the index and the type of the array's item it leads to."""
        self.open = True
        self.closed = False
        """It was ended by another text that began: what goes on under its name is a text of its own."""
        self.follower: Follower | None = None
        """Keeps its log-probabilities; None: it has none, or nothing can happen to it."""
        self.pending = ""
        """A high surrogate whose other half is in the next piece."""
        self.worded = False
        """It is said to be of encoded bytes, and is of text."""
        self.raw: list[str] = []
        self.out: list[str] = []

    def is_bytes(self, text: str) -> bool:
        """Whether a piece of what is said to be encoded bytes is that. Behind one that is not, none is believed."""
        self.worded = self.worded or not is_base64(text)
        return not self.worded

    def value(self, text: str) -> bytes:
        """JSON of what stands below the first step of `way`, holding `text`."""
        value = encoded(text)
        for at in range(len(self.way) - 1, -1, -1):
            step, index, kind = self.way[at]
            if isinstance(step, str):
                if at:
                    value = b"{%b:%b}" % (encoded(step), value)
                continue
            told = (b'"index":%b,' % index if index else b"") + (b'"type":%b,' % kind if kind else b"")
            value = b"[{%b%b]" % (told, value[1:]) if value[:1] == b"{" else b"[%b]" % value
        return value


def ids_of(slot: Slot, data: bytes, spans: Spans) -> tuple[bytes, ...]:
    """What names a channel beside its family, as it stands in an event."""
    return tuple([_plain(data[slice(*spans[one])]) if isinstance(one, int) else one for one in slot.ids])


def _plain(written: bytes) -> bytes:
    """An index as most write it: to clients `0.0`, `-0` and `"0"` are the same choice as `0`."""
    if written.isdigit():
        return written
    bare = written.strip(b'"')
    if not _NUMBER(bare):
        return written
    value = float(bare)
    return b"%d" % value if value.is_integer() and abs(value) < _LARGEST_INDEX else written
