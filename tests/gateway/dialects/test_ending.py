"""What is kept of a stream, and the usage that its events tell."""

import json

from hypothesis import given
from hypothesis import strategies as st

from gateway.dialects.ending import Ending, reported_by_events
from gateway.facts import Usage


@given(st.lists(st.binary(max_size=30)), st.integers(1, 20))
def test_the_end_is_kept_and_no_more_than_twice_of_it(chunks: list[bytes], most: int) -> None:
    ending = Ending(most)
    for chunk in chunks:
        ending.add(chunk)
        assert len(ending.bytes) <= 2 * most
    everything = b"".join(chunks)
    assert everything.endswith(ending.bytes)
    assert len(ending.bytes) >= min(most, len(everything))
    assert ending.whole is (ending.bytes == everything)


IMAGE = {"type": "image_generation.completed", "b64_json": "A" * 3000, "usage": {"input_tokens": 7, "output_tokens": 9}}


def test_an_image_tells_its_usage_after_its_picture() -> None:
    events = b"event: x\ndata: " + json.dumps(IMAGE).encode() + b"\n\n"
    for cut in (events, events[-200:]):
        assert reported_by_events(cut)[0] == Usage(input_tokens=7, output_tokens=9)


def test_the_last_event_that_tells_any_counts() -> None:
    events = b"".join(
        b"data: %b\n\n" % json.dumps(event).encode()
        for event in (
            {"usage": {"input_tokens": 1, "output_tokens": 1}},
            {**IMAGE, "service_tier": "flex"},
            {"usage": None},
            {"delta": 'a "usage" of words', "list": ["usage"]},
        )
    )
    assert reported_by_events(events + b"data: [DONE]\n\n") == (Usage(input_tokens=7, output_tokens=9), "flex")


@given(st.lists(st.sampled_from([b'"usage"', b"\n", b"data:", b"{", b"}", b":", b"1", b" "])).map(b"".join))
def test_arbitrary_bytes_never_raise(events: bytes) -> None:
    reported_by_events(events)
