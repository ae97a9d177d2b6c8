"""Guardrails on streamed OpenAI Responses: numbered events, each text told twice or thrice.

A text comes in deltas, then whole in `….done`, again in `content_part.done`, `output_item.done` and at last in
`response.completed`. The whole ones are replaced by what the deltas became; a whole text that no deltas made up is
judged by itself. Sequence numbers are shifted by as many events as were added or left out before.
Source: platform.openai.com/docs/api-reference/responses-streaming.
"""

import msgspec

from gateway.inspection.channels import Channel
from gateway.inspection.events import EventRewriter
from gateway.inspection.frames import Members, framed, members_of, reframed
from gateway.inspection.plans import JSON_TEXTS, STREAMED, Plan, Reader, Slot, last_name
from gateway.inspection.rewrite import Edit, encoded, splice
from gateway.inspection.scan import Path
from gateway.inspection.shapes import Shapes, Spans
from gateway.wire.answers import holds_text
from gateway.wire.sse import SseEvent
from guardrails.interface import StreamInspector

_encode = msgspec.json.encode
_IDS = ("output_index", "content_index", "summary_index", "item_id")
_TOLD = frozenset(("type", "sequence_number", *_IDS))
"""Members of an event that are told again in one of our own; others may be texts."""
_BYTES = frozenset(("response.audio.delta", "response.output_audio.delta"))
_LAST = frozenset(("response.completed", "response.incomplete"))
_FAILED = frozenset(("response.failed", "error"))
_BEGINNING = frozenset(("response.created", "response.queued", "response.in_progress"))
_TEXT_PARTS = {b'"output_text"': ("text", "output_text"), b'"refusal"': ("refusal", "refusal")}


