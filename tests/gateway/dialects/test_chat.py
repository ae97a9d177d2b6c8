"""Chat completions and completions: limits, the usage event, and the quirks of compatible providers."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dialects.chat import ChatDialect, ChatStream, CompletionsDialect
from gateway.errors import BadRequest
from gateway.facts import Reading, Usage
from gateway.operations import accept

CHAT = accept("POST", "/v1/chat/completions")
COMPLETIONS = accept("POST", "/v1/completions")


def dump(value: object) -> bytes:
    return json.dumps(value).encode()


def read(**fields: Any) -> Reading:
    return ChatDialect().read(CHAT, dump({"model": "m", "messages": [], **fields}))


def feed(chunks: list[Any], **reading: Any) -> tuple[ChatStream, list[bool]]:
    stream = ChatDialect().stream(Reading(model="m", stream=True, **reading))
    return stream, [stream.event(b"", chunk if isinstance(chunk, bytes) else dump(chunk)) for chunk in chunks]


def content(text: str | None, index: int = 0, finish: str | None = None, **more: Any) -> dict[str, Any]:
    choice = {"index": index, "delta": {"content": text}, "finish_reason": finish}
    return {"choices": [choice], "usage": None, **more}


TOLD = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}


def test_read():
    assert read() == Reading(model="m")
    assert read(stream=None, n=None, max_tokens=None, stream_options=None, service_tier=None) == Reading(model="m")
    assert read(stream=True, n=2, max_tokens=7, service_tier="flex") == Reading(
        model="m", stream=True, max_output_tokens=7, choices=2, service_tier="flex"
    )
    assert read(max_completion_tokens=0).max_output_tokens == 0
    assert read(max_tokens=5, max_completion_tokens=9).max_output_tokens == 9
    assert read(stream=True, stream_options={"include_usage": True}).wants_usage_event
    assert not read(stream=True, stream_options={"include_usage": None, "include_obfuscation": False}).wants_usage_event


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"stream": "true"}, "stream"),
        ({"stream": 1}, "stream"),
        ({"n": "2"}, "n"),
        ({"n": 0}, "n"),
        ({"n": 1.5}, "n"),
        ({"max_tokens": -1}, "max_tokens"),
        ({"max_tokens": "9"}, "max_tokens"),
        ({"max_completion_tokens": 10**30}, "max_completion_tokens"),
        ({"stream_options": []}, "stream_options"),
        ({"stream_options": {"include_usage": "yes"}}, "stream_options.include_usage"),
        ({"service_tier": 1}, "service_tier"),
        ({"model": None}, "model"),
        ({"model": ""}, "model"),
    ],
)
def test_wrong_fields_name_themselves(fields: dict[str, Any], param: str):
    with pytest.raises(BadRequest) as caught:
        read(**fields)
    assert caught.value.param == param


@pytest.mark.parametrize(
    ("prompt", "n", "best_of", "choices"),
    [
        ("a", None, None, 1),
        ("a", 2, 5, 5),
        (["a", "b"], 3, None, 6),
        ([1, 2, 3], 2, None, 2),
        ([[1, 2], [3]], 1, None, 2),
        ([], None, None, 1),
        (None, None, None, 1),
        (["a"] * 11_000, 2, None, 10_000),
    ],
)
def test_choices_of_completions(prompt: object, n: int | None, best_of: int | None, choices: int):
    body = dump({"model": "m", "prompt": prompt, "n": n, "best_of": best_of})
    assert CompletionsDialect().read(COMPLETIONS, body).choices == choices


def test_usage_is_asked_for_only_on_streams_and_only_if_wanted():
    dialect = ChatDialect()
    body = dump({"model": "m", "stream": True})
    reading = dialect.read(CHAT, body)
    assert json.loads(dialect.rewrite(reading, body, "m"))["stream_options"] == {"include_usage": True}
    assert dialect.rewrite(reading, body, "m", ask_usage=False) is body
    asked = dump({"model": "m", "stream": True, "stream_options": {"include_usage": True}})
    assert dialect.rewrite(dialect.read(CHAT, asked), asked, "m") is asked
    unary = dump({"model": "m"})
    assert dialect.rewrite(dialect.read(CHAT, unary), unary, "m") is unary
    more = dump(
        {"model": "m", "stream": True, "stream_options": {"include_obfuscation": False, "include_usage": False}}
    )
    after = json.loads(dialect.rewrite(dialect.read(CHAT, more), more, "up"))
    assert after == {
        "model": "up",
        "stream": True,
        "stream_options": {"include_obfuscation": False, "include_usage": True},
    }


def test_an_ordinary_stream():
    stream, passed = feed(
        [
            content(""),
            content("Hel"),
            content("lo"),
            content(None, finish="stop"),
            {"choices": [], "usage": TOLD},
            b"[DONE]",
        ]
    )
    assert stream.text() == "Hello"
    assert stream.finished
    assert not stream.failed
    assert stream.usage == Usage(input_tokens=3, output_tokens=2)
    assert passed == [True, True, True, True, False, True]


def test_the_usage_event_is_passed_on_to_who_asked():
    _, passed = feed([{"choices": [], "usage": TOLD}], wants_usage_event=True)
    assert passed == [True]


def test_usage_on_a_chunk_with_text_is_taken_and_the_chunk_passed_on():
    stream, passed = feed([content("x", finish="stop", usage=TOLD)])
    assert passed == [True]
    assert stream.usage is not None


def test_cumulative_usage_the_last_wins():
    chunks = [content("x", usage={**TOLD, "completion_tokens": n}) for n in (1, 2, 3)]
    stream, passed = feed([*chunks, {"choices": None, "usage": {**TOLD, "completion_tokens": 4}}])
    assert stream.usage is not None
    assert stream.usage.output_tokens == 4
    assert passed == [True, True, True, False]


def test_a_choiceless_event_without_usage_is_passed_on():
    _, passed = feed(
        [{"choices": [], "prompt_filter_results": []}, {"choices": None}, {}, {"choices": [], "usage": {}}]
    )
    assert passed == [True] * 4


def test_all_choices_must_finish():
    stream, _ = feed([content("a", 0, "stop")], choices=2)
    assert not stream.finished
    stream.event(b"", dump(content(None, 0, "stop")))
    assert not stream.finished
    stream.event(b"", dump(content(None, 1, "length")))
    assert stream.finished
    fewer, _ = feed([content("a", 0, "stop"), b"[DONE]"], choices=2)
    assert fewer.finished


def test_every_kind_of_text_counts():
    deltas: list[dict[str, Any]] = [
        {"reasoning_content": "a"},
        {"reasoning": "b"},
        {"reasoning": "c", "reasoning_content": "c"},
        {"refusal": "d"},
        {"tool_calls": [{"index": 0, "function": {"name": "f", "arguments": '{"'}}]},
        {"tool_calls": [{"index": 0, "custom": {"input": "e"}}, {"index": 1, "function": {"arguments": "f"}}]},
        {"function_call": {"arguments": "g"}},
        {"audio": {"id": "x", "transcript": "h", "data": "AAAA"}},
        {"content": None, "role": "assistant"},
    ]
    stream, _ = feed([{"choices": [{"index": 0, "delta": delta}]} for delta in deltas])
    assert stream.text() == 'abcd{"efgh'


def test_parts_as_content_and_other_odd_types_are_still_understood():
    parts = [{"type": "thinking", "thinking": [{"type": "text", "text": "a"}]}, {"type": "text", "text": "b"}]
    stream, passed = feed(
        [
            {"choices": [{"delta": {"content": parts}}], "usage": None},
            {"choices": [{"index": "0", "delta": {"content": "c"}, "finish_reason": "stop"}], "usage": TOLD},
            {"choices": [7], "usage": TOLD},
            {"choices": "none", "service_tier": 9, "usage": None},
            b" [DONE] ",
            b"not json",
        ]
    )
    assert stream.text() == "abc"
    assert stream.usage is not None
    assert stream.finished
    assert all(passed)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        (b"", b'{"error":{"message":"x"}}'),
        (b"", b'{"error":"x"}'),
        (b"error", b'{"message":"x"}'),
        (b"error", b"x"),
        (b"", b'{"error":{"message":"x"},"choices":7}'),
    ],
)
def test_error_events(name: bytes, data: bytes):
    stream, _ = feed([])
    assert stream.event(name, data)
    assert stream.failed
    assert not stream.finished


def test_no_error():
    stream, _ = feed([{"error": None, "choices": []}, {"error": {}, "choices": []}])
    assert not stream.failed


def test_the_tier_that_served():
    stream, _ = feed([content("a", service_tier=None), content("a", service_tier="default"), content("b")])
    assert stream.service_tier == "default"


def test_completions_stream():
    stream = CompletionsDialect().stream(Reading(model="m", choices=2))
    for index in (0, 1):
        stream.event(
            b"", dump({"choices": [{"index": index, "text": "ab", "finish_reason": "stop", "logprobs": None}]})
        )
    assert stream.text() == "abab"
    assert stream.finished


@given(st.lists(st.text(st.characters(codec="utf-8"), min_size=1, max_size=5)))
def test_text_is_what_was_delivered(pieces: list[str]):
    stream, _ = feed([content(piece) for piece in pieces])
    assert stream.text() == "".join(pieces)


PIECES = st.one_of(
    st.sampled_from(
        [" token", "a", '"', "\\", "\n", "é", "\u2028", "\ud83d\ude00", "", '","finish_reason":"stop', "\x7f"]
    ),
    st.text(max_size=8),
)
EVENTS = st.one_of(
    PIECES.map(content),
    PIECES.map(lambda text: content(text, index=1)),
    PIECES.map(lambda text: content(text, service_tier="flex")),
    PIECES.map(lambda text: {"choices": [{"index": 0, "delta": {"content": text, "reasoning": "because"}}]}),
    PIECES.map(lambda text: {"choices": [{"index": 0, "delta": {'x"content': text, "content": text}}]}),
    PIECES.map(lambda text: content(text, finish="stop")),
    st.just({"choices": [], "usage": TOLD}),
    st.just({"error": {"message": "no"}}),
)


@given(st.lists(EVENTS, max_size=12), st.booleans(), st.booleans())
def test_what_was_learned_of_one_event_changes_nothing_about_the_next(
    events: list[Any], compact: bool, ascii_only: bool
) -> None:
    """A reader that remembers what surrounds the text says of every stream what one without a memory says."""
    separators = (",", ":") if compact else (", ", ": ")
    raw = [
        json.dumps(event, separators=separators, ensure_ascii=ascii_only).encode("utf-8", "replace") for event in events
    ]
    reading = Reading(model="m", stream=True)
    quick, plain = ChatStream(reading), ChatStream(reading)
    for data in raw:
        plain._lessons = 0
        assert quick.event(b"", data) == plain.event(b"", data)
    state = [(s.text(), s.usage, s.finished, s.failed, s.service_tier) for s in (quick, plain)]
    assert state[0] == state[1]


@given(EVENTS.filter(lambda event: "choices" in event), st.lists(PIECES), st.booleans())
def test_a_listener_is_told_texts_and_knows_what_it_would_of_the_events(
    event: dict[str, Any], texts: list[str], padded: bool
) -> None:
    """`StreamReader.listener`: it "takes the text of an event in place of the event", for data that "may differ in
    padding"."""
    reading = Reading(model="m", stream=True)
    told, shown = ChatStream(reading), ChatStream(reading)

    def dense(value: object) -> bytes:
        return json.dumps(value, separators=(",", ":")).encode()

    def data(text: str, padding: str) -> bytes:
        more = {"obfuscation": padding} if padded else {}
        return dense(event | more).replace(b'"content":"%b"' % inner, b'"content":"%b"' % dense(text)[1:-1])

    inner = dense(event["choices"][0]["delta"].get("content", ""))[1:-1] if event["choices"] else b""
    first = dense(event | ({"obfuscation": "xyz"} if padded else {}))
    told.event(b"", first)
    shown.event(b"", first)
    at = first.find(b'"content":"') + len(b'"content":"')
    listener = told.listener(first[:at], first[at + len(inner) :])
    assert told.listener(b"", first) is None
    if listener is None:
        assert not inner or event["choices"][0].get("finish_reason") or first.count(b'content":"') > 1 or b"\\" in inner
        return
    for number, text in enumerate(filter(None, texts)):
        listener(text)
        assert shown.event(b"", data(text, "ab" * number))
    state = [(s.text(), s.usage, s.finished, s.failed, s.service_tier) for s in (told, shown)]
    assert state[0] == state[1]
