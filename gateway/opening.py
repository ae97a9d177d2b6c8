"""A request head that is known already: the same client sends the same one again and again, but for the body's length.

Parsing costs a call for every header field, and an SDK sends fifteen of them. So a connection keeps the bytes of its
last head, cut around the digits of its `content-length`. Bytes that begin with the same two parts, with digits between
them, are what the parser (llhttp) has already found to be one valid head, and mean the same but for the length; whoever
compares needs no grammar. Only heads without any peculiarity are kept: HTTP/1.1, POST below /v1/, kept alive, one
content-length, no expectation.
"""

import re

from gateway.seams import Headers
from gateway.wire.head import Head

_MOST = 4096
"""Bytes of a head that is kept."""
_MOST_DIGITS = 10
_LENGTH = re.compile(rb"\r\ncontent-length: ?([0-9]{1,10})\r\n", re.IGNORECASE)


class Opening:
    """One known head."""

    __slots__ = ("_after", "_at", "_before", "head", "path", "query")

    def __init__(self, before: bytes, after: bytes, path: str, query: bytes, head: Head) -> None:
        self._before = before
        self._after = after
        self._at = len(before)
        self.path = path
        self.query = query
        self.head = head

    def match(self, data: bytes) -> tuple[int, int] | None:
        """If `data` begins with this head: the length it declares and the offset of the body. Else None."""
        at = self._at
        if not data.startswith(self._before):
            return None
        end = data.find(b"\r", at, at + _MOST_DIGITS + 1)
        if end < 0 or not data.startswith(self._after, end):
            return None
        digits = data[at:end]
        return (int(digits), end + len(self._after)) if digits.isdigit() else None


def learn(data: bytes, path: str, query: bytes, headers: Headers) -> Opening | None:
    """The head that `data` begins with, for the next time. The caller knows that the parser took `data` from the
    beginning of a message and found in it a head with these parts, POST, HTTP/1.1 and kept alive."""
    end = data.find(b"\r\n\r\n", 0, _MOST)
    if end < 0 or not data.startswith(b"POST /"):
        return None
    raw = data[: end + 4]
    found = _LENGTH.findall(raw)
    if len(found) != 1 or raw.lower().count(b"content-length") != 1:
        return None
    place = _LENGTH.search(raw)
    if place is None:
        return None
    start, stop = place.span(1)
    return Opening(raw[:start], raw[stop:], path, query, Head(headers))
