"""Guardrails on streamed Anthropic messages: numbered blocks whose deltas add up, one after the other.

A block's texts end with `content_block_stop`, and a thinking block's with its signature, which is passed on as it is;
if the text was changed, the provider will not accept the block again.
Source: docs.anthropic.com/en/api/messages-streaming.
"""

import msgspec

from gateway.inspection.channels import Channel
from gateway.inspection.events import EventRewriter
from gateway.inspection.frames import framed, members_of
from gateway.inspection.plans import JSON_TEXTS, STREAMED, Plan, Reader, Slot, last_name
from gateway.inspection.rewrite import Edit
from gateway.inspection.scan import Path
from gateway.inspection.shapes import Shapes, Spans
from gateway.wire.answers import holds_text
from gateway.wire.sse import SseEvent
from guardrails.interface import StreamInspector

_encode = msgspec.json.encode
_DELTAS = {"text": "text_delta", "thinking": "thinking_delta", "partial_json": "input_json_delta"}
_ZONES = {"content_block_start": "content_block", "content_block_delta": "delta"}
_EVENTS = frozenset(
    ("message_start", "content_block_start", "content_block_delta", "content_block_stop", "message_delta",
     "message_stop", "ping", "error")
)  # fmt: skip
_LAST = frozenset(("message_delta", "message_stop"))


class MessagesEvents(EventRewriter):
    """Anthropic messages."""

    def __init__(self, inspector: StreamInspector, shapes: Shapes[Plan]) -> None:
        super().__init__(inspector, shapes)
        self._begun: dict[bytes, bool] = {}
        """Indexes of blocks; whether each is open."""
        self._usage = b'{"output_tokens":0}'
        self._kind = ""

    def _read(self, reader: Reader, name: bytes) -> Plan:
        kind = reader.value("type")
        zone = _ZONES.get(kind, "")
        slots: list[Slot] = []
        failed = kind == "error" or name == b"error"
        for path in reader.strings():
            if not _is_judged(kind, path) or not reader.is_text(path):
                failed = failed or path[0] == "error"
            elif len(path) == 2 and path[0] == zone and _goes_on(reader, path):
                slots.append(self._slot(reader, path))
            else:
                slots.append(reader.whole(path))
                failed = failed or path[0] == "error"
        index = reader.group("index")
        return Plan(
            slots=tuple(slots),
            kind=kind,
            ends=(("index", index),) if _ends_block(reader, kind) else (("", -1),) if kind in _LAST else (),
            droppable=kind == "content_block_delta" and all(slot.family for slot in slots),
            failed=failed,
            sequence=index if kind in ("content_block_start", "content_block_stop") else -1,
            logprobs=reader.logprobs(),
            names=reader.free_names(lambda path: _is_judged(kind, path)),
        )

    def _slot(self, reader: Reader, path: Path) -> Slot:
        name = last_name(path)
        kind = _DELTAS.get(name) or reader.value("delta", "type")
        ids = (reader.group("index") if reader.has("index") else b"0",)
        return Slot(
            reader.group(*path), name, ids, role=reader.role(path, "assistant"), json=name in JSON_TEXTS,
            way=((name, -1, _encode(kind)),),
        )  # fmt: skip

    def _ending(self, plan: Plan, data: bytes, spans: Spans) -> list[Channel]:
        index = plan.ends[0][1]
        stopped = data[slice(*spans[index])] if index >= 0 else None
        return [channel for channel in self._channels.values() if channel.open and stopped in (None, channel.ids[0])]

    def _seen(self, event: SseEvent, data: bytes, plan: Plan) -> None:
        self._kind = plan.kind
        if plan.kind == "message_start":
            message = members_of(data).get("message")
            usage = members_of(bytes(message)).get("usage") if message is not None else None
            self._usage = bytes(usage) if usage is not None else self._usage

    def _framed(self, event: SseEvent, data: bytes, plan: Plan, spans: Spans, edits: list[Edit]) -> bytes:
        if plan.sequence >= 0:
            self._begun[data[slice(*spans[plan.sequence])]] = plan.kind == "content_block_start"
        elif plan.kind == "message_stop":
            self._over = True
        return super()._framed(event, data, plan, spans, edits)

    def _block(self, said: list[tuple[Channel, str]]) -> bytes:
        # A block that was not begun has no deltas.
        return super()._block([] if self._kind == "content_block_start" else said)

    def _delta(self, channel: Channel, text: str, logprobs: bytes = b"") -> bytes:
        name, _, kind = channel.way[0]
        delta = b'{"type":%b,%b:%b}' % (kind, _encode(name), channel.value(text))
        return _event(b"content_block_delta", b'"index":%b,"delta":%b' % (channel.ids[0], delta))

    def _block_end(self, message: str) -> bytes:
        """The open block ends, and the message with the stop reason `refusal`, which `message` explains. The usage is
        that of the beginning: what the provider would have counted in the end is not known."""
        details = b'{"type":"refusal","category":null,"explanation":%b}' % (_encode(message) if message else b"null")
        stops = [
            _event(b"content_block_stop", b'"index":%b' % index) for index, is_open in self._begun.items() if is_open
        ]
        delta = b'{"stop_reason":"refusal","stop_sequence":null,"stop_details":%b}' % details
        ends = [_event(b"message_delta", b'"delta":%b,"usage":%b' % (delta, self._usage)), _event(b"message_stop")]
        return b"".join(stops + ends)


def _goes_on(reader: Reader, path: Path) -> bool:
    """Whether a text is a piece of one. A block may start with one that its known deltas add to; what else it starts
    with, such as a tool's result, is whole. So is a `compaction_delta`: clients keep the last one."""
    if path[0] == "content_block":
        return path[1] in _DELTAS
    return path[1] in STREAMED and reader.value("delta", "type") != "compaction_delta"


def _ends_block(reader: Reader, kind: str) -> bool:
    """Whether nothing more is said in the block of this event."""
    if kind == "content_block_delta":
        return reader.has("delta", "signature") and reader.value("delta", "type") == "signature_delta"
    return kind == "content_block_stop"


def _is_judged(kind: str, path: Path) -> bool:
    """Whether a string stands where text may be. Of events that are not known, all may be; of a message, what may be in
    whole answers. The stop sequence is the client's own, in those too."""
    if kind not in _EVENTS:
        return True
    if len(path) > 1 and isinstance(path[1], str):
        if path[0] == "message":
            return holds_text("content", path[1])
        return path[0] != "usage" and path[:2] != ("delta", "stop_sequence")
    return True


def _event(name: bytes, members: bytes = b"") -> bytes:
    return framed(name, b'{"type":"%b"%b%b}' % (name, b"," if members else b"", members))
