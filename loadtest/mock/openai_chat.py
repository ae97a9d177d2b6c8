"""OpenAI chat completions and legacy completions, unary and streamed.

Shapes: https://platform.openai.com/docs/api-reference/chat (object `chat.completion`, `chat.completion.chunk`).
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from loadtest.mock.answer import (
    Answer,
    Ask,
    Metered,
    Tool,
    compose,
    meter,
    prompt_text,
    prompt_tokens,
    text_tokens,
    within,
)
from loadtest.mock.reply import Event, Reply, Tokens
from loadtest.mock.rich.chat import rich_choice, rich_chunks
from loadtest.mock.scenario import Meters, Output

CREATED = 1717171717
_DONE = Event(data=b"[DONE]", terminal=True)
_encode = msgspec.json.Encoder().encode


class StreamOptions(msgspec.Struct):
    """`stream_options`."""

    include_usage: bool = False


class Message(msgspec.Struct):
    """One message, as far as the mock reads it."""

    role: str = "user"
    content: str | list[dict[str, Any]] | None = None


class ChatRequest(msgspec.Struct):
    """The fields of a chat completion request that change the answer."""

    model: str = ""
    messages: list[Message] = []
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    n: int | None = 1
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: str | dict[str, Any] | None = None
    response_format: dict[str, Any] | None = None
    service_tier: str | None = None


class CompletionRequest(msgspec.Struct):
    """The fields of a legacy completion request that change the answer."""

    model: str = ""
    prompt: str | list[Any] | None = None  # a text, texts, token ids, or lists of token ids
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    n: int | None = 1
    max_tokens: int | None = None


def usage_of(metered: Metered) -> dict[str, Any]:
    """The `usage` object of chat and legacy completions."""
    meters = metered.meters
    return {
        "prompt_tokens": metered.input,
        "completion_tokens": metered.output,
        "total_tokens": metered.input + metered.output,
        "prompt_tokens_details": {"cached_tokens": meters.cached, "audio_tokens": meters.audio_input},
        "completion_tokens_details": {
            "reasoning_tokens": meters.reasoning,
            "audio_tokens": meters.audio_output,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def service_tier(asked: str | None, meters: Meters) -> str:
    """The tier that served: the scenario's, else what was asked for (`auto` is served as `default`)."""
    return meters.service_tier or (asked if asked and asked != "auto" else "default")


def _tools(request: ChatRequest) -> list[Tool]:
    found: list[Tool] = []
    for tool in request.tools or ():
        function: dict[str, Any] = tool.get("function") or {}
        found.append(Tool(str(function.get("name", "")), function.get("parameters") or {}))
    return found


def _schema(response_format: dict[str, Any] | None) -> dict[str, Any] | None:
    if response_format is None:
        return None
    if response_format.get("type") == "json_schema":
        wanted: dict[str, Any] = response_format.get("json_schema") or {}
        schema: dict[str, Any] = wanted.get("schema") or {}
        return schema
    return {} if response_format.get("type") == "json_object" else None


def chat_ask(request: ChatRequest) -> Ask:
    """What a chat request asks for."""
    texts = [m.content if isinstance(m.content, str) else prompt_text(m.content) for m in request.messages]
    prompt = "".join(texts)
    choice = request.tool_choice
    forced = None
    if isinstance(choice, dict):
        function: dict[str, Any] = choice.get("function") or {}
        forced = str(function.get("name", ""))
    elif choice == "required":
        forced = ""
    return Ask(
        prompt=prompt,
        prompt_tokens=text_tokens(prompt),
        max_tokens=request.max_completion_tokens if request.max_completion_tokens is not None else request.max_tokens,
        tools=_tools(request) if request.tools else (),
        forced=forced,
        user_last=bool(request.messages) and request.messages[-1].role == "user",
        last_text=texts[-1] if texts else "",
        tools_off=choice == "none",
        schema=_schema(request.response_format) if request.response_format else None,
    )


def chat_reply(request: ChatRequest, output: Output, meters: Meters, seq: int) -> Reply:
    """The answer to a chat completion."""
    ask = chat_ask(request)
    meters = within(ask, meters)
    answers = [compose(ask, output, choice) for choice in range(request.n or 1)]
    metered = meter(ask, answers, meters)
    tier = service_tier(request.service_tier, meters)
    base: dict[str, Any] = {
        "id": f"chatcmpl-mock{seq:08d}",
        "object": "chat.completion",
        "created": CREATED,
        "model": request.model,
    }
    tokens = Tokens(metered.input, metered.output)
    names = [tool.name for tool in ask.tools] if output.rich else None
    if request.stream:
        base["object"] = "chat.completion.chunk"
        wants = request.stream_options is not None and request.stream_options.include_usage
        usage = None if meters.omit else metered
        events = _chat_events(base, answers, tier, usage, wants, names)
        return Reply(content_type=b"text/event-stream; charset=utf-8", events=events, tokens=tokens)
    choices = enumerate(answers)
    base["choices"] = [_choice(i, a) if names is None else rich_choice(a, i, names) for i, a in choices]
    if not meters.omit:
        base["usage"] = usage_of(metered)
    base["service_tier"] = tier
    base["system_fingerprint"] = "fp_mock"
    return Reply(body=_encode(base), tokens=tokens)


