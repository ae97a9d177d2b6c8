"""The gate in front of llhttp: what it takes llhttp would take, as one message, with the same meaning."""

import re

import httptools
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.seams import Headers
from gateway.transport.whole import MOST_FIELDS, MOST_HEAD, WholeReader, whole_chunk

PLAIN = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nx-a:  b \t\r\ncontent-length: 5\r\n\r\nhello"


class Reference:
    """llhttp in strict mode, as the connection uses it."""

    def __init__(self, data: bytes) -> None:
        self.headers: Headers = []
        self.body = b""
        self.begun = self.complete = 0
        self.after = False
        self.keep_alive = False
        self.status = 0
        self.parser = httptools.HttpResponseParser(self)
        self.valid = True
        try:
            self.parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self.valid = False

    def on_message_begin(self) -> None:
        self.begun += 1

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value.rstrip()))

    def on_headers_complete(self) -> None:
        self.status = self.parser.get_status_code()

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.complete += 1
        self.keep_alive = self.parser.should_keep_alive()


def read(data: bytes, reader: WholeReader | None = None) -> tuple[bytes, Headers] | None:
    headers: Headers = []
    body = (reader or WholeReader()).read(data, headers)
    return None if body is None else (body, headers)


def test_the_usual_answer_is_read_in_one_go() -> None:
    assert read(PLAIN) == (
        b"hello",
        [(b"content-type", b"application/json"), (b"x-a", b"b"), (b"content-length", b"5")],
    )
    empty = PLAIN.replace(b": 5\r", b": 0\r").replace(b"hello", b"")
    assert (read(empty) or (None,))[0] == b""


NEVER: dict[str, bytes] = {
    "another status": PLAIN.replace(b"200 OK", b"201 OK"),
    "an error": PLAIN.replace(b"200 OK", b"500 Oh"),
    "an interim answer first": b"HTTP/1.1 100 Continue\r\n\r\n" + PLAIN,
    "no content": PLAIN.replace(b"200 OK", b"204 No Content"),
    "another phrase": PLAIN.replace(b"200 OK", b"200 Fine"),
    "HTTP/1.0": PLAIN.replace(b"HTTP/1.1", b"HTTP/1.0"),
    "HTTP/2": PLAIN.replace(b"HTTP/1.1", b"HTTP/2.0"),
    "no length": PLAIN.replace(b"content-length: 5\r\n", b""),
    "two lengths": PLAIN.replace(b"content-length: 5", b"content-length: 5\r\ncontent-length: 5"),
    "two lengths that differ": PLAIN.replace(b"content-length: 5", b"content-length: 4\r\ncontent-length: 5"),
    "a list of lengths": PLAIN.replace(b": 5\r", b": 5, 5\r"),
    "a signed length": PLAIN.replace(b": 5\r", b": +5\r"),
    "a length of another script": PLAIN.replace(b": 5\r", ": ٥\r".encode()),
    "an absurd length": PLAIN.replace(b": 5\r", b": 0000000000000005\r"),
    "an empty length": PLAIN.replace(b": 5\r", b": \r"),
    "a transfer-encoding": PLAIN.replace(b"x-a", b"Transfer-Encoding"),
    "chunked": PLAIN.replace(b"x-a:  b \t", b"transfer-encoding: chunked"),
    "an upgrade": PLAIN.replace(b"x-a", b"Upgrade"),
    "trailers announced": PLAIN.replace(b"x-a", b"Trailer"),
    "connection: close": PLAIN.replace(b"x-a:  b", b"Connection: close"),
    "connection: anything": PLAIN.replace(b"x-a:  b", b"Connection: keep-alive, x"),
    "a bare LF": PLAIN.replace(b"json\r\n", b"json\n"),
    "a bare CR": PLAIN.replace(b"json\r\n", b"json\r"),
    "a bare CR in a value": PLAIN.replace(b"  b \t", b" b\rc"),
    "a NUL": PLAIN.replace(b"  b \t", b" b\x00"),
    "a control character": PLAIN.replace(b"  b \t", b" b\x01"),
    "a DEL": PLAIN.replace(b"  b \t", b" b\x7f"),
    "a folded line": PLAIN.replace(b"json\r\n", b"json\r\n more\r\n"),
    "a blank before the colon": PLAIN.replace(b"x-a:", b"x-a :"),
    "a blank first": PLAIN.replace(b"x-a:", b" x-a:"),
    "no name": PLAIN.replace(b"x-a:", b":"),
    "no colon": PLAIN.replace(b"x-a:", b"x-a"),
    "a name that is no token": PLAIN.replace(b"x-a:", b"x(a:"),
    "a name beyond ASCII": PLAIN.replace(b"x-a:", b"x\xe9:"),
    "a byte too many": PLAIN + b"!",
    "a byte too few": PLAIN[:-1],
    "another answer behind": PLAIN + PLAIN,
    "a line before": b"\r\n" + PLAIN,
    "a large head": PLAIN.replace(b"  b", b"b" * MOST_HEAD),
    "many fields": PLAIN.replace(b"\r\n\r\n", b"\r\n" + b"x: y\r\n" * (MOST_FIELDS - 2) + b"\r\n"),
}


@pytest.mark.parametrize("data", NEVER.values(), ids=NEVER)
def test_what_is_not_of_the_plainest_kind_is_left_to_llhttp(data: bytes) -> None:
    reader = WholeReader()
    for _ in range(2):
        assert read(data, reader) is None
        assert read(PLAIN, reader) is not None, "and what is known does not change that"


