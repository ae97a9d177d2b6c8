"""What is read of plain bodies is what the reference reads of them, and nothing else is taken for plain."""

import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.dialects.segments import answer_segments, prompt_segments
from gateway.dialects.spoken import answered, asked

WORDS = st.text('ab é"\\/\n{}[]:,', max_size=12) | st.sampled_from(
    ['"content"', '"role":', 'x","content":"y', "\\u0061", "choices", "\x7f", "text"]
)
ODD = st.sampled_from(
    [None, True, 1, 0.5, [], {}, "", "text", ["a"], {"role": "user"}, [{"type": "text", "text": "t"}]]
)
MESSAGE = st.fixed_dictionaries(
    {
        "role": st.sampled_from(["user", "system", "developer", "assistant", "tool", "function", "other"]),
        "content": WORDS,
    }
)
SETTINGS = "temperature max_tokens n stream stream_options user system store seed reasoning_effort verbosity thinking"
EXTRA = st.dictionaries(
    st.sampled_from([*SETTINGS.split(), "tools", "metadata", "stop", "name", "role", "content", "messages", "new"]),
    ODD | WORDS,
    max_size=3,
)
REQUEST = st.tuples(st.lists(MESSAGE | st.fixed_dictionaries({"role": WORDS, "content": ODD}), max_size=3), EXTRA).map(
    lambda pair: {"model": "m", "messages": pair[0], **pair[1]}
)
CHOICE = st.tuples(
    WORDS | ODD,
    st.dictionaries(st.sampled_from(["refusal", "annotations", "tool_calls", "audio", "reasoning"]), ODD, max_size=2),
    st.dictionaries(st.sampled_from(["index", "logprobs", "finish_reason", "delta"]), ODD, max_size=2),
).map(lambda parts: {"message": {"role": "assistant", "content": parts[0], **parts[1]}, **parts[2]})
ABOUT_NAMES = "id object created model usage system_fingerprint service_tier provider citations logprobs"
ABOUT = st.dictionaries(
    st.sampled_from(ABOUT_NAMES.split()),
    ODD | WORDS,
    max_size=4,
)
CHAT = st.tuples(ABOUT, st.lists(CHOICE, max_size=2)).map(lambda pair: {**pair[0], "choices": pair[1]})
BLOCK = st.fixed_dictionaries({"type": st.sampled_from(["text", "thinking"]), "text": WORDS | ODD})
SAID = st.tuples(ABOUT, st.lists(BLOCK, max_size=2)).map(
    lambda pair: {**pair[0], "type": "message", "content": pair[1]}
)


def written(value: Any, form: int) -> bytes:
    """As JSON's writers differ: with and without blanks, and with escapes."""
    return json.dumps(value, separators=(", ", ": ") if form & 1 else (",", ":"), ensure_ascii=form > 1).encode()


def doubled(body: bytes, name: bytes) -> bytes:
    """The first member of that name once more, with another value."""
    return body.replace(b'"%b":' % name, b'"%b":"another","%b":' % (name, name), 1)


def texts(found: list[tuple[str, bytes]]) -> list[tuple[str, str]]:
    return sorted((role, text) for role, raw in found if (text := json.loads(raw)))


@settings(max_examples=400)
@given(REQUEST, st.integers(0, 3), st.sampled_from([b"", b"role", b"content", b"user"]))
@example({"model": "m", "messages": [{"role": "user", "content": "a"}], "system": "s", "user": "u"}, 0, b"")
@example({"model": "m", "messages": [{"role": "user", "content": "a"}]}, 0, b"content")
def test_a_request_has_the_texts_the_reference_finds(value: Any, form: int, twice: bytes) -> None:
    body = doubled(written(value, form), twice) if twice else written(value, form)
    found = asked("chat.completions", body)
    if found is not None:
        assert texts(found) == sorted((each.role, each.text) for each in prompt_segments(body))


