"""Streams that try to get a value past a mask, by dialect: each a name and the events."""

from collections.abc import Callable, Iterator
from typing import Any

from tests.gateway.inspection.helpers import sse

MAIL = "jane.doe@example.com"
HALF = len("jane.doe")
PIECES = [MAIL[at : at + 3] for at in range(0, len(MAIL), 3)]
ESCAPED = "".join(f"\\u{ord(char):04x}" for char in MAIL)
Attack = tuple[str, str, bytes]
_DONE = b"data: [DONE]\n\n"


def chunk(delta: Any, index: Any = 0, finish: str | None = None) -> dict[str, Any]:
    return {"id": "c", "choices": [{"index": index, "delta": delta, "finish_reason": finish}]}


def _cut(text: str) -> list[str]:
    return [text[at : at + 5] for at in range(0, len(text), 5)]


def _call(arguments: str, **more: Any) -> dict[str, Any]:
    return chunk({"tool_calls": [{"index": 0, **more, "function": {"arguments": arguments}}]})


def _chat() -> Iterator[tuple[str, list[Any]]]:
    head, tail = MAIL[:HALF], MAIL[HALF:]
    for name in ("content", "refusal", "reasoning_content", "reasoning", "thought", "speech"):
        yield name, [chunk({name: each}) for each in PIECES]
    nested: dict[str, Callable[[str], Any]] = {
        "content parts": lambda text: {"content": [{"type": "text", "text": text}]},
        "numbered parts": lambda text: {"content": [{"index": 0, "type": "text", "text": text}]},
        "reasoning_details": lambda text: {"reasoning_details": [{"type": "reasoning.text", "text": text, "index": 0}]},
        "thinking_blocks": lambda text: {"thinking_blocks": [{"type": "thinking", "thinking": text}]},
        "transcript": lambda text: {"audio": {"id": "a", "transcript": text}},
        "custom input": lambda text: {"tool_calls": [{"index": 0, "custom": {"name": "x", "input": text}}]},
        "unknown inside": lambda text: {"extra": {"content": text}},
    }
    for name, delta in nested.items():
        yield name, [chunk(delta(each)) for each in PIECES]
    yield "nothing between", [chunk({"content": head}), chunk({"content": None}), chunk({}), chunk({"content": tail})]
    yield "no choices between", [chunk({"content": head}), {"choices": []}, {"choices": [{}]}, chunk({"content": tail})]
    for index in (0.0, "0", -0.0):
        yield f"index {index!r}", [chunk({"content": head}), chunk({"content": tail}, index)]
    yield "no index", [chunk({"content": head}), {"choices": [{"delta": {"content": tail}}]}]
    yield "by turns", [chunk({"content": each}, at) for each in PIECES for at in (0, 1)]
    yield "twice in one", [{"choices": [{"index": 0, "delta": {"content": each}} for each in (head, tail)]}]
    yield "arguments", [_call(each) for each in _cut(f'{{"m":"{MAIL}"}}')]
    yield "escaped arguments", [_call(each) for each in _cut(f'{{"m":"{ESCAPED}"}}')]
    yield "names in arguments", [_call(each) for each in _cut(f'{{"{MAIL}":1}}')]
    yield "arguments that are none", [_call(each) for each in PIECES]
    yield (
        "another call between",
        [
            _call(head, id="a"),
            chunk({"tool_calls": [{"index": 1, "id": "b", "function": {"arguments": "x"}}]}),
            _call(tail, id="a"),
        ],
    )
    yield "a call without an id", [_call(head, id="a"), _call(tail, id=None)]
    yield "a name", [chunk({"tool_calls": [{"index": 0, "function": {"name": MAIL}}]})]
    yield "legacy call", [chunk({"function_call": {"arguments": each}}) for each in _cut(f'{{"m":"{MAIL}"}}')]
    yield "after its end", [chunk({"content": head}, 0, "stop"), chunk({"content": tail})]
    yield "with its end", [chunk({"content": head}), chunk({"content": tail}, 0, "stop")]
    yield "after done", [chunk({"content": head}), _DONE, chunk({"content": tail})]
    yield "error", [chunk({"content": head}), {"error": {"message": MAIL, "param": MAIL}}]
    yield "event error", [b'event: error\ndata: {"message":"%b"}\n\n' % MAIL.encode()]
    yield "message", [{"choices": [{"index": 0, "message": {"content": MAIL}}]}]
    yield "bare delta", [{"choices": [{"index": 0, "delta": each}]} for each in PIECES]
    yield "annotations", [chunk({"annotations": [{"url_citation": {"title": MAIL, "url": f"https://x/{MAIL}"}}]})]
    for text in (
        {"citations": [MAIL]},
        {"search_results": [{"title": MAIL, "url": f"https://x/{MAIL}"}]},
        {"new": MAIL},
    ):
        yield (
            f"beside the choices {next(iter(text))}",
            [chunk({"content": "hi"}) | text, chunk({"content": MAIL[:HALF]}) | text],
        )
    yield "names of a delta", [chunk({MAIL: "x"})]
    yield "name of a tool, cut", [chunk({"tool_calls": [{"index": 0, "function": {"name": each}}]}) for each in PIECES]
    yield "no audio", [chunk({"audio": {"data": MAIL}})]
    yield "name twice", [b'data: {"choices":[{"delta":{"content":"x","c\\u006fntent":"%b"}}]}\n\n' % MAIL.encode()]
    yield (
        "half a surrogate",
        [
            b'data: {"choices":[{"index":0,"delta":{"content":"%b"}}]}\n\n' % each
            for each in (b"\\ud83d", b"\\ude00jane.doe", b"@exa\\u006dple.c", b"om")
        ],
    )
    yield "lines of data", [b'data: {"choices":[{"index":0,\ndata: "delta":{"content":"jane.doe@exa"}}]}\n\n',
                            chunk({"content": "mple.com"})]  # fmt: skip


