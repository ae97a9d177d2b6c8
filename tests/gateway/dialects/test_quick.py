"""The fast way to the text surfaces gives what the reference gives, whatever the body."""

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.dialects import quick, segments
from gateway.errors import TollwayError

NAMES = st.sampled_from(
    ["role", "content", "type", "text", "name", "tool_calls", "function", "arguments", "input", "output", "data",
     "refusal", "annotations", "logprobs", "index", "message", "finish_reason", "choices", "cache_control", "image_url",
     "url", "id", "transcript", "audio", "odd", "usage", "citations", "format", "a b", "", "é", 'q"', "\ud800"]
)  # fmt: skip
TEXTS = st.sampled_from(
    ["", "hello", "user", "assistant", "system", "tool", "text", "input_text", "function_call_output", "reasoning",
     "base64", "stop", "data:image/png;base64,AA", "é", "\ud83d", 'quo"te', "back\\slash", "line\n", "\u2028"]
)  # fmt: skip
SCALARS = TEXTS | st.none() | st.booleans() | st.sampled_from([0, 1, -0.5, 1e300, 4111111111111111])
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4), max_leaves=15
)
MESSAGES = st.lists(
    st.fixed_dictionaries(
        {"role": TEXTS | VALUES, "content": TEXTS | VALUES}, optional={"name": TEXTS, "tool_calls": VALUES}
    ),
    max_size=3,
)
PARTS = st.lists(st.fixed_dictionaries({"type": TEXTS | VALUES, "text": TEXTS | VALUES}), max_size=3)
CHOICES = st.lists(
    st.fixed_dictionaries(
        {
            "index": st.integers(-1, 12) | VALUES,
            "message": st.fixed_dictionaries(
                {"role": st.just("assistant") | VALUES, "content": TEXTS | PARTS | VALUES},
                optional={"refusal": VALUES, "annotations": VALUES, "tool_calls": VALUES},
            ),
        },
        optional={"logprobs": VALUES, "finish_reason": TEXTS | VALUES},
    ),
    max_size=3,
)
BODIES = st.fixed_dictionaries(
    {"model": TEXTS},
    optional={
        "messages": MESSAGES | VALUES, "input": TEXTS | st.lists(TEXTS) | MESSAGES | VALUES, "prompt": VALUES,
        "system": TEXTS | PARTS | VALUES, "tools": VALUES, "choices": CHOICES | VALUES, "content": PARTS | VALUES,
        "output": MESSAGES | VALUES, "metadata": VALUES, "temperature": SCALARS, "thinking": VALUES, "x y": VALUES,
        "stop": VALUES,
    },
)  # fmt: skip


def outcome(call: Any, *arguments: Any, **options: Any) -> Any:
    try:
        return call(*arguments, **options)
    except TollwayError as error:
        return type(error), str(error)


def compare(body: bytes) -> None:
    for role in ("input", "user"):
        assert outcome(quick.prompt_segments, body, input_role=role) == outcome(
            segments.prompt_segments, body, input_role=role
        )
    for container in ("choices", "content", "output"):
        assert outcome(quick.answer_segments, body, container) == outcome(segments.answer_segments, body, container)
    assert outcome(quick.answer_segments, body, "choices", role="output") == outcome(
        segments.answer_segments, body, "choices", role="output"
    )


@given(BODIES, st.booleans(), st.sampled_from([(None, (",", ":")), (None, (", ", ": ")), (2, (",", ": "))]))
def test_any_body_gives_the_same_segments(body: dict[str, Any], ascii_only: bool, style: Any):
    """Issue 3: "EXACTLY the same segments (property test against the existing function)"."""
    indent, separators = style
    text = json.dumps(body, ensure_ascii=ascii_only, indent=indent, separators=separators)
    compare(text.encode("utf-8", "surrogatepass"))


@given(BODIES, st.data())
def test_any_damaged_body_too(body: dict[str, Any], data: st.DataObject):
    """Names given twice, cut or stray bytes: the same segments or the same refusal."""
    text = json.dumps(body, separators=(",", ":")).encode()
    at = data.draw(st.integers(0, len(text)))
    to = data.draw(st.integers(at, min(len(text), at + 6)))
    pieces = [b"", b'"', b",", b'"role":"user",', b'"content":"b",', b'"text":"c",', b'"finish_reason":"stop",', b"{",
              b"]", b" ", b"\xff", b"\\ud800", b"NaN", b'"index":0,', b'"message":{},', b"\x00",
              b'"logprobs":null,']  # fmt: skip
    compare(text[:at] + data.draw(st.sampled_from(pieces)) + text[to:])


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b" {} ",
        b"null",
        b'{"messages":[]}',
        b'{"messages":[{"role":"user","content":"a","content":"b"}]}',
        b'{"messages":[{"role":"user","role":"system","content":"a"}]}',
        b'{"messages":[{"role":"user","content":"a"}],"messages":[{"role":"user","content":"b"}]}',
        b'{"messages":[{"role":{"a":"x"},"content":""}]}',
        b'{"messages":[{"role":["x"],"content":[]}]}',
        b'{"messages":[{"role":"user","content":{"a":"x"}}]}',
        b'{"messages":[{"r\\u006fle":"user","content":"a"}]}',
        b'{"messages":[{"role":"us\\u0065r","content":"a"}]}',
        b'{"choices":[{"index":-0,"message":{"role":"assistant","content":"a"}}]}',
        b'{"choices":[{"index":0,"index":0,"message":{"role":"assistant","content":"a"}}]}',
        b'{"choices":[{"index":0,"message":{"role":"assistant","content":"a","refusal":"b","refusal":null}}]}',
        b'{"choices":[{"index":0,"message":{"content":"a","role":"assistant"},"finish_reason":"stop"}],"choices":[]}',
        b'{"model":"\xff","messages":[]}',
        b'{"thinking":{"a":' + b"[" * 5000 + b"]" * 5000 + b"}}",
    ],
)
def test_what_could_fool_it(body: bytes):
    compare(body)


@example(messages=[{"role": "user", "content": "a"}])
@given(MESSAGES)
def test_repeated_members_are_found_by_size(messages: list[dict[str, Any]]):
    """A name given twice yields both values, because nobody knows which one the provider takes."""
    text = json.dumps({"messages": messages}, separators=(",", ":")).encode()
    compare(text.replace(b'"content":', b'"content":"x","content":'))
    compare(text.replace(b'"role":', b'"role":"x","role":'))
