"""A request with a body that offers another protocol beside: its body is read all the same.

Java's `HttpClient` offers h2c with every first request (`connection: Upgrade, HTTP2-Settings`). A server may ignore an
offer (RFC 9110 section 7.8), and then goes on in HTTP/1.1, body and all. httptools takes a request that offers for one
without a body: what follows its head is left to whoever accepts. So a second parser is told how the body is framed, in
a head of our own that nobody hears of, and goes on from there, with this request's body and all requests after it.
"""

from typing import Protocol

import httptools


class Listener(Protocol):
    """What a parser calls. `gateway.link.Link` is one."""

    def on_message_begin(self) -> None: ...

    def on_url(self, url: bytes) -> None: ...

    def on_header(self, name: bytes, value: bytes) -> None: ...

    def on_headers_complete(self) -> None: ...

    def on_body(self, body: bytes) -> None: ...

    def on_message_complete(self) -> None: ...


class _Deaf:
    """Passes on what a parser finds, but for the first head."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._heard = False
        self.on_body = listener.on_body
        self.on_message_complete = listener.on_message_complete

    def on_message_begin(self) -> None:
        if self._heard:
            self._listener.on_message_begin()

    def on_url(self, url: bytes) -> None:
        if self._heard:
            self._listener.on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._heard:
            self._listener.on_header(name, value)

    def on_headers_complete(self) -> None:
        if self._heard:
            self._listener.on_headers_complete()
        self._heard = True


def parser_of_body(listener: Listener, length: bytes | None) -> httptools.HttpRequestParser:
    """A parser for which a head has ended whose body has `length` (digits; None: it is chunked)."""
    parser = httptools.HttpRequestParser(_Deaf(listener))
    parser.set_dangerous_leniencies(lenient_data_after_close=True)
    framing = b"transfer-encoding: chunked" if length is None else b"content-length: " + length
    parser.feed_data(b"POST / HTTP/1.1\r\nhost: x\r\n%b\r\n\r\n" % framing)
    return parser
