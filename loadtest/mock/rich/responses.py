"""OpenAI Responses with every output item and every event.

Shapes: https://platform.openai.com/docs/api-reference/responses-streaming, and the types of the official SDK.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from loadtest.mock.answer import Answer
from loadtest.mock.reply import Event
from loadtest.mock.rich.values import PIXEL, SOUND, cut, logprobs, obfuscation
from loadtest.mock.rich.working import at_work

_encode = msgspec.json.Encoder().encode

Fields = dict[str, Any]
_THOUGHT = "The user wants an answer. I look it up first."
_REFUSAL = "I cannot help with the rest."


class Told(msgspec.Struct):
    """One output item: as it is in the end, as it is when it is added, and the events between, as kind and fields."""

    item: Fields
    added: Fields
    events: Sequence[tuple[str, Fields]] = ()


def rich_items(answer: Answer, seq: int, names: Sequence[str]) -> list[Told]:
    """Every item, the message with the answer's text among them, and a call of each of the functions `names`."""
    worked = [Told(item, {**item, **added}, events) for item, added, events in at_work(f"mock{seq:08d}")]
    calls = [_function(seq, number, name) for number, name in enumerate(names)]
    return [_reasoning(seq), *worked, _message(answer, seq), *calls, _future(seq)]


def rich_fields() -> Fields:
    """Members of the response itself that plain answers leave out."""
    return {
        "conversation": {"id": "conv_mock"},
        "completed_at": 1717171718,
        "max_tool_calls": None,
        "prompt_cache_key": "mock-cache",
        "prompt_cache_retention": "24h",
        "safety_identifier": "user-mock",
        "top_logprobs": 1,
        "user": None,
        "x_future": {"nested": [1, 2.50, "\u00e9", None]},
    }


def rich_events(opening: Fields, final: Fields, told: Sequence[Told], answer: Answer) -> list[Event]:
    """The stream: `queued` too, item by item, sound that belongs to none, an event that no API has, the response."""
    events: list[Event] = []

    def add(kind: str, visible: int = 0, finish: bool = False, terminal: bool = False, **fields: Any) -> None:
        data = _encode({"type": kind, "sequence_number": len(events), **fields})
        events.append(Event(data, name=kind, visible=visible, finish=finish, terminal=terminal))

    add("response.created", response={**opening, "status": "queued"})
    add("response.queued", response={**opening, "status": "queued"})
    add("response.in_progress", response=opening)
    for index, one in enumerate(told):
        add("response.output_item.added", output_index=index, item=one.added)
        item_id = one.item.get("id")
        for kind, fields in one.events:
            # The commands of a shell call name no item.
            where = (
                {"output_index": index} if "shell_call_command" in kind else {"item_id": item_id, "output_index": index}
            )
            add(kind, visible=kind == "response.output_text.delta", **where, **fields)
        add("response.output_item.done", finish=index == len(told) - 1, output_index=index, item=one.item)
    for piece in cut(SOUND, 16):
        add("response.audio.delta", delta=piece)
    add("response.audio.done")
    for piece in cut(_THOUGHT, 10):
        add("response.audio.transcript.delta", delta=piece)
    add("response.audio.transcript.done")
    add("response.future_thing.delta", delta="not yet", future_index=0)
    add("response.future_thing.done", future={"text": "not yet", "numbers": [1, 2.50, -0.0, 1e3]})
    add("response.incomplete" if answer.truncated else "response.completed", terminal=True, response=final)
    return events


def _reasoning(seq: int) -> Told:
    item: Fields = {
        "id": f"rs_mock{seq:08d}",
        "type": "reasoning",
        "summary": [{"type": "summary_text", "text": _THOUGHT}],
        "content": [{"type": "reasoning_text", "text": _THOUGHT}],
        "encrypted_content": "Z0FBQUFBQm1vY2s=",
        "status": "completed",
    }
    part = {"type": "summary_text", "text": ""}
    words: Fields = {"type": "reasoning_text", "text": ""}
    events: list[tuple[str, Fields]] = [
        ("response.reasoning_summary_part.added", {"summary_index": 0, "part": part}),
        *(_piece("response.reasoning_summary_text.delta", text, summary_index=0) for text in cut(_THOUGHT, 7)),
        ("response.reasoning_summary_text.done", {"summary_index": 0, "text": _THOUGHT}),
        ("response.reasoning_summary_part.done", {"summary_index": 0, "part": {**part, "text": _THOUGHT}}),
        ("response.content_part.added", {"content_index": 0, "part": words}),
        *(_piece("response.reasoning_text.delta", text, content_index=0) for text in cut(_THOUGHT, 9)),
        ("response.reasoning_text.done", {"content_index": 0, "text": _THOUGHT}),
        ("response.content_part.done", {"content_index": 0, "part": {**words, "text": _THOUGHT}}),
    ]
    return Told(item, {**item, "summary": [], "content": [], "status": "in_progress"}, events)


