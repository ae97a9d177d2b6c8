"""What the rewriters of all dialects share."""

import json
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.inspection.events import MAX_CHANNELS, EventRewriter
from gateway.inspection.rewriters import OPERATIONS, Rewriters
from gateway.wire.sse import SseEvent, SseParser
from tests.gateway.inspection.helpers import Hoarder, Masker, objects, rewritten, sse

CANARY = "4111"
NAMES = st.sampled_from(
    ["choices", "delta", "content", "text", "type", "role", "index", "id", "tool_calls", "function", "arguments",
     "message", "item", "part", "response", "output", "error", "content_block", "input", "data", "url", "note",
     "finish_reason", "item_id", "output_index", "logprobs", "usage", "thinking", "partial_json", "summary"]
)  # fmt: skip
KINDS = st.sampled_from(
    ["text", "text_delta", "content_block_delta", "content_block_start", "content_block_stop", "message_stop", "error",
     "response.output_text.delta", "response.output_text.done", "response.output_item.done", "response.completed",
     "response.failed", "new.kind", "input_json_delta", "base64"]
)  # fmt: skip
LEAVES = st.sampled_from(["4111", "mail 4111 ", "a", "", "41", "11 ", "x 4", "data:4111", 0, 1, None, True])
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(NAMES, inner, max_size=4)
        | st.fixed_dictionaries({"type": KINDS}, optional={"text": inner, "content": inner, "input": inner})
    ),
    max_leaves=10,
)
CHOICES = st.lists(st.fixed_dictionaries({"index": st.integers(0, 1), "delta": VALUES}), max_size=2)
EVENTS = st.lists(
    st.fixed_dictionaries({"type": KINDS}, optional={"choices": CHOICES | VALUES, "delta": VALUES, "index": LEAVES,
                          "content_block": VALUES, "item": VALUES, "text": LEAVES, "response": VALUES, "part": VALUES,
                          "message": VALUES, "error": VALUES, "note": VALUES, "output_index": LEAVES}),
    max_size=3,
)  # fmt: skip
NO_TEXT = frozenset(("type", "role", "id", "index", "item_id", "finish_reason", "data", "url", "result", "logprobs",
                     "usage", "output_index", "object"))  # fmt: skip


