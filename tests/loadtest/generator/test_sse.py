"""The event counter sees the same stream whatever the chunking."""

from hypothesis import given
from hypothesis import strategies as st

from loadtest.generator.sse import EventCounter, usage_in

_STREAM = (
    ": comment\n\n"
    'data: {"choices":[{"delta":{"content":"hé"}}]}\n\n'
    "event: x\ndata: two\n\n"
    'data: {"usage":{"prompt_tokens":7,"completion_tokens":9}}\n\n'
    "data: [DONE]\n\n"
)


@given(st.lists(st.integers(0, 400), max_size=12), st.sampled_from(["\n", "\r\n", "\r"]))
def test_any_chunking_and_any_line_end_give_the_same(cuts: list[int], end: str) -> None:
    data = _STREAM.replace("\n", end).encode()
    counter, events, at = EventCounter(), 0, 0
    for cut in [*sorted(cuts), len(data)]:
        events += counter.feed(data[at:cut])
        at = max(at, min(cut, len(data)))
    # A last CR may be half of a CRLF, so the event it ends waits for one more byte.
    if end == "\r":
        events += counter.feed(b"\n")
    assert (events, counter.final, counter.error) == (4, True, False)
    assert (counter.input_tokens, counter.output_tokens) == (7, 9)


def test_anthropics_usage_comes_in_two_parts() -> None:
    counter = EventCounter()
    counter.feed(b'event: message_start\ndata: {"type":"message_start","message":{"usage":{"input_tokens":1}}}\n\n')
    counter.feed(b'data: {"type":"message_delta","usage":{"input_tokens":3,"cache_read_input_tokens":4,')
    counter.feed(b'"output_tokens":5}}\n\ndata: {"type":"message_stop"}\n\n')
    assert (counter.input_tokens, counter.output_tokens, counter.final) == (7, 5, True)


def test_error_events() -> None:
    counter = EventCounter()
    counter.feed(b'data: {"error":{"message":"x"}}\n\n')
    assert counter.error
    other = EventCounter()
    other.feed(b'event: error\ndata: {"type":"error"}\n\n')
    assert other.error


def test_usage_in_bodies() -> None:
    assert usage_in(b'{"usage":{"input_tokens":1,"output_tokens":2}}') == (1, 2)
    assert usage_in(b'{"type":"response.completed","response":{"usage":{"input_tokens":1,"output_tokens":2}}}') == (
        1,
        2,
    )
    assert usage_in(b'{"usage":null}') is None
    assert usage_in(b'no json "usage"') is None
    assert usage_in(b"{}") is None
