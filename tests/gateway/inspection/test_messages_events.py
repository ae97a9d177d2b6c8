"""Streamed Anthropic messages, as the official client puts them together."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.inspection.rewriters import Rewriters
from guardrails.engine import PolicyEngine
from guardrails.scanner import Scanner
from guardrails.vault import Vault
from tests.gateway.inspection.helpers import Clients, Hoarder, Masker, Passer, cut, mask, objects, rewritten, sse
from tests.gateway.inspection.test_beside import ENGINE
from tests.support.detectors import ReGate

CLIENTS = Clients()
SHARED = Rewriters()
TEXTS = st.text(alphabet=st.sampled_from('ab1 2@.é𝄞"\\\n'), max_size=30)
CUTS = st.lists(st.integers(0, 40), max_size=6)
INSPECTORS = st.sampled_from([Masker, Hoarder])
START = {
    "type": "message_start",
    "message": {
        "id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [], "stop_reason": None,
        "stop_sequence": None, "usage": {"input_tokens": 25, "output_tokens": 1},
    },
}  # fmt: skip
END = (
    {
        "type": "message_delta",
        "delta": {"stop_reason": "end_turn", "stop_sequence": None},
        "usage": {"output_tokens": 15},
    },
    {"type": "message_stop"},
)


def begin(block: dict[str, Any], index: int = 0) -> dict[str, Any]:
    return {"type": "content_block_start", "index": index, "content_block": block}


def delta(kind: str, name: str, text: Any, index: int = 0) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": {"type": kind, name: text}}


def stop(index: int = 0) -> dict[str, Any]:
    return {"type": "content_block_stop", "index": index}


def stream(*events: Any) -> bytes:
    return sse(START, {"type": "ping"}, *events, named=True)


@settings(max_examples=60, deadline=None)
@given(TEXTS, TEXTS, CUTS, INSPECTORS)
def test_whatever_way_a_text_is_cut_the_client_has_what_masking_the_whole_gives(
    text: str, thought: str, at: list[int], inspector: type[Masker]
):
    """Issue 3 section 6: "For every stream and every way of cutting it into events: concatenated output equals the
    batch result on the whole text"."""
    arguments = json.dumps({"to": text, "n": 17})
    events = [
        begin({"type": "thinking", "thinking": "", "signature": ""}),
        *[delta("thinking_delta", "thinking", piece) for piece in cut(thought, at)],
        delta("signature_delta", "signature", "c2lnMTIz"), stop(),
        begin({"type": "text", "text": ""}, 1),
        *[delta("text_delta", "text", piece, 1) for piece in cut(text, at)], stop(1),
        begin({"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}}, 2),
        delta("input_json_delta", "partial_json", "", 2),
        *[delta("input_json_delta", "partial_json", piece, 2) for piece in cut(arguments, at)], stop(2),
    ]  # fmt: skip
    got = CLIENTS.message(rewritten("messages", stream(*events, *END), inspector(), SHARED))
    assert got.content[0].thinking == mask(thought)
    assert got.content[0].signature == "c2lnMTIz"
    assert got.content[1].text == mask(text)
    assert got.content[2].input == json.loads(mask(arguments, json_text=True))
    assert (got.stop_reason, got.usage.output_tokens, got.usage.input_tokens) == ("end_turn", 15, 25)


@given(TEXTS, CUTS)
def test_what_is_not_changed_keeps_its_bytes(text: str, at: list[int]):
    given_ = stream(
        begin({"type": "text", "text": ""}), *[delta("text_delta", "text", one) for one in cut(text, at)], stop(), *END
    )
    assert rewritten("messages", given_, Passer(), SHARED) == given_


def test_what_is_held_comes_before_the_stop_and_empty_deltas_are_not_sent():
    out = objects(rewritten("messages", stream(
        begin({"type": "text", "text": "a 1"}), delta("text_delta", "text", "2"), stop(), *END)))  # fmt: skip
    assert [one["type"] for one in out] == ["message_start", "ping", "content_block_start", "content_block_delta",
                                            "content_block_stop", "message_delta", "message_stop"]  # fmt: skip
    assert out[2]["content_block"] == {"type": "text", "text": "a "}
    assert out[3] == delta("text_delta", "text", "##")


def test_a_block_without_its_stop_is_flushed_by_the_end():
    out = objects(
        rewritten("messages", stream(begin({"type": "text", "text": ""}), delta("text_delta", "text", "12"), *END))
    )
    assert out[3] == delta("text_delta", "text", "##")
    assert out[4]["type"] == "message_delta"


def test_blocks_that_come_whole_citations_and_events_nobody_knows():
    result = {
        "type": "web_search_tool_result",
        "tool_use_id": "srv_12",
        "content": [
            {
                "type": "web_search_result",
                "title": "of a@b.c",
                "url": "https://x.y/12",
                "encrypted_content": "E12",
                "page_age": "1 day",
            }
        ],
    }
    events = [
        begin(result), stop(),
        begin({"type": "redacted_thinking", "data": "EmwKAhgB12"}, 1), stop(1),
        begin({"type": "tool_use", "id": "t", "name": "f", "input": {"q": ["a@b.c"], "id": "77"}}, 2), stop(2),
        begin({"type": "text", "text": "", "citations": []}, 3),
        delta("citations_delta", "citation", {"type": "char_location", "cited_text": "call 12", "index": 0}, 3),
        delta("new_delta", "surprise", "n 12", 3), stop(3),
        {"type": "brand_new", "index": 4, "note": {"id": "for 12"}},
    ]  # fmt: skip
    out = objects(rewritten("messages", stream(*events, *END)))
    assert out[2]["content_block"]["content"][0] == {"type": "web_search_result", "title": "of <MAIL>",
        "url": "https://x.y/##", "encrypted_content": "E12", "page_age": "# day"}  # fmt: skip
    assert out[4]["content_block"]["data"] == "EmwKAhgB12"
    assert out[6]["content_block"]["input"] == {"q": ["<MAIL>"], "id": "##"}
    assert out[9]["delta"]["citation"]["cited_text"] == "call ##"
    assert out[10]["delta"]["surprise"] == "n ##"
    assert out[12]["note"] == {"id": "for ##"}


def test_numbers_in_a_tools_input_that_comes_whole_are_text():
    """As in whole answers; a member there may have any name."""
    given = {"card": 4111, "n": [1.5e2, True, None], "logprobs": ["for 12"]}
    events = [begin({"type": "tool_use", "id": "t1", "name": "f", "input": given}), stop()]
    for _ in range(3):
        out = objects(rewritten("messages", stream(*events, *END), Masker(), SHARED))
        assert out[2]["content_block"]["input"] == {
            "card": "####", "n": ["###.#", True, None], "logprobs": ["for ##"]}  # fmt: skip
        assert (out[2]["content_block"]["id"], out[2]["index"]) == ("t1", 0)


def test_pseudonyms_are_put_back_in_the_names_of_an_input_that_comes_whole():
    """As in whole answers; what a rule would have another name for still ends the stream."""
    vault = Vault(b"s" * 16)
    name, shared = 'o"neil@site.co', Rewriters()
    token = str(vault.placeholder(name))

    def said(named: Any, engine: PolicyEngine) -> list[Any]:
        events = [begin({"type": "tool_use", "id": "t", "name": "f", "input": named}), stop(), *END]
        return objects(rewritten("messages", stream(*events), engine.stream("messages", vault=vault), shared))

    for engine in (ENGINE, PolicyEngine([], Scanner([], gate=ReGate), key=b"k" * 16)) * 3:
        out = said({token: {"note": token, token.lower(): 1}}, engine)
        assert out[2]["content_block"]["input"] == {name: {"note": name, name: 1}}
    out = said({token: 1, "ann@site.co": 2}, ENGINE)
    assert out[-2]["delta"]["stop_reason"] == "refusal"
    assert "ann@" not in json.dumps(out)


def test_after_an_error_nothing_held_is_sent():
    """An error or abort never flushes raw text."""
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "busy with a@b.c"}}
    out = objects(rewritten("messages", stream(
        begin({"type": "text", "text": ""}), delta("text_delta", "text", "hello 12"), error)))  # fmt: skip
    assert out[3] == delta("text_delta", "text", "hello ")
    assert out[4]["error"] == {"type": "overloaded_error", "message": "busy with <MAIL>"}
    assert len(out) == 5


