"""Answers of every dialect, whole and as the stream of events that adds up to them."""

import json
from itertools import count

USAGE = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}


def pieces(text: str, size: int) -> list[str]:
    return [text[at : at + size] for at in range(0, len(text), size)] or [""]


def sse(*events: dict | str, named: bool = False) -> bytes:
    """Events; `named`: each with its type as its name."""
    out = []
    for event in events:
        data = event if isinstance(event, str) else json.dumps(event)
        name = f"event: {event['type']}\n" if named and isinstance(event, dict) else ""
        out.append(f"{name}data: {data}\n\n")
    return "".join(out).encode()


def chat(*texts: str, calls: tuple[str, ...] = ()) -> dict:
    """A chat completion with a choice for each text; `calls`: arguments of the first choice's tool calls."""
    choices = []
    for index, text in enumerate(texts):
        message: dict = {"role": "assistant", "content": text, "refusal": None}
        if calls and not index:
            message["tool_calls"] = [
                {"id": f"call_{n}", "type": "function", "function": {"name": "act", "arguments": arguments}}
                for n, arguments in enumerate(calls)
            ]
        finish = "tool_calls" if calls and not index else "stop"
        choices.append({"index": index, "message": message, "logprobs": None, "finish_reason": finish})
    return {"id": "c1", "object": "chat.completion", "created": 1, "model": "m", "choices": choices, "usage": USAGE}


def _chunk(index: int, delta: dict, finish: str | None = None) -> dict:
    choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish}
    return {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}


def chat_stream(answer: dict, size: int = 3, *, usage: bool = True) -> bytes:
    """The same in pieces of `size` characters, the choices taking turns."""
    turns: list[list[dict]] = []
    for choice in answer["choices"]:
        index, message = choice["index"], choice["message"]
        events = [_chunk(index, {"role": "assistant", "content": ""})]
        events += [_chunk(index, {"content": piece}) for piece in pieces(message["content"], size)]
        for n, call in enumerate(message.get("tool_calls", [])):
            begun = {**call, "index": n, "function": {"name": "act", "arguments": ""}}
            events.append(_chunk(index, {"tool_calls": [begun]}))
            events += [
                _chunk(index, {"tool_calls": [{"index": n, "function": {"arguments": piece}}]})
                for piece in pieces(call["function"]["arguments"], size)
            ]
        events.append(_chunk(index, {}, choice["finish_reason"]))
        turns.append(events)
    mixed = [events[at] for at in range(max(map(len, turns))) for events in turns if at < len(events)]
    last = [{**_chunk(0, {}), "choices": [], "usage": answer["usage"]}] if usage else []
    return sse(*mixed, *last, "[DONE]")


def completion(*texts: str) -> dict:
    choices = [
        {"index": index, "text": text, "logprobs": None, "finish_reason": "stop"} for index, text in enumerate(texts)
    ]
    return {"id": "t1", "object": "text_completion", "created": 1, "model": "m", "choices": choices, "usage": USAGE}


def completion_stream(answer: dict, size: int = 3) -> bytes:
    around = {key: answer[key] for key in ("id", "object", "created", "model")}
    events: list[dict] = []
    for choice in answer["choices"]:
        parts = pieces(choice["text"], size)
        for at, piece in enumerate(parts):
            finish = "stop" if at == len(parts) - 1 else None
            said = {"index": choice["index"], "text": piece, "logprobs": None, "finish_reason": finish}
            events.append({**around, "choices": [said]})
    return sse(*events, {**around, "choices": [], "usage": answer["usage"]}, "[DONE]")


def message(text: str, tool: dict | None = None) -> dict:
    """An Anthropic message."""
    content: list[dict] = [{"type": "text", "text": text}]
    if tool is not None:
        content.append({"type": "tool_use", "id": "tu_1", "name": "act", "input": tool})
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": content,
        "stop_reason": "end_turn" if tool is None else "tool_use",
        "stop_sequence": None,
        "usage": {"input_tokens": 100, "output_tokens": 20},
    }


def message_stream(answer: dict, size: int = 3) -> bytes:
    begun = {**answer, "content": [], "stop_reason": None, "usage": {"input_tokens": 100, "output_tokens": 1}}
    events: list[dict] = [{"type": "message_start", "message": begun}, {"type": "ping"}]
    for index, block in enumerate(answer["content"]):
        if block["type"] == "text":
            empty, kind, name, text = {**block, "text": ""}, "text_delta", "text", block["text"]
        else:
            empty, kind, name, text = (
                {**block, "input": {}},
                "input_json_delta",
                "partial_json",
                json.dumps(block["input"]),
            )
        events.append({"type": "content_block_start", "index": index, "content_block": empty})
        events += [
            {"type": "content_block_delta", "index": index, "delta": {"type": kind, name: piece}}
            for piece in pieces(text, size)
        ]
        events.append({"type": "content_block_stop", "index": index})
    stop = {"stop_reason": answer["stop_reason"], "stop_sequence": None}
    events.append({"type": "message_delta", "delta": stop, "usage": {"output_tokens": 20}})
    return sse(*events, {"type": "message_stop"}, named=True)


def response(text: str, arguments: str = "") -> dict:
    """A response with one message, and one function call if there are arguments."""
    output: list[dict] = [
        {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": text, "annotations": [], "logprobs": []}],
        }
    ]
    if arguments:
        call = {"id": "fc_1", "type": "function_call", "call_id": "call_1", "name": "act", "arguments": arguments}
        output.append({**call, "status": "completed"})
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "status": "completed",
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "model": "m",
        "output": output,
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": {
            "input_tokens": 100,
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens": 20,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": 120,
        },
    }


def response_stream(answer: dict, size: int = 3) -> bytes:
    number = count()
    events: list[dict] = []

    def say(kind: str, **members: object) -> None:
        events.append({"type": f"response.{kind}", "sequence_number": next(number), **members})

    begun = {**answer, "status": "in_progress", "output": [], "usage": None}
    say("created", response=begun)
    say("in_progress", response=begun)
    for index, item in enumerate(answer["output"]):
        at = {"item_id": item["id"], "output_index": index}
        if item["type"] == "message":
            part = item["content"][0]
            here = {**at, "content_index": 0}
            say("output_item.added", output_index=index, item={**item, "status": "in_progress", "content": []})
            say("content_part.added", **here, part={**part, "text": ""})
            for piece in pieces(part["text"], size):
                say("output_text.delta", **here, delta=piece, logprobs=[])
            say("output_text.done", **here, text=part["text"], logprobs=[])
            say("content_part.done", **here, part=part)
        else:
            say("output_item.added", output_index=index, item={**item, "status": "in_progress", "arguments": ""})
            for piece in pieces(item["arguments"], size):
                say("function_call_arguments.delta", **at, delta=piece)
            say("function_call_arguments.done", **at, name="act", arguments=item["arguments"])
        say("output_item.done", output_index=index, item=item)
    say("completed", response=answer)
    return sse(*events, named=True)
