"""Guardrails on streamed chat completions and completions: `choices` whose deltas add up.

A choice ends with its finish reason, all of them with `[DONE]`. What is held until then leaves with the finish reason,
if its delta is empty: some providers send their last text so. A tool call whose text is no JSON ends where the next one
of its choice begins (official clients take it as complete then); the others need not, because nothing of a document
that is all there is held back, and what is not all there may go on: some providers send pieces of several calls by
turns. Thoughts end where the answer begins: clients show them in that order, and the rest of a thought that came after
the answer would be a second one. Source: platform.openai.com/docs/api-reference/chat and …/completions; what compatible
providers do differently is told in `gateway/dialects/chat.py`.
"""

import msgspec

from gateway.inspection.channels import Channel, ids_of
from gateway.inspection.events import EventRewriter
from gateway.inspection.frames import framed, members_of
from gateway.inspection.logprobs import Told, read_usual
from gateway.inspection.plans import JSON_TEXTS, STREAMED, Plan, Reader, Slot, last_name
from gateway.inspection.repeats import Repeat, repeat_of
from gateway.inspection.rewrite import Edit, encoded
from gateway.inspection.scan import Path
from gateway.inspection.shapes import Shapes, Spans
from gateway.wire.answers import holds_text
from gateway.wire.sse import SseEvent
from gateway.wire.surfaces import STRUCTURAL, Step
from guardrails.interface import StreamInspector

_encode = msgspec.json.encode
_SAYS_NOTHING = frozenset(("index", "type", "logprobs"))
_WHOLE = STRUCTURAL | {"name"}
"""Members of a delta that are told whole."""
_USUAL = frozenset(("id", "object", "created", "model", "system_fingerprint", "service_tier", "provider"))
"""Names of members that a chunk of our own repeats: they need no escapes, and what they hold is no text."""
_CONTENT, _THOUGHT = "delta/content", "delta/reasoning"
"""Families of channels: an answer; how those of thoughts begin (`reasoning_content`, `reasoning_details/text`)."""


