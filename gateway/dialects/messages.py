"""Anthropic messages and token counting.

Source: docs.anthropic.com/en/api/messages and …/messages-streaming. A stream tells the prompt's meters in
`message_start` and the cumulative output in `message_delta`; new event types may appear at any time and are passed on.
"""

from collections.abc import Callable

import msgspec

from gateway.dialects.body import checked_model, decode_request, replace_model, token_limit
from gateway.dialects.delivered import Delivered, given
from gateway.dialects.plain import SilentStream
from gateway.dialects.quick import answer_segments, prompt_segments
from gateway.dialects.tail import reported
from gateway.facts import Operation, Reading, Segment, Usage


class _Fields(msgspec.Struct, gc=False):
    model: str = ""
    stream: bool | None = None
    max_tokens: int | None = None
    service_tier: str | None = None


_fields = msgspec.json.Decoder(_Fields)


class MessagesDialect:
    """`POST /messages`."""

    def read(self, operation: Operation, body: bytes) -> Reading:
        fields = decode_request(_fields, body)
        return Reading(
            model=checked_model(fields.model),
            stream=fields.stream is True,
            max_output_tokens=token_limit(fields.max_tokens, "max_tokens"),
            service_tier=fields.service_tier,
        )

    def rewrite(self, reading: Reading, body: bytes, model: str, ask_usage: bool = True) -> bytes:
        return replace_model(body, reading.model, model)

    def usage(self, body: bytes) -> tuple[Usage | None, str | None]:
        return reported(body)

    def stream(self, reading: Reading) -> "MessagesStream":
        return MessagesStream()

    def prompt_segments(self, body: bytes) -> list[Segment]:
        return prompt_segments(body)

    def answer_segments(self, body: bytes) -> list[Segment]:
        return answer_segments(body, "content")


class CountTokensDialect:
    """`POST /messages/count_tokens`: a count is the answer, nothing is consumed."""

    def read(self, operation: Operation, body: bytes) -> Reading:
        return Reading(model=checked_model(decode_request(_fields, body).model))

    def rewrite(self, reading: Reading, body: bytes, model: str, ask_usage: bool = True) -> bytes:
        return replace_model(body, reading.model, model)

    def usage(self, body: bytes) -> tuple[Usage | None, str | None]:
        return None, None

    def stream(self, reading: Reading) -> SilentStream:
        return SilentStream()

    def prompt_segments(self, body: bytes) -> list[Segment]:
        return prompt_segments(body)

    def answer_segments(self, body: bytes) -> list[Segment]:
        """None: the answer is a number."""
        return []


class _Piece(msgspec.Struct, gc=False):
    """Delta of a block, a block at its start, or the message-level delta."""

    text: str | None = None
    partial_json: str | None = None
    thinking: str | None = None
    stop_reason: msgspec.Raw = msgspec.Raw()


class _Message(msgspec.Struct, gc=False):
    usage: msgspec.Raw = msgspec.Raw()


class _Event(msgspec.Struct, gc=False):
    type: str = ""
    delta: _Piece | None = None
    content_block: _Piece | None = None
    message: _Message | None = None
    usage: msgspec.Raw = msgspec.Raw()
    error: msgspec.Raw = msgspec.Raw()


_event = msgspec.json.Decoder(_Event).decode
_SAID = "a text"
_STOP = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'


class MessagesStream(Delivered):
    """Finished with a stop reason, after which nothing more is said, or with `message_stop`; failed with an `error`
    event. Usage always comes and is never stripped."""

    __slots__ = ("_stopped",)

    def __init__(self) -> None:
        super().__init__()
        self._stopped = False

    def event(self, name: bytes, data: bytes) -> bool:
        try:
            event = _event(data)
        except (ValueError, RecursionError):
            if name == b"error":
                self.failed = True
            elif name == b"message_stop":
                self.finished = self._stopped = True
            return True
        piece = event.delta or event.content_block
        if piece is not None:
            self._text.write(piece.text or piece.partial_json or piece.thinking or "")
        kind = event.type
        if kind == "content_block_delta":
            return True
        if event.message is not None:
            self.merge_usage(event.message.usage)
        if given(event.usage):
            self.merge_usage(event.usage)
        if kind == "message_stop":
            self.finished = self._stopped = True
        elif kind == "message_delta" and piece is not None and given(piece.stop_reason):
            self.finished = True
        elif kind == "error" or given(event.error) or name == b"error":
            self.failed = True
        return True

    def listener(self, head: bytes, tail: bytes) -> Callable[[str], object] | None:
        # Of a delta nothing is read but one text; whether it is the one that differs is tried out.
        try:
            event = _event(b"%b%b%b" % (head, _SAID.encode(), tail))
        except (ValueError, RecursionError):
            return None
        piece = event.delta or event.content_block
        said = piece is not None and (piece.text or piece.partial_json or piece.thinking) == _SAID
        return self._text.write if said and event.type == "content_block_delta" else None

    def lacking(self) -> bytes:
        """Some compatible servers end with the stop reason; clients that wait for `message_stop` get it."""
        return b"" if self._stopped or self.failed or not self.finished else _STOP
