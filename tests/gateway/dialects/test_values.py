"""A body's values are bounded before anybody takes them out, one by one."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dialects.values import check_values
from gateway.errors import BadRequest

NAMES = st.text(alphabet='b:,"', max_size=3)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(alphabet='a,[{"\\', max_size=8),
    lambda inner: (
        st.lists(inner, max_size=5) | st.dictionaries(st.text(alphabet='b:,"', max_size=3), inner, max_size=5)
    ),
    max_leaves=30,
)


def values(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + sum(map(values, value.values()))
    return 1 + sum(map(values, value)) if isinstance(value, list) else 1


def passes(body: bytes, most: int) -> bool:
    try:
        check_values(body, lambda: None, most)
    except BadRequest:
        return False
    return True


@given(st.dictionaries(st.text(max_size=3), VALUES, max_size=5), st.integers(1, 40))
def test_a_body_of_few_values_passes_and_one_of_twice_as_many_does_not(body: dict[str, Any], most: int) -> None:
    """ "Raises `BadRequest` for a body of more than `most` values": brackets and commas, which strings may be full of,
    count a value in a container twice at the most."""
    written = json.dumps(body).encode()
    if 2 * values(body) <= most:
        assert passes(written, most)
    if values(body) > 2 * most:
        assert not passes(written, most)


@pytest.mark.parametrize("body", [b"", b"[[[", b'{"a": "', b"\xff"])
def test_what_is_no_json_is_left_to_its_reader(body: bytes) -> None:
    assert passes(body, 10)


def test_it_breathes() -> None:
    breaths: list[None] = []
    with pytest.raises(BadRequest):
        check_values(b"[" + b"1," * 20_000 + b"1]", lambda: breaths.append(None), 15_000)
    assert len(breaths) >= 6


def test_the_string_that_does_not_end_is_one_string() -> None:
    """ "The string that does not end is one too: else every quote in it would be tried as a beginning": minutes."""
    assert passes(b'["' + b"," * 20 + b'","' + b'\\"' * 300_000 + b"[" * 20, 10)
