"""State shared by the stream readers."""

import msgspec
import pytest

from gateway.dialects.delivered import Delivered, given


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"", False),
        (b"null", False),
        (b"{}", False),
        (b'""', False),
        (b"false", False),
        (b'{"a":1}', True),
        (b'"x"', True),
    ],
)
def test_given(raw: bytes, expected: bool):
    assert given(msgspec.Raw(raw)) is expected


def test_the_last_usage_wins_and_garbage_is_ignored():
    state = Delivered()
    assert not state.take_usage(msgspec.Raw(b"null"))
    assert state.take_usage(msgspec.Raw(b'{"prompt_tokens":1,"completion_tokens":1}'))
    assert state.take_usage(msgspec.Raw(b'{"prompt_tokens":1,"completion_tokens":5}'))
    assert not state.take_usage(msgspec.Raw(b'{"prompt_tokens":"many"}'))
    assert state.usage is not None
    assert state.usage.output_tokens == 5


def test_merging_keeps_the_larger_counts_and_the_tier():
    state = Delivered()
    state.merge_usage(msgspec.Raw(b'{"input_tokens":9,"output_tokens":1,"service_tier":"priority"}'))
    state.merge_usage(msgspec.Raw(b'{"output_tokens":40}'))
    state.merge_usage(msgspec.Raw(b"null"))
    assert state.usage is not None
    assert (state.usage.input_tokens, state.usage.output_tokens, state.service_tier) == (9, 40, "priority")
