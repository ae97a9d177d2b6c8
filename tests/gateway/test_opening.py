"""A head that is known: whatever is matched means to llhttp what it is taken for."""

import re
from typing import Any

import httptools
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.opening import Opening, learn

KNOWN = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 12\r\nAuthorization: Bearer k\r\n\r\n"


class Parsed:
    """llhttp's reading of one head, in its strict mode as the server uses it."""

    def __init__(self, data: bytes) -> None:
        self.url = b""
        self.fields: list[tuple[bytes, bytes]] = []
        self.heads = 0
        self.body_at_head = 0
        self.parser = httptools.HttpRequestParser(self)
        self.valid = True
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self.valid = False
        except httptools.HttpParserError:
            self.valid = False

    def on_url(self, url: bytes) -> None:
        if not self.heads:
            self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.heads:
            self.fields.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        self.heads += 1
        if self.heads == 1:
            self.method = self.parser.get_method()
            self.version = self.parser.get_http_version()
            self.keep_alive = self.parser.should_keep_alive()

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        return [field for field in self.fields if field[0] != b"content-length"]

    @property
    def lengths(self) -> list[bytes]:
        return [value for name, value in self.fields if name == b"content-length"]

    @property
    def learnable(self) -> bool:
        """What the caller of `learn` has made sure of."""
        return (
            self.heads > 0
            and self.method == b"POST"
            and self.version == "1.1"
            and self.keep_alive
            and len(self.lengths) == 1
        )


def learned(data: bytes) -> tuple[Opening, Parsed] | None:
    parsed = Parsed(data)
    if not parsed.valid or not parsed.learnable:
        return None
    path, _, query = parsed.url.partition(b"?")
    opening = learn(data, path.decode("latin-1"), query, parsed.headers)
    return None if opening is None else (opening, parsed)


# -- examples ----------------------------------------------------------------------------------------------------------


def test_the_same_head_with_another_length_is_known() -> None:
    found = learned(KNOWN + b"x" * 12)
    assert found is not None
    opening = found[0]
    assert (opening.path, opening.query) == ("/v1/chat/completions", b"")
    assert opening.head.headers == [(b"host", b"x"), (b"authorization", b"Bearer k")]
    again = KNOWN.replace(b" 12\r", b" 4567890123\r")
    assert opening.match(again) == (4567890123, len(again))
    assert opening.match(again + b"body") == (4567890123, len(again))
    assert opening.match(KNOWN.replace(b" 12\r", b" 0\r")) == (0, len(KNOWN) - 1)


SMUGGLING: dict[str, bytes] = {
    "a second content-length": KNOWN.replace(b"\r\n\r\n", b"\r\nContent-Length: 12\r\n\r\n"),
    "another second content-length": KNOWN.replace(b"Content-Length: 12", b"Content-Length: 12\r\nContent-Length: 0"),
    "a transfer-encoding": KNOWN.replace(b"\r\n\r\n", b"\r\nTransfer-Encoding: chunked\r\n\r\n"),
    "a transfer-encoding first": KNOWN.replace(b"Content-Length", b"Transfer-Encoding: chunked\r\nContent-Length"),
    "a folded line": KNOWN.replace(b" 12\r\n", b" 12\r\n 3\r\n"),
    "a plus sign": KNOWN.replace(b" 12\r", b" +12\r"),
    "a minus sign": KNOWN.replace(b" 12\r", b" -12\r"),
    "a blank before": KNOWN.replace(b" 12\r", b"  12\r"),
    "a blank behind": KNOWN.replace(b" 12\r", b" 12 \r"),
    "a blank within": KNOWN.replace(b" 12\r", b" 1 2\r"),
    "an underscore": KNOWN.replace(b" 12\r", b" 1_2\r"),
    "hexadecimal": KNOWN.replace(b" 12\r", b" 0x1\r"),
    "a list": KNOWN.replace(b" 12\r", b" 12,12\r"),
    "no digits": KNOWN.replace(b" 12\r", b" \r"),
    "digits of another script": KNOWN.replace(b" 12\r", " ١٢\r".encode()),
    "superscript digits": KNOWN.replace(b" 12\r", b" \xb2\r"),
    "eleven digits": KNOWN.replace(b" 12\r", b" 12345678901\r"),
    "a bare CR": KNOWN.replace(b" 12\r\n", b" 12\r"),
    "a bare LF": KNOWN.replace(b" 12\r\n", b" 12\n"),
    "a NUL": KNOWN.replace(b" 12\r", b" 12\x00\r"),
    "another key": KNOWN.replace(b"Bearer k", b"Bearer l"),
    "a longer key": KNOWN.replace(b"Bearer k", b"Bearer kk"),
    "another path": KNOWN.replace(b"/chat/", b"/chbt/"),
    "another method": b"PUT " + KNOWN[5:],
    "a field more": KNOWN.replace(b"\r\n\r\n", b"\r\nx: y\r\n\r\n"),
    "a line before": b"\r\n" + KNOWN,
    "HTTP/1.0": KNOWN.replace(b"HTTP/1.1", b"HTTP/1.0"),
}


@pytest.mark.parametrize("shape", SMUGGLING.values(), ids=SMUGGLING)
def test_what_is_not_the_same_head_is_never_matched(shape: bytes) -> None:
    found = learned(KNOWN + b"x" * 12)
    assert found is not None
    assert found[0].match(shape) is None
    assert found[0].match(shape + b"x" * 100) is None