class ResponsesEvents(EventRewriter):
    """OpenAI Responses."""

    keep_texts = True
    _last = SseEvent(b"", b"", b"{}")

    def __init__(self, inspector: StreamInspector, shapes: Shapes[Plan]) -> None:
        super().__init__(inspector, shapes)
        self._shift = 0
        self._number = -1
        """Of the last event that was sent."""
        self._templates: dict[str, SseEvent] = {}
        """The first event of each channel."""
        self._beginning = b"{}"
        self._items: dict[bytes, bytes] = {}
        """By output index, the last event that told the item: `output_item.added` or `.done`."""
        self._parts: dict[bytes, list[bytes]] = {}
        """By output index, the `content_part.added` events."""

    def _read(self, reader: Reader, name: bytes) -> Plan:
        kind = reader.value("type") or name.decode("utf-8", "replace")
        is_delta = kind.endswith(".delta")
        failed = kind in _FAILED or name == b"error"
        slots: list[Slot] = []
        for path in reader.strings():
            if not _is_judged(path) or not (kind == "error" or reader.is_text(path)):
                continue
            if is_delta and path[0] == "delta" and last_name(path) in STREAMED:
                slots.append(_slot(reader, kind, path))
            else:
                slots.append(reader.whole(path))
        return Plan(
            slots=tuple(slots),
            kind=kind,
            ends=_ends(reader, kind),
            droppable=is_delta and bool(slots) and all(slot.family for slot in slots),
            failed=failed,
            sequence=reader.group("sequence_number"),
            logprobs=reader.logprobs(),
            names=reader.free_names(_is_judged),
        )

    def _ending(self, plan: Plan, data: bytes, spans: Spans) -> list[Channel]:
        still = [channel for channel in self._channels.values() if channel.open]
        if plan.kind in _LAST:
            return still
        given = [(_IDS.index(name), data[slice(*spans[group])]) for name, group in plan.ends if group >= 0]
        if not given:
            family = plan.kind.removesuffix(".done")
            return [channel for channel in still if channel.family == family]
        return [channel for channel in still if all(channel.ids[at] == value for at, value in given)]

    def _seen(self, event: SseEvent, data: bytes, plan: Plan) -> None:
        self._last = event

    def _opened(self, channel: Channel) -> None:
        self._templates[channel.name] = self._last

    def _delta(self, channel: Channel, text: str, logprobs: bytes = b"") -> bytes:
        template = self._templates[channel.name]
        given = members_of(template.data or b"{}")
        members = {name: value for name, value in given.items() if name in _TOLD}
        if "logprobs" in given:
            members["logprobs"] = msgspec.Raw(logprobs or b"[]")
        members["delta"] = msgspec.Raw(channel.value(text))
        return self._own(template.name, members)

    def _own(self, name: bytes, members: Members) -> bytes:
        """An event of our own, numbered."""
        self._number += 1
        self._shift += 1
        if "sequence_number" in members:
            members["sequence_number"] = msgspec.Raw(b"%d" % self._number)
        return framed(name, _encode(members))

    def _dropped(self) -> None:
        self._shift -= 1

    def _framed(self, event: SseEvent, data: bytes, plan: Plan, spans: Spans, edits: list[Edit]) -> bytes:
        start, end = spans[plan.sequence] if plan.sequence >= 0 else (0, 0)
        if data[start:end].isdigit():
            self._number = int(data[start:end]) + self._shift
            if self._shift:
                edits = sorted([*edits, (start, end, b"%d" % self._number)])
        data = splice(data, edits) if edits else data
        self._noted(plan.kind, data)
        return reframed(event, data) if edits else event.raw

    def _noted(self, kind: str, data: bytes) -> None:
        """Keep what was sent that the end of a blocked stream tells again."""
        if kind in ("response.output_item.added", "response.output_item.done"):
            self._items[_index(data)] = data
        elif kind == "response.content_part.added":
            self._parts.setdefault(_index(data), []).append(data)
        elif kind in _BEGINNING:
            self._beginning = data

    # The end of a blocked stream.

    def _block_end(self, message: str) -> bytes:
        """Open messages end with what was sent of them, then the response, incomplete for the reason `content_filter`.
        Tool calls that are not whole are left out. The dialect has no place for a message."""
        events: list[bytes] = []
        output: list[bytes] = []
        for index, told in self._items.items():
            members = members_of(told)
            item = bytes(members.get("item", b"{}"))
            if bytes(members.get("type", b"")) != b'"response.output_item.done"':
                inner = members_of(item)
                if bytes(inner.get("type", b"")) != b'"message"':
                    continue
                item = self._close_message(index, inner, events)
            output.append(item)
        response = members_of(bytes(members_of(self._beginning).get("response", b"{}")))
        response["status"] = msgspec.Raw(b'"incomplete"')
        response["incomplete_details"] = msgspec.Raw(b'{"reason":"content_filter"}')
        response["output"] = msgspec.Raw(b"[" + b",".join(output) + b"]")
        events.append(self._last_event("response.incomplete", response=_encode(response)))
        return b"".join(events)

    def _close_message(self, index: bytes, item: Members, events: list[bytes]) -> bytes:
        """The item as it was sent, and the events that close its open parts and itself."""
        parts: list[bytes] = []
        for told in self._parts.get(index, []):
            members = members_of(told)
            part = members_of(bytes(members.get("part", b"{}")))
            field, name = _TEXT_PARTS.get(bytes(part.get("type", b"")), ("", ""))
            content_index = bytes(members.get("content_index", b"0"))
            if field:
                text = encoded(self._sent(index, content_index))
                part[field] = msgspec.Raw(text)
                where = {
                    "item_id": bytes(members.get("item_id", b'""')),
                    "output_index": index,
                    "content_index": content_index,
                }
                logprobs = {"logprobs": b"[]"} if field == "text" else {}
                events.append(self._last_event(f"response.{name}.done", **where, **{field: text}, **logprobs))
                events.append(self._last_event("response.content_part.done", **where, part=_encode(part)))
            parts.append(_encode(part))
        item["status"] = msgspec.Raw(b'"incomplete"')
        item["content"] = msgspec.Raw(b"[" + b",".join(parts) + b"]")
        closed = _encode(item)
        events.append(self._last_event("response.output_item.done", output_index=index, item=closed))
        return closed

    def _sent(self, index: bytes, content_index: bytes) -> str:
        """What the client has of a part's text."""
        for channel in self._channels.values():
            if channel.ids[:2] == (index, content_index):
                return "".join(channel.out)
        return ""

    def _last_event(self, kind: str, **values: bytes) -> bytes:
        members = {"type": msgspec.Raw(_encode(kind)), "sequence_number": msgspec.Raw(b"0")}
        members |= {name: msgspec.Raw(value) for name, value in values.items()}
        return self._own(kind.encode(), members)


def _slot(reader: Reader, kind: str, path: Path) -> Slot:
    family = kind.removesuffix(".delta")
    return Slot(
        reader.group(*path),
        family if len(path) == 1 else f"{family}/{last_name(path)}",
        tuple([reader.group(name) if name in _ids(reader) else b"" for name in _IDS]),
        role="tool" if "call_output" in kind else "assistant",
        json=family.endswith("arguments") or last_name(path) in JSON_TEXTS,
        logprobs=reader.group("logprobs"),
        payload=kind in _BYTES,
        way=tuple([(step, -1, b"") for step in path]),
    )


def _ids(reader: Reader) -> list[str]:
    """The ids an event gives. Where there is an index, `item_id` says nothing more (and some servers change it with
    every event)."""
    given = [name for name in _IDS if reader.has(name)]
    return [name for name in given if name != "item_id" or "output_index" not in given]


def _ends(reader: Reader, kind: str) -> tuple[tuple[str, int], ...]:
    """What is over with an event of this kind: the channels that agree with it in the ids it gives."""
    if kind in _LAST:
        return (("all", -1),)
    if not kind.endswith(".done"):
        return ()
    given = tuple([(name, reader.group(name)) for name in _ids(reader)])
    return given or (("family", -1),)


def _is_judged(path: Path) -> bool:
    """Of the response itself only what `holds_text` names: the rest is what the client sent."""
    below = path[1] if path[0] == "response" and len(path) > 1 else 0
    return not isinstance(below, str) or holds_text("output", below)


def _index(data: bytes) -> bytes:
    return bytes(members_of(data).get("output_index", b"0"))