def _message(answer: Answer, seq: int) -> Told:
    notes = _annotations(len(answer.text))
    said: Fields = {
        "type": "output_text",
        "annotations": notes,
        "logprobs": logprobs(answer.pieces),
        "text": answer.text,
    }
    silent: Fields = {**said, "annotations": [], "logprobs": [], "text": ""}
    refused: Fields = {"type": "refusal", "refusal": _REFUSAL}
    item: Fields = {
        "id": f"msg_mock{seq:08d}",
        "type": "message",
        "status": "incomplete" if answer.truncated else "completed",
        "role": "assistant",
        "phase": "final_answer",
        "content": [said, refused],
    }
    events: list[tuple[str, Fields]] = [("response.content_part.added", {"content_index": 0, "part": silent})]
    for piece in answer.pieces:
        events.append(
            _piece("response.output_text.delta", piece, content_index=0, logprobs=logprobs([piece], shown=True))
        )
    events += [
        ("response.output_text.annotation.added", {"content_index": 0, "annotation_index": number, "annotation": note})
        for number, note in enumerate(notes)
    ]
    events += [
        ("response.output_text.done", {"content_index": 0, "text": answer.text, "logprobs": []}),
        ("response.content_part.done", {"content_index": 0, "part": said}),
        ("response.content_part.added", {"content_index": 1, "part": {**refused, "refusal": ""}}),
        *(_piece("response.refusal.delta", text, content_index=1) for text in cut(_REFUSAL, 8)),
        ("response.refusal.done", {"content_index": 1, "refusal": _REFUSAL}),
        ("response.content_part.done", {"content_index": 1, "part": refused}),
    ]
    return Told(item, {**item, "status": "in_progress", "content": []}, events)


def _annotations(end: int) -> list[Fields]:
    spans = {"start_index": 0, "end_index": end}
    return [
        {"type": "url_citation", **spans, "title": "A road", "url": "https://example.com/a?b=c#d"},
        {"type": "file_citation", "file_id": "file-mock", "filename": "road.pdf", "index": 1},
        {
            "type": "container_file_citation",
            **spans,
            "container_id": "cntr_mock",
            "file_id": "cfile_mock",
            "filename": "road.csv",
        },
        {"type": "file_path", "file_id": "file-mock", "index": 2},
    ]


def _function(seq: int, number: int, name: str) -> Told:
    arguments = f'{{"city":"Roma \\u2713","days":{number}}}'
    item: Fields = {
        "id": f"fc_mock{seq:08d}{number}",
        "type": "function_call",
        "status": "completed",
        "arguments": arguments,
        "call_id": f"call_mock{seq:08d}{number}",
        "name": name,
    }
    kind = "response.function_call_arguments"
    events: list[tuple[str, Fields]] = [_piece(f"{kind}.delta", text) for text in cut(arguments, 5)]
    events.append((f"{kind}.done", {"arguments": arguments, "name": name}))
    return Told(item, {**item, "arguments": "", "status": "in_progress"}, events)


def _future(seq: int) -> Told:
    item: Fields = {
        "id": f"fut_mock{seq:08d}",
        "type": "future_call",
        "status": "completed",
        "future_image": PIXEL,
        "parts": [{"type": "future_part", "text": "what comes next", "x_weight": 0.10}],
    }
    events: list[tuple[str, Fields]] = [
        ("response.future_call.in_progress", {}),
        _piece("response.future_call.delta", "what comes next"),
        ("response.future_call.done", {"text": "what comes next"}),
    ]
    return Told(item, {**item, "status": "in_progress", "parts": []}, events)


def _piece(kind: str, text: str, **fields: Any) -> tuple[str, Fields]:
    """A delta, with the padding that hides how long its text is."""
    return kind, {**fields, "delta": text, "obfuscation": obfuscation(text)}
