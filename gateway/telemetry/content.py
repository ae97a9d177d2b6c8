"""What was said in an exchange, as GenAI messages for its span: only for teams that have opted in, only what guardrails
let pass, and only so much.

    gen_ai.input.messages, gen_ai.system_instructions   the body that went to the provider, masked as it went
    gen_ai.output.messages                              the answer that went to the client, its pseudonyms put in again

Each is a JSON text in the shape of OpenTelemetry's GenAI conventions (`gen-ai-input-messages.json` and its sisters).
Nothing of an exchange that was blocked, or whose request nobody has judged to its end, is told. Too much is cut where
one can see it. Called off the hot path; what cannot be read is left out, never raised.
"""

from collections.abc import Callable, Iterable
from typing import Any, cast

import msgspec

from gateway.facts import ALLOWED, Exchange
from gateway.telemetry.transcript import Message, Part

MOST_BODY = 1 << 20
"""Bytes of a body that is read for its messages; a larger one, which mostly holds pictures, is left out whole."""
MESSAGE = 32
"""Characters each message counts for beside its text: a thousand empty ones are not nothing."""
OMITTED = "tollway.content.omitted"
"""Why there is no content: blocked, unjudged, or too_large."""
TRUNCATED = "tollway.content.truncated"

Fields = list[tuple[str, str | bool]]
Json = dict[str, Any]
_decode = msgspec.json.Decoder().decode
_TEXTS = frozenset({"text", "input_text", "output_text", "refusal", "summary_text", "reasoning_text"})
_CALLS = frozenset({"tool_use", "server_tool_use", "function_call", "custom_tool_call"})
_RESULTS = frozenset({"tool_result", "function_call_output", "custom_tool_call_output"})


def content_fields(x: Exchange) -> Fields:
    """The attributes of the exchange's span. Empty: its team has not opted in."""
    content = x.content
    if content is None:
        return []
    if x.outcome == "blocked" or any(
        verdict is not ALLOWED and verdict.enforced == "block" for verdict in (x.request_verdict, x.response_verdict)
    ):
        return [(OMITTED, "blocked")]
    if not content.cleared:
        return [(OMITTED, "unjudged")]
    if len(content.request) > MOST_BODY:
        return [(OMITTED, "too_large")]
    operation = x.operation.name if x.operation is not None else ""
    fields: Fields = []
    instructions, asked = _request(content.request, operation)
    answered, cut = content.streamed() if content.streamed else (_answer(content.answer, operation), False)
    for name, messages in (
        ("gen_ai.system_instructions", [Message("system", instructions)] if instructions else []),
        ("gen_ai.input.messages", asked),
        ("gen_ai.output.messages", answered),
    ):
        if messages:
            kept, less = bounded(messages, content.most, content.conceal)
            shown = [part.json() for part in kept[-1].parts] if name.endswith("instructions") else kept
            fields.append((name, _json(shown)))
            cut = cut or less
    if cut:
        fields.append((TRUNCATED, True))
    return fields


def bounded(
    messages: list[Message], most: int, conceal: Callable[[str], str] | None = None
) -> tuple[list[Message], bool]:
    """The newest messages that have no more than `most` characters together, and whether anything was cut; what was
    says so in its place. `conceal` is applied to every text before it is cut."""
    left, kept, cut = most, list[Message](), False
    for message in reversed(messages):
        if left <= 0:
            gone = Part("omitted", {"content": f"{len(messages) - len(kept)} earlier messages"})
            return [Message("system", [gone]), *reversed(kept)], True
        left -= MESSAGE
        parts: list[Part] = []
        for part in message.parts:
            fields = {name: conceal(text) for name, text in part.fields.items()} if conceal else part.fields
            size = sum(map(len, fields.values()))
            if size > max(left, 0):
                fields, cut = {name: _cut(text, max(left, 0)) for name, text in fields.items()}, True
            left -= size
            parts.append(Part(part.type, fields))
        kept.append(Message(message.role, parts, message.finish))
    return kept[::-1], cut


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}… [{len(text) - most} of {len(text)} characters cut]"


def _json(value: object) -> str:
    if isinstance(value, list) and value and isinstance(value[0], Message):
        value = [message.json() for message in cast("list[Message]", value)]
    return msgspec.json.encode(value).decode()


# -- bodies ------------------------------------------------------------------------------------------------------------


