"""An answer that no model gave: what a client gets of a blocked text where a rule has an `answer` of its own.

It has the shape of the operation's answers, streamed if that was asked for, and says that a filter ended it, as each
API says it: `finish_reason: content_filter`, an incomplete response, `stop_reason: refusal`. Nothing was used, so usage
is zero. Sources: platform.openai.com/docs/api-reference, docs.anthropic.com/en/api/messages.
"""

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

import msgspec

from gateway.facts import Reading

_encode = msgspec.json.Encoder().encode
_Said = dict[str, Any]
_DONE = b"data: [DONE]\n\n"
_FILTERED = {"finish_reason": "content_filter"}
_NO_TOKENS = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
_NO_USE = {
    "input_tokens": 0, "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0}, "output_tokens": 0,
    "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 0,
}  # fmt: skip


def canned(operation: str, reading: Reading, text: str, request_id: str, created: int) -> bytes | None:
    """The body, JSON or the events of a whole stream; None: answers of this operation are no texts. `created`: seconds
    since the epoch."""
    make = _MAKERS.get(operation)
    return None if make is None else b"".join(make(reading, text, request_id, created))


def _chat(reading: Reading, text: str, id: str, created: int) -> Iterator[bytes]:
    kind = "chat.completion.chunk" if reading.stream else "chat.completion"
    head: _Said = {"id": f"chatcmpl-{id}", "object": kind, "created": created, "model": reading.model}
    said = {"role": "assistant", "content": text}
    numbers = range(reading.choices)
    if not reading.stream:
        whole = {**said, "refusal": None}
        choices = [{"index": at, "message": whole, "logprobs": None, **_FILTERED} for at in numbers]
        yield _encode({**head, "choices": choices, "usage": _NO_TOKENS})
        return
    for at in numbers:
        yield _event({**head, "choices": [{"index": at, "delta": said, "logprobs": None, "finish_reason": None}]})
        yield _event({**head, "choices": [{"index": at, "delta": {}, "logprobs": None, **_FILTERED}]})
    yield from _end(reading, head)


def _completions(reading: Reading, text: str, id: str, created: int) -> Iterator[bytes]:
    head: _Said = {"id": f"cmpl-{id}", "object": "text_completion", "created": created, "model": reading.model}
    choices = [{"text": text, "index": at, "logprobs": None, **_FILTERED} for at in range(reading.choices)]
    if not reading.stream:
        yield _encode({**head, "choices": choices, "usage": _NO_TOKENS})
        return
    for choice in choices:
        yield _event({**head, "choices": [choice]})
    yield from _end(reading, head)


def _end(reading: Reading, head: _Said) -> Iterator[bytes]:
    if reading.wants_usage_event:
        yield _event({**head, "choices": [], "usage": _NO_TOKENS})
    yield _DONE


def _messages(reading: Reading, text: str, id: str, created: int) -> Iterator[bytes]:
    use = {"input_tokens": 0, "output_tokens": 0}
    head: _Said = {"id": f"msg_{id}", "type": "message", "role": "assistant", "model": reading.model}
    block = {"type": "text", "text": text}
    ended = {"stop_reason": "refusal", "stop_sequence": None}
    if not reading.stream:
        yield _encode({**head, "content": [block], **ended, "usage": use})
        return
    begun: _Said = {**head, "content": [], "stop_reason": None, "stop_sequence": None, "usage": use}
    yield _named({"type": "message_start", "message": begun})
    yield _named({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}})
    yield _named({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}})
    yield _named({"type": "content_block_stop", "index": 0})
    yield _named({"type": "message_delta", "delta": ended, "usage": {"output_tokens": 0}})
    yield _named({"type": "message_stop"})


def _responses(reading: Reading, text: str, id: str, created: int) -> Iterator[bytes]:
    part: _Said = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
    item: _Said = {"type": "message", "id": f"msg_{id}", "role": "assistant", "status": "incomplete", "content": [part]}
    begun: _Said = {
        "id": f"resp_{id}", "object": "response", "created_at": created, "status": "in_progress", "error": None,
        "incomplete_details": None, "instructions": None, "metadata": {}, "model": reading.model, "output": [],
        "parallel_tool_calls": True, "temperature": None, "tool_choice": "auto", "tools": [], "top_p": None,
        "usage": None,
    }  # fmt: skip
    ended = {
        **begun, "status": "incomplete", "incomplete_details": {"reason": "content_filter"}, "output": [item],
        "usage": _NO_USE,
    }  # fmt: skip
    if not reading.stream:
        yield _encode(ended)
        return
    at = {"item_id": item["id"], "output_index": 0, "content_index": 0}
    events: list[_Said] = [
        {"type": "response.created", "response": begun},
        {"type": "response.in_progress", "response": begun},
        {"type": "response.output_item.added", "output_index": 0,
         "item": {**item, "status": "in_progress", "content": []}},
        {"type": "response.content_part.added", **at, "part": {**part, "text": ""}},
        {"type": "response.output_text.delta", **at, "delta": text, "logprobs": []},
        {"type": "response.output_text.done", **at, "text": text, "logprobs": []},
        {"type": "response.content_part.done", **at, "part": part},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.incomplete", "response": ended},
    ]  # fmt: skip
    for number, event in enumerate(events):
        yield _named({**event, "sequence_number": number})


def _event(said: _Said) -> bytes:
    return b"data: " + _encode(said) + b"\n\n"


def _named(said: _Said) -> bytes:
    return b"event: " + said["type"].encode() + b"\n" + _event(said)


_MAKERS: Mapping[str, Callable[[Reading, str, str, int], Iterator[bytes]]] = MappingProxyType(
    {"chat.completions": _chat, "completions": _completions, "messages": _messages, "responses": _responses}
)
