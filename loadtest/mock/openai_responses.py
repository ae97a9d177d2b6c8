"""OpenAI Responses, unary and as the typed event stream.

Shapes: https://platform.openai.com/docs/api-reference/responses-streaming. Every event has `type` (repeated as the SSE
event name) and a `sequence_number` from 0.
"""

from typing import Any

import msgspec

from loadtest.mock.answer import Answer, Ask, Metered, Tool, compose, meter, prompt_text, prompt_tokens, within
from loadtest.mock.openai_chat import CREATED, service_tier
from loadtest.mock.reply import Event, Reply, Tokens
from loadtest.mock.rich.responses import rich_events, rich_fields, rich_items
from loadtest.mock.scenario import Meters, Output

_encode = msgspec.json.Encoder().encode


class ResponsesRequest(msgspec.Struct):
    """The fields of a Responses request that change the answer."""

    model: str = ""
    input: str | list[dict[str, Any]] | None = None
    instructions: str | None = None
    stream: bool | None = False
    max_output_tokens: int | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: str | dict[str, Any] | None = None
    text: dict[str, Any] | None = None
    service_tier: str | None = None
    parallel_tool_calls: bool | None = True
    temperature: float | None = 1.0
    top_p: float | None = 1.0
    metadata: dict[str, str] | None = None
    store: bool | None = True
    previous_response_id: str | None = None


def _usage(metered: Metered) -> dict[str, Any]:
    meters = metered.meters
    return {
        "input_tokens": metered.input,
        "input_tokens_details": {"cached_tokens": meters.cached, "cache_write_tokens": meters.cache_write},
        "output_tokens": metered.output,
        "output_tokens_details": {"reasoning_tokens": meters.reasoning},
        "total_tokens": metered.input + metered.output,
    }


def _ask(request: ResponsesRequest) -> Ask:
    given = request.input if request.input is not None else ""
    instructions = request.instructions or ""
    prompt = instructions + prompt_text(given)
    last: Any = {"role": "user", "content": given} if isinstance(given, str) else (given[-1] if given else {})
    tools = [
        Tool(str(tool.get("name", "")), tool.get("parameters") or {})
        for tool in request.tools or ()
        if tool.get("type") == "function"
    ]
    choice = request.tool_choice
    forced = None
    if isinstance(choice, dict):
        forced = str(choice.get("name", ""))
    elif choice == "required":
        forced = ""
    wanted: dict[str, Any] = (request.text or {}).get("format") or {}
    schema: dict[str, Any] | None = None
    if wanted.get("type") in ("json_schema", "json_object"):
        schema = wanted.get("schema") or {}
    return Ask(
        prompt=prompt,
        prompt_tokens=prompt_tokens([instructions, given]),
        max_tokens=request.max_output_tokens,
        tools=tools,
        forced=forced,
        user_last=last.get("role") == "user",
        last_text=prompt_text(last),
        tools_off=choice == "none",
        schema=schema,
    )


def responses_reply(request: ResponsesRequest, output: Output, meters: Meters, seq: int) -> Reply:
    """The answer to a Responses request."""
    ask = _ask(request)
    meters = within(ask, meters)
    answer = compose(ask, output)
    metered = meter(ask, [answer], meters)
    tokens = Tokens(metered.input, metered.output)
    final = _response(request, answer, metered, seq)
    told = rich_items(answer, seq, [tool.name for tool in ask.tools]) if output.rich else None
    if told is not None:
        final |= {**rich_fields(), "output": [one.item for one in told]}
    if request.stream:
        opening = _opening(final)
        events = _events(opening, final, answer) if told is None else rich_events(opening, final, told, answer)
        return Reply(content_type=b"text/event-stream; charset=utf-8", events=events, tokens=tokens)
    return Reply(body=_encode(final), tokens=tokens)


def _response(request: ResponsesRequest, answer: Answer, metered: Metered, seq: int) -> dict[str, Any]:
    cut = answer.truncated
    return {
        "id": f"resp_mock{seq:08d}",
        "object": "response",
        "created_at": CREATED,
        "status": "incomplete" if cut else "completed",
        "background": False,
        "error": None,
        "incomplete_details": {"reason": "max_output_tokens"} if cut else None,
        "instructions": request.instructions,
        "max_output_tokens": request.max_output_tokens,
        "model": request.model,
        "output": [_item(answer, seq, "incomplete" if cut else "completed")],
        "parallel_tool_calls": request.parallel_tool_calls is not False,
        "previous_response_id": request.previous_response_id,
        "reasoning": {"effort": None, "summary": None},
        "service_tier": service_tier(request.service_tier, metered.meters),
        "store": request.store is not False,
        "temperature": request.temperature,
        "text": request.text or {"format": {"type": "text"}},
        "tool_choice": request.tool_choice or "auto",
        "tools": request.tools or [],
        "top_p": request.top_p,
        "truncation": "disabled",
        "usage": None if metered.meters.omit else _usage(metered),
        "metadata": request.metadata or {},
    }


def _item(answer: Answer, seq: int, status: str) -> dict[str, Any]:
    if answer.tool is not None:
        return {
            "id": f"fc_mock{seq:08d}",
            "type": "function_call",
            "status": status,
            "arguments": answer.text,
            "call_id": f"call_mock{seq:08d}",
            "name": answer.tool,
        }
    return {
        "id": f"msg_mock{seq:08d}",
        "type": "message",
        "status": status,
        "role": "assistant",
        "content": [_part(answer.text)],
    }


def _part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _opening(final: dict[str, Any]) -> dict[str, Any]:
    """The response as it is at the beginning."""
    return {**final, "status": "in_progress", "output": [], "usage": None, "incomplete_details": None}


def _events(opening: dict[str, Any], final: dict[str, Any], answer: Answer) -> list[Event]:
    events: list[Event] = []

    def add(kind: str, visible: int = 0, finish: bool = False, terminal: bool = False, **fields: Any) -> None:
        data = _encode({"type": kind, "sequence_number": len(events), **fields})
        events.append(Event(data, name=kind, visible=visible, finish=finish, terminal=terminal))

    item: dict[str, Any] = final["output"][0]
    at: dict[str, Any] = {"item_id": item["id"], "output_index": 0}
    add("response.created", response=opening)
    add("response.in_progress", response=opening)
    if answer.tool is not None:
        add("response.output_item.added", output_index=0, item={**item, "status": "in_progress", "arguments": ""})
        for piece in answer.pieces:
            add("response.function_call_arguments.delta", visible=1, **at, delta=piece)
        add("response.function_call_arguments.done", **at, arguments=answer.text, name=answer.tool)
    else:
        add("response.output_item.added", output_index=0, item={**item, "status": "in_progress", "content": []})
        add("response.content_part.added", **at, content_index=0, part=_part(""))
        for piece in answer.pieces:
            add("response.output_text.delta", visible=1, **at, content_index=0, delta=piece, logprobs=[])
        add("response.output_text.done", **at, content_index=0, text=answer.text, logprobs=[])
        add("response.content_part.done", **at, content_index=0, part=_part(answer.text))
    add("response.output_item.done", finish=True, output_index=0, item=item)
    last = "response.incomplete" if answer.truncated else "response.completed"
    add(last, terminal=True, response=final)
    return events
