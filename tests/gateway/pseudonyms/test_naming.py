"""Which conversation a request belongs to."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import BadRequest
from gateway.pseudonyms.naming import conversation_of


def body(**members: object) -> bytes:
    return json.dumps({"model": "m", **members}).encode()


@pytest.mark.parametrize(
    ("header", "sent", "name"),
    [
        (b"talk-1", b"no JSON", "talk-1"),
        (b" talk-1 ", body(conversation="other"), "talk-1"),
        (None, body(conversation="conv_1", metadata={"conversation_id": "m1"}), "conv_1"),
        (None, body(conversation={"id": "conv_2", "more": 1}), "conv_2"),
        (None, body(metadata={"conversation_id": "m1", "user": "x"}), "m1"),
        (None, body(metadata={"conversation_id": 17}), "17"),
        (None, body(conversation=None, metadata=None), ""),
        (None, body(conversation=3), ""),
        (None, body(conversation="two words"), ""),
        (None, body(previous_response_id="resp_1"), ""),
        (b"", b"", ""),
    ],
)
def test_who_names_it(header: bytes | None, sent: bytes, name: str) -> None:
    """ "The header wins over the body, and `conversation` over `metadata`"."""
    assert conversation_of(header, sent) == name


@pytest.mark.parametrize("header", [b"two words", b"x" * 257, b"a\x00b", "ü".encode()])
def test_a_header_that_is_no_id_is_refused_without_repeating_it(header: bytes) -> None:
    with pytest.raises(BadRequest) as caught:
        conversation_of(header, b"{}")
    assert caught.value.code == "invalid_conversation"
    assert "two words" not in str(caught.value)


@given(st.binary(max_size=60))
def test_any_body_has_an_answer(sent: bytes) -> None:
    assert conversation_of(None, sent) == ""