@settings(max_examples=400)
@given(CHAT, st.integers(0, 3), st.sampled_from([b"", b"choices", b"message", b"content", b"id"]))
def test_a_chat_answer_has_the_texts_the_reference_finds(value: Any, form: int, twice: bytes) -> None:
    body = doubled(written(value, form), twice) if twice else written(value, form)
    found = answered("chat.completions", body)
    if found is not None:
        assert texts(found) == sorted((each.role, each.text) for each in answer_segments(body, "choices"))
        assert not any(choice.get("logprobs") for choice in json.loads(body)["choices"])


@settings(max_examples=400)
@given(SAID, st.integers(0, 3), st.sampled_from([b"", b"content", b"text", b"type"]))
def test_an_answer_of_messages_has_the_texts_the_reference_finds(value: Any, form: int, twice: bytes) -> None:
    body = doubled(written(value, form), twice) if twice else written(value, form)
    found = answered("messages", body)
    if found is not None:
        assert texts(found) == sorted((each.role, each.text) for each in answer_segments(body, "content"))


def test_what_sdks_and_providers_write_is_plain() -> None:
    request = {
        "model": "m",
        "messages": [{"role": "developer", "content": "Be kind."}, {"role": "user", "content": 'Say "hé"\n'}],
        "temperature": 0.2,
        "max_completion_tokens": 9,
        "stream_options": {"include_usage": True},
        "user": "jane",
    }
    assert asked("chat.completions", written(request, 0)) == [
        ("system", b'"Be kind."'), ("user", '"Say \\"hé\\"\\n"'.encode()), ("input", b'"jane"'),
    ]  # fmt: skip
    message = {"role": "assistant", "content": "Hé", "refusal": None, "annotations": []}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    answer = {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": usage}
    assert answered("chat.completions", written(answer | {"service_tier": "default"}, 0)) == [
        ("assistant", '"Hé"'.encode())
    ]
    said = {
        "id": "m",
        "type": "message",
        "role": "assistant",
        "model": "c",
        "content": [{"type": "text", "text": "Hi"}],
    }
    assert answered(
        "messages", written(said | {"stop_reason": "end_turn", "stop_sequence": None, "usage": usage}, 0)
    ) == [("assistant", b'"Hi"')]


@pytest.mark.parametrize(
    "body",
    [
        b"", b"[1]", b'{"choices":[', b'{"choices":[{"message":{"role":"assistant","content":"\xff"}}]}', b"[" * 5000,
        b'{"choices":[{"message":{"role":"assistant","content":"\\u0061"}}]}',
        b'{"choices":[{"message":{"role":"assistant","content":"a"},"logprobs":{"content":[]}}]}',
        b'{"choices":[{"message":{"role":"assistant","content":"a","cont\\u0065nt":"b"}}]}',
        b'{"choices":[{"message":{"role":"assistant","content":null}}]}',
    ],
)  # fmt: skip
def test_what_is_not_plain_is_left_to_others(body: bytes) -> None:
    assert answered("chat.completions", body) is None
    assert answered("messages", body) is None
    assert asked("chat.completions", body) is None


@pytest.mark.parametrize(
    ("settings", "plain"),
    [
        ('"thinking":{"type":"enabled","budget_tokens":9}', True),
        ('"stream_options":{"include_usage":true}', True),
        ('"thinking":{"type":"a","type":"enabled"}', False),
        ('"thinking":{"type":{"a":"b"}}', False),
        ('"thinking":{"type":"enabled","note":"a"}', False),
        ('"stream_options":{"include_usage":true,"note":"a"}', False),
        ('"jane@example.com":1', False),
    ],
)
def test_settings_are_plain_where_no_text_can_be_in_them(settings: str, plain: bool) -> None:
    body = f'{{"model":"m","messages":[{{"role":"user","content":"a"}}],{settings}}}'.encode()
    assert asked("messages", body) == ([("user", b'"a"')] if plain else None)
    assert ([each.text for each in prompt_segments(body)] == ["a"]) is plain


def test_other_operations_are_left_to_others() -> None:
    assert asked("embeddings", b'{"model":"m","messages":[]}') is None
    assert answered("responses", b'{"choices":[]}') is None
