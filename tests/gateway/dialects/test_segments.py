"""Text surfaces: nothing that a model or a provider reads as text may be missing."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dialects.segments import answer_segments, json_segments, prompt_segments
from gateway.errors import BadRequest, UpstreamBroken


def prompt(body: dict[str, Any], **options: str) -> dict[str, tuple[str, str]]:
    return {found.path: (found.role, found.text) for found in prompt_segments(json.dumps(body).encode(), **options)}


def answer(body: dict[str, Any], container: str) -> dict[str, tuple[str, str]]:
    return {found.path: (found.role, found.text) for found in answer_segments(json.dumps(body).encode(), container)}


def test_chat():
    body = {
        "model": "m",
        "temperature": 0.5,
        "reasoning_effort": "low",
        "messages": [
            {"role": "developer", "content": "a"},
            {"role": "user", "name": "bob", "content": [
                {"type": "text", "text": "b"},
                {"type": "image_url", "image_url": {"url": "https://x/y?q=1", "detail": "low"}},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
                {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
                {"type": "file", "file": {"file_data": "data:application/pdf;base64,AAAA", "filename": "c.pdf"}},
            ]},
            {"role": "assistant", "content": None, "refusal": "d", "tool_calls": [
                {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"k": "e"}'}},
                {"id": "call_2", "type": "custom", "custom": {"name": "g", "input": "h"}},
            ]},
            {"role": "tool", "tool_call_id": "call_1", "content": "i"},
            {"role": "function", "name": "f", "content": [{"type": "text", "text": "j"}]},
            {"role": "stranger", "content": "k"},
        ],
        "tools": [{"type": "function", "function": {
            "name": "f", "description": "l",
            "parameters": {"type": "object", "properties": {
                "k": {"type": "string", "description": "m", "enum": ["n"]}}},
        }}, {"type": "custom", "custom": {"name": "g", "format": {"type": "grammar", "definition": "o"}}}],
        "response_format": {"type": "json_schema", "json_schema": {"name": "p", "schema": {"title": "q"}}},
        "prediction": {"type": "content", "content": "r"},
        "stop": ["s"],
        "user": "t",
        "metadata": {"u": "v"},
    }  # fmt: skip
    schema = "tools[0].function.parameters"
    assert prompt(body) == {
        "messages[0].content": ("system", "a"),
        "messages[1].name": ("user", "bob"),
        "messages[1].content[0].text": ("user", "b"),
        "messages[1].content[1].image_url.url": ("user", "https://x/y?q=1"),
        "messages[1].content[4].file.filename": ("user", "c.pdf"),
        "messages[2].refusal": ("assistant", "d"),
        "messages[2].tool_calls[0].function.name": ("assistant", "f"),
        "messages[2].tool_calls[0].function.arguments": ("assistant", '{"k": "e"}'),
        "messages[2].tool_calls[1].custom.name": ("assistant", "g"),
        "messages[2].tool_calls[1].custom.input": ("assistant", "h"),
        "messages[3].content": ("tool", "i"),
        "messages[4].name": ("tool", "f"),
        "messages[4].content[0].text": ("tool", "j"),
        "messages[5].content": ("user", "k"),
        "tools[0].function.name": ("system", "f"),
        "tools[0].function.description": ("system", "l"),
        schema + "{}": ("system", "type\nproperties"),
        schema + ".type": ("system", "object"),
        schema + ".properties{}": ("system", "k"),
        schema + ".properties.k{}": ("system", "type\ndescription\nenum"),
        schema + ".properties.k.type": ("system", "string"),
        schema + ".properties.k.description": ("system", "m"),
        schema + ".properties.k.enum[0]": ("system", "n"),
        "tools[1].custom.name": ("system", "g"),
        "tools[1].custom.format.definition": ("system", "o"),
        "response_format.json_schema.name": ("system", "p"),
        "response_format.json_schema.schema{}": ("system", "title"),
        "response_format.json_schema.schema.title": ("system", "q"),
        "prediction.content": ("input", "r"),
        "stop[0]": ("input", "s"),
        "user": ("input", "t"),
        "metadata{}": ("input", "u"),
        "metadata.u": ("input", "v"),
    }


def test_numbers_in_the_place_of_texts():
    """Some servers take `"content": 4111111111111111` as a text."""
    part = {"type": "text", "text": 4222222222222}
    body = {
        "max_tokens": 100000,
        "user": 1234567890,
        "messages": [{"role": "user", "content": 4111111111111111}, {"role": "user", "content": [part]}],
    }
    assert prompt(body) == {
        "user": ("input", "1234567890"),
        "messages[0].content": ("user", "4111111111111111"),
        "messages[1].content[0].text": ("user", "4222222222222"),
    }


def test_settings_that_hold_texts():
    """Anthropic's `compact_20260112` takes instructions for the one who summarizes."""
    edits = [{"type": "compact_20260112", "instructions": "a", "trigger": {"type": "input_tokens", "value": 150000}}]
    body = {
        "context_management": {"edits": edits},
        "container": {"id": "c", "skills": [{"type": "custom", "skill_id": "b", "version": "latest"}]},
        "thinking": {"type": "enabled", "budget_tokens": 5},
        "reasoning": "high",
    }
    assert prompt(body) == {
        "context_management.edits[0].instructions": ("system", "a"),
        "context_management.edits[0].trigger{}": ("system", "type\nvalue"),
        "context_management.edits[0].trigger.type": ("system", "input_tokens"),
        "container.skills[0].skill_id": ("system", "b"),
        "container.skills[0].version": ("system", "latest"),
    }


