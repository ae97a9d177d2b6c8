"""The log-probabilities of whole answers."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.dialects.segments import answer_segments
from gateway.errors import UpstreamBroken
from gateway.inspection import rewrite_segments
from gateway.inspection.told_answers import trim_of
from guardrails.stream import PolicyStream
from guardrails.vault import Vault
from tests.gateway.inspection.helpers import Passer, rewritten
from tests.gateway.inspection.test_beside import (
    ALTERNATIVE,
    CUTS,
    ENGINE,
    OPERATIONS,
    TEXTS,
    Told,
    entry,
    events_of,
    kept_of,
    read,
    stream,
)  # fmt: skip

CONTAINERS = {"responses": "output"}


def answer(operation: str, text: str, told: list[Told]) -> dict[str, Any]:
    entries = [entry(*each) for _, group in told for each in group]
    if operation == "responses":
        part = {"type": "output_text", "text": text, "annotations": [], "logprobs": entries}
        return {"output": [{"type": "message", "role": "assistant", "content": [part]}]}
    if operation == "completions":
        columns = {
            "tokens": [each["token"] for each in entries],
            "token_logprobs": [each["logprob"] for each in entries],
            "top_logprobs": [{each["token"]: -1, ALTERNATIVE: -2} for each in entries],
            "text_offset": [begins for _, group in told for _, begins in group],
        }
        return {"choices": [{"index": 0, "text": text, "logprobs": columns}]}
    logprobs = {"content": entries, "refusal": None}
    return {"choices": [{"index": 0, "message": {"content": text, "tool_calls": []}, "logprobs": logprobs}]}


def judged(operation: str, body: dict[str, Any]) -> dict[str, Any]:
    """An answer as it goes on."""
    raw = json.dumps(body).encode()
    segments = answer_segments(raw, CONTAINERS.get(operation, "choices"))
    trim = trim_of(raw, lambda: ENGINE.stream(operation), None)
    verdict = ENGINE.inspect(segments, "response", operation)
    return json.loads(rewrite_segments(trim(raw, segments) if trim else raw, verdict.rewrites))


@settings(max_examples=100, deadline=None)
@given(TEXTS, CUTS, CUTS, st.sampled_from(OPERATIONS))
def test_a_whole_answer_keeps_what_its_stream_keeps(text: str, tokens: list[int], events: list[int], operation: str):
    """Exactly the tokens that have nothing of what was masked, in order, and no alternatives; as in a stream."""
    told = events_of(text, tokens, events, operation != "completions")
    body = judged(operation, answer(operation, text, told))
    expected = kept_of(text, told)
    place = body["output"][0]["content"][0] if operation == "responses" else body["choices"][0]
    said, probs = place.get("text") or place["message"]["content"], place["logprobs"]
    if operation == "completions":
        found = list(zip((probs or {}).get("tokens", ()), (probs or {}).get("token_logprobs", ()), strict=True))
        for token, offset in zip((probs or {}).get("tokens", ()), (probs or {}).get("text_offset", ()), strict=True):
            assert said[offset:].startswith(token)
    else:
        entries = (probs or {}).get("content") or () if operation == "chat.completions" else probs
        found = [(each["token"], each["logprob"]) for each in entries]
    assert found == expected
    assert ALTERNATIVE in said or ALTERNATIVE not in json.dumps(body)
    streamed, _ = read(operation, rewritten(operation, stream(operation, told, True), ENGINE.stream(operation)))
    assert [each for _, entries in streamed for each in entries] == found


@pytest.mark.parametrize(
    "choice",
    [{"message": {"content": "fine"}}, {"message": {"content": None}}, {"message": {}}, {"text": "fine"}, {}],
)
def test_tokens_of_no_text_are_left_out(choice: dict[str, Any]):
    """Also where nothing else in the answer is anything to a rule."""
    other = [entry(b"4111 1111", 0), entry(b" 1111 1111", 9)]
    for probs in ({"content": other}, {"content": None, "refusal": other}, {"tokens": ["4111 1111", " 1111 1111"]}):
        assert judged("", {"choices": [{**choice, "logprobs": probs}]}) == {"choices": [{**choice, "logprobs": None}]}
    assert judged("", {"choices": [{**choice, "token_ids": [1, 2]}]}) == {"choices": [{**choice, "token_ids": []}]}
    spelled = b'{"choices":[{"l\\u006fgprobs":{"tokens":["4111"]}}]}'
    trim = trim_of(spelled, lambda: ENGINE.stream(""), None)
    assert trim is not None
    assert json.loads(trim(spelled, [])) == {"choices": [{"logprobs": None}]}


def test_tokens_of_a_tool_call_stay_if_all_of_it_does():
    def call(arguments: str, *tokens: str) -> Any:
        message = {"content": None, "tool_calls": [{"function": {"name": "f", "arguments": arguments}}]}
        told = {"tokens": list(tokens), "token_logprobs": [-1] * len(tokens)}
        return judged("", {"choices": [{"message": message, "logprobs": told}]})["choices"][0]["logprobs"]

    assert call('{"a": "fine"}', '{"a', '": "fine"}') == {"tokens": ['{"a', '": "fine"}'], "token_logprobs": [-1, -1]}
    assert call('{"a": "ann@site.co"}', '{"a": "', 'ann@site.co"}') is None


def test_each_of_many_choices_keeps_its_own():
    """A choice's tokens are of its texts; that they begin beyond one that is not ASCII ends nothing."""
    texts = ["é", "ann@site.co", "word"] * 100
    choices = [
        {"index": at, "message": {"content": text}, "logprobs": {"content": [entry(text.encode(), 0), entry(b"x", 9)]}}
        for at, text in enumerate(texts)
    ]
    told = [each["logprobs"] for each in judged("", {"choices": choices})["choices"]]
    kept = [[one["token"] for one in each["content"]] if each else [] for each in told]
    assert kept == [[] if "@" in text else [text] for text in texts]


def test_nothing_is_touched_where_nothing_can_happen():
    """ "None: it has none, or nothing can happen to its texts.\""""

    def stream(vault: Vault | None = None) -> PolicyStream | None:
        return ENGINE.stream("", vault=vault)

    told = b'{"choices":[{"logprobs":{"content":[]}}]}'
    assert trim_of(b'{"choices":[{"logprobs":null,"token_ids":null}]}', stream, None) is None
    assert trim_of(told, lambda: None, None) is None
    assert trim_of(told, Passer, None) is None  # type: ignore[arg-type]
    assert trim_of(told, lambda: None, stream) is not None
    assert trim_of(told, stream, None) is not None


def test_what_cannot_be_found_cannot_be_read():
    body = b'{"choices":[{"logprobs":{"content":[]},"logprobs":null}]}'
    trim = trim_of(body, lambda: ENGINE.stream(""), None)
    assert trim is not None
    with pytest.raises(UpstreamBroken, match="cannot be read"):
        trim(body, [])
