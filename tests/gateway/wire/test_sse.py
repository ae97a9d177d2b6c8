"""SSE parser: compared with a slow reader written straight from the specification's text, in every chunking."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.errors import ProtocolBroken
from gateway.wire.sse import SseEvent, SseParser


def reference(stream: bytes) -> list[tuple[bytes, bytes | None]]:
    """WHATWG HTML 9.2.5 and 9.2.6, sentence by sentence; one entry per blank line instead of a dispatch.

    "stream = [ bom ] *event"; "end-of-line = ( cr lf / cr / lf )"; "Once the end of the file is reached, any pending
    data must be discarded."
    """
    if stream.startswith(b"\xef\xbb\xbf"):
        stream = stream[3:]
    lines = re.split(rb"\r\n|\r|\n", stream)[:-1]  # what follows the last line end is an unfinished line
    blocks: list[tuple[bytes, bytes | None]] = []
    name, data, seen = b"", b"", False
    for line in lines:
        if line == b"":  # "If the line is empty (a blank line): Dispatch the event"
            if data.endswith(b"\n"):  # "If the data buffer's last character is LF, then remove the last character"
                data = data[:-1]
            blocks.append((name, data if seen else None))
            name, data, seen = b"", b"", False
        elif line.startswith(b":"):  # "If the line starts with a U+003A COLON character: Ignore the line."
            continue
        else:
            if b":" in line:  # "Collect the characters on the line before the first U+003A COLON character"
                field, value = line.split(b":", 1)
                if value.startswith(b" "):  # "If value starts with a U+0020 SPACE character, remove it from value."
                    value = value[1:]
            else:  # "using the whole line as the field name, and the empty string as the field value"
                field, value = line, b""
            if field == b"event":  # "Set the event type buffer to field value."
                name = value
            elif field == b"data":  # "Append the field value to the data buffer, then append a single LF character"
                data += value + b"\n"
                seen = True
    return blocks


def read(chunks: list[bytes], max_event: int = 1 << 20) -> tuple[list[SseEvent], bytes]:
    parser = SseParser(max_event)
    events: list[SseEvent] = []
    for chunk in chunks:
        events += parser.feed(chunk)
    events += parser.close()
    assert parser.pending == bool(parser.leftover)
    return events, parser.leftover


pieces = st.sampled_from(
    [
        b"data: x",
        b"data:y",
        b"data",
        b"data:  z",
        b"event: e",
        b"event:",
        b"id: 1",
        b": ping",
        b":",
        b"\n",
        b"\n\n",
        b"\r",
        b"\r\n",
        b"\r\r",
        b"\r\n\r\n",
        b"\xef\xbb\xbf",
        b"\xef",
        "data: é€𝄞".encode(),
        b"Data: no",
        b" data: no",
    ]
)
streams = st.lists(pieces | st.binary(max_size=3), max_size=25).map(b"".join)


@st.composite
def chunked(draw: st.DrawFn) -> tuple[bytes, list[bytes]]:
    stream = draw(streams)
    cuts = sorted(draw(st.lists(st.integers(0, len(stream)), max_size=12)))
    return stream, [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]


@given(chunked())
@example((b"data: a\r\n\r\n", [b"data: a\r", b"\n\r", b"\n"]))
@example((b"data: a\r\r\ndata: b\n\n", [b"data: a\r\r", b"\ndata: b\n\n"]))
@example((b"data: a\n\n\n\ndata: b\n\n", [b"data: a\n\n", b"\n\n", b"data: b\n\n"]))
@example((b"\xef\xbb\xbf\ndata: b\n\n", [b"\xef", b"\xbb", b"\xbf\n", b"data: b\n\n"]))
@example((b"\xef\xbb\xbfdata: a\n\n", [b"", b"\xef\xbb\xbfdata: a\n\n"]))
def test_any_chunking_gives_the_events_of_one_piece_and_loses_no_byte(case: tuple[bytes, list[bytes]]):
    stream, chunks = case
    events, leftover = read(chunks)
    assert (events, leftover) == read([stream])
    assert (events, leftover) == read([stream[i : i + 1] for i in range(len(stream))])
    assert b"".join(event.raw for event in events) + leftover == stream


@given(streams)
def test_reads_what_the_specification_says(stream: bytes):
    events, _ = read([stream])
    assert [(event.name, event.data) for event in events] == reference(stream)


whole_events = st.sampled_from(
    [b"data: {}\n\n", b"event: m\ndata: 1\n\n", b": ping\n\n", b"\n", b"data:1\ndata\nid\n\n", b"event: m\nid: 1\n\n"]
)


@given(st.lists(st.tuples(whole_events, st.sampled_from([b"\n", b"\n", b"\r\n", b"\r"])), min_size=1, max_size=5))
@example([(b"data: {}\n\n", b"\n"), (b"data: {}\n\n", b"\r\n")])
@example([(b"data: {}\n\n", b"\r\n"), (b"event: m\ndata: 1\n\n", b"\r\n")])
def test_whole_events_per_chunk_take_the_short_way_and_mean_the_same(blocks: list[tuple[bytes, bytes]]):
    whole = b"".join(block.replace(b"\n", end) for block, end in blocks)
    parser = SseParser()
    parser.feed(b"data: first\n\n")
    assert parser.feed(whole) + parser.close() == read([whole])[0]
    assert not parser.pending


@given(chunked(), st.integers(1, 30))
def test_an_event_over_the_cap_breaks_in_every_chunking_after_the_events_before_it(
    case: tuple[bytes, list[bytes]], cap: int
):
    def collect(chunks: list[bytes]) -> tuple[list[SseEvent], bool]:
        parser = SseParser(cap)
        events: list[SseEvent] = []
        try:
            for chunk in chunks:
                events += parser.feed(chunk)
            events += parser.close()
        except ProtocolBroken:
            return events, True
        return events, False

    stream, chunks = case
    events, broken = collect(chunks)
    assert (events, broken) == collect([stream])
    whole, leftover = read([stream])
    too_large = [len(raw) > cap for raw in [*(event.raw for event in whole), leftover]]
    assert broken == any(too_large)
    assert events == whole[: too_large.index(True)] if broken else events == whole


def test_cap_says_how_much_is_allowed_and_stays_broken():
    parser = SseParser(max_event=100)
    assert len(parser.feed(b"data: ok\n\ndata: " + b"x" * 200)) == 1
    for call in (lambda: parser.feed(b"\n\n"), parser.close):
        with pytest.raises(ProtocolBroken, match="100 bytes"):
            call()


def test_many_small_chunks_of_one_large_event_cost_linear_time():
    body = b"x" * 400_000
    parser = SseParser()
    parser.feed(b"data: ")
    for at in range(0, len(body), 4):
        assert parser.feed(body[at : at + 4]) == []
    assert parser.feed(b"\r\n\r\n")[0].data == body


@pytest.mark.parametrize("tail", [b"\n\n", b"\r\n\r\n", b"\r\r", b"\n\r\n", b"\r\n\n", b"\r\n\r", b"\n\r"])
def test_every_pair_of_line_ends_is_a_terminator(tail: bytes):
    events, leftover = read([b"event: e\ndata: a" + tail])
    assert events == [SseEvent(b"event: e\ndata: a" + tail, b"e", b"a")]
    assert leftover == b""


def test_crlf_events_are_not_held_back():
    parser = SseParser()
    assert [event.data for event in parser.feed(b"data: a\r\n\r\n")] == [b"a"]


def test_an_event_cut_off_is_left_over():
    parser = SseParser()
    parser.feed(b"data: a\n\n")
    assert parser.feed(b"data: [DONE]\n") == []
    assert parser.close() == []
    assert parser.pending
    assert parser.leftover == b"data: [DONE]\n"


def test_empty_data_field_is_not_the_same_as_none():
    events, _ = read([b"data\n\n: c\n\ndata:\ndata: \n\n"])
    assert [event.data for event in events] == [b"", None, b"\n"]


BOM = b"\xef\xbb\xbf"


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("bom", [b"", BOM])
@pytest.mark.parametrize("empties", [0, 1, 3])
@pytest.mark.parametrize("cut", [0, 1, 2, 3, 4, None])
def test_the_first_piece_may_be_empty_whole_or_within_a_byte_order_mark(
    end: bytes, bom: bytes, empties: int, cut: int | None
):
    """`stream = [ bom ] *event`: a mark at the very beginning is skipped, however cut; elsewhere it is data."""
    first, second = (b"data: %b" % text + end + end for text in (b"a", BOM + b"b"))
    whole = bom + first + second
    parser = SseParser()
    events: list[SseEvent] = []
    for piece in [b""] * empties + ([whole] if cut is None else [whole[:cut], whole[cut:]]):
        events += parser.feed(piece)
    events += parser.feed(BOM + b"data: c" + end + end)
    assert [event.data for event in events] == [b"a", BOM + b"b", None]
    assert b"".join(event.raw for event in events) == whole + BOM + b"data: c" + end + end


def test_a_mark_that_is_none_after_all_is_the_events_own_bytes():
    for fake in (b"\xef", b"\xef\xbb", b"\xef\xbb\xbe"):
        for cut in range(len(fake) + 1):
            stream = fake + b": x\ndata: a\n\n"
            events, _ = read([stream[:cut], stream[cut:]])
            assert [(event.raw, event.data) for event in events] == [(stream, b"a")]


def test_the_first_piece_is_held_to_the_bound_too():
    with pytest.raises(ProtocolBroken):
        SseParser(max_event=10).feed(b"data: 12345\n\n")
    assert len(SseParser(max_event=13).feed(b"data: 12345\n\n")) == 1