def test_names_that_no_api_has_are_text_wherever_they_stand():
    """As in streams: `scan.is_open`."""
    odd = {"a@b.co": 1, "role": "user", "content": "c"}
    body = {"model": "m", "4111 1": 2, "messages": [odd, {"role": "user", "content": "d"}]}
    assert prompt(body) == {
        "{}": ("input", "model\n4111 1\nmessages"),
        "messages[0]{}": ("user", "a@b.co\nrole\ncontent"),
        "messages[0].content": ("user", "c"),
        "messages[1].content": ("user", "d"),
    }
    assert answer({"id": "x", "a@b.co": "e", "choices": [{"f g": None}]}, "choices") == {
        "{}": ("assistant", "id\na@b.co\nchoices"),
        '["a@b.co"]': ("assistant", "e"),
        "choices[0]{}": ("assistant", "f g"),
    }
    assert answer({"a@b.co": "e", "output": []}, "output") == {}, "what a response tells again is the client's own"
    assert [each.path for each in json_segments(b'{"model":"m","a b":1,"n":2}')] == ["{}", '["a b"]', "n"]


def test_anthropic():
    body = {
        "model": "m",
        "system": [{"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}],
        "messages": [
            {"role": "user", "content": [
                {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "b"}, "title": "c"},
                {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "AAAA"}},
                {"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": "d"}]}},
                {"type": "search_result", "source": "e", "title": "f", "content": [{"type": "text", "text": "g"}]},
            ]},
            {"role": "assistant", "content": [
                {"type": "thinking", "thinking": "h", "signature": "zzz"},
                {"type": "redacted_thinking", "data": "zzz"},
                {"type": "tool_use", "id": "toolu_1", "name": "i",
                 "input": {"id": "j", "n": 4111111111111111, "b": True}},
            ]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "toolu_1", "content": "k"},
                {"type": "tool_result", "tool_use_id": "toolu_1", "content": [{"type": "text", "text": "l"}]},
                {"type": "text", "text": "m"},
            ]},
        ],
        "tools": [{"name": "i", "description": "n", "input_schema": {"minimum": 3}}],
        "thinking": {"type": "enabled", "budget_tokens": 5},
        "metadata": {"user_id": "o"},
    }  # fmt: skip
    assert prompt(body) == {
        "system[0].text": ("system", "a"),
        "messages[0].content[0].source.data": ("user", "b"),
        "messages[0].content[0].title": ("user", "c"),
        "messages[0].content[2].source.content[0].text": ("user", "d"),
        "messages[0].content[3].source": ("tool", "e"),
        "messages[0].content[3].title": ("tool", "f"),
        "messages[0].content[3].content[0].text": ("tool", "g"),
        "messages[1].content[0].thinking": ("assistant", "h"),
        "messages[1].content[2].name": ("assistant", "i"),
        "messages[1].content[2].input{}": ("assistant", "id\nn\nb"),
        "messages[1].content[2].input.id": ("assistant", "j"),
        "messages[1].content[2].input.n": ("assistant", "4111111111111111"),
        "messages[2].content[0].content": ("tool", "k"),
        "messages[2].content[1].content[0].text": ("tool", "l"),
        "messages[2].content[2].text": ("user", "m"),
        "tools[0].name": ("system", "i"),
        "tools[0].description": ("system", "n"),
        "tools[0].input_schema{}": ("system", "minimum"),
        "metadata{}": ("input", "user_id"),
        "metadata.user_id": ("input", "o"),
    }