def _request(body: bytes, operation: str) -> tuple[list[Part], list[Message]]:
    """System instructions that stand apart from the conversation, and the conversation."""
    fields = _object(body)
    if operation == "completions":
        prompts = fields.get("prompt")
        texts = cast("list[object]", prompts) if isinstance(prompts, list) else [prompts]
        return [], [Message("user", _parts(text)) for text in texts if isinstance(text, str)]
    if operation == "responses":
        given = fields.get("input")
        items = cast("list[object]", given) if isinstance(given, list) else [{"role": "user", "content": given}]
        return _parts(fields.get("instructions")), [message for item in items for message in _item(item)]
    messages = fields.get("messages")
    given = cast("list[object]", messages) if isinstance(messages, list) else []
    told = [_message(cast("Json", each)) for each in given if isinstance(each, dict)]
    return (_parts(fields.get("system")) if operation == "messages" else []), told


def _answer(body: bytes, operation: str) -> list[Message]:
    fields = _object(body) if len(body) <= MOST_BODY else {}
    if operation == "messages":
        return [Message("assistant", _parts(fields.get("content")), _text(fields.get("stop_reason")))] if fields else []
    if operation == "responses":
        output = fields.get("output")
        items = cast("list[object]", output) if isinstance(output, list) else []
        parts = [part for item in items for message in _item(item) for part in message.parts]
        return [Message("assistant", parts, _text(fields.get("status")))] if parts else []
    choices = fields.get("choices")
    told: list[Message] = []
    for choice in cast("list[object]", choices) if isinstance(choices, list) else []:
        if isinstance(choice, dict):
            one = cast("Json", choice)
            said = one.get("message")
            parts = _message(cast("Json", said)).parts if isinstance(said, dict) else _parts(one.get("text"))
            told.append(Message("assistant", parts, _text(one.get("finish_reason"))))
    return told


def _message(fields: Json) -> Message:
    """Of chat completions or of Anthropic's messages."""
    role = _text(fields.get("role")) or "user"
    content = fields.get("content")
    if role == "tool":
        return Message(role, [_result(_text(fields.get("tool_call_id")), content)])
    parts = [Part("reasoning", {"content": text}) for text in _strings(fields, "reasoning_content", "reasoning")[:1]]
    parts += _parts(content)
    parts += [Part("text", {"content": text}) for text in _strings(fields, "refusal")]
    calls = fields.get("tool_calls")
    for call in cast("list[object]", calls) if isinstance(calls, list) else []:
        if isinstance(call, dict):
            parts.append(_call(cast("Json", call)))
    return Message(role, parts)


def _item(value: object) -> Iterable[Message]:
    """An input or output item of Responses."""
    if not isinstance(value, dict):
        return
    fields = cast("Json", value)
    kind = _text(fields.get("type"))
    if kind in _CALLS or kind in _RESULTS:
        yield Message("tool" if kind in _RESULTS else "assistant", [_part(fields)])
    elif kind == "reasoning":
        texts = [part.fields["content"] for part in _parts(fields.get("summary")) if "content" in part.fields]
        yield Message("assistant", [Part("reasoning", {"content": text}) for text in texts])
    elif "content" in fields:
        yield Message(_text(fields.get("role")) or "assistant", _parts(fields.get("content")))


def _parts(content: object) -> list[Part]:
    """Of a text, or a list of typed parts."""
    if isinstance(content, str):
        return [Part("text", {"content": content})] if content else []
    if not isinstance(content, list):
        return []
    return [_part(cast("Json", each)) for each in cast("list[object]", content) if isinstance(each, dict)]


def _part(fields: Json) -> Part:
    kind = _text(fields.get("type"))
    if kind in _TEXTS:
        return Part("text", {"content": _text(fields.get("text")) or _text(fields.get("refusal"))})
    if kind == "thinking":
        return Part("reasoning", {"content": _text(fields.get("thinking"))})
    if kind in _CALLS:
        return _call(fields)
    if kind in _RESULTS:
        of = _text(fields.get("tool_use_id")) or _text(fields.get("call_id"))
        return _result(of, fields.get("content", fields.get("output")))
    return Part("omitted", {"content": kind[:64] or "unknown"})


def _call(fields: Json) -> Part:
    function = fields.get("function")
    inner = cast("Json", function) if isinstance(function, dict) else fields
    given = inner.get("arguments", inner.get("input"))
    arguments = given if isinstance(given, str) else _json(given) if given is not None else ""
    id_ = _text(fields.get("call_id")) or _text(fields.get("id"))
    return Part("tool_call", {"id": id_, "name": _text(inner.get("name")), "arguments": arguments})


def _result(of: str, content: object) -> Part:
    texts = [part.fields.get("content", "") for part in _parts(content)]
    return Part("tool_call_response", {"id": of, "response": "\n".join(texts)})


def _object(body: bytes) -> Json:
    try:
        value: object = _decode(body)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return {}
    return cast("Json", value) if isinstance(value, dict) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _strings(fields: Json, *names: str) -> list[str]:
    return [value for name in names if isinstance(value := fields.get(name), str) and value]
