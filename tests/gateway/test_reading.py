"""Huge bodies: the fields are those of the whole body, errors say where in it, and values are bounded before."""

import json

import pytest

from gateway.attempt import Outgoing
from gateway.dialects import for_operation
from gateway.errors import BadRequest, BodyTooLarge
from gateway.facts import Reading
from gateway.operations import accept
from gateway.reading import outline_of, read_long
from gateway.routing.table import Route
from gateway.settle import count_prompt
from gateway.wire.head import Head

CHAT = accept("POST", "/v1/chat/completions")
LONG_TEXT = "A" * 300_000


class Uncounted:
    """Knows no vocabulary."""

    def ready(self, model: str) -> bool:
        return False


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


def test_exactly_as_many_values_as_allowed_are_read() -> None:
    """`server.max_values`: "at most": the body, its model, messages, message, role, content, part, type, address and
    the address' own are ten, and the list is one."""
    assert read(body_of(x=[1] * 989)).model == "m"
    with pytest.raises(BodyTooLarge):
        read(body_of(x=[1] * 990))


def test_long_strings_of_a_body_of_many_values_are_counted_too() -> None:
    """ "A body of very many values is told by its size": all of it, or a text beside them would cost nothing where no
    usage is told."""
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "word " * 80_000}], "x": [1] * 99_999})
    reading, outline = read_long(for_operation(CHAT.name), CHAT, body.encode(), 10**6, nobody)
    assert outline is not None
    route = Route("m", ())
    dialect = for_operation(CHAT.name)
    out = Outgoing(CHAT, route, Head([]), b"", b"", b"", body.encode(), reading, dialect, 1, outline)
    assert count_prompt(Uncounted(), out, "m") == len(body) // 4  # pyright: ignore[reportArgumentType]
