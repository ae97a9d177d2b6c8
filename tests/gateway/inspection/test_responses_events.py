"""Streamed OpenAI Responses, as the official client puts them together."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.inspection.rewriters import Rewriters
from tests.gateway.inspection.helpers import Clients, Hoarder, Masker, Passer, cut, mask, objects, rewritten, sse

CLIENTS = Clients()
SHARED = Rewriters()
TEXTS = st.text(alphabet=st.sampled_from('ab1 2@.é𝄞"\\\n'), max_size=30)
CUTS = st.lists(st.integers(0, 40), max_size=6)
INSPECTORS = st.sampled_from([Masker, Hoarder])


def response(status: str, output: list[Any], **more: Any) -> dict[str, Any]:
    return {
        "id": "resp_12", "object": "response", "created_at": 1, "status": status, "model": "m", "output": output,
        "instructions": "call 12", "parallel_tool_calls": True, "tool_choice": "auto", "tools": [], "error": None,
        "incomplete_details": None, "metadata": {"mail": "a@b.c"}, **more,
    }  # fmt: skip


def numbered(events: list[dict[str, Any]]) -> bytes:
    return sse(*[{**event, "sequence_number": at} for at, event in enumerate(events)], named=True)


def message(text: str, at: list[int], index: int = 0) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The events of a message item, and the item."""
    where = {"item_id": f"msg_{index}", "output_index": index, "content_index": 0}
    part = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
    item = {"id": f"msg_{index}", "type": "message", "role": "assistant", "status": "completed", "content": [part]}
    return [
        {"type": "response.output_item.added", "output_index": index,
         "item": {**item, "status": "in_progress", "content": []}},
        {"type": "response.content_part.added", **where, "part": {**part, "text": ""}},
        *[{"type": "response.output_text.delta", **where, "delta": piece, "logprobs": [], "obfuscation": "xyz"}
          for piece in cut(text, at)],
        {"type": "response.output_text.done", **where, "text": text, "logprobs": []},
        {"type": "response.content_part.done", **where, "part": part},
        {"type": "response.output_item.done", "output_index": index, "item": item},
    ], item  # fmt: skip


def call(arguments: str, at: list[int], index: int = 1) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    where = {"item_id": f"fc_{index}", "output_index": index}
    item = {"id": f"fc_{index}", "type": "function_call", "call_id": "call_12", "name": "f", "arguments": arguments,
            "status": "completed"}  # fmt: skip
    return [
        {"type": "response.output_item.added", "output_index": index,
         "item": {**item, "arguments": "", "status": "in_progress"}},
        *[{"type": "response.function_call_arguments.delta", **where, "delta": piece} for piece in cut(arguments, at)],
        {"type": "response.function_call_arguments.done", **where, "name": "f", "arguments": arguments},
        {"type": "response.output_item.done", "output_index": index, "item": item},
    ], item  # fmt: skip


def reasoning(text: str, at: list[int], index: int) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    where = {"item_id": f"rs_{index}", "output_index": index, "summary_index": 0}
    part = {"type": "summary_text", "text": text}
    item = {"id": f"rs_{index}", "type": "reasoning", "summary": [part], "encrypted_content": "gAAAA12"}
    kind = "response.reasoning_summary_"
    return [
        {"type": "response.output_item.added", "output_index": index, "item": {**item, "summary": []}},
        {"type": kind + "part.added", **where, "part": {**part, "text": ""}},
        *[{"type": kind + "text.delta", **where, "delta": piece} for piece in cut(text, at)],
        {"type": kind + "text.done", **where, "text": text},
        {"type": kind + "part.done", **where, "part": part},
        {"type": "response.output_item.done", "output_index": index, "item": item},
    ], item  # fmt: skip


def begun() -> list[dict[str, Any]]:
    return [{"type": "response.created", "response": response("in_progress", [])},
            {"type": "response.in_progress", "response": response("in_progress", [])}]  # fmt: skip


def whole(text: str, arguments: str, thought: str, at: list[int]) -> bytes:
    parts = [reasoning(thought, at, 0), message(text, at, 1), call(arguments, at, 2)]
    usage = {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3,
             "input_tokens_details": {"cached_tokens": 0},
             "output_tokens_details": {"reasoning_tokens": 0}}  # fmt: skip
    done = response("completed", [item for _, item in parts], usage=usage)
    events = (
        begun()
        + [event for events, _ in parts for event in events]
        + [{"type": "response.completed", "response": done}]
    )
    return numbered(events)


