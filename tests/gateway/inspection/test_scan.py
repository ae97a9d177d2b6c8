"""Every value of an event, with its path and its place."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.inspection.scan import MAX_DEPTH, MAX_VALUES, scan, text_of

TEXTS = st.text(max_size=6) | st.sampled_from(["\ud800", '"', "\\", "{", "]", ",", ":", "\n", "𝄞"])
VALUES = st.recursive(
    TEXTS | st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=20,
)


def leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[tuple[Any, ...], Any]]:
    if isinstance(value, dict):
        return [leaf for name, inner in value.items() for leaf in leaves(inner, (*path, name))]
    if isinstance(value, list):
        return [leaf for at, inner in enumerate(value) for leaf in leaves(inner, (*path, at))]
    return [] if value is None or isinstance(value, bool) else [(path, value)]


@given(st.dictionaries(TEXTS, VALUES, max_size=4), st.booleans(), st.sampled_from([None, 1]))
def test_finds_what_a_decoder_finds(value: dict[str, Any], ascii_only: bool, indent: Any):
    """Every string and number, in order, at its place."""
    data = json.dumps(value, ensure_ascii=ascii_only, indent=indent).encode("utf-8", "surrogatepass")
    try:
        data.decode()
    except UnicodeDecodeError:
        data = json.dumps(value, indent=indent).encode()
    found = [(leaf.path, json.loads(data[leaf.start : leaf.end])) for leaf in scan(data).leaves]
    assert found == leaves(value)


def test_member_names_with_the_paths_of_their_values():
    assert scan(b'{"a":{"b c":[{"d":1}]}}').names == [
        (("a",), "a"), (("a", "b c"), "b c"), (("a", "b c", 0, "d"), "d")]  # fmt: skip


def test_log_probabilities_are_one_value():
    data = b'{"logprobs":{"content":[{"token":"}\\"","x":[1]}]},"part":{"logprobs":[]},"logprob":null,"d":"e"}'
    assert [(leaf.path, data[leaf.start : leaf.end]) for leaf in scan(data).leaves] == [
        (("logprobs",), b'{"content":[{"token":"}\\"","x":[1]}]}'),
        (("part", "logprobs"), b"[]"),
        (("d",), b'"e"'),
    ]


def test_log_probabilities_are_looked_into_where_a_member_may_have_any_name():
    assert [leaf.path for leaf in scan(b'{"item":{"odd":{"logprobs":["x"]}}}').leaves] == [
        ("item", "odd", "logprobs", 0)]  # fmt: skip


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b'{"a":1,"a":2}', b'{"a":{"b":1,"\\u0062":2}}', b'{"a" 1}', b"[1,]", b'{"a":"\xff"}', b"nul",
     b"[" + b"1," * MAX_VALUES + b"1]",
     b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1), b"[" * 100_000 + b"]" * 100_000],
)  # fmt: skip
def test_what_two_readers_could_take_in_two_ways_is_refused(data: bytes):
    with pytest.raises(ValueError, match=r"."):
        scan(data)


def test_texts():
    assert text_of(b'"a\\u00e9\\ud834\\udd1e\\/"') == "aé𝄞/"
    assert text_of(b'"\\ud834"') == "\ud834"
    with pytest.raises(ValueError, match="escape"):
        text_of(b'"\\x"')