def _finish(answer: Answer) -> str:
    if answer.tool is not None:
        return "tool_calls"
    return "length" if answer.truncated else "stop"


def _choice(index: int, answer: Answer) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": answer.text, "refusal": None, "annotations": []}
    if answer.tool is not None:
        message["content"] = None
        message["tool_calls"] = [
            {
                "id": f"call_mock{index}",
                "type": "function",
                "function": {"name": answer.tool, "arguments": answer.text},
            }
        ]
    return {"index": index, "message": message, "logprobs": None, "finish_reason": _finish(answer)}


def _chat_events(
    base: dict[str, Any],
    answers: Sequence[Answer],
    tier: str,
    usage: Metered | None,
    wants_usage: bool,
    names: Sequence[str] | None,
) -> list[Event]:
    """The chunks of a stream: role, pieces of every choice in turn, finish reasons, usage if asked for, `[DONE]`.
    `names`: of the functions that a rich answer calls; None: it is a plain one."""
    base = {**base, "service_tier": tier, "system_fingerprint": "fp_mock"}
    if wants_usage:
        base["usage"] = None
    if names is not None:
        told = usage_of(usage) if wants_usage and usage is not None else None
        return [*rich_chunks(base, answers, names, told), _DONE]

    def chunk(index: int, delta: dict[str, Any], finish: str | None = None) -> bytes:
        choices = [{"index": index, "delta": delta, "logprobs": None, "finish_reason": finish}]
        return _encode({**base, "choices": choices})

    events: list[Event] = []
    for index, answer in enumerate(answers):
        delta: dict[str, Any] = {"role": "assistant", "content": "", "refusal": None}
        if answer.tool is not None:
            call = {"index": 0, "id": f"call_mock{index}", "type": "function"}
            delta = {
                "role": "assistant",
                "content": None,
                "tool_calls": [{**call, "function": {"name": answer.tool, "arguments": ""}}],
            }
        events.append(Event(chunk(index, delta)))
    for position in range(max((len(a.pieces) for a in answers), default=0)):
        for index, answer in enumerate(answers):
            if position >= len(answer.pieces):
                continue
            piece = answer.pieces[position]
            delta = (
                {"content": piece}
                if answer.tool is None
                else {"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}
            )
            events.append(Event(chunk(index, delta), visible=1))
    for index, answer in enumerate(answers):
        events.append(Event(chunk(index, {}, _finish(answer)), finish=True))
    if wants_usage and usage is not None:
        events.append(Event(_encode({**base, "choices": [], "usage": usage_of(usage)})))
    events.append(_DONE)
    return events


def completion_reply(request: CompletionRequest, output: Output, meters: Meters, seq: int) -> Reply:
    """The answer to a legacy completion."""
    prompt = prompt_text(request.prompt)
    ask = Ask(prompt, prompt_tokens(request.prompt), max_tokens=request.max_tokens, last_text=prompt)
    meters = within(ask, meters)
    answers = [compose(ask, output, choice) for choice in range(request.n or 1)]
    metered = meter(ask, answers, meters)
    base: dict[str, Any] = {
        "id": f"cmpl-mock{seq:08d}",
        "object": "text_completion",
        "created": CREATED,
        "model": request.model,
    }
    tokens = Tokens(metered.input, metered.output)
    if not request.stream:
        base["choices"] = [
            {"index": i, "text": a.text, "logprobs": None, "finish_reason": _finish(a)} for i, a in enumerate(answers)
        ]
        if not meters.omit:
            base["usage"] = usage_of(metered)
        return Reply(body=_encode(base), tokens=tokens)
    events: list[Event] = []
    for index, answer in enumerate(answers):
        for piece in answer.pieces:
            choice = {"index": index, "text": piece, "logprobs": None, "finish_reason": None}
            events.append(Event(_encode({**base, "choices": [choice]}), visible=1))
        choice = {"index": index, "text": "", "logprobs": None, "finish_reason": _finish(answer)}
        events.append(Event(_encode({**base, "choices": [choice]}), finish=True))
    if request.stream_options is not None and request.stream_options.include_usage and not meters.omit:
        events.append(Event(_encode({**base, "choices": [], "usage": usage_of(metered)})))
    events.append(_DONE)
    return Reply(content_type=b"text/event-stream; charset=utf-8", events=events, tokens=tokens)
