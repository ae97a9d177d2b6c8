"""Frames of events, and the small parts of their JSON."""

import json

from hypothesis import given
from hypothesis import strategies as st

from gateway.inspection.frames import framed, joined, members_of, reframed
from gateway.wire.sse import SseParser


@given(st.binary(max_size=40).filter(lambda data: b"\r" not in data), st.sampled_from([b"", b"message_stop"]))
def test_what_is_framed_is_read_as_it_was(data: bytes, name: bytes) -> None:
    """Each `data` line's value is appended with a line feed between them (HTML Living Standard, section 9.2.6)."""
    (event,) = SseParser().feed(framed(name, data))
    assert (event.name, event.data) == (name, data)


@given(
    st.lists(st.sampled_from([b"id: 1", b"event: e", b"data: old", b"data:old", b": c", b"id: old", b":old", b"old"])),
    st.sampled_from([b"\n", b"\r\n", b"\r"]),
    st.binary(max_size=9).filter(lambda data: b"\r" not in data and b"\n" not in data),
)
def test_an_event_with_other_data_says_that_data_under_its_name(lines: list[bytes], end: bytes, data: bytes) -> None:
    """What was judged is what is sent: the old data is in no line any more, wherever it stood."""
    raw = end.join([b"data: old", *lines]) + end + end
    (event,) = SseParser().feed(raw + b"data: next\n\n")[:1]
    (again,) = SseParser().feed(reframed(event, data) + b"data: next\n\n")[:1]
    assert (again.name, again.data) == (event.name, data)


def test_frames():
    assert framed(b"e", b'{"a":\n1}') == b'event: e\ndata: {"a":\ndata: 1}\n\n'
    parser = SseParser()
    (event,) = parser.feed(b"event: e\nid: 1\ndata: old\n\n")
    assert reframed(event, b"new") == b"event: e\nid: 1\ndata: new\n\n"
    (event,) = parser.feed(b"data: o\ndata: ld\nid: 1\nevent: e\n\n")
    assert reframed(event, b"new") == b"event: e\ndata: new\n\n"
    (event,) = parser.feed(b"event: e\r\ndata:old\r\n\r\n")
    assert reframed(event, b"new") == b"event: e\r\ndata:new\r\n\r\n"


def test_small_parts():
    assert joined("a\ud834\udd1e\ud834") == "a𝄞\ud834"
    assert members_of(b'{"a":"\\ud834"}') == {"a": members_of(b'{"a":"\\ud834"}')["a"]}
    assert json.loads(bytes(members_of(b'{"a":"\\ud834"}')["a"])) == "\ud834"
    assert members_of(b"[") == members_of(b"1") == {}
