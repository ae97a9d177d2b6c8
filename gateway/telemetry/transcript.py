"""GenAI messages, and those of a streamed answer put together from the events that went to the client.

Events are gathered as bytes and read a few dozen at a time; only their texts are kept, and no more than asked for.
Nothing here raises for what a provider sends: what is not understood says nothing.
"""

from typing import Any, cast

import msgspec

from gateway.errors import ProtocolBroken
from gateway.wire.sse import SseParser

GATHERED = 16 * 1024
"""Bytes that wait to be read."""
MOST_MESSAGES = 64
"""Choices, or content blocks, of one answer."""
LONGEST_EVENT = 8 * 1024 * 1024
Json = dict[str, Any]
_decode = msgspec.json.Decoder().decode


class Part(msgspec.Struct):
    """A part of a message: `text`, `reasoning`, `tool_call`, `tool_call_response`, or `omitted`, which says what."""

    type: str
    fields: dict[str, str]

    def json(self) -> dict[str, str]:
        return {"type": self.type, **self.fields}


class Message(msgspec.Struct):
    """What one side said."""

    role: str
    parts: list[Part]
    finish: str = ""
    """Why an answer ended; empty: not known, or no answer."""

    def json(self) -> dict[str, object]:
        found: dict[str, object] = {"role": self.role, "parts": [part.json() for part in self.parts]}
        return {**found, "finish_reason": self.finish} if self.finish else found


