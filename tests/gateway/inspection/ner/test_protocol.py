"""Frames between gateway and worker."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.inspection.ner.protocol import MAX_FRAME, Answer, Ask, Broken, Frames, Message, Ready, Unusable, frame
from guardrails.detector import Match

MATCHES = st.builds(Match, st.text(max_size=5), st.integers(0, 99), st.integers(0, 99), st.floats(0, 1), st.just("r"),
                    st.just("model"))  # fmt: skip
MESSAGES = st.one_of(
    st.just(Ready()), st.builds(Unusable, st.text(max_size=9)),
    st.builds(Ask, st.lists(st.text(max_size=20), max_size=3)),
    st.builds(Answer, st.lists(st.lists(MATCHES, max_size=2), max_size=3), st.text(max_size=5)),
)  # fmt: skip


@given(st.lists(MESSAGES, max_size=5), st.lists(st.integers(0, 400), max_size=6))
def test_messages_come_out_as_they_went_in_however_the_bytes_are_cut(messages: list[Message], cuts: list[int]) -> None:
    """`Frames.feed`: "puts messages together from bytes as they come"."""
    data = b"".join(frame(message) for message in messages)
    edges = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    frames = Frames()
    out = [message for a, b in pairwise(edges) for message in frames.feed(data[a:b])]
    assert out == messages


@given(st.binary(max_size=60))
def test_what_is_no_frame_is_broken_or_waits(data: bytes) -> None:
    """ "Raises `Broken`", and nothing else."""
    try:
        Frames().feed(data)
    except Broken as error:
        assert str(error).startswith("a frame")  # noqa: PT017 (which error it is, not that it comes)


def test_a_frame_has_a_longest_length() -> None:
    with pytest.raises(Broken, match="too long"):
        Frames().feed((MAX_FRAME + 1).to_bytes(4, "big"))
