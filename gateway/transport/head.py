"""Request heads as bytes: framing and host added, anything that could inject a second request refused.

The caller's headers come from an allow-list, but values come from clients, so the block is checked as one piece:
after joining n fields with CRLF it must hold exactly n-1 CR, n-1 LF and no NUL (RFC 9110 section 5.5). Counting costs
0.1 µs where a loop over the values costs 2. Field names and targets are few, so each is checked once against its
grammar and then remembered.
"""

import re
from operator import itemgetter

from gateway.errors import ConnectFailed, ProtocolBroken
from gateway.seams import Headers, Origin, UpstreamRequest

_TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_TARGET = re.compile(rb"[!-~]+")
_OURS = frozenset(
    (
        b"host",
        b"content-length",
        b"transfer-encoding",
        b"connection",
        b"keep-alive",
        b"proxy-connection",
        b"upgrade",
        b"te",
        b"trailer",
    )
)
"""Hop-by-hop and framing fields: the transport decides them (RFC 9112 sections 6 and 9.6)."""
_BODY_METHODS = frozenset((b"POST", b"PUT", b"PATCH"))
"""Methods that announce an empty body (RFC 9110 section 8.6)."""
_NAME = itemgetter(0)
_REMEMBERED = 1024

JOIN_BELOW = 65_536
"""Bodies up to this many bytes travel in one write with the head; copying a larger one costs more than a second
write."""


def host_of(origin: Origin) -> bytes:
    """The `host` field's value: the port only when it is not the scheme's own, IPv6 in brackets (RFC 3986 section
    3.2.2)."""
    host = f"[{origin.host}]" if ":" in origin.host else origin.host
    if origin.port != (443 if origin.scheme == "https" else 80):
        host = f"{host}:{origin.port}"
    try:
        value = host.encode("ascii" if host.isascii() else "idna")
    except UnicodeError:
        value = b""
    if not origin.host or not _TARGET.fullmatch(value):
        raise ConnectFailed("the provider's host name is not one")
    return value


class Heads:
    """Encodes request heads; remembers the names and methods it has already checked."""

    def __init__(self) -> None:
        self._names: set[bytes] = set()
        self._methods: dict[str, bytes] = {}

    def encode(self, request: UpstreamRequest, host: bytes) -> list[bytes]:
        """The writes for a request: head and bytes body, joined when small. Of a streamed body only the head.

        Raises `ProtocolBroken(sent=False)`, naming the field but never its value.
        """
        body = request.body
        if request.opening is not None and isinstance(body, bytes) and body:
            size = len(body)
            if size > JOIN_BELOW:
                return [b"%bcontent-length: %d\r\n\r\n" % (request.opening, size), body]
            return [b"%bcontent-length: %d\r\n\r\n%b" % (request.opening, size, body)]
        method, block = self.check(request)
        target = request.target
        if isinstance(body, bytes):
            if not body and method not in _BODY_METHODS:
                return [b"%b %b HTTP/1.1\r\nhost: %b\r\n%b\r\n" % (method, target, host, block)]
            size = len(body)
            if size > JOIN_BELOW:
                head = b"%b %b HTTP/1.1\r\nhost: %b\r\n%bcontent-length: %d\r\n\r\n"
                return [head % (method, target, host, block, size), body]
            head = b"%b %b HTTP/1.1\r\nhost: %b\r\n%bcontent-length: %d\r\n\r\n%b"
            return [head % (method, target, host, block, size, body)]
        framing = b"%b: %b" % streamed_framing(request)
        return [b"%b %b HTTP/1.1\r\nhost: %b\r\n%b%b\r\n\r\n" % (method, target, host, block, framing)]

    def check(self, request: UpstreamRequest) -> tuple[bytes, bytes]:
        """Method and header block of a request, each field ended with CRLF. Raises as `encode` does."""
        method = self._methods.get(request.method) or self._method(request.method)
        if _TARGET.fullmatch(request.target) is None:
            raise ProtocolBroken("request target is empty or holds a space or control character")
        headers = request.headers
        if not headers:
            return method, b""
        if not self._names.issuperset(map(_NAME, headers)):
            self._check_names(headers)
        return method, _joined(headers)

    def _method(self, method: str) -> bytes:
        encoded = method.encode("latin-1", "replace")
        if not _TOKEN.fullmatch(encoded):
            raise ProtocolBroken("request method is not a token")
        if len(self._methods) < _REMEMBERED:
            self._methods[method] = encoded
        return encoded

    def _check_names(self, headers: Headers) -> None:
        for name, _ in headers:
            _check_name(name)
            if len(self._names) < _REMEMBERED:
                self._names.add(name)


def encode_opening(origin: Origin, method: str, target: bytes, headers: Headers) -> bytes:
    """Request line, `host` and header fields as they go onto the wire, each ended with CRLF, for
    `UpstreamRequest.opening`. Raises as `Heads.encode` does, and as `host_of`."""
    for name, _ in headers:
        _check_name(name)
    encoded = method.encode("latin-1", "replace")
    if _TOKEN.fullmatch(encoded) is None or _TARGET.fullmatch(target) is None:
        raise ProtocolBroken("request method or target holds a space or control character, or is empty")
    block = _joined(headers) if headers else b""
    return b"%b %b HTTP/1.1\r\nhost: %b\r\n%b" % (encoded, target, host_of(origin), block)


def _check_name(name: bytes) -> None:
    if name in _OURS:
        raise ProtocolBroken(f"request header {name.decode('latin-1')!r} is the transport's to write")
    if not _TOKEN.fullmatch(name) or name != name.lower():
        raise ProtocolBroken("a request header name is not a lower-case token")


def _joined(headers: Headers) -> bytes:
    block = b"\r\n".join(map(b": ".join, headers))
    more = len(headers) - 1
    if block.count(b"\n") != more or block.count(b"\r") != more or b"\0" in block:
        raise ProtocolBroken("a request header value holds CR, LF or NUL")
    return block + b"\r\n"


def streamed_framing(request: UpstreamRequest) -> tuple[bytes, bytes]:
    """The field that frames a streamed body."""
    length = request.content_length
    if length is None:
        return b"transfer-encoding", b"chunked"
    if length < 0:
        raise ProtocolBroken("content_length of the request body is negative")
    return b"content-length", b"%d" % length


class BodyFraming:
    """Frames the chunks of a streamed request body, and holds them to the declared length. Sans-I/O."""

    def __init__(self, content_length: int | None) -> None:
        self._declared = content_length
        self._seen = 0

    def chunk(self, data: bytes) -> bytes:
        """Bytes to write for one chunk; empty chunks frame to nothing (a zero chunk would end the body).

        Raises `ProtocolBroken` before a byte too much is written.
        """
        self._seen += len(data)
        if self._declared is None:
            return b"%x\r\n%b\r\n" % (len(data), data) if data else b""
        if self._seen > self._declared:
            raise ProtocolBroken(f"request body is longer than the declared {self._declared} bytes", sent=True)
        return data

    def end(self) -> bytes:
        """Bytes that end the body. Raises `ProtocolBroken` when it is shorter than declared."""
        if self._declared is None:
            return b"0\r\n\r\n"
        if self._seen != self._declared:
            message = f"request body ended at {self._seen} of the declared {self._declared} bytes"
            raise ProtocolBroken(message, sent=True)
        return b""
