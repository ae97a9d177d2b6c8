"""Rewrites a live stream, event by event, as an inspector of its texts says. Sans-I/O: events in, bytes out.

What every dialect shares is here. A dialect says what its events mean (`_read`, once for each shape), which channels
an event ends (`_ending`), and how an event of its own looks that carries a piece of text (`_delta`).

- An event whose texts the inspector leaves as they are goes on as the bytes that came. Otherwise the new text is put in
  place of the old one, and all other bytes stay. An event whose text became empty is not sent, unless it says more.
- A channel is one text that grows: of a choice, a block, a content part, the arguments of one tool call. What is held
  back of it is sent in the event that ends it, where that has room for a text, or before it in an event of its own.
- After an error of the provider, and after a block, nothing that was held back is ever sent.
- A string this code knows to be text, but not to be a piece of one, is judged whole, by itself, and rewritten in place.
- On what cannot be read (no JSON, names given twice, too deep) the rules fail: it passes as it came, or, where one is
  enforced and `closed`, the stream is `broken` there. `unread` says why.
- What must be rewritten and cannot be (member names) ends the stream as a block does. Pseudonyms in them are put back.

An exception out of a call means that nothing of that event may be sent. The stream must not go on then.
"""

from gateway.facts import Verdict
from gateway.inspection.beside import Beside, unchanged_in
from gateway.inspection.channels import Channel, Key, ids_of
from gateway.inspection.follow import Stages
from gateway.inspection.frames import joined, reframed
from gateway.inspection.labels import Labels
from gateway.inspection.plans import Plan, Reader, Slot
from gateway.inspection.repeats import CHUNK_END, Repeat, repeat_of
from gateway.inspection.rewrite import Edit, encoded, is_sound, splice
from gateway.inspection.scan import is_open, scan, value_of
from gateway.inspection.shapes import Shapes, Spans
from gateway.wire.sse import SseEvent
from gateway.wire.surfaces import is_base64, is_encoded
from guardrails.interface import Breathe, StreamInspector

_DONE = b"[DONE]"
MAX_CHANNELS = 4096
"""Texts of one stream."""
_MEMOS = 4096
_SHORT = 256
"""Characters of a text that is remembered although it need not come again: labels that are in every event."""
_NOT_CLEAR = "an event of its stream is not valid JSON, has a member twice, or is nested too deep"


class _TooMany(Exception):
    """An event begins more channels than a stream may have."""


