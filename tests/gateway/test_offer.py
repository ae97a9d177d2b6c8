"""Requests that offer another protocol, whose bodies httptools alone would leave out."""

from typing import Any

import httptools
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.offer import parser_of_body


class Heard:
    """What a parser said."""

    def __init__(self) -> None:
        self.said: list[tuple[str, bytes]] = []

    def _note(self, name: str, value: bytes = b"") -> None:
        self.said.append((name, value))

    def on_message_begin(self) -> None:
        self._note("begin")

    def on_url(self, url: bytes) -> None:
        self._note("url", url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._note(name.decode(), value)

    def on_headers_complete(self) -> None:
        self._note("head")

    def on_body(self, body: bytes) -> None:
        self._note("body", body)

    def on_message_complete(self) -> None:
        self._note("end")


def _fed(heard: Heard, parser: Any, data: bytes, size: int) -> None:
    for at in range(0, len(data), size):
        parser.feed_data(data[at : at + size])


@given(st.binary(min_size=1, max_size=60), st.integers(1, 20), st.booleans())
def test_the_body_and_what_follows_are_heard_and_nothing_else(body: bytes, size: int, chunked: bool) -> None:
    """RFC 9110 section 7.8: "A server MAY ignore a received Upgrade header field if it wishes to continue using the
    current protocol on that connection"."""
    heard = Heard()
    parser = parser_of_body(heard, None if chunked else b"%d" % len(body))
    assert heard.said == []
    sent = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) if chunked else body
    _fed(heard, parser, sent, size)
    end = heard.said.index(("end", b""))
    assert {name for name, _ in heard.said[:end]} == {"body"}
    assert b"".join(value for _, value in heard.said[:end]) == body
    _fed(heard, parser, b"GET /v1/models HTTP/1.1\r\nhost: y\r\n\r\n", size)
    after = heard.said[end + 1 :]
    assert after[0] == ("begin", b"")
    assert after[-2:] == [("head", b""), ("end", b"")]
    assert b"".join(value for name, value in after if name == "url") == b"/v1/models"


@pytest.mark.parametrize("sent", [b"zz\r\n", b"5\r\nabcdefg\r\n0\r\n\r\n"])
def test_a_body_in_broken_chunks_is_refused_as_ever(sent: bytes) -> None:
    with pytest.raises(httptools.HttpParserError):
        parser_of_body(Heard(), None).feed_data(sent)