def test_a_head_cut_anywhere_is_not_matched() -> None:
    found = learned(KNOWN + b"x" * 12)
    assert found is not None
    for cut in range(len(KNOWN)):
        assert found[0].match(KNOWN[:cut]) is None


@pytest.mark.parametrize(
    "head",
    [
        KNOWN.replace(b" 12\r", b"  12\r"),
        KNOWN.replace(b" 12\r", b" 12 \r"),
        KNOWN.replace(b" 12\r", b" 00000000012\r"),
        KNOWN.replace(b"Bearer k", b"content-length"),
        KNOWN.replace(b"/v1/chat", b"/v1/content-length: 1"),
        b"\r\n" + KNOWN,
        b"GET" + KNOWN[4:],
        KNOWN.replace(b"Bearer k", b"k" * 5000),
        KNOWN[:-2],
    ],
)
def test_a_head_with_any_peculiarity_of_its_length_is_not_kept(head: bytes) -> None:
    assert learn(head, "/v1/chat/completions", b"", []) is None


# -- what is matched means what it is taken for ------------------------------------------------------------------------

names = st.sampled_from([b"Host", b"x-a", b"Authorization", b"content-type", b"Connection", b"X-Content-Length", b"te"])
values = st.sampled_from([b"", b"x", b"a b", b"keep-alive", b"content-length: 5", b"\xe9", b"a:b", b"application/json"])
fields = st.tuples(names, st.sampled_from([b":", b": ", b":  ", b":\t"]), values, st.sampled_from([b"", b" "])).map(
    b"".join
)
length_names = st.sampled_from([b"content-length", b"Content-Length", b"CONTENT-LENGTH"])
lengths = st.tuples(
    length_names,
    st.sampled_from([b": ", b":", b":  "]),
    st.integers(0, 10**10).map(lambda number: b"%d" % number) | st.sampled_from([b"007", b"0000000000", b"5 "]),
).map(b"".join)
paths = st.sampled_from([b"/v1/chat/completions", b"/v1/messages?beta=true", b"/v1/x%20y"])


@st.composite
def heads(draw: st.DrawFn) -> bytes:
    lines = [*draw(st.lists(fields, max_size=4)), draw(lengths)]
    lines = draw(st.permutations(lines))
    end = draw(st.sampled_from([b"\r\n"] * 8 + [b"\n", b"\r"]))
    return b"POST %b HTTP/1.1\r\n%b\r\n\r\n" % (draw(paths), end.join(lines))


snippets = st.sampled_from(
    [b"\r\n", b"\n", b"\r", b" ", b"\t", b"0", b"9", b"-", b":", b"\x00", b"\r\n ", b"\r\ncontent-length: 3", b""]
)


@st.composite
def mutations(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """A head, and the same with pieces replaced, mostly near its digits."""
    head = draw(heads())
    other = head
    place = re.search(rb"content-length: ?([0-9]*)", head, re.IGNORECASE)
    for _ in range(draw(st.integers(0, 3))):
        near = draw(st.booleans()) and place is not None
        low, high = (place.start(1) - 2, place.end(1) + 3) if near and place is not None else (0, len(other))
        at = draw(st.integers(low, high))
        other = other[:at] + draw(snippets | st.binary(max_size=3)) + other[at + draw(st.integers(0, 3)) :]
    if draw(st.booleans()) and place is not None:
        digits = draw(st.integers(0, 10**11))
        other = head[: place.start(1)] + b"%d" % digits + head[place.end(1) :]
    return head, other + draw(st.sampled_from([b"", b"{}", b"\r\n\r\n", b"POST / HTTP/1.1\r\n"]))


@settings(max_examples=400, deadline=None)
@given(mutations())
@example((KNOWN, KNOWN.replace(b" 12\r", b" 5\r") + b"hello"))
def test_whatever_is_matched_llhttp_reads_the_same(case: tuple[bytes, bytes]) -> None:
    """ "Bytes that begin with the same two parts, with digits between them, are what the parser (llhttp) has already
    found to be one valid head, and mean the same but for the length." """
    head, other = case
    found = learned(head)
    if found is None:
        return
    opening, first = found
    for data in (head, other):
        matched: Any = opening.match(data)
        if matched is None:
            continue
        length, at = matched
        seen = Parsed(data[:at] + b"x" * min(length, 3))
        assert seen.valid, "llhttp refuses it"
        assert seen.heads == 1
        assert (seen.method, seen.url, seen.version, seen.keep_alive) == (b"POST", first.url, "1.1", True)
        assert seen.headers == first.headers
        assert [int(value) for value in seen.lengths] == [length]
        assert Parsed(data[: at - 1]).heads == 0, "the body begins where llhttp says the head ends"
    assert opening.match(head) is not None, "it knows its own"


@given(heads(), st.integers(0, 10**10 - 1))
@settings(max_examples=200, deadline=None)
def test_a_learned_head_is_matched_with_every_length_of_up_to_ten_digits(head: bytes, length: int) -> None:
    found = learned(head)
    if found is None:
        return
    other = re.sub(rb"(?i)(\r\ncontent-length: ?)[0-9]+(?=\r\n)", lambda m: m[1] + b"%d" % length, head, count=1)
    assert found[0].match(other) == (length, len(other))