def test_responses():
    body = {
        "model": "m",
        "instructions": "a",
        "input": [
            {"role": "user", "content": [
                {"type": "input_text", "text": "b"}, {"type": "input_image", "image_url": "data:;base64,x"}]},
            {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "c"},
            {"type": "function_call_output", "call_id": "c1", "output": "d"},
            {"type": "custom_tool_call_output", "call_id": "c1", "output": [{"type": "input_text", "text": "e"}]},
            {"type": "reasoning", "summary": [{"type": "summary_text", "text": "f"}], "encrypted_content": "zzz"},
            {"type": "local_shell_call", "action": {"type": "exec", "command": ["g"], "env": {"K": "h"}}},
            {"type": "item_reference", "id": "msg_1"},
        ],
        "prompt": {"id": "pmpt_1", "variables": {"who": "i"}},
        "text": {"format": {"type": "json_schema", "name": "j", "schema": {"description": "k"}}},
        "previous_response_id": "resp_1",
    }  # fmt: skip
    found = prompt(body, input_role="user")
    assert found == {
        "instructions": ("system", "a"),
        "input[0].content[0].text": ("user", "b"),
        "input[1].name": ("assistant", "f"),
        "input[1].arguments": ("assistant", "c"),
        "input[2].output": ("tool", "d"),
        "input[3].output[0].text": ("tool", "e"),
        "input[4].summary[0].text": ("assistant", "f"),
        "input[5].action{}": ("assistant", "type\ncommand\nenv"),
        "input[5].action.type": ("assistant", "exec"),
        "input[5].action.command[0]": ("assistant", "g"),
        "input[5].action.env{}": ("assistant", "K"),
        "input[5].action.env.K": ("assistant", "h"),
        "prompt.variables{}": ("user", "who"),
        "prompt.variables.who": ("user", "i"),
        "text.format.name": ("system", "j"),
        "text.format.schema{}": ("system", "description"),
        "text.format.schema.description": ("system", "k"),
    }
    assert prompt({"input": "x"}, input_role="user") == {"input": ("user", "x")}


def test_completions_prompts():
    assert prompt({"prompt": ["a", "b"], "suffix": "c"}) == {
        "prompt[0]": ("input", "a"),
        "prompt[1]": ("input", "b"),
        "suffix": ("input", "c"),
    }
    assert prompt({"prompt": [1, 2, 3]}) == {}


def test_answers():
    chat = {"id": "x", "model": "m", "choices": [
        {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "a", "tool_calls": [
            {"id": "c", "type": "function", "function": {"name": "f", "arguments": "b"}}]},
            "logprobs": {"content": [{"token": "a"}]}},
        {"index": 1, "message": {"role": "assistant", "content": "c", "audio": {"data": "AAAA", "transcript": "d"}}},
    ], "usage": {"prompt_tokens": 1}}  # fmt: skip
    assert answer(chat, "choices") == {
        "choices[0].message.content": ("assistant", "a"),
        "choices[0].message.tool_calls[0].function.name": ("assistant", "f"),
        "choices[0].message.tool_calls[0].function.arguments": ("assistant", "b"),
        "choices[1].message.content": ("assistant", "c"),
        "choices[1].message.audio.transcript": ("assistant", "d"),
    }
    anthropic = {"content": [{"type": "text", "text": "a"}, {"type": "tool_use", "name": "f", "input": {"k": "b"}}]}
    assert answer(anthropic, "content")["content[1].input.k"] == ("assistant", "b")
    responses = {"instructions": "echo", "output": [
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "a", "annotations": []}]},
        {"type": "image_generation_call", "result": "AAAA"}]}  # fmt: skip
    assert answer(responses, "output") == {"output[0].content[0].text": ("assistant", "a")}


def test_both_values_of_a_name_given_twice_are_seen():
    body = b'{"messages":[{"role":"user","content":"a","content":"b"},{"type":"text","type":"base64","data":"c"}]}'
    texts = [segment.text for segment in prompt_segments(body)]
    assert {"a", "b", "c"} <= set(texts)


