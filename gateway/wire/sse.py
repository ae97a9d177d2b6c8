"""Server-sent events, sans-I/O: bytes in, events out (WHATWG HTML, section 9.2.6 "Interpreting an event stream").

Plan. An event ends at its blank line. Providers nearly always send whole events per chunk, all with the same line
ends: that case is split without a buffer, with searches for single bytes only (a two-byte search costs six times as
much in CPython). All else goes through one buffer, in which the search for the blank line resumes where the
last one stopped, so that an event arriving byte by byte costs linear time. Bytes are never decoded: line ends are
ASCII, so a chunk may end inside a UTF-8 sequence.

Two promises beyond the specification, because a proxy passes events on: the `raw` bytes of all events and then
`leftover` are the input, byte for byte; and any chunking gives the same events. The second has a price: a chunk that
ends in a CR which closes a blank line waits for the next byte (or `close()`), because an LF would still belong to it.
"""

import re

import msgspec

from gateway.errors import UnreadableStream

MAX_EVENT = 1 << 20
"""Default bound of one event, bytes with its terminator."""

BOM = b"\xef\xbb\xbf"
"""The byte order mark that a stream may begin with."""
_BLANK_LINE = re.compile(rb"(?>\r\n|\n|\r)(?>\r\n|\n|\r)")
_LINE_END = re.compile(rb"\r\n|\n|\r")
_LINE_END_BYTES = b"\r\n"
_CR = 0x0D


class SseEvent(msgspec.Struct, frozen=True, gc=False):
    """One block of the stream, up to and with its blank line."""

    raw: bytes
    """Exactly what came."""
    name: bytes = b""
    """The `event` field; empty when there is none."""
    data: bytes | None = None
    """All `data` fields joined with LF; None when the block has none (comments, keep-alives, stray blank lines)."""


class SseParser:
    """Splits one stream into events.

    `feed()` and `close()` raise `UnreadableStream` once an event is over `max_event` bytes; the events before it are
    returned first, and then every further call raises.
    """

    __slots__ = ("_at_start", "_between", "_broken", "_buffer", "_has_cr", "_max", "_resume")

    def __init__(self, max_event: int = MAX_EVENT) -> None:
        self._max = max_event
        self._buffer = bytearray()
        self._resume = 0
        """Offset in the buffer before which no blank line begins."""
        self._has_cr = False
        self._at_start = True
        self._between = True
        """No byte of the next event is here, and a byte order mark is out of the question or at least not there."""
        self._broken = False

    @property
    def pending(self) -> bool:
        """Bytes of an event that is not complete are waiting."""
        return bool(self._buffer)

    @property
    def between(self) -> bool:
        """The next byte begins an event, and cannot be part of a byte order mark."""
        return self._between and not self._at_start

    @property
    def leftover(self) -> bytes:
        """Those bytes. After `close()` they are an event cut off, which the specification drops."""
        return bytes(self._buffer)

    def feed(self, data: bytes) -> list[SseEvent]:
        """The events that `data` completes, in order."""
        if self._at_start:
            if not data:
                return []
            if data[:1] == BOM[:1]:
                self._between = False
        if self._between and len(data) <= self._max:
            self._at_start = False
            if data[-2:] == b"\n\n":
                if b"\r" not in data:
                    if data[:6] == b"data: " and data.find(b"\n") == len(data) - 2:
                        return [SseEvent(data, b"", data[6:-2])]
                    return _whole(data.split(b"\n"), b"\n")
            elif data[-4:] == b"\r\n\r\n":
                lines = data.split(b"\r\n")
                if len(lines) - 1 == data.count(b"\n") == data.count(b"\r"):
                    return _whole(lines, b"\r\n")
        if not self._broken:
            self._buffer += data
            self._has_cr = self._has_cr or b"\r" in data
        return self._take(final=False)

    def close(self) -> list[SseEvent]:
        """The stream is over: what a trailing CR held back. Look at `pending` afterwards."""
        return self._take(final=True)

    def _take(self, *, final: bool) -> list[SseEvent]:
        """Cut every decided event off the buffer."""
        if self._broken:
            raise self._too_large()
        buffer = self._buffer
        size = len(buffer)
        if self._at_start and size < 3 and BOM.startswith(buffer) and not final:
            return []
        events: list[SseEvent] = []
        start = 0
        with memoryview(buffer) as view:
            while start < size:
                text = start + 3 if self._at_start and buffer.startswith(BOM) else start
                stop, end = self._blank_line(text)
                if end == 0 or (end == size and buffer[-1] == _CR and not final):
                    break
                if end - start > self._max:
                    self._broken = True
                    break
                events.append(_event(bytes(view[start:end]), _LINE_END.split(view[text:stop])))
                self._at_start = False
                start = self._resume = end
            if size - start > self._max:
                self._broken = True
        if start:
            del buffer[:start]
            self._resume -= start
            self._has_cr = self._has_cr and bool(buffer)
        if self._broken and not events:
            raise self._too_large()
        self._between = not buffer
        return events

    def _blank_line(self, text: int) -> tuple[int, int]:
        """Where the block whose lines begin at `text` stops, and where its blank line ends (0: not here yet).

        Leaves `_resume` where the next search must begin.
        """
        buffer = self._buffer
        size = len(buffer)
        if text < size and buffer[text] in _LINE_END_BYTES:
            return text, text + (2 if buffer.startswith(b"\r\n", text) else 1)
        begin = max(text, self._resume)
        if self._has_cr:
            match = _BLANK_LINE.search(buffer, begin)
            if match is not None:
                self._resume = match.start()
                return match.span()
        else:
            stop = buffer.find(b"\n\n", begin)
            if stop >= 0:
                self._resume = stop
                return stop, stop + 2
        self._resume = max(begin, size - 2)
        return 0, 0

    def _too_large(self) -> UnreadableStream:
        return UnreadableStream(f"a server-sent event is over {self._max} bytes", sent=True)


def _whole(lines: list[bytes], end: bytes) -> list[SseEvent]:
    """The events of a chunk that begins and ends between events; `lines` are its parts between line ends `end`."""
    events: list[SseEvent] = []
    at, last = 0, len(lines) - 1
    blank = end + end
    while at < last:
        line = lines[at]
        if line[:6] == b"data: " and not lines[at + 1]:
            events.append(SseEvent(line + blank, b"", line[6:]))
            at += 2
        elif not line:
            events.append(SseEvent(end))
            at += 1
        else:
            stop = lines.index(b"", at)
            block = lines[at:stop]
            if len(block) == 2 and line[:7] == b"event: " and block[1][:6] == b"data: ":
                events.append(SseEvent(line + end + block[1] + blank, line[7:], block[1][6:]))
            else:
                events.append(_event(end.join(block) + blank, block))
            at = stop + 1
    return events


def _event(raw: bytes, lines: list[bytes]) -> SseEvent:
    """Interpret the lines of one block (section 9.2.6); `id` and `retry` mean nothing to a proxy."""
    name = b""
    data: list[bytes] = []
    for line in lines:
        field, _, value = line.partition(b":")
        if value[:1] == b" ":
            value = value[1:]
        if field == b"data":
            data.append(value)
        elif field == b"event":
            name = value
    return SseEvent(raw, name, b"\n".join(data) if data else None)