def test_every_cut_and_every_length_but_the_true_one_is_left_to_llhttp() -> None:
    for cut in range(len(PLAIN)):
        assert read(PLAIN[:cut]) is None
    for length in [*range(5), *range(6, 12)]:
        assert read(PLAIN.replace(b": 5\r", b": %d\r" % length)) is None


def test_bounds_of_its_own_are_heeded() -> None:
    head = PLAIN.index(b"\r\n\r\n")
    assert read(PLAIN, WholeReader(max_head=head + 4)) is not None
    assert read(PLAIN, WholeReader(max_head=head + 3)) is None
    assert read(PLAIN, WholeReader(max_fields=3)) is not None
    assert read(PLAIN, WholeReader(max_fields=2)) is None


def test_what_is_remembered_is_bounded() -> None:
    """A provider that sends another line with each answer costs no memory for good."""
    reader = WholeReader()
    most = 0
    for number in range(5000):
        data = PLAIN.replace(b"  b", b"%d" % number)
        found = read(data, reader)
        assert found is not None
        assert found[1][1] == (b"x-a", b"%d" % number)
        most = max(most, len(reader._known))
    assert most <= 1024
    assert read(PLAIN, reader) == read(PLAIN)


names = st.sampled_from(
    [
        b"x-a",
        b"X-A",
        b"Content-Type",
        b"Connection",
        b"Transfer-Encoding",
        b"Keep-Alive",
        b"te",
        b"Upgrade",
        b"x a",
        b"Date",
        b"content-length",
        b"set-cookie",
        b"Proxy-Connection",
        b"Trailer",
        b"Content-Encoding",
    ]
)
values = st.sampled_from(
    [b"", b"x", b"a b", b"keep-alive", b"Keep-Alive", b"close", b"chunked", b"gzip", b"5", b"\xe9", b"a\tb", b"h2c"]
)
fields = st.tuples(
    names, st.sampled_from([b":", b": ", b":\t ", b" :"]), values, st.sampled_from([b"", b" ", b"\t"])
).map(b"".join)


@st.composite
def answers(draw: st.DrawFn) -> bytes:
    body = draw(st.binary(max_size=6))
    length = len(body) + draw(st.sampled_from([0] * 8 + [-1, 1, 3]))
    lines = [
        b"%b:%b%d"
        % (draw(st.sampled_from([b"content-length", b"Content-Length"])), draw(st.sampled_from([b" ", b""])), length)
    ]
    lines += draw(st.lists(fields, max_size=4))
    status = draw(
        st.sampled_from([b"HTTP/1.1 200 OK"] * 6 + [b"HTTP/1.1 200 ", b"HTTP/1.1 200", b"HTTP/1.1 404 Not Found"])
    )
    end = draw(st.sampled_from([b"\r\n"] * 8 + [b"\n"]))
    data = end.join([status, *draw(st.permutations(lines))]) + b"\r\n\r\n" + body
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 2]))):
        at = draw(st.integers(0, len(data)))
        data = (
            data[:at] + draw(st.binary(max_size=2) | st.sampled_from([b"\r\n", b"\r\n ", b"\n", b"\x00"])) + data[at:]
        )
    return data


@settings(max_examples=500, deadline=None)
@given(st.lists(answers(), min_size=1, max_size=3))
@example([PLAIN])
@example([PLAIN.replace(b"x-a", b"Connection").replace(b" b ", b"keep-alive")])
def test_what_it_takes_llhttp_takes_and_means_the_same(answers: list[bytes]) -> None:
    """ "this is not another parser but a narrow gate in front of llhttp": whatever it takes is, to llhttp, one complete
    200 with the same fields and body, whose connection is kept."""
    reader = WholeReader()
    for data in [*answers, *answers]:
        taken = read(data, reader)
        assert taken == read(data), "what it remembers changes nothing"
        if taken is None:
            continue
        body, headers = taken
        seen = Reference(data)
        assert (seen.valid, seen.begun, seen.complete, seen.status) == (True, 1, 1, 200)
        assert (seen.headers, seen.body) == (headers, body)
        assert seen.keep_alive
        assert len(re.findall(rb"(?im)^content-length:", data.split(b"\r\n\r\n")[0])) == 1


@given(st.binary(min_size=1, max_size=5000))
def test_a_chunk_in_its_plainest_form_is_known(body: bytes) -> None:
    """RFC 9112 section 7.1: chunk-size CRLF chunk-data CRLF."""
    framed = b"%x\r\n%b\r\n" % (len(body), body)
    start = whole_chunk(framed)
    assert framed[start:-2] == body
    assert whole_chunk(framed + b"1\r\na\r\n") == 0
    assert whole_chunk(framed[:-1]) == 0


@pytest.mark.parametrize(
    "framed",
    [
        b"0\r\n\r\n",
        b"05\r\nhello\r\n",
        b"+5\r\nhello\r\n",
        b" 5\r\nhello\r\n",
        b"5 \r\nhello\r\n",
        b"0x5\r\nhello\r\n",
        b"5;a=b\r\nhello\r\n",
        b"1_0\r\n0123456789abcdef\r\n",
        b"5\nhello\r\n",
        b"\r\nhello\r\n",
        b"5\r\nhello\n\n",
        b"",
        b"5",
    ],
)
def test_any_other_chunk_is_left_to_the_parser(framed: bytes) -> None:
    assert whole_chunk(framed) == 0


@given(st.binary(max_size=12), st.binary(max_size=40))
def test_what_is_taken_for_a_chunk_llhttp_takes_for_the_same(head: bytes, rest: bytes) -> None:
    data = head + rest
    start = whole_chunk(data)
    if start:
        reference = Reference(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + data + b"0\r\n\r\n")
        assert reference.valid
        assert reference.complete == 1
        assert reference.body == data[start:-2]
