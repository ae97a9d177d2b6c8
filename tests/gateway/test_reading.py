"""Huge bodies: the fields are those of the whole body, errors say where in it, and values are bounded before."""

import json

import pytest

from gateway.dialects import for_operation
from gateway.errors import BadRequest, BodyTooLarge
from gateway.facts import Reading
from gateway.operations import accept
from gateway.reading import outline_of, read_long

CHAT = accept("POST", "/v1/chat/completions")
LONG_TEXT = "A" * 300_000


def nobody() -> None:
    """Nobody waits."""


def body_of(**more: object) -> bytes:
    image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{LONG_TEXT}"}}
    return json.dumps({"model": "m", "messages": [{"role": "user", "content": [image]}], **more}).encode()


def read(body: bytes, most: int = 1_000) -> Reading:
    return read_long(for_operation(CHAT.name), CHAT, body, most, nobody)[0]


def test_the_fields_are_those_of_the_whole_body() -> None:
    body = body_of(stream=True, max_tokens=7)
    dialect = for_operation(CHAT.name)
    reading, outline = read_long(dialect, CHAT, body, 1_000, nobody)
    assert reading == dialect.read(CHAT, body)
    assert outline is not None
    rewritten = outline.filled(dialect.rewrite(reading, outline.skeleton, "other", True))
    assert rewritten == dialect.rewrite(reading, body, "other", True)


def test_an_error_says_where_in_the_body_it_is() -> None:
    body = body_of()[:-1] + b"!"
    with pytest.raises(BadRequest, match=f"at byte {len(body) - 1}"):
        read(body)


def test_a_long_string_that_is_not_valid_is_refused_as_ever() -> None:
    with pytest.raises(BadRequest, match="not valid JSON"):
        read(body_of().replace(b"AAAA", b"\\x41", 1))
    with pytest.raises(BadRequest, match="not valid UTF-8"):
        read(body_of().replace(b"AAAA" * 500, b"\xff" + b"A" * 1999, 1))


def test_a_model_of_300_000_characters_is_refused_as_ever() -> None:
    with pytest.raises(BadRequest, match="this one has 300000"):
        read(body_of(model=LONG_TEXT))


def test_more_values_than_allowed_are_refused_before_anybody_reads_them() -> None:
    """`server.max_values`: 413, and the message says how many are allowed."""
    with pytest.raises(BodyTooLarge, match="at most 1,000 are allowed") as refused:
        read(body_of(x=[1] * 2_000))
    assert refused.value.code == "too_many_values"
    assert read(body_of(x="[,{" * 2_000)).model == "m"


def test_a_body_without_long_strings_has_no_outline() -> None:
    assert outline_of(json.dumps({"a": ["b"] * 100_000}).encode(), nobody) is None
