"""The one place where refusals become wire bodies: OpenAI's and Anthropic's error envelopes, whole and mid-stream."""

from typing import Literal

import msgspec

from gateway.errors import Refusal
from gateway.facts import Wire

_encode = msgspec.json.Encoder().encode


class _OpenAIError(msgspec.Struct):
    """https://platform.openai.com/docs/guides/error-codes : every field is always there, null when unknown."""

    message: str
    type: str
    param: str | None
    code: str | None


class _OpenAIBody(msgspec.Struct):
    error: _OpenAIError


class _AnthropicError(msgspec.Struct):
    type: str
    message: str


class _AnthropicBody(msgspec.Struct, omit_defaults=True):
    """https://docs.anthropic.com/en/api/errors : `request_id` beside `error`."""

    error: _AnthropicError
    request_id: str | None = None
    type: Literal["error"] | None = None
    """Always set; it has a default only because fields without one must stand first."""


class _ResponsesError(msgspec.Struct):
    """The Responses API's `error` event. The reference documents `code`, `message` and `param` at the top; the live
    service nests them in `error`, and the official SDKs raise only then. Both stand here, so that a client of either
    reading sees the failure (openai/openai-dotnet#881)."""

    type: str
    code: str | None
    message: str
    param: str | None
    sequence_number: int
    error: _OpenAIError


def error_body(refusal: Refusal, wire: Wire, request_id: str = "") -> bytes:
    """JSON body of a refusal. `request_id` goes into Anthropic's envelope (OpenAI's carries it in a header only)."""
    if wire == "anthropic":
        error = _AnthropicError(refusal.anthropic_type, refusal.message)
        return _encode(_AnthropicBody(error, request_id or None, "error"))
    return _encode(_OpenAIBody(_openai_error(refusal)))


def error_event(
    refusal: Refusal,
    wire: Wire,
    request_id: str = "",
    *,
    shape: Literal["chat", "responses"] = "chat",
    sequence_number: int = 0,
) -> bytes:
    """The server-sent event that ends a broken stream.

    `shape="responses"` (operation `responses`) gives the Responses API's event; `sequence_number` should be one more
    than the last event's. Anthropic streams have one shape.
    """
    if wire == "anthropic":
        return b"event: error\ndata: " + error_body(refusal, wire, request_id) + b"\n\n"
    if shape == "responses":
        error = _openai_error(refusal)
        body = _ResponsesError("error", error.code, error.message, error.param, sequence_number, error)
        return b"event: error\ndata: " + _encode(body) + b"\n\n"
    return b"data: " + error_body(refusal, wire) + b"\n\n"


def _openai_error(refusal: Refusal) -> _OpenAIError:
    return _OpenAIError(refusal.message, refusal.type, refusal.param, refusal.code)
