"""Numbers of tokens are told from texts, in every way APIs take them."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dialects.tokens import holds_tokens

TEXTS = st.text() | st.lists(st.text()) | st.lists(st.fixed_dictionaries({"text": st.text(), "n": st.integers()}))
TOKENS = st.lists(st.integers(0, 200_000), min_size=1)


@given(TEXTS)
def test_texts_are_none(value: object) -> None:
    """`input` as a string, an array of strings, or of objects: no number of theirs is a token."""
    for operation, name in (("embeddings", "input"), ("completions", "prompt")):
        assert not holds_tokens(operation, json.dumps({"model": "m", "dimensions": 3, name: value}).encode())


@given(TOKENS, st.lists(st.text()), st.booleans())
def test_numbers_are_found_wherever_they_stand(tokens: list[int], texts: list[str], nested: bool) -> None:
    """An array of token numbers, an array of such arrays, or one of them among texts."""
    value = [*texts, tokens] if nested else [*texts, *tokens]
    for blanks in (None, 2):
        assert holds_tokens("embeddings", json.dumps({"input": value}, indent=blanks).encode())
        assert holds_tokens("completions", json.dumps({"prompt": value}, indent=blanks).encode())


@pytest.mark.parametrize("body", [b"", b"[1]", b"null", b'{"input": [1,', b'{"input": 7}', b"\xff", b'{"x": [1]}'])
def test_what_is_no_such_array_is_left_to_who_reads_it(body: bytes) -> None:
    assert not holds_tokens("embeddings", body)
    assert not holds_tokens("chat.completions", b'{"input": [1]}')
