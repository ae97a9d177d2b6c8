"""OpenAI chat completions and (legacy) completions: `choices` that stream as deltas, usage on request.

Sources: platform.openai.com/docs/api-reference/chat, …/completions. Providers that call themselves compatible differ
in ways seen in their answers and met here: `choices: null`; reasoning in `reasoning_content` or `reasoning`; content
as a list of parts; usage repeated in every chunk (cumulative, so the last wins) or on the last content chunk; no
`[DONE]`.
"""

from collections.abc import Callable
from typing import Any, cast

import msgspec

from gateway.dialects.body import (
    MAX_CHOICES,
    checked_model,
    count,
    decode_request,
    replace_members,
    replace_model,
    token_limit,
)
from gateway.dialects.delivered import Delivered, given
from gateway.dialects.quick import answer_segments, prompt_segments
from gateway.dialects.tail import reported
from gateway.facts import Operation, Reading, Segment, Usage

_encode = msgspec.json.encode
_CONTENT = b'"content":"'
_MOST_LESSONS = 32
"""Events whose surroundings are learned; a stream whose events differ in more than their text is not worth it."""


class _StreamOptions(msgspec.Struct, gc=False):
    include_usage: bool | None = None


class _ChatFields(msgspec.Struct, gc=False):
    model: str = ""
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    n: int | None = None
    service_tier: str | None = None


class _CompletionFields(msgspec.Struct, gc=False):
    model: str = ""
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    max_tokens: int | None = None
    n: int | None = None
    best_of: int | None = None
    prompt: msgspec.Raw = msgspec.Raw()
    service_tier: str | None = None


_chat_fields = msgspec.json.Decoder(_ChatFields)
_completion_fields = msgspec.json.Decoder(_CompletionFields)
_raw_list = msgspec.json.Decoder(list[msgspec.Raw]).decode


class ChatDialect:
    """`POST /chat/completions`."""

    def read(self, operation: Operation, body: bytes) -> Reading:
        fields = decode_request(_chat_fields, body)
        limit = token_limit(fields.max_tokens, "max_tokens")
        newer = token_limit(fields.max_completion_tokens, "max_completion_tokens")
        if newer is not None:
            limit = newer if limit is None else max(limit, newer)
        options = fields.stream_options
        return Reading(
            model=checked_model(fields.model),
            stream=fields.stream is True,
            wants_usage_event=options is not None and options.include_usage is True,
            max_output_tokens=limit,
            choices=count(fields.n, "n"),
            service_tier=fields.service_tier,
        )

    def rewrite(self, reading: Reading, body: bytes, model: str, ask_usage: bool = True) -> bytes:
        return _rewrite(reading, body, model, ask_usage)

    def usage(self, body: bytes) -> tuple[Usage | None, str | None]:
        return reported(body)

    def stream(self, reading: Reading) -> "ChatStream":
        return ChatStream(reading)

    def prompt_segments(self, body: bytes) -> list[Segment]:
        return prompt_segments(body)

    def answer_segments(self, body: bytes) -> list[Segment]:
        return answer_segments(body, "choices")


class CompletionsDialect:
    """`POST /completions`. Each prompt of a list gets `n` choices, out of `best_of` that are generated and billed."""

    def read(self, operation: Operation, body: bytes) -> Reading:
        fields = decode_request(_completion_fields, body)
        n = count(fields.n, "n")
        best_of = count(fields.best_of, "best_of")
        options = fields.stream_options
        return Reading(
            model=checked_model(fields.model),
            stream=fields.stream is True,
            wants_usage_event=options is not None and options.include_usage is True,
            max_output_tokens=token_limit(fields.max_tokens, "max_tokens"),
            choices=min(max(n, best_of) * _prompts(fields.prompt), MAX_CHOICES),
            service_tier=fields.service_tier,
        )

    def rewrite(self, reading: Reading, body: bytes, model: str, ask_usage: bool = True) -> bytes:
        return _rewrite(reading, body, model, ask_usage)

    def usage(self, body: bytes) -> tuple[Usage | None, str | None]:
        return reported(body)

    def stream(self, reading: Reading) -> "ChatStream":
        return ChatStream(reading)

    def prompt_segments(self, body: bytes) -> list[Segment]:
        return prompt_segments(body)

    def answer_segments(self, body: bytes) -> list[Segment]:
        return answer_segments(body, "choices", role="output")


