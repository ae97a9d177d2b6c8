"""Events that are byte for byte like the one before, but for their text: most of a stream, and read without parsing.

What the first one means holds for such an event: the bytes around the text are the same, and between its quotes stands
a JSON string's content and nothing else, so that no token but the text can differ. OpenAI also pads events with
`obfuscation`, a string of random letters and digits behind the choices, which may differ too. So may log-probabilities
behind the text, where they are told as they usually are.
"""

import re
from collections.abc import Callable
from typing import Generic, TypeVar

from gateway.inspection.frames import is_last_field
from gateway.inspection.scan import text_of

C = TypeVar("C")
_INNER = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+').fullmatch
_PADDING = b',"obfuscation":"'
CHUNK_END = len(b"\r\n")
"""Bytes behind the data of an HTTP chunk."""


class Repeat(Generic[C]):
    """How an event goes on being repeated: the bytes before and behind its text."""

    __slots__ = (
        "_behind",
        "_last",
        "_start",
        "_stop",
        "after",
        "channel",
        "droppable",
        "head",
        "middle",
        "tail",
        "told",
    )

    def __init__(self, head: bytes, tail: bytes, channel: C, droppable: bool, middle: bytes = b"") -> None:
        """`head`: the event's bytes up to and with the text's opening quote; `tail`: from its closing quote on, or, if
        it has log-probabilities, from behind those; `middle`: then the bytes between the two."""
        self.middle = middle
        self.after = tail
        """All behind the text, as in the first event."""
        self.channel = channel
        """Whose text it is."""
        self.droppable = droppable
        """Nothing is lost if an event whose text became empty is not sent."""
        self.told: Callable[[str], object] | None = None
        """Who else reads these events and is content with their texts; None: nobody, or they must be shown to him."""
        self.head = head
        self.tail = tail
        self._start = len(head)
        padding = tail.find(_PADDING)
        stop = tail.find(b'"', padding + len(_PADDING)) if padding >= 0 else -1
        self._stop = tail if stop < 0 else tail[stop:]
        self._last = len(self._stop)
        self._behind = b"" if stop < 0 else tail[: padding + len(_PADDING)]
        """With padding: from the beginning of `tail` to the padding's opening quote."""

    def read(self, raw: bytes, start: int = 0, more: int = 0) -> tuple[str, int] | None:
        """The text of another event, and where in `raw` that ends; None for one that is not like the first. It stands
        behind `start` bytes and before `more`."""
        end = len(raw) - more
        if not (raw.startswith(self.head, start) and raw.endswith(self._stop, start, end)):
            return None
        start += self._start
        end -= self._last
        if self._behind:
            padded = end
            end = raw.find(self._behind, start, padded)
            if end < 0 or not raw[end + len(self._behind) : padded].isalnum():
                return None
        if end < start:
            return None
        inner = raw[start:end]
        try:
            if b'"' in inner or b"\\" in inner:
                return (text_of(b'"%b"' % inner), end) if _INNER(inner) else None
            text = inner.decode()
        except ValueError:
            return None
        # A control character is no JSON, and may be a line end.
        return (text, end) if text.isprintable() else None

    def apart(self, raw: bytes, start: int = 0, more: int = 0) -> tuple[str, bytes, int] | None:
        """The same where there are log-probabilities: the text, what stands in their place, which is still to be read,
        and where in `raw` that ends. A text with escapes is left to others."""
        end = len(raw) - more
        if not (raw.startswith(self.head, start) and raw.endswith(self._stop, start, end)):
            return None
        start += self._start
        end -= self._last
        if self._behind:
            padded = end
            end = raw.rfind(self._behind, start, padded)
            if end < 0 or not raw[end + len(self._behind) : padded].isalnum():
                return None
        quote = raw.find(b'"', start, end)
        if quote < 0 or not raw.startswith(self.middle, quote, end):
            return None
        inner = raw[start:quote]
        try:
            text = inner.decode()
        except ValueError:
            return None
        return (text, raw[quote + len(self.middle) : end], end) if text.isprintable() and b"\\" not in inner else None

    def written(self, raw: bytes, end: int, text: bytes) -> bytes:
        """The event `raw`, whose text ends at `end`, with the JSON string `text` in its place."""
        return self.head + text[1:-1] + raw[end:]

    def written_chunk(self, framed: bytes, end: int, text: bytes) -> bytes:
        """The same for an HTTP chunk that is one event."""
        inner, behind = text[1:-1], framed[end:]
        size = self._start + len(inner) + len(behind) - CHUNK_END
        return b"%x\r\n%b%b%b" % (size, self.head, inner, behind)


def repeat_of(
    raw: bytes, data: bytes, span: tuple[int, int], channel: C, droppable: bool, told: tuple[int, int] | None = None
) -> Repeat[C] | None:
    """How an event may go on, whose data has its text at `span`, quotes included, and log-probabilities at `told`, if
    it has any; None where the event is written in another way than providers write."""
    begin = len(raw) - len(data) - 2
    if b"\r" in data or not raw.endswith(b"\n\n") or not is_last_field(raw, begin, data):
        return None
    head, after = raw[: begin + span[0] + 1], raw[begin + span[1] - 1 :]
    if told is None:
        return Repeat(head, after, channel, droppable)
    middle = data[span[1] - 1 : told[0]]
    if not middle:
        return None
    found = Repeat(head, raw[begin + told[1] :], channel, droppable, middle)
    found.after = after
    return found