def _responses() -> Iterator[tuple[str, list[Any]]]:
    where = {"item_id": "i", "output_index": 0, "content_index": 0}
    kinds = ("output_text", "refusal", "reasoning_text", "reasoning_summary_text", "code_interpreter_call_code",
             "audio.transcript", "custom_tool_call_input")  # fmt: skip
    for kind in kinds:
        yield kind, [{"type": f"response.{kind}.delta", **where, "delta": each} for each in PIECES]
    for kind in ("function_call_arguments", "mcp_call_arguments"):
        for text in (f'{{"m":"{MAIL}"}}', f'{{"{MAIL}":1}}'):
            yield f"{kind} {text[:3]}", [{"type": f"response.{kind}.delta", **where, "delta": x} for x in _cut(text)]
    text = "response.output_text.delta"
    yield "ids that change", [{"type": text, **where, "item_id": each, "delta": each} for each in PIECES]
    yield "no ids", [{"type": text, "delta": each} for each in PIECES]
    yield "inside of the delta", [{"type": text, **where, "delta": {"text": each}} for each in PIECES]
    yield "done alone", [{"type": "response.output_text.done", **where, "text": MAIL}]
    yield "another done", [{"type": text, **where, "delta": "hi"},
                           {"type": "response.output_text.done", **where, "text": MAIL}]  # fmt: skip
    output = [{"type": "message", "content": [{"type": "output_text", "text": MAIL, "annotations": [{"title": MAIL}]}]}]
    for kind in ("audio", "output_audio"):
        yield (
            f"no {kind}",
            [{"type": f"response.{kind}.delta", **where, "delta": each} for each in (MAIL[:HALF], MAIL[HALF:])],
        )
    yield "no image", [{"type": "response.image_generation_call.partial_image", **where, "partial_image_b64": MAIL}]
    yield "no image either", [{"type": "image_generation.completed", "b64_json": MAIL}]
    yield "output_text at the top", [{"type": "response.completed", "response": {"output": [], "output_text": MAIL}}]
    for kind in ("response.failed", "response.completed", "response.incomplete"):
        yield kind, [{"type": kind, "response": {"error": {"message": MAIL}, "output": output}}]
    yield "error", [{"type": "error", "message": MAIL, "param": MAIL}]
    item = {"type": "file_search_call", "queries": [MAIL], "results": [{"filename": MAIL, "attributes": {MAIL: MAIL}}]}
    yield "item", [{"type": "response.output_item.done", "output_index": 0, "item": item}]
    yield "name alone", [b'event: %b\ndata: {"delta":"%b"}\n\n' % (text.encode(), x.encode()) for x in PIECES]


def _messages() -> Iterator[tuple[str, list[Any]]]:
    def delta(**members: Any) -> dict[str, Any]:
        return {"type": "content_block_delta", "index": 0, "delta": members}

    for kind, name in (("text_delta", "text"), ("thinking_delta", "thinking"), ("signature_delta", "text")):
        yield f"{kind} {name}", [delta(type=kind, **{name: each}) for each in PIECES]
    yield "json", [delta(type="input_json_delta", partial_json=each) for each in _cut(f'{{"a":"{MAIL}"}}')]
    yield "citation", [delta(type="citations_delta", citation={"cited_text": MAIL, "document_title": MAIL})]
    yield (
        "start",
        [
            {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": MAIL[:HALF]}},
            delta(type="text_delta", text=MAIL[HALF:]),
        ],
    )
    yield (
        "no index",
        [
            delta(type="text_delta", text=MAIL[:HALF]),
            {"type": "content_block_delta", "delta": {"type": "text_delta", "text": MAIL[HALF:]}},
        ],
    )
    yield (
        "after stop",
        [
            delta(type="text_delta", text=MAIL[:HALF]),
            {"type": "content_block_stop", "index": 0},
            delta(type="text_delta", text=MAIL[HALF:]),
        ],
    )
    yield "error", [{"type": "error", "error": {"type": "x", "message": MAIL}}]
    yield "ping", [{"type": "ping", "note": MAIL}]
    yield "payload", [{"type": "content_block_start", "content_block": {"type": "redacted_thinking", "data": MAIL}}]


def attacks() -> list[Attack]:
    """All of them: operation, name, stream."""
    ways = {"chat.completions": _chat, "responses": _responses, "messages": _messages}
    return [
        (operation, name, sse(*events) + (b"" if operation == "messages" else _DONE))
        for operation, way in ways.items()
        for name, events in way()
    ]