@settings(max_examples=40, deadline=None)
@given(st.text(alphabet="ab 1", max_size=8), CUTS, INSPECTORS)
def test_a_block_in_mid_stream_ends_as_the_dialect_does(before: str, at: list[int], inspector: type[Masker]):
    """Issue 3 section 6: "what was safe is out, then the dialect's proper end"; for Anthropic that is the stop reason
    `refusal`."""
    events = [
        begin({"type": "text", "text": ""}),
        *[delta("text_delta", "text", one) for one in cut(f"{before} BLOCK", at)],
        stop(),
    ]
    out = rewritten("messages", stream(*events, *END), inspector(), SHARED)
    got = CLIENTS.message(out)
    assert got.stop_reason == "refusal"
    assert got.stop_details.explanation == "blocked by policy"
    assert mask(before + " ").startswith(got.content[0].text)
    assert got.usage.output_tokens == 1
    assert [one["type"] for one in objects(out)][-3:] == ["content_block_stop", "message_delta", "message_stop"]
    assert b"BLOCK" not in out


@pytest.mark.parametrize("text", ["BLOCK ", "a BLOCK "])
def test_a_block_at_the_start_of_a_content_block_leaves_it_out(text: str):
    out = objects(rewritten("messages", stream(begin({"type": "text", "text": text}))))
    assert [one["type"] for one in out] == ["message_start", "ping", "message_delta", "message_stop"]