class ChatEvents(EventRewriter):
    """Chat completions."""

    role = "assistant"
    _last = b"{}"
    _name = b""

    def __init__(self, inspector: StreamInspector, shapes: Shapes[Plan]) -> None:
        super().__init__(inspector, shapes)
        self._done: set[bytes] = set()
        self._calls: dict[bytes, Channel] = {}
        """The last tool call of each choice."""
        self._thoughts: dict[bytes, list[Channel]] = {}
        """Those of each choice whose answer has not begun."""

    def _read(self, reader: Reader, name: bytes) -> Plan:
        slots: list[Slot] = []
        ends: list[tuple[str, int]] = []
        says_more = failed = name == b"error"
        for leaf in reader.leaves:
            path = leaf.path
            if _is_finish(path) and reader.value(*path):
                ends.append((str(path[1]), reader.group(*path[:2], "index")))
            elif path[0] == "usage" or (path[0] == "choices" and path[-1] not in _SAYS_NOTHING):
                says_more = says_more or not _is_piece(path)
        for path in reader.strings("choices"):
            if reader.is_text(path):
                slots.append(self._slot(reader, path) if _is_piece(path) else self._label(reader, path))
        for path in reader.strings():
            if path[0] == "choices":
                continue
            is_error = name == b"error" or path[0] == "error"
            if (is_error or holds_text("choices", str(path[0]))) and (path[0] == "error" or reader.is_text(path)):
                slots.append(reader.whole(path))
                failed = failed or is_error
                says_more = True
        return Plan(
            slots=tuple(slots),
            ends=tuple(ends),
            droppable=not (says_more or failed or ends),
            failed=failed,
            logprobs=reader.logprobs(),
            names=reader.free_names(lambda path: name == b"error" or holds_text("choices", str(path[0]))),
            room=reader.room("choices", int(ends[0][0]), "delta") if len(ends) == 1 else b"",
        )

    def _label(self, reader: Reader, path: Path) -> Slot:
        """A string that is told whole; clients put those of a tool's name together, should there be several."""
        slot = reader.whole(path, self.role)
        if path[2:3] != ("delta",) or path[-1] != "name":
            return slot
        items = [path[: at + 1] for at in range(2, len(path)) if isinstance(path[at], int)]
        ids = (_number(reader, *path[:2]), *[_number(reader, *item) for item in items])
        return msgspec.structs.replace(slot, ids=ids)

    def _slot(self, reader: Reader, path: Path) -> Slot:
        """A piece of a text: its channel is the choice, the way to it, and what numbers the items on that way."""
        choice = path[:2]
        ids = [_number(reader, *choice)]
        way: list[tuple[Step, int, bytes]] = []
        family: list[str] = []
        call = -1
        for at in range(2, len(path)):
            step = path[at]
            if isinstance(step, str):
                family.append(step)
                way.append((step, -1, b""))
                continue
            item = path[: at + 1]
            index = reader.group(*item, "index")
            kind = reader.value(*item, "type")
            if path[at - 1] == "tool_calls":
                call = reader.group(*item, "id")
                ids.append(_number(reader, *item))
            elif index >= 0:
                ids.append(index)
            way.append((step, index, _encode(kind) if kind else b""))
        name = last_name(path)
        return Slot(
            reader.group(*path),
            "/".join(family),
            tuple(ids),
            role=reader.role(path, self.role),
            json=name in JSON_TEXTS,
            logprobs=reader.group(*choice, "logprobs"),
            call=call,
            way=tuple(way),
        )

    def _ending(self, plan: Plan, data: bytes, spans: Spans) -> list[Channel]:
        over = _finished(plan, data, spans)
        return [channel for channel in self._channels.values() if channel.open and _choice(channel) in over]

    def _framed(self, event: SseEvent, data: bytes, plan: Plan, spans: Spans, edits: list[Edit]) -> bytes:
        if plan.ends:
            self._done |= _finished(plan, data, spans)
        return super()._framed(event, data, plan, spans, edits)

    def _opened(self, channel: Channel) -> None:
        if channel.family.startswith(_THOUGHT):
            self._thoughts.setdefault(_choice(channel), []).append(channel)
        elif "tool_calls" in channel.family:
            before = self._calls.get(_choice(channel))
            if before is not None and before.open and not before.json:
                self._superseded.append(before)
            self._calls[_choice(channel)] = channel

    def _carry(
        self, event: SseEvent, data: bytes, plan: Plan, spans: Spans, texts: list[str], renamed: list[Edit]
    ) -> bytes:
        if self._thoughts:
            for slot, text in zip(plan.slots, texts, strict=True):
                if text and slot.family == _CONTENT:
                    for channel in self._thoughts.pop(ids_of(slot, data, spans)[0], []):
                        channel.closed = True
                        self._superseded.append(channel)
        return super()._carry(event, data, plan, spans, texts, renamed)

    def _may_repeat(self, event: SseEvent, data: bytes, plan: Plan, spans: Spans, channel: Channel) -> None:
        # An empty content before the thoughts, or after them, is not like the first of the answer, which ends them.
        if channel.family == _CONTENT and _choice(channel) in self._thoughts:
            return
        if plan.logprobs and channel.follower is not None:
            self._may_repeat_apart(event, data, plan, spans, channel)
        else:
            super()._may_repeat(event, data, plan, spans, channel)

    def _may_repeat_apart(self, event: SseEvent, data: bytes, plan: Plan, spans: Spans, channel: Channel) -> None:
        slot = plan.slots[0]
        if not (plan.ends or plan.names or self._failed or slot.payload or slot.call >= 0 or channel.json):
            told = spans[slot.logprobs]
            if plan.logprobs == (slot.logprobs,) and _usual(data[slice(*told)]) is not None:
                self.repeat = repeat_of(event.raw, data, spans[slot.group], channel, plan.droppable, told)

    def _apart(self, raw: bytes, repeat: Repeat[Channel], start: int = 0, more: int = 0) -> bytes | None:
        read = repeat.apart(raw, start, more)
        if read is None or not read[0]:
            return None
        text, written, end = read
        told = _usual(written)
        if told is None:
            return None
        if more and repeat.told is not None:
            repeat.told(text)
        channel = repeat.channel
        self._logprobs.repeated(channel, text, told)
        new = self._fed(channel, text)
        if self._inspector.blocked:
            return self._block([(channel, new)] if new else [])
        rest = self._logprobs.rest(channel, told, new == text)
        if rest is None and new == text:
            return raw
        if not new and repeat.droppable:
            self._dropped()
            return b""
        told_now = written if rest is None else rest
        out = b"%b%b%b%b%b" % (repeat.head, encoded(new)[1:-1], repeat.middle, told_now, raw[end : len(raw) - more])
        return b"%x\r\n%b\r\n" % (len(out), out) if more else out

    def _told(self, texts: list[tuple[Channel, str]]) -> bytes:
        """Thoughts of a choice in one event: where a server gives them under two names, clients read one of the two of
        each event, and would read two events as two pieces."""
        thoughts: dict[bytes, dict[Step, bytes]] = {}
        others: list[tuple[Channel, str]] = []
        for channel, text in texts:
            members = thoughts.setdefault(_choice(channel), {})
            if channel.family.startswith(_THOUGHT) and channel.way[1][0] not in members:
                members[channel.way[1][0]] = channel.value(text)[1:-1]
            else:
                others.append((channel, text))
        told = [(index, members.values()) for index, members in thoughts.items() if members]
        chunks = [self._chunk(index, b'"delta":{%b}' % b",".join(values)) for index, values in told]
        return b"".join(chunks) + super()._told(others)

    def _joined(self, plan: Plan, data: bytes, spans: Spans, rests: list[tuple[Channel, str]]) -> Edit | None:
        over = _finished(plan, data, spans) if plan.room else set[bytes]()
        for channel, _ in rests:
            # No tool call: some clients make it when they see the reason, and look at the delta no more.
            if _choice(channel) not in over or len(channel.way) != 2 or channel.way[0][0] != "delta":
                return None
        start = data.index(plan.room)
        texts = b",".join([channel.value(text)[1:-1] for channel, text in rests])
        return start + plan.room.index(b"{"), start + len(plan.room), b"{%b}" % texts

    def _seen(self, event: SseEvent, data: bytes, plan: Plan) -> None:
        self._last = data
        self._name = event.name

    def _delta(self, channel: Channel, text: str, logprobs: bytes = b"") -> bytes:
        said = b"%b:%b" % (_encode(channel.way[0][0]), channel.value(text))
        return self._chunk(_choice(channel), said, logprobs=logprobs or b"null")

    def _chunk(self, index: bytes, content: bytes, finish: bytes = b"null", logprobs: bytes = b"null") -> bytes:
        """A chunk like the last one, of one choice."""
        members = members_of(self._last)
        around = b"".join([b'"%b":%b,' % (name.encode(), raw) for name, raw in members.items() if name in _USUAL])
        choice = b'"index":%b,%b"logprobs":%b,"finish_reason":%b' % (
            index,
            content + b"," if content else b"",
            logprobs,
            finish,
        )
        usage = b',"usage":null' if bytes(members.get("usage", b"")) == b"null" else b""
        return framed(self._name, b'{%b"choices":[{%b}]%b}' % (around, choice, usage))

    def _block_end(self, message: str) -> bytes:
        """Every choice that had begun and is not finished ends with `content_filter`; the message is its refusal."""
        begun = list({_choice(channel): None for channel in self._channels.values()}) or [b"0"]
        delta = self._last_words(message)
        chunks = [
            self._chunk(index, delta, b'"content_filter"') for index in begun or [b"0"] if index not in self._done
        ]
        return b"".join(chunks) + b"data: [DONE]\n\n"

    def _last_words(self, message: str) -> bytes:
        return b'"delta":{"refusal":%b}' % _encode(message) if message else b'"delta":{}'


