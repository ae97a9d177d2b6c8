"""Anthropic messages, unary and streamed, and count_tokens.

Shapes: https://docs.anthropic.com/en/api/messages and .../messages-streaming. `input_tokens` excludes what was
read from or written to the cache, unlike OpenAI's `prompt_tokens`.
"""

from typing import Any

import msgspec

from loadtest.mock.answer import Answer, Ask, Metered, Tool, compose, meter, prompt_text, text_tokens, within
from loadtest.mock.reply import Event, Reply, Tokens
from loadtest.mock.rich.messages import rich_blocks, rich_events, rich_fields, rich_usage
from loadtest.mock.scenario import Meters, Output

_encode = msgspec.json.Encoder().encode
_THOUGHT = "Let me think about this step by step."
_SIGNATURE = "bW9jay1zaWduYXR1cmU="


class AnthropicMessage(msgspec.Struct):
    """One message, as far as the mock reads it."""

    role: str = "user"
    content: str | list[dict[str, Any]] = ""


class MessagesRequest(msgspec.Struct):
    """The fields of a messages request that change the answer."""

    model: str = ""
    messages: list[AnthropicMessage] = []
    system: str | list[dict[str, Any]] | None = None
    max_tokens: int | None = None
    stream: bool | None = False
    tools: list[dict[str, Any]] | None = None
    tool_choice: dict[str, Any] | None = None
    thinking: dict[str, Any] | None = None
    output_config: dict[str, Any] | None = None
    output_format: dict[str, Any] | None = None
    service_tier: str | None = None


def _ask(request: MessagesRequest) -> Ask:
    texts = [m.content if isinstance(m.content, str) else prompt_text(m.content) for m in request.messages]
    prompt = (prompt_text(request.system) if request.system else "") + "".join(texts)
    choice = request.tool_choice or {}
    forced = {"tool": str(choice.get("name", "")), "any": ""}.get(str(choice.get("type")))
    wanted = (request.output_config or {}).get("format") or request.output_format or {}
    tools = [
        Tool(str(t.get("name", "")), t.get("input_schema") or {}) for t in request.tools or () if "input_schema" in t
    ]
    last = request.messages[-1] if request.messages else AnthropicMessage()
    results = isinstance(last.content, list) and any(part.get("type") == "tool_result" for part in last.content)
    return Ask(
        prompt=prompt,
        prompt_tokens=text_tokens(prompt),
        max_tokens=request.max_tokens,
        tools=tools,
        forced=forced,
        user_last=last.role == "user" and not results,
        last_text=texts[-1] if texts else "",
        tools_off=choice.get("type") == "none",
        schema=wanted.get("schema") or {} if wanted.get("type") == "json_schema" else None,
    )


def usage_of(metered: Metered) -> dict[str, Any]:
    """The `usage` object of a message."""
    m = metered.meters
    return {
        "input_tokens": metered.input - m.cached - m.cache_write - m.cache_write_1h,
        "cache_creation_input_tokens": m.cache_write + m.cache_write_1h,
        "cache_read_input_tokens": m.cached,
        "cache_creation": {
            "ephemeral_5m_input_tokens": m.cache_write,
            "ephemeral_1h_input_tokens": m.cache_write_1h,
        },
        "output_tokens": metered.output,
        "service_tier": m.service_tier or "standard",
    }


def count_tokens_reply(request: MessagesRequest, meters: Meters) -> Reply:
    """The answer to count_tokens: the prompt's tokens; nothing is generated, so nothing is metered."""
    tokens = _ask(request).prompt_tokens if meters.input is None else meters.input
    return Reply(body=_encode({"input_tokens": tokens}))


def messages_reply(request: MessagesRequest, output: Output, meters: Meters, seq: int) -> Reply:
    """The answer to a messages request."""
    ask = _ask(request)
    meters = within(ask, meters)
    answer = compose(ask, output)
    metered = meter(ask, [answer], meters)
    thinks = (request.thinking or {}).get("type") in ("enabled", "adaptive")
    blocks: list[dict[str, Any]] = []
    if thinks:
        blocks.append({"type": "thinking", "thinking": _THOUGHT, "signature": _SIGNATURE})
    blocks.append(_block(answer, seq))
    final: dict[str, Any] = {
        "id": f"msg_mock{seq:08d}",
        "type": "message",
        "role": "assistant",
        "model": request.model,
        "content": blocks,
        "stop_reason": _stop(answer),
        "stop_sequence": None,
        "usage": usage_of(metered),
    }
    tokens = Tokens(metered.input, metered.output)
    told = rich_blocks(answer, seq, [tool.name for tool in ask.tools]) if output.rich else None
    if told is not None:
        final |= {**rich_fields(), "content": [one.whole for one in told], "usage": rich_usage(final["usage"])}
    if request.stream:
        events = _events(final, answer, thinks) if told is None else rich_events(final, told)
        return Reply(content_type=b"text/event-stream; charset=utf-8", events=events, tokens=tokens)
    if meters.omit:
        del final["usage"]
    return Reply(body=_encode(final), tokens=tokens)


def _stop(answer: Answer) -> str:
    if answer.tool is not None:
        return "tool_use"
    return "max_tokens" if answer.truncated else "end_turn"


def _block(answer: Answer, seq: int) -> dict[str, Any]:
    if answer.tool is not None:
        arguments: Any = msgspec.json.decode(answer.text)
        return {"type": "tool_use", "id": f"toolu_mock{seq:08d}", "name": answer.tool, "input": arguments}
    return {"type": "text", "text": answer.text}


def _events(final: dict[str, Any], answer: Answer, thinks: bool) -> list[Event]:
    events: list[Event] = []

    def add(kind: str, visible: int = 0, finish: bool = False, terminal: bool = False, **fields: Any) -> None:
        data = _encode({"type": kind, **fields})
        events.append(Event(data, name=kind, visible=visible, finish=finish, terminal=terminal))

    usage: dict[str, Any] = final["usage"]
    # The opening counts the prompt and one token of output, as the real one does; the ending is cumulative.
    opening: dict[str, Any] = {**final, "content": [], "stop_reason": None, "usage": {**usage, "output_tokens": 1}}
    add("message_start", message=opening)
    index = 0
    if thinks:
        empty = {"type": "thinking", "thinking": "", "signature": ""}
        add("content_block_start", index=0, content_block=empty)
        add("ping")
        for start in range(0, len(_THOUGHT), 12):
            piece = _THOUGHT[start : start + 12]
            add("content_block_delta", index=0, delta={"type": "thinking_delta", "thinking": piece})
        add("content_block_delta", index=0, delta={"type": "signature_delta", "signature": _SIGNATURE})
        add("content_block_stop", index=0)
        index = 1
    block: dict[str, Any] = final["content"][-1]
    tool = answer.tool is not None
    add("content_block_start", index=index, content_block={**block, "input": {}} if tool else {**block, "text": ""})
    if not thinks:
        add("ping")
    for piece in answer.pieces:
        delta = {"type": "input_json_delta", "partial_json": piece} if tool else {"type": "text_delta", "text": piece}
        add("content_block_delta", visible=1, index=index, delta=delta)
    add("content_block_stop", index=index)
    ending = {k: v for k, v in usage.items() if k not in ("cache_creation", "service_tier")}
    add(
        "message_delta",
        finish=True,
        delta={"stop_reason": final["stop_reason"], "stop_sequence": None},
        usage=ending,
    )
    add("message_stop", terminal=True)
    return events
