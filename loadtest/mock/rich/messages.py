"""Anthropic messages with every block and every delta, of the API and of its betas.

Shapes: https://docs.anthropic.com/en/api/messages-streaming, and the types of the official SDK.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from loadtest.mock.answer import Answer
from loadtest.mock.reply import Event
from loadtest.mock.rich.values import PIXEL, cut

_encode = msgspec.json.Encoder().encode

Fields = dict[str, Any]
_THOUGHT = "The user wants an answer. I look it up first."
_SIGNATURE = "bW9jay1zaWduYXR1cmU="
_INPUT: Fields = {"query": "a road", "city": "Roma \u2713"}


class Block(msgspec.Struct):
    """A block: as it is in the end, as it starts, and its deltas."""

    whole: Fields
    start: Fields
    deltas: Sequence[Fields] = ()
    visible: int = 0
    """Tokens of the answer that each delta carries."""


def rich_blocks(answer: Answer, seq: int, names: Sequence[str]) -> list[Block]:
    """Every block, the text with the answer among them, and a use of each of the tools `names`."""
    return [
        _thinking(),
        _same({"type": "redacted_thinking", "data": "Z0FBQUFBQm1vY2s="}),
        *_server_tools(f"mock{seq:08d}"),
        *_betas(f"mock{seq:08d}"),
        _text(answer),
        *(_used({"type": "tool_use", "id": f"toolu_mock{seq:08d}{n}", "name": name}) for n, name in enumerate(names)),
        _future(),
    ]


def rich_fields() -> Fields:
    """Members of the message that plain answers leave out."""
    return {
        "container": {"id": "container_mock", "expires_at": "2025-01-01T00:00:00Z", "skills": None},
        "stop_details": None,
        "context_management": {"applied_edits": []},
        "x_future": {"nested": [1, 2.50, "\u00e9", None]},
    }


def rich_usage(usage: Fields) -> Fields:
    """`usage` with what plain answers leave out of it."""
    return {
        **usage,
        "server_tool_use": {"web_search_requests": 1, "web_fetch_requests": 1},
        "output_tokens_details": {"thinking_tokens": 0},
        "inference_geo": "not_available",
        "speed": "standard",
    }


def rich_events(final: Fields, blocks: Sequence[Block]) -> list[Event]:
    """The stream: block by block with pings between, an event that no API has, and the end."""
    events: list[Event] = []

    def add(kind: str, visible: int = 0, finish: bool = False, terminal: bool = False, **fields: Any) -> None:
        data = _encode({"type": kind, **fields})
        events.append(Event(data, name=kind, visible=visible, finish=finish, terminal=terminal))

    usage: Fields = final["usage"]
    opening: Fields = {**final, "content": [], "stop_reason": None, "usage": {**usage, "output_tokens": 1}}
    add("message_start", message=opening)
    add("ping")
    for index, block in enumerate(blocks):
        add("content_block_start", index=index, content_block=block.start)
        for delta in block.deltas:
            add("content_block_delta", visible=block.visible, index=index, delta=delta)
        add("content_block_stop", index=index)
        add("ping")
    add("future_event", future={"text": "not yet", "numbers": [1, 2.50, -0.0, 1e3]})
    ending = {name: value for name, value in usage.items() if name not in ("cache_creation", "service_tier")}
    delta = {"stop_reason": final["stop_reason"], "stop_sequence": None}
    delta |= {name: final[name] for name in ("container", "stop_details")}
    management = final["context_management"]
    add("message_delta", finish=True, delta=delta, usage=ending, context_management=management)
    add("message_stop", terminal=True)
    return events


def _same(block: Fields) -> Block:
    """A block that comes whole."""
    return Block(block, block)


def _thinking() -> Block:
    whole: Fields = {"type": "thinking", "thinking": _THOUGHT, "signature": _SIGNATURE}
    deltas: list[Fields] = [
        {"type": "thinking_delta", "thinking": piece, "estimated_tokens": 3} for piece in cut(_THOUGHT, 12)
    ]
    deltas.append({"type": "signature_delta", "signature": _SIGNATURE})
    return Block(whole, {**whole, "thinking": "", "signature": ""}, deltas)


def _text(answer: Answer) -> Block:
    citations = _citations()
    whole: Fields = {"type": "text", "text": answer.text, "citations": citations}
    deltas: list[Fields] = [{"type": "text_delta", "text": piece} for piece in answer.pieces]
    deltas += [{"type": "citations_delta", "citation": citation} for citation in citations]
    return Block(whole, {**whole, "text": "", "citations": []}, deltas, visible=1)


def _citations() -> list[Fields]:
    document: Fields = {"cited_text": "A road.", "document_index": 0, "document_title": "Roads", "file_id": None}
    found: Fields = {"cited_text": "A road.", "title": "Roads"}
    return [
        {"type": "char_location", **document, "start_char_index": 0, "end_char_index": 7},
        {"type": "page_location", **document, "start_page_number": 1, "end_page_number": 2},
        {"type": "content_block_location", **document, "start_block_index": 0, "end_block_index": 1},
        {
            "type": "web_search_result_location",
            **found,
            "url": "https://example.com/a",
            "encrypted_index": "Z0FBQUFBQm1vY2s=",
        },
        {
            "type": "search_result_location",
            **found,
            "source": "https://example.com/a",
            "search_result_index": 0,
            "start_block_index": 0,
            "end_block_index": 1,
        },
    ]


def _used(tool: Fields, given: Fields = _INPUT) -> Block:
    """A use of a tool, whose input comes in pieces, of which the first is empty."""
    whole = {**tool, "input": given}
    pieces = ["", *cut(_encode(given).decode(), 6)]
    return Block(
        whole, {**tool, "input": {}}, [{"type": "input_json_delta", "partial_json": piece} for piece in pieces]
    )


def _server_tools(mark: str) -> list[Block]:
    found = {
        "type": "web_search_result",
        "title": "Roads",
        "url": "https://example.com/a",
        "encrypted_content": "Z0FBQUFBQm1vY2s=",
        "page_age": "April 30, 2025",
    }
    source = {"type": "text", "media_type": "text/plain", "data": "A road."}
    page = {"type": "document", "source": source, "title": "Roads", "citations": {"enabled": True}}
    fetched = {
        "type": "web_fetch_result",
        "url": "https://example.com/a",
        "content": page,
        "retrieved_at": "2025-04-30T00:00:00Z",
    }
    ran = {"stdout": "\u00e9\n", "stderr": "", "return_code": 0}
    viewed = {
        "type": "text_editor_code_execution_view_result",
        "file_type": "text",
        "content": "a road",
        "num_lines": 1,
        "start_line": 1,
        "total_lines": 1,
    }
    tools = {
        "type": "tool_search_tool_search_result",
        "tool_references": [{"type": "tool_reference", "tool_name": "look"}],
    }
    results: dict[str, object] = {
        "web_search": [found],
        "web_fetch": fetched,
        "code_execution": {"type": "code_execution_result", **ran, "content": []},
        "bash_code_execution": {"type": "bash_code_execution_result", **ran, "content": []},
        "text_editor_code_execution": viewed,
        "tool_search_tool_regex": tools,
    }
    blocks: list[Block] = []
    for name, content in results.items():
        id_ = f"srvtoolu_{mark}{name}"
        kind = "tool_search_tool_result" if name.startswith("tool_search") else f"{name}_tool_result"
        blocks.append(_used({"type": "server_tool_use", "id": id_, "name": name, "caller": {"type": "direct"}}))
        blocks.append(_same({"type": kind, "tool_use_id": id_, "content": content}))
    return blocks


def _betas(mark: str) -> list[Block]:
    id_ = f"mcptoolu_{mark}"
    summary = "They talked of roads."
    compaction: Fields = {"type": "compaction", "content": summary, "encrypted_content": None}
    said = [{"type": "text", "text": "A road.", "citations": None}]
    return [
        _used({"type": "mcp_tool_use", "id": id_, "name": "look", "server_name": "maps"}),
        _same({"type": "mcp_tool_result", "tool_use_id": id_, "is_error": False, "content": said}),
        _same({"type": "mcp_tool_result", "tool_use_id": id_, "is_error": True, "content": "No road."}),
        _same({"type": "container_upload", "file_id": "file_mock"}),
        Block(compaction, {**compaction, "content": None}, [{**compaction, "type": "compaction_delta"}]),
    ]


def _future() -> Block:
    whole: Fields = {"type": "future_block", "future_image": PIXEL, "future_text": "what comes next", "x_weight": 0.10}
    deltas: list[Fields] = [{"type": "future_delta", "future_text": piece} for piece in cut("what comes next", 4)]
    return Block(whole, {**whole, "future_text": ""}, deltas)
