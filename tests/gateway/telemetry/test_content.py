"""What of a conversation a span tells, and how much of it."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.facts import Content, Operation
from gateway.telemetry.content import MESSAGE, MOST_BODY, OMITTED, TRUNCATED, bounded, content_fields
from gateway.telemetry.transcript import Message, Part
from guardrails.interface import Verdict
from tests.gateway.telemetry.test_spans import exchange
from tests.support.answers import chat, message, response


def told(
    request: dict | bytes,
    answer: dict | bytes = b"",
    operation: str = "chat.completions",
    most: int = 10_000,
    **more: Any,
) -> dict[str, Any]:
    bodies = [body if isinstance(body, bytes) else json.dumps(body).encode() for body in (request, answer)]
    content = Content(bodies[0], most, True, more.pop("conceal", None), bodies[1])
    x = exchange(operation=Operation(operation, "openai"), content=content, **more)
    fields = content_fields(x)
    assert len(dict(fields)) == len(fields)
    return {name: json.loads(value) if isinstance(value, str) and value[:1] == "[" else value for name, value in fields}


def text(content: str) -> dict:
    return {"type": "text", "content": content}


def test_chat() -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "act", "arguments": '{"a": 1}'}}
    asked = [
        {"role": "system", "content": "be kind"},
        {
            "role": "user",
            "content": [{"type": "text", "text": "look"}, {"type": "image_url", "image_url": {"url": "u"}}],
        },
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "done"},
    ]
    found = told({"messages": asked}, chat("fine", "well", calls=("{}",)))
    assert found["gen_ai.input.messages"] == [
        {"role": "system", "parts": [text("be kind")]},
        {"role": "user", "parts": [text("look"), {"type": "omitted", "content": "image_url"}]},
        {"role": "assistant", "parts": [{"type": "tool_call", "id": "c1", "name": "act", "arguments": '{"a": 1}'}]},
        {"role": "tool", "parts": [{"type": "tool_call_response", "id": "c1", "response": "done"}]},
    ]
    act = {"type": "tool_call", "id": "call_0", "name": "act", "arguments": "{}"}
    assert found["gen_ai.output.messages"] == [
        {"role": "assistant", "parts": [text("fine"), act], "finish_reason": "tool_calls"},
        {"role": "assistant", "parts": [text("well")], "finish_reason": "stop"},
    ]
    assert TRUNCATED not in found


def test_messages_and_responses_keep_instructions_apart() -> None:
    use = {"type": "tool_use", "id": "t", "name": "act", "input": {"a": 1}}
    result = {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": "done"}]}
    asked = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": [use]},
        {"role": "user", "content": [result]},
    ]
    found = told({"system": [{"type": "text", "text": "be kind"}], "messages": asked}, message("fine"), "messages")
    assert found["gen_ai.system_instructions"] == [text("be kind")]
    assert [each["parts"][0]["type"] for each in found["gen_ai.input.messages"]] == [
        "text", "tool_call", "tool_call_response",
    ]  # fmt: skip
    assert found["gen_ai.output.messages"][0]["parts"] == [text("fine")]
    items = [{"role": "user", "content": [{"type": "input_text", "text": "hi"}]},
             {"type": "function_call_output", "call_id": "t", "output": "done"}]  # fmt: skip
    found = told({"instructions": "be kind", "input": items}, response("fine"), "responses")
    assert found["gen_ai.system_instructions"] == [text("be kind")]
    assert [each["role"] for each in found["gen_ai.input.messages"]] == ["user", "tool"]
    assert text("fine") in found["gen_ai.output.messages"][0]["parts"]
    found = told({"prompt": ["one", "two"]}, {"choices": [{"text": "three"}]}, "completions")
    assert [each["parts"] for each in found["gen_ai.input.messages"]] == [[text("one")], [text("two")]]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"outcome": "blocked"}, "blocked"),
        ({"request_verdict": Verdict(enforced="block")}, "blocked"),
        ({"response_verdict": Verdict(enforced="block")}, "blocked"),
    ],
)
def test_what_is_blocked_is_not_told(changes: dict[str, Any], why: str) -> None:
    assert told({"messages": [{"role": "user", "content": "canary"}]}, **changes) == {OMITTED: why}


def test_what_was_not_judged_to_its_end_and_what_is_huge() -> None:
    unjudged = exchange(content=Content(b'{"messages": [{"role": "user", "content": "canary"}]}', 100, False))
    assert content_fields(unjudged) == [(OMITTED, "unjudged")]
    assert told(b" " * (MOST_BODY + 1)) == {OMITTED: "too_large"}
    assert content_fields(exchange()) == []


def test_pseudonyms_are_put_back_before_anything_is_cut() -> None:
    found = told(
        {"messages": [{"role": "user", "content": "I am jane@example.com"}]}, most=MESSAGE + 9,
        conceal=lambda said: said.replace("jane@example.com", "PSN"),
    )  # fmt: skip
    assert found["gen_ai.input.messages"][0]["parts"] == [text("I am PSN")]


messages = st.lists(
    st.builds(
        Message, st.sampled_from(["user", "assistant"]),
        st.lists(st.text(max_size=200).map(lambda said: Part("text", {"content": said})), max_size=3),
    ), max_size=12,
)  # fmt: skip


@given(messages, st.integers(1, 500))
def test_bounds(made: list[Message], most: int) -> None:
    """ "The newest messages that have no more than `most` characters together, and whether anything was cut; what was
    says so in its place." """
    kept, cut = bounded(made, most)
    if not cut:
        assert kept == made
        return
    shown = [part.fields["content"] for each in kept for part in each.parts]
    assert any("characters cut]" in said or said.endswith("earlier messages") for said in shown)
    plain = sum(len(said.split("… [")[0]) for said in shown if not said.endswith("earlier messages"))
    assert plain <= most


@given(
    st.binary(max_size=60)
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=9),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "messages",
                        "input",
                        "content",
                        "role",
                        "type",
                        "text",
                        "choices",
                        "message",
                        "tool_calls",
                        "function",
                        "arguments",
                        "output",
                        "prompt",
                        "system",
                        "id",
                    ]
                ),
                inner,
                max_size=4,
            )
        ),
        max_leaves=20,
    ).map(lambda value: json.dumps(value).encode()),
    st.sampled_from(["chat.completions", "messages", "responses", "completions"]),
)
def test_no_body_makes_it_fail(body: bytes, operation: str) -> None:
    """ "what cannot be read is left out, never raised" """
    told(body, body, operation)