def test_unknown_members_are_text_whatever_their_names():
    found = prompt(
        {"messages": [{"role": "user", "content": [{"type": "new", "json": {"id": "a", "type": "b"}}]}], "new": "c"}
    )
    assert {text for _, text in found.values()} == {"a", "b", "c", "id\ntype"}


def test_odd_names_are_quoted():
    assert prompt({"metadata": {"a b": "x", 'q"': "y", "é": "z"}}) == {
        "metadata{}": ("input", 'a b\nq"\né'),
        'metadata["a b"]': ("input", "x"),
        'metadata["q\\""]': ("input", "y"),
        'metadata["é"]': ("input", "z"),
    }


def test_lone_surrogates_can_be_encoded_afterwards():
    for segments in (prompt_segments(b'{"a":"x\\ud800"}'), answer_segments(b'{"a":"x\\uD800"}', "a")):
        assert [segment.text for segment in segments] == ["x\ufffd"]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"1", b"\xff", b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"])
def test_what_cannot_be_read_is_refused(body: bytes):
    with pytest.raises(BadRequest):
        prompt_segments(body)
    if body not in (b"[]", b"1"):
        with pytest.raises(UpstreamBroken):
            answer_segments(body, "choices")


texts = st.text(st.characters(codec="utf-8"), min_size=1, max_size=6)
trees = st.recursive(
    texts, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3), max_leaves=10
)


def leaves(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, list):
        return [leaf for item in value for leaf in leaves(item)]
    return [leaf for item in value.values() for leaf in leaves(item)] if isinstance(value, dict) else []


@given(trees)
def test_every_leaf_of_free_text_is_found_once(tree: Any):
    body = {"messages": [{"role": "user", "content": [{"type": "tool_result", "content": {"json": tree}}]}]}
    found = [segment.text for segment in prompt_segments(json.dumps(body).encode()) if not segment.path.endswith("{}")]
    assert sorted(found) == sorted(leaves(tree))


def test_bodies_nothing_is_known_about():
    """Whatever a provider adds tomorrow is scanned, not missed."""
    body = b'{"model":"m","prompt":"a","options":{"id":"b","size":4111},"list":["c\\ud800"],"n":7}'
    assert [(one.path, one.text) for one in json_segments(body)] == [
        ("prompt", "a"), ("options{}", "id\nsize"), ("options.id", "b"), ("options.size", "4111"),
        ("list[0]", "c\ufffd"), ("n", "7"),
    ]  # fmt: skip
    for wrong in (b"[]", b"", b'{"a":' + b"[" * 100_000):
        with pytest.raises(BadRequest):
            json_segments(wrong)


@pytest.mark.parametrize(
    ("part", "texts"),
    [
        ({"type": "file", "file": {"file_data": "JVBERi0xLjQK", "filename": "a.pdf"}}, ["a.pdf"]),
        ({"type": "file", "file": {"file_data": "of jane@example.com"}}, ["of jane@example.com"]),
        (
            {"type": "document", "source": {"type": "base64", "media_type": "text/plain", "data": "to jane"}},
            ["to jane"],
        ),
        ({"type": "redacted_thinking", "data": "EmwKAhgB_-+/="}, []),
        ({"type": "redacted_thinking", "data": "4111 1111"}, ["4111 1111"]),
        ({"type": "redacted_thinking", "data": {"note": "x"}}, ["note", "x"]),
    ],
)
def test_a_payload_that_is_not_encoded_is_text(part: dict, texts: list[str]):
    """ "Others are text, whatever is said of them.\""""
    body = json.dumps({"messages": [{"role": "user", "content": [part]}]}).encode()
    assert [each.text for each in prompt_segments(body)] == texts


def test_what_stands_beside_the_container_of_an_answer_is_text():
    beside = {"id": "i", "model": "m", "created": 1, "usage": {"total_tokens": 1}, "citations": ["https://x/?a@b"],
              "search_results": [{"title": "a@b"}], "new": "a@b"}  # fmt: skip
    assert set(answer(beside | {"choices": []}, "choices")) == {
        "citations[0]", "search_results[0]{}", "search_results[0].title", "new",
    }  # fmt: skip
    told = {"instructions": "a@b", "metadata": {"a": "a@b"}, "output": [], "output_text": "a@b"}
    assert set(answer(told, "output")) == {"output_text"}