def texts(value: Any) -> list[str]:
    """Strings that are text wherever they stand, with those of names that may be ids left out."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, list):
        return [text for item in value for text in texts(item)]
    if isinstance(value, dict):
        return [text for name, item in value.items() if name not in NO_TEXT for text in texts(item)]
    return []


QUOTED = {"message": "for a@b.c", "type": "no a@b.c", "code": "a@b.c", "param": "a@b.c", "id": "a@b.c"}
JUDGED = {"message": "for <MAIL>", "type": "no <MAIL>", "code": "<MAIL>", "param": "<MAIL>", "id": "<MAIL>"}
AS_EVENT = {"type": "error", "sequence_number": 4}


@pytest.mark.parametrize(
    ("operation", "event", "expected"),
    [
        ("chat.completions", {"error": QUOTED}, {"error": JUDGED}),
        ("messages", {"type": "error", "error": QUOTED}, {"type": "error", "error": JUDGED}),
        ("responses", {**QUOTED, **AS_EVENT}, {**JUDGED, **AS_EVENT}),
        ("responses", {"error": QUOTED, **AS_EVENT}, {"error": JUDGED, **AS_EVENT}),
    ],
)
def test_an_error_may_quote_the_request_in_any_of_its_members(operation: str, event: dict, expected: dict) -> None:
    """As in the body of an error. `type` was taken for what tells events apart, `code` and `param` for ids."""
    for _ in range(3):  # taken apart, learned, and read by its shape
        assert objects(rewritten(operation, sse(event)))[0] == expected


@settings(max_examples=150, deadline=None)
@given(EVENTS, st.sampled_from(OPERATIONS), st.sampled_from([Masker, Hoarder]))
def test_no_text_gets_by(events: list[dict[str, Any]], operation: str, inspector: type[Masker]):
    """Whatever an event looks like: nothing an inspector would mask is sent where the dialect has text."""
    out = objects(rewritten(operation, sse(*events, *events), inspector()))
    for event in out:
        if operation in ("chat.completions", "completions"):
            event = {"choices": event.get("choices"), "error": event.get("error")}
        elif operation == "responses" and isinstance(event.get("response"), dict):
            event["response"] = {name: event["response"].get(name) for name in ("output", "error")}
        elif operation == "messages" and isinstance(event.get("message"), dict) and event["type"] in KNOWN_MESSAGES:
            event["message"] = {"content": event["message"].get("content")}
        assert not [text for text in texts(event) if CANARY in text]


KNOWN_MESSAGES = ("content_block_delta", "content_block_start", "content_block_stop", "message_stop", "error")


@settings(max_examples=30, deadline=None)
@given(EVENTS, st.sampled_from(OPERATIONS), st.integers())
def test_shapes_change_nothing(events: list[dict[str, Any]], operation: str, seed: int):
    """What was learned from one stream gives the next one the same bytes."""
    shared = Rewriters()
    stream = sse(*random.Random(seed).choices(events, k=6)) if events else b""
    first = rewritten(operation, stream, Masker(), shared)
    assert [rewritten(operation, stream, Masker(), shared) for _ in range(2)] == [first, first]


PIECES = st.lists(
    st.sampled_from(
        ["word ", " wo", "rd", "4111", "a@", "b.c ", "", "é", '"', "\\", "\n", "\u2028", "\ud83d", "BLOCK", "{"]
    ),
    min_size=1,
    max_size=9,
)


def repeating(operation: str, texts: list[str], padded: bool, ascii_only: bool, index: int) -> list[SseEvent]:
    """A stream of events that differ in their text, and in their padding."""
    shapes: dict[str, dict[str, Any]] = {
        "chat.completions": {"id": "c", "choices": [{"index": index, "delta": {"content": ""}}], "usage": None},
        "completions": {"id": "c", "choices": [{"index": index, "text": "", "finish_reason": None}]},
        "messages": {"type": "content_block_delta", "index": index, "delta": {"type": "text_delta", "text": ""}},
        "responses": {"type": "response.output_text.delta", "output_index": index, "content_index": 0, "delta": ""},
    }
    written = b""
    for at, text in enumerate(texts):
        event = shapes[operation] | ({"obfuscation": "x" * (at % 5 + 1)} if padded else {})
        data = json.dumps(event, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
        quoted = json.dumps(text, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
        written += b"data: " + data.replace(b': ""', b": " + quoted, 1) + b"\n\n"
    return SseParser().feed(written)


@settings(deadline=None)
@given(PIECES, st.sampled_from(OPERATIONS), st.booleans(), st.booleans(), st.sampled_from([Masker, Hoarder]))
def test_events_that_repeat_are_rewritten_as_any_other(
    texts: list[str], operation: str, padded: bool, ascii_only: bool, inspector: type[Masker]
):
    """An event like the one before goes a shorter way, and what the client gets is the same; also as a chunk, where
    who else reads it is told its text."""
    events = repeating(operation, texts, padded, ascii_only, 0) * 2 + repeating(operation, texts, padded, ascii_only, 1)
    short, long, relayed = (Rewriters().open(operation, inspector()) for _ in range(3))
    told: list[str] = []
    for event in events:
        long.repeat = None
        expected = long.event(event)
        assert short.event(event) == expected
        assert as_chunk(relayed, event, told) == expected
        assert (short.blocked, short.unread) == (long.blocked, long.unread)
        assert (relayed.blocked, relayed.unread) == (long.blocked, long.unread)
    assert short.end() == long.end() == relayed.end()
    assert short.block_end("why") == long.block_end("why") == relayed.block_end("why")


def as_chunk(rewriter: EventRewriter, event: SseEvent, told: list[str]) -> bytes:
    """What a chunk with the event becomes, without its frame."""
    framed = b"%x\r\n%b\r\n" % (len(event.raw), event.raw)
    out = rewriter.relayed(framed, framed.index(b"\n") + 1)
    if out is None:
        out = rewriter.event(event)
        if rewriter.repeat is not None:
            rewriter.repeat.told = told.append
        return out
    assert told[-1]
    told[-1].encode()
    if rewriter.blocked or not out:
        return out
    size, _, rest = out.partition(b"\r\n")
    assert (int(size, 16), rest[-2:]) == (len(rest) - 2, b"\r\n")
    return rest[:-2]


def test_nobody_else_content_with_texts_means_no_short_way_for_chunks():
    rewriter = Rewriters().open("chat.completions", Masker())
    first, second = repeating("chat.completions", ["a ", "b "], False, True, 0)
    rewriter.event(first)
    framed = b"%x\r\n%b\r\n" % (len(second.raw), second.raw)
    assert rewriter.relayed(framed, framed.index(b"\n") + 1) is None


def test_comments_pass_and_nothing_follows_the_end():
    rewriter = Rewriters().open("chat.completions", Masker())
    assert rewriter.event(SseEvent(b": ping\n\n")) == b": ping\n\n"
    assert rewriter.end() == b""
    assert rewriter.event(SseEvent(b"data: {}\n\n", b"", b"{}")) == b""


def test_an_inspector_that_fails_fails_the_event():
    """An exception out of a call means that nothing of that event may be sent."""

    class Broken(Masker):
        def feed(self, channel: str, text: str, role: str = "assistant", json: bool = False) -> str:
            raise ValueError("a defect")

    with pytest.raises(ValueError, match="a defect"):
        rewritten("chat.completions", sse({"choices": [{"index": 0, "delta": {"content": "x"}}]}), Broken())


@pytest.mark.parametrize("operation", OPERATIONS)
def test_hostile_events_cost_what_their_size_costs(operation: str):
    """Issue 3 section 8: "bounded time and memory each"."""
    many = {"choices": [{"index": at, "delta": {"content": "1"}} for at in range(MAX_CHANNELS + 10)]}
    wide = {"type": "response.output_item.done", "item": {"content": [{"text": "1"}] * 5000}}
    calls = {
        "choices": [{"delta": {"tool_calls": [{"index": at, "function": {"arguments": "1"}} for at in range(3000)]}}]
    }
    numbers = {"choices": [1] * 100_000, "delta": ["x"] * 5000}
    out = rewritten(operation, sse(many, wide, calls, numbers))
    assert len(out) < 2_000_000


def test_an_id_that_repeats_the_data_hides_no_text():
    """What was judged is what is sent, also of an event that is like the one before but for its text."""
    events = [json.dumps({"choices": [{"index": 0, "delta": {"content": f"{CANARY} "}}]}).encode()] * 3
    stream = b"".join(b"data: %b\nid: %b\n\n" % (each, each) for each in events) + b"data: [DONE]\n\n"
    assert CANARY not in json.dumps(objects(rewritten("chat.completions", stream)))