class Transcript:
    """One streamed answer's. `most`: characters of text that are kept."""

    __slots__ = ("_choices", "_left", "_parser", "_parts", "_pieces", "_waiting", "operation", "truncated")

    def __init__(self, operation: str, most: int) -> None:
        self.operation = operation
        self.truncated = False
        """Something was said beyond `most`."""
        self._left = most
        self._pieces: list[bytes] = []
        self._waiting = 0
        self._parser: SseParser | None = SseParser(LONGEST_EVENT)
        self._choices: dict[int, Message] = {}
        self._parts: dict[tuple[int, str], Part] = {}

    def feed(self, data: bytes) -> None:
        """Take bytes that went to the client, cut anywhere."""
        if self._parser is not None:
            self._pieces.append(data)
            self._waiting += len(data)
            if self._waiting >= GATHERED:
                self._fold()

    def messages(self) -> tuple[list[Message], bool]:
        """What was said so far, a message for each choice; and whether that is not all."""
        self._fold()
        return [self._choices[index] for index in sorted(self._choices)], self.truncated

    def _fold(self) -> None:
        parser = self._parser
        if parser is None:
            return
        data = b"".join(self._pieces)
        self._pieces, self._waiting = [], 0
        try:
            events = parser.feed(data)
        except ProtocolBroken:
            self._parser = None
            return
        for event in events:
            if event.data is not None:
                self._event(event.data)
        if self.truncated:
            self._parser = None

    def _event(self, data: bytes) -> None:
        try:
            value: object = _decode(data)
        except (msgspec.DecodeError, ValueError, RecursionError):
            return
        if not isinstance(value, dict):
            return
        fields = cast("Json", value)
        if self.operation == "messages":
            self._anthropic(fields)
        elif self.operation == "responses":
            self._responses(fields)
        else:
            choices = fields.get("choices")
            for choice in cast("list[object]", choices) if isinstance(choices, list) else []:
                if isinstance(choice, dict):
                    self._choice(cast("Json", choice))

    def _choice(self, choice: Json) -> None:
        at = choice.get("index")
        index = at if isinstance(at, int) else 0
        message = self._message(index)
        if message is None:
            return
        if isinstance(choice.get("finish_reason"), str):
            message.finish = choice["finish_reason"]
        self._say(index, "text", "text", "content", choice.get("text"))
        delta = choice.get("delta")
        if not isinstance(delta, dict):
            return
        fields = cast("Json", delta)
        said = fields.get("reasoning_content") or fields.get("reasoning")
        self._say(index, "reasoning", "reasoning", "content", said)
        self._say(index, "text", "text", "content", fields.get("content"))
        self._say(index, "text", "text", "content", fields.get("refusal"))
        calls = fields.get("tool_calls")
        for call in cast("list[object]", calls) if isinstance(calls, list) else []:
            if isinstance(call, dict):
                one = cast("Json", call)
                function = one.get("function")
                inner = cast("Json", function) if isinstance(function, dict) else {}
                key = f"call {one.get('index', 0)}"
                self._call(index, key, one.get("id"), inner.get("name"), inner.get("arguments"))

    def _anthropic(self, fields: Json) -> None:
        kind, key = fields.get("type"), f"block {fields.get('index', 0)}"
        if kind == "content_block_start":
            block = fields.get("content_block")
            inner = cast("Json", block) if isinstance(block, dict) else {}
            if inner.get("type") in ("tool_use", "server_tool_use"):
                self._call(0, key, inner.get("id"), inner.get("name"), None)
            self._say(0, key, "text", "content", inner.get("text"))
        elif kind == "content_block_delta":
            block = fields.get("delta")
            inner = cast("Json", block) if isinstance(block, dict) else {}
            self._say(0, key, "text", "content", inner.get("text"))
            self._say(0, key, "reasoning", "content", inner.get("thinking"))
            self._say(0, key, "tool_call", "arguments", inner.get("partial_json"))
        elif kind == "message_delta":
            block = fields.get("delta")
            reason = cast("Json", block).get("stop_reason") if isinstance(block, dict) else None
            message = self._message(0)
            if message is not None and isinstance(reason, str):
                message.finish = reason

    def _responses(self, fields: Json) -> None:
        kind = fields.get("type")
        key = f"item {fields.get('output_index', 0)}"
        if kind in ("response.output_text.delta", "response.refusal.delta"):
            self._say(0, f"{key} {fields.get('content_index', 0)}", "text", "content", fields.get("delta"))
        elif kind in ("response.reasoning_summary_text.delta", "response.reasoning_text.delta"):
            self._say(0, key, "reasoning", "content", fields.get("delta"))
        elif kind in ("response.function_call_arguments.delta", "response.custom_tool_call_input.delta"):
            self._say(0, key, "tool_call", "arguments", fields.get("delta"))
        elif kind == "response.output_item.added":
            item = fields.get("item")
            inner = cast("Json", item) if isinstance(item, dict) else {}
            if inner.get("type") in ("function_call", "custom_tool_call"):
                self._call(0, key, inner.get("call_id"), inner.get("name"), None)
        elif kind in ("response.completed", "response.incomplete", "response.failed"):
            message = self._message(0)
            if message is not None:
                message.finish = kind.removeprefix("response.")

    def _message(self, index: int) -> Message | None:
        message = self._choices.get(index)
        if message is None and len(self._choices) < MOST_MESSAGES:
            message = self._choices[index] = Message("assistant", [])
        return message

    def _call(self, index: int, key: str, id_: object, name: object, arguments: object) -> None:
        part = self._part(index, key, "tool_call")
        if part is None:
            return
        for field, value in (("id", id_), ("name", name)):
            if isinstance(value, str) and not part.fields.get(field):
                part.fields[field] = value[:256]
        self._say(index, key, "tool_call", "arguments", arguments)

    def _say(self, index: int, key: str, kind: str, field: str, text: object) -> None:
        if not isinstance(text, str) or not text:
            return
        part = self._part(index, key, kind)
        if part is None:
            return
        if len(text) > self._left:
            self.truncated = True
            text = f"{text[: self._left]}… [cut]"
            self._left = 0
        self._left -= len(text) if self._left else 0
        part.fields[field] = part.fields.get(field, "") + text

    def _part(self, index: int, key: str, kind: str) -> Part | None:
        message = self._message(index)
        if message is None or (self.truncated and not self._left):
            return None
        part = self._parts.get((index, key))
        if part is None and len(self._parts) < MOST_MESSAGES:
            part = self._parts[index, key] = Part(kind, {})
            message.parts.append(part)
        return part