@pytest.mark.parametrize("inspector", [Masker, Hoarder])
def test_a_thought_is_complete_before_its_signature(inspector: type[Masker]):
    """ "A block's texts end with `content_block_stop`, and a thinking block's with its signature.\""""
    said = [
        begin({"type": "thinking", "thinking": "", "signature": ""}),
        *(delta("thinking_delta", "thinking", each) for each in ("I think a@b", ".co is", " right")),
        delta("signature_delta", "signature", "EqQB"),
        stop(),
        *END,
    ]
    for _ in range(3):
        told = objects(rewritten("messages", stream(*said), inspector(), SHARED))
        kinds = [each["delta"]["type"] for each in told if each["type"] == "content_block_delta"]
        assert kinds == sorted(kinds, reverse=True)
        text = "".join(each["delta"].get("thinking", "") for each in told if each["type"] == "content_block_delta")
        assert text == mask("I think a@b.co is right")


def test_the_stop_sequence_is_the_clients_own_and_passes():
    end = ({**END[0], "delta": {"stop_reason": "stop_sequence", "stop_sequence": "a@b.co"}}, END[1])
    said = [begin({"type": "text", "text": ""}), delta("text_delta", "text", "x"), stop(), *end]
    told = objects(rewritten("messages", stream(*said)))
    assert next(each for each in told if each["type"] == "message_delta")["delta"]["stop_sequence"] == "a@b.co"


@pytest.mark.parametrize("inspector", [Masker, Hoarder])
def test_a_text_that_comes_whole_is_not_cut(inspector: type[Masker]):
    """A `compaction_delta` holds the whole summary, and clients keep the last one they get; a tool's result comes with
    the block's start, and no delta is known that would add to it."""
    events = stream(
        begin({"type": "compaction", "content": None, "encrypted_content": None}),
        {
            "type": "content_block_delta",
            "index": 0,
            "delta": {"type": "compaction_delta", "content": "ask ab12@x.y now"},
        },
        stop(),
        begin({"type": "mcp_tool_result", "tool_use_id": "m_1", "is_error": False, "content": "ask ab12@x.y now"}, 1),
        stop(1),
        *END,
    )
    got = objects(rewritten("messages", events, inspector(), SHARED))
    texts = [event["delta"]["content"] for event in got if event.get("delta", {}).get("type") == "compaction_delta"]
    assert texts == [mask("ask ab12@x.y now")]
    begun = [event["content_block"]["content"] for event in got if event["type"] == "content_block_start"]
    assert begun == [None, mask("ask ab12@x.y now")]
    assert {event["delta"].get("type") for event in got if "delta" in event} == {"compaction_delta", None}


def test_a_payload_that_is_not_encoded_is_text():
    """As in whole answers."""
    for _ in range(3):
        for data, expected in (("EmwKAhgB12", "EmwKAhgB12"), ("to a@b.c", "to <MAIL>")):
            events = [begin({"type": "redacted_thinking", "data": data}), stop(), *END]
            out = objects(rewritten("messages", stream(*events), Masker(), SHARED))
            assert [one["content_block"]["data"] for one in out if "content_block" in one] == [expected]


def test_what_a_message_begins_with_is_judged_as_in_a_whole_one():
    """`stop_details` and members that nobody knows; not its ids and settings (`gateway/wire/answers.py`)."""
    begun = {**START["message"], "stop_details": {"explanation": "a 1 b"}, "note": "1", "model": "m1"}
    out = rewritten("messages", sse({**START, "message": begun}, *END, named=True), Masker(), SHARED)
    told = objects(out)[0]["message"]
    assert (told["stop_details"], told["note"], told["model"]) == ({"explanation": mask("a 1 b")}, mask("1"), "m1")


def test_a_number_in_the_place_of_a_text_is_one():
    """As in whole answers (`gateway/dialects/segments.py`)."""
    out = rewritten(
        "messages", stream(begin({"type": "text", "text": ""}), delta("text_delta", "text", 212), stop(), *END)
    )
    told = [each["delta"]["text"] for each in objects(out) if each["type"] == "content_block_delta"]
    assert "".join(told) == mask("212")
    assert mask("212") != "212"
