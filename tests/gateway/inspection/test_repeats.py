"""Events that are like one before but for their text."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.inspection.repeats import Repeat, repeat_of


def framed(data: bytes) -> bytes:
    return b"data: " + data + b"\n\n"


def chunk(text: bytes, padding: bytes = b"", finish: bytes = b"null") -> bytes:
    padded = b',"obfuscation":"%b"' % padding if padding else b""
    return b'{"id":"c","choices":[{"delta":{"content":"%b"},"finish_reason":%b}]%b}' % (text, finish, padded)


def first(data: bytes, raw: bytes | None = None) -> Repeat[str] | None:
    start = data.index(b'"content":') + len(b'"content":')
    end = data.index(b'"},"finish') + 1
    return repeat_of(framed(data) if raw is None else raw, data, (start, end), "channel", True)


def sure(repeat: Repeat[str] | None) -> Repeat[str]:
    assert repeat is not None
    return repeat


@given(st.text(), st.text(), st.booleans())
def test_the_text_of_another_event_is_what_its_json_says(text: str, new: str, ascii_only: bool) -> None:
    """What `read` and `written` say is what a parser says; where `read` says nothing, nothing is claimed."""
    repeat = sure(first(chunk(b"first")))
    inner = json.dumps(text, ensure_ascii=ascii_only)[1:-1].encode("utf-8", "surrogatepass")
    raw = framed(chunk(inner))
    read = repeat.read(raw)
    if read is None:
        assert not text.isprintable()
        return
    assert read[0] == text
    written = repeat.written(raw, read[1], json.dumps(new).encode())
    assert json.loads(written[6:])["choices"][0]["delta"]["content"] == new
    assert repeat.written(raw, read[1], b'"%b"' % inner) == raw


@pytest.mark.parametrize(
    "raw",
    [
        framed(chunk(b'a","more":"b')),
        framed(chunk(b"a", finish=b'"stop"')),
        framed(chunk(b"a").replace(b'"c"', b'"d"')),
        framed(chunk(b"a\nb")),
        framed(chunk(b"a\tb")),
        framed(chunk(b"a\\")),
        framed(chunk(b"a\\q")),
        framed(chunk(b"\xff")),
        b"data: " + chunk(b"a") + b"\r\n\r\n",
        framed(chunk(b"a"))[:60],
        framed(chunk(b"a", b"pad")),
        b"",
    ],
)
def test_what_is_not_like_it(raw: bytes) -> None:
    assert sure(first(chunk(b"first"))).read(raw) is None


def test_an_event_shorter_than_what_is_around_its_text() -> None:
    repeat = Repeat(b'data: "', b'": "\n\n', "channel", True)
    assert repeat.read(b'data: ": "\n\n') is None


def test_padding_may_differ() -> None:
    repeat = sure(first(chunk(b"first", b"xyz1")))
    raw = framed(chunk(b"a \\n b", b"0aB"))
    read = repeat.read(raw)
    assert read is not None
    assert read[0] == "a \n b"
    assert repeat.written(raw, read[1], b'"new"') == framed(chunk(b"new", b"0aB"))
    assert repeat.read(framed(chunk(b"a", b'x","y":"z'))) is None
    assert repeat.read(framed(chunk(b"a", b"p q"))) is None
    assert repeat.read(framed(chunk(b'a","obfuscation":"b', b"pq"))) is None


def test_what_is_written_otherwise_is_not_repeated() -> None:
    data = chunk(b"first")
    assert first(data, b"data: " + data + b"\r\n\r\n") is None
    assert first(data, b"data: " + data + b"\nid: 1\n\n") is None
    assert first(data, b"event: x\ndata: " + data + b"\n\n") is not None
    assert (sure(first(data)).channel, sure(first(data)).droppable) == ("channel", True)


def test_a_field_that_ends_in_the_same_bytes_is_not_the_data() -> None:
    """What was judged is what is sent: the text of a later event stands where the judged one stood."""
    data = chunk(b"a")
    assert first(data, b"data: " + data + b"\nid: " + data + b"\n\n") is None
    assert first(data, b"id: " + data + b"\ndata: " + data + b"\n\n") is not None