@settings(max_examples=50, deadline=None)
@given(TEXTS, TEXTS, CUTS, INSPECTORS)
def test_whatever_way_a_text_is_cut_the_client_has_what_masking_the_whole_gives(
    text: str, thought: str, at: list[int], inspector: type[Masker]
):
    """Issue 3 section 6: "concatenated output equals the batch result on the whole text", and `content_part.done` and
    `output_text.done` full texts are rewritten consistently."""
    arguments = json.dumps({"to": text, "n": 17})
    out = rewritten("responses", whole(text, arguments, thought, at), inspector(), SHARED)
    events = CLIENTS.response(out)
    final = events[-1].response
    assert final.output_text == mask(text)
    assert final.output[0].summary[0].text == mask(thought)
    assert final.output[2].arguments == mask(arguments, json_text=True)
    assert final.usage.total_tokens == 3
    told = objects(out)
    assert [one["sequence_number"] for one in told] == list(range(len(told)))
    for kind, done, field, wanted in (
        ("response.output_text", "response.output_text.done", "text", mask(text)),
        ("response.function_call_arguments", "response.function_call_arguments.done", "arguments",
         mask(arguments, json_text=True)),
        ("response.reasoning_summary_text", "response.reasoning_summary_text.done", "text", mask(thought)),
    ):  # fmt: skip
        assert "".join([one["delta"] for one in told if one["type"] == kind + ".delta"]) == wanted
        assert [one[field] for one in told if one["type"] == done] == [wanted]
    items = [one["item"] for one in told if one["type"] == "response.output_item.done"]
    assert items == told[-1]["response"]["output"]
    assert [one["part"] for one in told if one["type"] == "response.content_part.done"] == items[1]["content"]


@settings(max_examples=30, deadline=None)
@given(TEXTS, CUTS)
def test_what_is_not_changed_keeps_its_bytes(text: str, at: list[int]):
    stream = whole(text, "{}", text, at)
    assert rewritten("responses", stream, Passer(), SHARED) == stream


def test_what_the_client_sent_itself_is_not_rewritten():
    (created, *_) = objects(rewritten("responses", numbered(begun())))
    assert created["response"]["instructions"] == "call 12"
    assert created["response"]["metadata"] == {"mail": "a@b.c"}


def test_a_text_that_no_deltas_made_up_is_judged_by_itself():
    events, item = message("mail a@b.c", [])
    events = [event for event in events if not event["type"].endswith((".delta", "text.done"))]
    out = objects(
        rewritten(
            "responses",
            numbered([*begun(), *events, {"type": "response.completed", "response": response("completed", [item])}]),
        )
    )
    texts = [out[-1]["response"]["output"][0], out[-2]["item"]]
    assert [one["content"][0]["text"] for one in texts] == ["mail <MAIL>"] * 2


def test_each_text_is_judged_once():
    """Findings would be counted twice otherwise."""
    inspector = Masker()
    rewritten("responses", whole("mail a@b.c", '{"a":1}', "thought", [3]), inspector)
    assert sorted(inspector.seen.values()).count("mail a@b.c") == 1


def test_logprobs_of_changed_texts_are_dropped():
    events, item = message("call 12 ", [5])
    probs = [{"token": "call ", "logprob": -0.1, "top_logprobs": []}]
    item["content"][0]["logprobs"] = probs
    for event in events:
        if "logprobs" in event:
            event["logprobs"] = [{**probs[0], "token": event.get("delta", "call 12 ")}]
    out = objects(rewritten("responses", numbered([*begun(), *events])))
    deltas = [one for one in out if one["type"] == "response.output_text.delta"]
    assert [(one["delta"], one["logprobs"]) for one in deltas] == [("call ", probs), ("## ", [])]
    assert [one["logprobs"] for one in out if one["type"] == "response.output_text.done"] == [[]]
    assert out[-1]["item"]["content"][0] == {
        "type": "output_text",
        "text": "call ## ",
        "annotations": [],
        "logprobs": [],
    }


def test_ids_that_change_with_every_event_do_not_cut_a_text():
    events, _ = message("a@b.c ", [1, 2, 3])
    for at, event in enumerate(events):
        if "item_id" in event:
            event["item_id"] = f"id{at}"
    out = objects(rewritten("responses", numbered(events)))
    assert "".join(one["delta"] for one in out if one["type"].endswith(".delta")) == "<MAIL> "