class CompletionsEvents(ChatEvents):
    """Completions, whose choices have a `text` in place of a delta."""

    role = "output"

    def _last_words(self, message: str) -> bytes:
        return b'"text":""'


def _finished(plan: Plan, data: bytes, spans: Spans) -> set[bytes]:
    """The choices that a chunk gives a finish reason."""
    return {data[slice(*spans[group])] if group >= 0 else place.encode() for place, group in plan.ends}


def _usual(raw: bytes) -> Told | None:
    try:
        return read_usual(raw)
    except ValueError:
        return None


def _choice(channel: Channel) -> bytes:
    """The index of a channel's choice."""
    return channel.ids[0]


def _is_piece(path: Path) -> bool:
    """Whether a string is a piece of a text that goes on. Official clients put all strings of a delta together, also
    those of members they do not know."""
    if len(path) <= 2 or not isinstance(path[1], int):
        return False
    return last_name(path) in STREAMED or (len(path) == 4 and path[2] == "delta" and path[3] not in _WHOLE)


def _number(reader: Reader, *item: Step) -> int | bytes:
    """The index of an array's item: the group where it is, else its place."""
    index = reader.group(*item, "index")
    return index if index >= 0 else str(item[-1]).encode()


def _is_finish(path: Path) -> bool:
    return path[0] == "choices" and len(path) > 1 and isinstance(path[1], int) and path[2:] == ("finish_reason",)
