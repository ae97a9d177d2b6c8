"""OpenAI Responses: items in, items out, and typed events that always end with the whole response and its usage.

Source: platform.openai.com/docs/api-reference/responses and …/responses-streaming. The API lets a stored prompt choose
the model; here the model must be named, because a key's scope, limits and prices depend on it.
"""

from typing import Any

import msgspec

from gateway.dialects.body import checked_model, decode_request, replace_model, token_limit
from gateway.dialects.delivered import Delivered, given
from gateway.dialects.quick import answer_segments, prompt_segments
from gateway.dialects.tail import reported
from gateway.facts import Operation, Reading, Segment, Usage


class _Fields(msgspec.Struct, gc=False):
    model: str = ""
    stream: bool | None = None
    max_output_tokens: int | None = None
    service_tier: str | None = None


_fields = msgspec.json.Decoder(_Fields)


class ResponsesDialect:
    """`POST /responses`."""

    def read(self, operation: Operation, body: bytes) -> Reading:
        fields = decode_request(_fields, body)
        return Reading(
            model=checked_model(fields.model),
            stream=fields.stream is True,
            max_output_tokens=token_limit(fields.max_output_tokens, "max_output_tokens"),
            service_tier=fields.service_tier,
        )

    def rewrite(self, reading: Reading, body: bytes, model: str, ask_usage: bool = True) -> bytes:
        return replace_model(body, reading.model, model)

    def usage(self, body: bytes) -> tuple[Usage | None, str | None]:
        usage, tier = reported(body)
        return with_searches(usage, body), tier

    def stream(self, reading: Reading) -> "ResponsesStream":
        return ResponsesStream()

    def prompt_segments(self, body: bytes) -> list[Segment]:
        return prompt_segments(body, input_role="user")

    def answer_segments(self, body: bytes) -> list[Segment]:
        return answer_segments(body, "output")


class _Item(msgspec.Struct, gc=False):
    type: str = ""


class _Output(msgspec.Struct, gc=False):
    output: list[_Item] = []


_output = msgspec.json.Decoder(_Output).decode


def with_searches(usage: Usage | None, response: bytes | msgspec.Raw) -> Usage | None:
    """Adds the web and file searches a response's output items show: they are billed by the call, and the usage object
    does not count them."""
    if usage is None or b"_search_call" not in bytes(response):
        return usage
    try:
        return with_items(usage, _output(response).output)
    except (ValueError, RecursionError):
        return usage


def with_items(usage: Usage, items: "list[_Item]") -> Usage:
    """As `with_searches`, from the items themselves."""
    kinds = [item.type for item in items]
    return msgspec.structs.replace(
        usage,
        web_searches=max(usage.web_searches, kinds.count("web_search_call")),
        file_searches=max(usage.file_searches, kinds.count("file_search_call")),
    )


class _Response(msgspec.Struct, gc=False):
    id: Any = None
    background: Any = None
    output: list[_Item] = []
    usage: msgspec.Raw = msgspec.Raw()
    service_tier: str | None = None
    error: msgspec.Raw = msgspec.Raw()


class _Event(msgspec.Struct, gc=False):
    type: str = ""
    delta: msgspec.Raw = msgspec.Raw()
    response: _Response | None = None
    error: msgspec.Raw = msgspec.Raw()


class _Delta(msgspec.Struct, gc=False):
    delta: str = ""
    type: str = ""


_event = msgspec.json.Decoder(_Event).decode
_delta = msgspec.json.Decoder(_Delta).decode
_LAST = frozenset(("response.completed", "response.incomplete", "response.failed"))
_NOT_TEXT = frozenset(
    ("response.audio.delta", "response.output_audio.delta", "response.shell_call_output_content.delta")
)
"""Deltas that are encoded sound, or a tool's output rather than the model's."""


class ResponsesStream(Delivered):
    """Finished with `response.completed`, `.incomplete` or `.failed` (which has also failed), or with `[DONE]`, which
    some compatible servers add."""

    __slots__ = ()

    usage: Usage | None
    service_tier: str | None

    def event(self, name: bytes, data: bytes) -> bool:
        if name[-6:] == b".delta":
            try:
                piece = _delta(data)
            except (ValueError, RecursionError):
                return True
            if piece.type not in _NOT_TEXT:
                self._text.write(piece.delta)
            return True
        try:
            event = _event(data)
        except (ValueError, RecursionError):
            return self._unreadable(name, data)
        kind = event.type or name.decode("utf-8", "replace")
        if kind == "error" or given(event.error):
            self.failed = True
        elif kind[-6:] == ".delta":
            self._unnamed_delta(kind, event.delta)
        elif event.response is not None:
            self._response(kind, event.response)
        return True

    def _response(self, kind: str, response: _Response) -> None:
        if response.background is True and isinstance(response.id, str):
            self.job = response.id
        self.take_usage(response.usage)
        if self.usage is not None and response.output:
            self.usage = with_items(self.usage, response.output)
        if response.service_tier is not None:
            self.service_tier = response.service_tier
        if kind in _LAST:
            self.finished = True
            if kind == "response.failed":
                self.failed = True

    def _unnamed_delta(self, kind: str, raw: msgspec.Raw) -> None:
        """A delta from a server that leaves out the `event` field."""
        text = bytes(raw)
        if kind not in _NOT_TEXT and text[:1] == b'"':
            try:
                self._text.write(msgspec.json.decode(text, type=str))
            except ValueError:
                return

    def _unreadable(self, name: bytes, data: bytes) -> bool:
        if data.strip() == b"[DONE]":
            self.finished = True
        elif name == b"error":
            self.failed = True
        return True
