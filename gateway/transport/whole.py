"""What is read in one go: a whole 200 with `content-length`, or one whole chunk, in one piece from the socket.

Strategy: this is not another parser but a narrow gate in front of llhttp. It takes an answer only if every line of its
head is of the plainest kind and the body is exactly as long as one `content-length` says; for anything else it returns
None, and llhttp decides as if nothing had happened. Most header lines of a provider are the same in every answer, so a
line that was checked once is remembered with its meaning.
"""

import re
from functools import lru_cache
from typing import cast

from gateway.seams import Headers

MOST_HEAD = 8192
MOST_FIELDS = 64
_REMEMBERED = 1024
"""Lines; when so many are known all are forgotten, so that those of today are kept."""
_STATUS_LINES = frozenset((b"HTTP/1.1 200 OK", b"HTTP/1.1 200 "))
_FIELD = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([\t\x20-\x7e\x80-\xff]*)")
"""RFC 9110 section 5.5: a token, a colon, and a value of visible characters, blanks and obs-text."""
_DIGITS = re.compile(rb"[0-9]{1,15}")
_FRAMING = frozenset((b"transfer-encoding", b"upgrade", b"trailer", b"proxy-connection", b"keep-alive", b"te"))


class WholeReader:
    """Reads such answers. One for all connections of an origin."""

    __slots__ = ("_known", "_max_fields", "_max_head")

    def __init__(self, max_head: int = MOST_HEAD, max_fields: int = MOST_FIELDS) -> None:
        """`max_head`: bytes of status line and fields; a larger head is llhttp's, and so is one of more fields."""
        self._max_head = min(max_head, MOST_HEAD)
        self._max_fields = min(max_fields, MOST_FIELDS)
        self._known: dict[bytes, tuple[bytes, bytes]] = {}

    def read(self, data: bytes, headers: Headers) -> bytes | None:
        """The body of the answer that `data` is, with its fields appended to `headers`; None: it is not of this
        kind."""
        end = data.find(b"\r\n\r\n", 0, self._max_head)
        if end < 0 or data.find(b"hunked", 0, end) >= 0:
            return None
        lines = data[:end].split(b"\r\n")
        if lines[0] not in _STATUS_LINES or len(lines) > self._max_fields + 1:
            return None
        del lines[0]
        fields = list(map(self._known.get, lines))
        length = -1
        while None in fields:  # content-length at least, which is never remembered
            at = fields.index(None)
            field = _field(lines[at])
            if field is None:
                return None
            if field[0] != b"content-length":
                self._remember(lines[at], field)
            elif length >= 0 or _DIGITS.fullmatch(field[1]) is None:
                return None
            else:
                length = int(field[1])
            fields[at] = field
        if len(data) - end - 4 != length:
            return None
        headers += cast(Headers, fields)
        return data[end + 4 :]

    def _remember(self, line: bytes, field: tuple[bytes, bytes]) -> None:
        if len(self._known) >= _REMEMBERED:
            self._known.clear()
        self._known[line] = field


def whole_chunk(data: bytes) -> int:
    """Where the data of the one chunk begin that `data` is, whole and in its plainest form (RFC 9112 section 7.1: size
    without leading zeros or extensions, CRLF, data, CRLF); 0: it is something else, or the last chunk."""
    at = data.find(b"\r\n", 1, 10)
    if at < 0:
        return 0
    size = _chunk_size(data[:at])
    return at + 2 if size and size + at + 4 == len(data) and data[-2:] == b"\r\n" else 0


@lru_cache(maxsize=8192)
def _chunk_size(line: bytes) -> int:
    """0: not a size in its plainest form."""
    try:
        size = int(line, 16)
    except ValueError:
        return 0
    return size if b"%x" % size == line.lower() else 0


def _field(line: bytes) -> tuple[bytes, bytes] | None:
    """Name in lower case and value of a line, if it is of the plainest kind and says nothing about framing but the
    length."""
    found = _FIELD.fullmatch(line)
    if found is None:
        return None
    name, value = found[1].lower(), found[2].rstrip()
    if name in _FRAMING or (name == b"connection" and value.lower() != b"keep-alive"):
        return None
    return name, value