class EventRewriter:
    """One stream's. `keep_texts`: whole texts follow in later events, and must be what the pieces were."""

    keep_texts = False

    def __init__(self, inspector: StreamInspector, shapes: "Shapes[Plan]") -> None:
        self.blocked = False
        """A finding demands the end: call `block_end`. Every further event gives nothing."""
        self.broken = False
        """It is `blocked` because of an event that could not be judged: the client gets an error for its end."""
        self.unread = ""
        """Why the last event that could not be judged could not be, in words; empty: all could."""
        self._inspector = inspector
        self._shapes = shapes
        self._over = False
        self._failed = False
        self._channels: dict[Key, Channel] = {}
        self._superseded: list[Channel] = []  # channels that end because another one began
        self._labels, self._logprobs = Labels(MAX_CHANNELS), Beside(inspector)
        self._memo: dict[tuple[str, bool, str], tuple[str, Stages | None]] = {}
        """What became of a text that may come again, and what it went through if that is known."""
        self._wholes = 0
        self.repeat: Repeat[Channel] | None = None
        """How the next event may be like the last one."""

    @property
    def logprobs_dropped(self) -> int:
        """Members of events that lost log-probabilities, because they repeat a text that was changed, or no text."""
        return self._logprobs.dropped

    @property
    def verdict(self) -> Verdict:
        return self._inspector.verdict

    def event(self, event: SseEvent) -> bytes:
        """What to send to the client for an event of the provider: its own bytes, others, several events, nothing."""
        data = event.data
        if data is None:
            return event.raw
        if self.repeat is not None:
            out = self._repeated(event.raw, self.repeat)
            if out is not None:
                return out
            self.repeat = None
        if self.blocked or self._over:
            return b""
        if data == _DONE:
            return self._done_with(event.raw)
        found = self._shapes.find(event.name, data)
        if found is None:
            if data.strip() == _DONE:
                return self._done_with(event.raw)
            if not data.strip():
                return event.raw
            try:
                found = self._learn(event.name, data)
            except ValueError:
                return self._unread(event)
        plan, spans = found
        if plan.says_nothing and not self._superseded and not self._inspector.blocked:
            self._seen(event, data, plan)
            return self._framed(event, data, plan, spans, [])
        try:
            texts = [value_of(data[slice(*spans[slot.group])]) for slot in plan.slots]
        except ValueError:
            return self._unread(event)
        renamed = self._renamed(plan.names, data) if plan.names else []
        if renamed is None:
            return self._block([])
        try:
            return self._carry(event, data, plan, spans, texts, renamed)
        except _TooMany:
            return self._unread(event, "TooManyTexts", f"it has more than {MAX_CHANNELS} texts")

    def beside(self, event: SseEvent | None, breathe: Breathe) -> bytes:
        """As `event` (None: `end`), for one that is long or has much held back before it: with pauses."""
        self._inspector.pace(breathe)
        try:
            return self.end() if event is None else self.event(event)
        finally:
            self._inspector.pace(None)

    def held(self) -> int:
        """Characters held back now."""
        return self._inspector.held()

    def relayed(self, framed: bytes, start: int) -> bytes | None:
        """As `event`, for an HTTP chunk whose data, from `start` on, are one event: the chunk to send in its place,
        nothing, or, if that `blocked`, the last events, without a frame. None: it is not like the one before, or who
        else reads it must be shown all of it."""
        repeat = self.repeat
        if repeat is None or repeat.told is None:
            return None
        if repeat.middle:
            return self._apart(framed, repeat, start, CHUNK_END)
        read = repeat.read(framed, start, CHUNK_END)
        if read is None:
            return None
        text, end = read
        plain = text.isascii()
        if not text or not (plain or is_sound(text)):
            return None
        repeat.told(text)
        channel = repeat.channel
        if plain and not channel.pending and not self.keep_texts:
            new = self._inspector.feed(channel.name, text, channel.role, channel.json)
        else:
            new = self._fed(channel, text)
        if self._inspector.blocked:
            return self._block([(channel, new)] if new else [])
        if new == text:
            return framed
        if not new and repeat.droppable:
            self._dropped()
            return b""
        return repeat.written_chunk(framed, end, encoded(new))

    def _done_with(self, raw: bytes) -> bytes:
        """The stream said that it is over."""
        return self.end() + (b"" if self.blocked else raw)

    def end(self) -> bytes:
        """The stream ended whole (`[DONE]` does it by itself): what is still held. Not for a stream that broke off."""
        self.repeat = None
        if self._over or self.blocked:
            return b""
        self._over = True
        return b"" if self._failed else self._told(self._rests(list(self._channels.values())))

    def block_end(self, message: str = "") -> bytes:
        """The events that end a stream which was blocked, as the dialect ends one for its content. `message` tells the
        client why, where the dialect has a place for it."""
        self.blocked = self._over = True
        self.repeat = None
        return self._block_end(message)

    # What a dialect says.

    def _read(self, reader: Reader, name: bytes) -> Plan:
        raise TypeError

    def _ending(self, plan: Plan, data: bytes, spans: Spans) -> list[Channel]:
        """The open channels that end with this event."""
        return []

    def _delta(self, channel: Channel, text: str, logprobs: bytes = b"") -> bytes:
        """An event that carries a piece of a channel's text, and their JSON if it has log-probabilities."""
        raise TypeError

    def _joined(self, plan: Plan, data: bytes, spans: Spans, rests: list[tuple[Channel, str]]) -> Edit | None:
        """How the rests of texts are put into the event that ends them; None: there is no room for them."""
        return None

    def _block_end(self, message: str) -> bytes:
        raise TypeError

    def _seen(self, event: SseEvent, data: bytes, plan: Plan) -> None:
        """Note what an event of our own needs of this one."""

    def _apart(self, raw: bytes, repeat: Repeat[Channel], start: int = 0, more: int = 0) -> bytes | None:
        """`_repeated` and `relayed` where log-probabilities differ too."""
        raise TypeError

    def _framed(self, event: SseEvent, data: bytes, plan: Plan, spans: Spans, edits: list[Edit]) -> bytes:
        """The event with `edits` made in its data."""
        return reframed(event, splice(data, edits)) if edits else event.raw

    def _dropped(self) -> None:
        """An event of the provider is not sent."""

    # The way of one event.

    def _repeated(self, raw: bytes, repeat: Repeat[Channel]) -> bytes | None:
        """What to send for an event that is like the one before but for its text; None: it is not like that."""
        if repeat.middle:
            return self._apart(raw, repeat)
        read = repeat.read(raw)
        if read is None:
            return None
        text, end = read
        if not text:
            return raw
        new = self._fed(repeat.channel, text)
        if self._inspector.blocked:
            return self._block([(repeat.channel, new)] if new else [])
        if new == text:
            return raw
        if not new and repeat.droppable:
            self._dropped()
            return b""
        return repeat.written(raw, end, encoded(new))

    def _may_repeat(self, event: SseEvent, data: bytes, plan: Plan, spans: Spans, channel: Channel) -> None:
        """Note that the next event may be like this one, if its text is all that an event like it can say."""
        slot = plan.slots[0]
        silent = plan.ends or plan.names or plan.logprobs or self._failed or slot.payload
        silent = silent or (channel.follower is not None and not channel.follower.idle)
        if not silent and slot.logprobs < 0 and slot.call < 0 and plan.sequence < 0:
            self.repeat = repeat_of(event.raw, data, spans[slot.group], channel, plan.droppable)

    def _unread(self, event: SseEvent, error: str = "UnreadableEvent", why: str = _NOT_CLEAR) -> bytes:
        self.unread = why
        self._inspector.unread(error)
        if not self._inspector.blocked:
            return event.raw
        self.broken = True
        return self._block([])

    def _learn(self, name: bytes, data: bytes) -> tuple[Plan, Spans]:
        found = scan(data)
        reader = Reader(data, found)
        plan, wanted = reader.settle(self._read(reader, name))
        self._shapes.learn(name, data, found.leaves, reader.literal, wanted, plan)
        return plan, [(found.leaves[number].start, found.leaves[number].end) for number in wanted]

    def _renamed(self, names: str, data: bytes) -> list[Edit] | None:
        """How members are named whose names hold pseudonyms; None: a rule would have another name, and none may be
        changed."""
        new, stages = self._whole(names, "assistant", False)
        if new == names or self._inspector.blocked:
            return []
        judging = (stages or ())[:-1] if self._inspector.restores else None
        if judging is None or stages is None or any(len(stage.replaced) > 1 for stage in judging):
            return None
        found = scan(data)
        edits: list[Edit] = []
        for (path, name), (start, end) in zip(found.names, found.named, strict=True):
            if is_open(path, name) and (new := self._whole(name, "assistant", False)[0]) != name:
                edits.append((start, end, encoded(new)))
        return edits

    def _carry(
        self, event: SseEvent, data: bytes, plan: Plan, spans: Spans, texts: list[str], renamed: list[Edit]
    ) -> bytes:
        self._seen(event, data, plan)
        if plan.failed:
            self._failed = True
        channels = [self._channel(slot, data, spans) if slot.family else None for slot in plan.slots]
        ending = self._ending(plan, data, spans) if plan.ends and not self._failed else []
        ahead = b""
        edits: dict[int, Edit] = {edit[0]: edit for edit in renamed}
        flush_at: dict[Channel | None, int] = {}
        if ending or self._superseded:
            ending = ending if self._failed else list(dict.fromkeys(self._superseded + ending))
            self._superseded = []
            here = {channel: at for at, channel in enumerate(channels)}
            flush_at = {channel: here[channel] for channel in ending if channel in here}
            rests = self._rests([channel for channel in ending if channel not in here])
            simple = not self._inspector.blocked and all(channel.follower is None for channel, _ in rests)
            joined = self._joined(plan, data, spans, rests) if rests and simple else None
            if joined is None:
                ahead = self._told(rests)
            else:
                edits[joined[0]] = joined
        if self._inspector.blocked:
            return ahead + self._block([])
        said: list[tuple[Channel, str]] = []
        beside = self._logprobs.taken(data, plan, spans, texts, channels) if self._logprobs.active else []
        alone: dict[int, tuple[str, Stages | None]] = {}
        for at, slot in enumerate(plan.slots):
            channel, text = channels[at], texts[at]
            if channel is None:
                judged = text and not (slot.uri and (is_encoded(text) or (slot.payload and is_base64(text))))
                alone[at] = self._whole(text, slot.role, slot.json) if judged else (text, None)
                new = alone[at][0]
                ids = ids_of(slot, data, spans) if slot.ids and text else ()
                if ids and not self._labels.goes_with(slot, ids, text, new, self._whole):
                    return ahead + self._block(said)
            else:
                new = self._fed(channel, text) if text and not (slot.payload and channel.is_bytes(text)) else text
                if flush_at and flush_at.get(channel) == at:
                    new += self._flush(channel)
                if slot.logprobs < 0 and (due := self._logprobs.due(channel, new == text)):
                    ahead += self._delta(channel, new, due)
                    new = ""
                if new:
                    said.append((channel, new))
            if self._inspector.blocked:
                return ahead + self._block(said)
            if new != text:
                start, end = spans[slot.group]
                edits[start] = (start, end, encoded(new))
        if beside:
            unchanged = unchanged_in(channels, spans, plan, edits)
            for edit in self._logprobs.edits(beside, data, spans, texts, alone, unchanged):
                edits[edit[0]] = edit
        if len(channels) == 1 and channels[0] is not None:
            self._may_repeat(event, data, plan, spans, channels[0])
        if edits and plan.droppable and not said:
            self._dropped()
            return ahead
        return ahead + self._framed(event, data, plan, spans, sorted(edits.values()))

    def _block(self, said: list[tuple[Channel, str]]) -> bytes:
        """The safe texts of the event that brought the block, and nothing else of it."""
        self.blocked = True
        self.repeat = None
        return self._told(said)

    # Channels.

    def _channel(self, slot: Slot, data: bytes, spans: Spans) -> Channel:
        key: Key = (slot.family, *ids_of(slot, data, spans))
        channel = self._channels.get(key)
        name = ""
        if channel is not None:
            is_other = slot.call >= 0 and self._is_other_call(channel, data[slice(*spans[slot.call])])
            if channel.open:
                if not is_other:
                    return channel
                self._superseded.append(channel)
            name = f"{channel.name}'" if is_other or channel.closed else channel.name
        if len(self._channels) >= MAX_CHANNELS:
            raise _TooMany
        name = name or ".".join([slot.family, *[part.decode("utf-8", "replace") for part in key[1:]]])
        channel = self._channels[key] = Channel(name, slot, data, spans)
        self._opened(channel)
        return channel

    def _is_other_call(self, channel: Channel, call: bytes) -> bool:
        """Some providers give every tool call the same index, and only the id tells one from the next."""
        if not channel.call:
            channel.call = call
        return len(call) > 2 and call != channel.call

    def _opened(self, channel: Channel) -> None:
        """A channel's first text has come."""

    def _fed(self, channel: Channel, text: str) -> str:
        if channel.pending:
            text = joined(channel.pending + text)
            channel.pending = ""
        if "\ud800" <= text[-1] <= "\udbff":
            channel.pending, text = text[-1], text[:-1]
            if not text:
                return ""
        new = self._inspector.feed(channel.name, text, channel.role, channel.json)
        if self.keep_texts:
            channel.raw.append(text)
            channel.out.append(new)
        return new

    def _flush(self, channel: Channel) -> str:
        """The rest of a channel's text, which is over. Idempotent."""
        if not channel.open:
            return ""
        channel.open = False
        rest = ""
        if channel.pending and not self._inspector.blocked:
            channel.raw.append(channel.pending)
            rest = self._inspector.feed(channel.name, channel.pending, channel.role, channel.json)
            channel.pending = ""
        if not self._inspector.blocked:
            rest += self._inspector.flush(channel.name)
        if self.keep_texts:
            channel.out.append(rest)
            if not self._inspector.blocked:
                stages = channel.follower.stages if channel.follower is not None and channel.follower.begun else None
                self._remember((channel.role, channel.json, "".join(channel.raw)), "".join(channel.out), stages)
                channel.raw.clear()
        return rest

    def _rests(self, channels: list[Channel]) -> list[tuple[Channel, str]]:
        """What is held of channels that are over."""
        rests: list[tuple[Channel, str]] = []
        for channel in channels:
            text = self._flush(channel)
            if text:
                rests.append((channel, text))
            self.blocked = self.blocked or self._inspector.blocked
            if self.blocked:
                break
        return rests

    def _told(self, texts: list[tuple[Channel, str]]) -> bytes:
        """Events for pieces of texts."""
        return b"".join([self._delta(channel, text, self._logprobs.due(channel)) for channel, text in texts])

    def _whole(self, text: str, role: str, json: bool) -> tuple[str, Stages | None]:
        """A text that stands alone, and what it went through if that is known. What was said before as a text of its
        own is not judged twice."""
        key = (role, json, text)
        known = self._memo.get(key)
        if known is not None:
            return known
        self._wholes += 1
        name = f"whole.{self._wholes}"
        stages = self._inspector.follow(name, role, json) if self._logprobs.active else None
        new = self._inspector.feed(name, text, role, json)
        if not self._inspector.blocked:
            new += self._inspector.flush(name)
        if self._inspector.blocked:
            return "", None
        if self.keep_texts or len(text) <= _SHORT:
            self._remember(key, new, stages)
        return new, stages

    def _remember(self, key: tuple[str, bool, str], new: str, stages: Stages | None) -> None:
        if len(self._memo) >= _MEMOS:
            self._memo.clear()
        self._memo[key] = new, stages