def test_tool_items_annotations_and_sound():
    audio = {"type": "response.audio.delta", "delta": "QUE12", "output_index": 0}
    shell = {"type": "response.shell_call_output_content.delta", "output_index": 1, "delta": {"stdout": "at 12"}}
    search = {
        "id": "ws_1",
        "type": "web_search_call",
        "status": "completed",
        "action": {"type": "search", "query": "a@b.c"},
    }
    item = {"type": "response.output_item.done", "output_index": 2, "item": search}
    note = {
        "type": "response.output_text.annotation.added",
        "output_index": 3,
        "annotation": {"type": "url_citation", "title": "for 12"},
    }
    image = {"type": "response.image_generation_call.partial_image", "partial_image_b64": "QUE12", "output_index": 4}
    out = objects(rewritten("responses", numbered([audio, shell, item, note, image])))
    assert out[0] == {**audio, "sequence_number": 0}
    assert out[1]["delta"] == {"stdout": "at "}
    assert out[2]["item"]["action"]["query"] == "<MAIL>"
    assert out[3]["annotation"]["title"] == "for ##"
    assert out[4]["partial_image_b64"] == "QUE12"
    assert out[5]["delta"] == {"stdout": "##"}
    assert [one["sequence_number"] for one in out] == list(range(6))


def test_an_event_of_our_own_repeats_no_other_text_of_its_model():
    event = {"type": "response.output_text.delta", "output_index": 0, "delta": "a 12", "note": "a@b.c"}
    out = objects(rewritten("responses", numbered([event])))
    assert out[1] == {"type": "response.output_text.delta", "output_index": 0, "sequence_number": 1, "delta": "##"}


def test_after_a_failure_nothing_held_is_sent():
    """An error or abort never flushes raw text; what the failure tells is judged whole."""
    events, item = message("hello 12", [])
    failed = response("failed", [item], error={"code": "server_error", "message": "for a@b.c"})
    out = objects(
        rewritten("responses", numbered([*begun(), *events[:3], {"type": "response.failed", "response": failed}]))
    )
    assert [one["delta"] for one in out if one["type"].endswith(".delta")] == ["hello "]
    assert out[-1]["response"]["error"]["message"] == "for <MAIL>"
    assert out[-1]["response"]["output"][0]["content"][0]["text"] == "hello ##"


@settings(max_examples=40, deadline=None)
@given(st.text(alphabet="ab 1", max_size=8), CUTS, INSPECTORS)
def test_a_block_in_mid_stream_ends_as_the_dialect_does(before: str, at: list[int], inspector: type[Masker]):
    """Issue 3 section 6: "what was safe is out, then the dialect's proper end": `response.incomplete` with the reason
    `content_filter`."""
    first, _ = message("fine 1", at, 0)
    second, _ = message(f"{before} BLOCK", at, 1)
    out = rewritten("responses", numbered([*begun(), *first, *second]), inspector(), SHARED)
    last = CLIENTS.response(out)[-1]
    assert last.type == "response.incomplete"
    assert (last.response.status, last.response.incomplete_details.reason) == ("incomplete", "content_filter")
    told = objects(out)
    assert [one["sequence_number"] for one in told] == list(range(len(told)))
    sent = "".join(one["delta"] for one in told if one["type"].endswith("text.delta") and one["output_index"] == 1)
    assert mask(before + " ").startswith(sent)
    assert [one.content[0].text for one in last.response.output] == ["fine #", sent]
    assert [one.status for one in last.response.output] == ["completed", "incomplete"]
    assert [one["type"].removeprefix("response.") for one in told][-4:] == [
        "output_text.done", "content_part.done", "output_item.done", "incomplete"]  # fmt: skip
    assert b"BLOCK" not in out


def test_a_tool_call_that_is_not_whole_is_left_out_of_a_blocked_response():
    events, _ = call('{"a":"BLOCK"}', [4], 0)
    out = objects(rewritten("responses", numbered([*begun(), *events])))
    assert out[-1]["response"]["output"] == []
    assert out[-1]["type"] == "response.incomplete"


@pytest.mark.parametrize("number", ["1.5", "1e3", "-1", "1e"])
def test_a_strange_sequence_number_is_no_defect(number: str):
    """It is passed on as it is; what is no number at all makes the event unreadable."""
    plain = {"type": "response.output_text.delta", "sequence_number": 1, "output_index": 0, "delta": "mail a@b.c "}
    stream = sse(plain, plain, plain)
    out = rewritten(
        "responses", stream + sse(plain).replace(b'"sequence_number":1', b'"sequence_number":%b' % number.encode())
    )
    assert (b'"sequence_number":%b,' % number.encode() in out) is (number != "1e")
