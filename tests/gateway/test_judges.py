"""Which form a request asks for, in every dialect, and answers judged by it."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dialects import for_operation
from gateway.facts import Segment
from gateway.judges import (
    MOST_PROMPT,
    json_schema,
    prompt_leak,
    silences,
    streamed_silence,
    system_prompt,
    thoughts,
    wanted,
)
from gateway.settings.outside_rules import LeakConfig

SCHEMA = {"type": "object", "required": ["a"]}


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}}}, (True, SCHEMA)),
        ({"response_format": {"type": "json_object"}}, (True, None)),
        ({"response_format": {"type": "text"}}, (False, None)),
        ({"text": {"format": {"type": "json_schema", "name": "n", "schema": SCHEMA}}}, (True, SCHEMA)),
        ({"text": {"format": {"type": "json_object"}}}, (True, None)),
        ({"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}}, (True, SCHEMA)),
        ({"output_format": {"type": "json_schema", "schema": SCHEMA}}, (True, SCHEMA)),
        ({"text": {"verbosity": "low"}}, (False, None)),
        ({"response_format": "json"}, (False, None)),
        ({}, (False, None)),
    ],
)
def test_every_dialects_way_of_asking(asked: dict[str, Any], expected: object) -> None:
    assert wanted(json.dumps(asked).encode()) == expected


@given(st.binary() | st.recursive(st.none() | st.text(), lambda inner: st.dictionaries(
    st.sampled_from(["response_format", "text", "format", "type", "schema", "json_schema"]), inner)).map(
        lambda value: json.dumps(value).encode()))  # fmt: skip
def test_nothing_a_client_sends_breaks_it(body: bytes) -> None:
    assert wanted(body)[0] in (True, False)


@pytest.mark.parametrize(
    ("path", "streamed", "judged"),
    [
        ("choices[0].message.content", False, True),
        ("choices[1].message.content[0].text", False, True),
        ("choices[0].message.reasoning_content", False, False),
        ("choices[0].message.tool_calls[0].function.arguments#0", False, False),
        ("output[2].content[0].text", False, True),
        ("content[0].text", False, True),
        ("error.message", False, False),
        ("delta/content.0", True, True),
        ("delta/reasoning_content.0", True, False),
        ("response.output_text.0.0.", True, True),
        ("text.0", True, True),
        ("thinking.0", True, False),
        ("whole.3", True, False),
    ],
)
def test_only_what_was_asked_for_is_judged(path: str, streamed: bool, judged: bool) -> None:
    sent = json.dumps({"response_format": {"type": "json_object"}}).encode()
    report = json_schema(sent, [Segment(path, "assistant", "no JSON")], streamed=streamed)
    assert [(each.type, each.path) for each in report.findings] == ([("INVALID_JSON", path)] if judged else [])


PROMPT = "never tell anybody that the vault behind the green door opens with the old brass key"


@pytest.mark.parametrize(
    ("operation", "body"),
    [
        ("chat.completions", {"messages": [{"role": "system", "content": PROMPT}]}),
        ("chat.completions", {"messages": [{"role": "developer", "content": [{"type": "text", "text": PROMPT}]}]}),
        ("responses", {"instructions": PROMPT, "input": "hi"}),
        ("responses", {"input": [{"role": "system", "content": PROMPT}]}),
        ("messages", {"system": PROMPT, "messages": [{"role": "user", "content": "hi"}]}),
        ("messages", {"system": [{"type": "text", "text": PROMPT}]}),
    ],
)
def test_every_dialects_system_prompt(operation: str, body: dict[str, Any]) -> None:
    sent = json.dumps({"model": "m", **body}).encode()
    said = [Segment("x", "assistant", f"Well: {PROMPT}!"), Segment("y", "assistant", "it is late")]
    report = prompt_leak(LeakConfig(), system_prompt(for_operation(operation), sent), said)
    assert [(each.path, each.type, each.start) for each in report.findings] == [("x", "SYSTEM_PROMPT_LEAK", 6)]


def test_tools_and_users_are_no_system_prompt() -> None:
    tool = {"type": "function", "function": {"name": "f", "description": PROMPT}}
    sent = json.dumps({"messages": [{"role": "user", "content": PROMPT}], "tools": [tool]}).encode()
    said = [Segment("x", "assistant", PROMPT), Segment("y", "assistant", "the canary sings")]
    prompt = system_prompt(for_operation("chat.completions"), sent)
    assert prompt == ""
    report = prompt_leak(LeakConfig(("canary",)), prompt, said)
    assert [(each.path, each.rule) for each in report.findings] == [("y", "leak.canary")]


def test_a_prompt_is_bounded_and_one_that_cannot_be_read_is_none() -> None:
    dialect = for_operation("chat.completions")
    sent = json.dumps({"messages": [{"role": "system", "content": "word " * MOST_PROMPT}]}).encode()
    assert len(system_prompt(dialect, sent)) == MOST_PROMPT
    assert system_prompt(dialect, b'{"messages": ' + b"[" * 100_000) == ""


FORM = b'{"response_format":{"type":"json_object"}}'
EMPTY, TEXT = {"type": "text", "text": ""}, {"type": "text", "text": "{}"}


def silent(**answer: Any) -> list[str]:
    return silences(FORM, json.dumps(answer).encode())


@pytest.mark.parametrize(
    ("message", "more", "is_silent"),
    [
        ({"content": ""}, {}, True),
        ({"content": None}, {"finish_reason": "length"}, True),
        ({"content": "", "reasoning_content": "hm"}, {}, True),
        ({"content": "{}"}, {}, False),
        ({"content": None, "tool_calls": [{}]}, {}, False),
        ({"content": None, "refusal": "no"}, {}, False),
        ({"content": ""}, {"finish_reason": "content_filter"}, False),
    ],
)
def test_a_choice_without_a_text_is_no_json(message: dict[str, Any], more: dict[str, Any], is_silent: bool) -> None:
    choices = [{"message": {"content": "{}"}}, {"message": message, **more}]
    assert silent(choices=choices) == (["choices[1].message.content"] if is_silent else [])
    assert silences(b"{}", json.dumps({"choices": choices}).encode()) == [], "nobody asked for any"


def test_responses_and_messages_without_a_text() -> None:
    thought = {"type": "reasoning", "content": [{"type": "reasoning_text", "text": "hm"}]}
    said = {"type": "message", "content": [{"type": "output_text", "text": ""}]}
    assert silent(status="incomplete", output=[thought]) == ["output[0].content[0].text"]
    assert silent(status="completed", output=[thought, said]) == ["output[0].content[0].text"]
    assert silent(status="failed", output=[]) == []
    assert silent(status="completed", output=[thought, {"type": "function_call"}]) == []
    said["content"][0]["text"] = "{}"
    assert silent(status="completed", output=[thought, said]) == []
    assert silent(stop_reason="max_tokens", content=[EMPTY, {"type": "thinking"}]) == ["content[0].text"]
    assert silent(stop_reason="refusal", content=[]) == []
    assert silent(stop_reason="tool_use", content=[{"type": "tool_use"}]) == []
    assert silent(stop_reason="end_turn", content=[TEXT]) == []
    assert silent(error={"message": "x"}) == []


def test_streams_without_a_text() -> None:
    thought = Segment("delta/reasoning_content.0", "assistant", "hm")
    assert streamed_silence(FORM, "chat.completions", b"", [thought]) == ["delta/content.0"]
    assert streamed_silence(FORM, "chat.completions", b'"finish_reason": "content_filter"', []) == []
    assert streamed_silence(FORM, "messages", b'{"stop_reason":"refusal"}', []) == []
    assert streamed_silence(FORM, "messages", b"", [Segment("whole.1", "assistant", "act")]) == []
    assert streamed_silence(b"{}", "messages", b"", []) == []
    assert streamed_silence(FORM, "embeddings", b"", []) == []


def test_a_response_may_think_in_prose() -> None:
    items = [{"type": "reasoning", "content": [{"text": "hm"}]}, {"type": "message", "content": [{"text": "{}"}]}]
    beside = thoughts(json.dumps({"output": items}).encode())
    said = [Segment(f"output[{at}].content[0].text", "assistant", text) for at, text in enumerate(("hm", "{}"))]
    assert beside == ("output[0].",)
    assert json_schema(FORM, said, streamed=False).flagged
    assert not json_schema(FORM, said, streamed=False, beside=beside).flagged
    assert thoughts(b"[") == ()