class _Function(msgspec.Struct, gc=False):
    arguments: str | None = None


class _ToolCall(msgspec.Struct, gc=False):
    function: _Function | None = None
    custom: msgspec.Raw = msgspec.Raw()


class _Delta(msgspec.Struct, gc=False):
    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    refusal: str | None = None
    tool_calls: list[_ToolCall] | None = None
    function_call: _Function | None = None
    audio: msgspec.Raw = msgspec.Raw()


class _Choice(msgspec.Struct, gc=False):
    delta: _Delta | None = None
    text: str | None = None
    """Completions have it in place of a delta."""
    finish_reason: str | None = None
    index: int = 0


class _Chunk(msgspec.Struct, gc=False):
    choices: list[_Choice] | None = None
    usage: msgspec.Raw = msgspec.Raw()
    service_tier: str | None = None
    error: msgspec.Raw = msgspec.Raw()


class _Transcript(msgspec.Struct):
    transcript: str | None = None
    """Of audio."""
    input: str | None = None
    """Of a custom tool call."""


_chunk = msgspec.json.Decoder(_Chunk).decode
_any = msgspec.json.Decoder().decode
_transcript = msgspec.json.Decoder(_Transcript).decode


class ChatStream(Delivered):
    """Reader of both operations' chunks.

    Finished: every choice asked for gave a finish reason, or `[DONE]` came. A usage event the client did not ask for
    is one without choices; usage on a chunk that has choices is passed on with it, since the chunk carries text.
    """

    __slots__ = ("_after", "_before", "_done", "_lessons", "_missing", "_strip")

    service_tier: str | None

    def __init__(self, reading: Reading) -> None:
        super().__init__()
        self._strip = not reading.wants_usage_event
        self._missing = reading.choices
        self._done: set[int] = set()
        self._before = b"[DONE]"
        """What stood before the text of the last event, and after it: most events differ in nothing else."""
        self._after = b""
        self._lessons = _MOST_LESSONS

    def event(self, name: bytes, data: bytes) -> bool:
        before, after = self._before, self._after
        if after and data.startswith(before) and data.endswith(after) and not name:
            text = data[len(before) : -len(after)]
            if text and b'"' not in text and b"\\" not in text and len(data) > len(before) + len(after):
                try:
                    self._text.write(text.decode())
                except UnicodeDecodeError:
                    return self._unusual(name, data)
                return True
        if data == b"[DONE]":
            self.finished = True
            return True
        try:
            chunk = _chunk(data)
        except (ValueError, RecursionError):
            return self._unusual(name, data)
        choices = chunk.choices
        if choices:
            for choice in choices:
                delta = choice.delta
                if delta is not None:
                    if delta.content:
                        self._text.write(delta.content)
                    else:
                        self._other(delta)
                elif choice.text:
                    self._text.write(choice.text)
                if choice.finish_reason:
                    self._end(choice.index)
        if chunk.service_tier is not None:
            self.service_tier = chunk.service_tier
        if choices and len(choices) == 1 and self._lessons and not given(chunk.usage) and not given(chunk.error):
            self._learn(choices[0], data)
        if given(chunk.error) or name == b"error":
            self.failed = True
        return not (given(chunk.usage) and self.take_usage(chunk.usage) and not choices and self._strip)

    def listener(self, head: bytes, tail: bytes) -> Callable[[str], object] | None:
        # An event that was learned from says nothing but its text; padding is not read.
        return self._text.write if head == self._before and tail == self._after else None

    def _learn(self, choice: "_Choice", data: bytes) -> None:
        """Keep what surrounds the text of an event that says nothing else, for the next ones."""
        delta = choice.delta
        self._after = b""
        self._lessons -= 1
        if delta is None or not delta.content or choice.finish_reason or data.count(_CONTENT) != 1:
            return
        begin = data.find(_CONTENT) + len(_CONTENT)
        end = data.find(b'"', begin)
        escaped = data[begin - len(_CONTENT) - 1 : begin - len(_CONTENT)] == b"\\"
        if not escaped and data[begin:end] == delta.content.encode():
            self._before, self._after = data[:begin], data[end:]

    def _other(self, delta: _Delta) -> None:
        """A delta without content: reasoning (some providers give it under two names at once), refusal, tools."""
        for piece in (delta.reasoning_content or delta.reasoning, delta.refusal):
            if piece:
                self._text.write(piece)
        if delta.function_call is not None and delta.function_call.arguments:
            self._text.write(delta.function_call.arguments)
        for call in delta.tool_calls or ():
            if call.function is not None and call.function.arguments:
                self._text.write(call.function.arguments)
            elif given(call.custom):
                self._spoken(call.custom)
        if given(delta.audio):
            self._spoken(delta.audio)

    def _spoken(self, raw: msgspec.Raw) -> None:
        try:
            found = _transcript(raw)
        except (ValueError, RecursionError):
            return
        self._text.write(found.transcript or found.input or "")

    def _end(self, index: int) -> None:
        self._done.add(index)
        if len(self._done) >= self._missing:
            self.finished = True

    def _unusual(self, name: bytes, data: bytes) -> bool:
        """`[DONE]`, or a chunk with a field of an unexpected type: what can be read of it is."""
        if data.strip() == b"[DONE]":
            self.finished = True
            return True
        if name == b"error":
            self.failed = True
        try:
            chunk: object = _any(data)
        except (ValueError, RecursionError):
            return True
        if not isinstance(chunk, dict):
            return True
        fields = cast("dict[str, Any]", chunk)
        if fields.get("error"):
            self.failed = True
        choices = fields.get("choices")
        for choice in cast("list[Any]", choices) if isinstance(choices, list) else ():
            self._loose_choice(choice)
        usage = fields.get("usage")
        counted = isinstance(usage, dict) and self.take_usage(msgspec.Raw(_encode(usage)))
        return not (counted and not choices and self._strip)

    def _loose_choice(self, choice: object) -> None:
        if not isinstance(choice, dict):
            return
        fields = cast("dict[str, Any]", choice)
        delta = fields.get("delta")
        for piece in _strings(cast("dict[str, Any]", delta) if isinstance(delta, dict) else fields.get("text")):
            self._text.write(piece)
        if fields.get("finish_reason"):
            index = fields.get("index")
            self._end(index if isinstance(index, int) else 0)


_NOT_TEXT = frozenset(("role", "type", "id", "name", "index", "data"))


def _strings(value: object) -> list[str]:
    """Every text of a delta whose shape is not known."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, list):
        return [piece for item in cast("list[Any]", value) for piece in _strings(item)]
    if isinstance(value, dict):
        fields = cast("dict[str, Any]", value)
        return [piece for name, item in fields.items() if name not in _NOT_TEXT for piece in _strings(item)]
    return []


def _rewrite(reading: Reading, body: bytes, model: str, ask_usage: bool) -> bytes:
    if not (reading.stream and ask_usage) or reading.wants_usage_event:
        return replace_model(body, reading.model, model)
    values = {"model": _encode(model)} if reading.model != model else {}
    return replace_members(body, values, {"stream_options": {"include_usage": b"true"}})


def _prompts(raw: msgspec.Raw) -> int:
    """How many prompts a request holds: as many as the list has strings or token lists; a list of tokens is one."""
    text = bytes(raw)
    if text[:1] != b"[":
        return 1
    items = _raw_list(text)
    return len(items) if items and bytes(items[0])[:1] in (b'"', b"[") else 1
