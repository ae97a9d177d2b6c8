"""The log-probabilities of a stream's events: which text each token is of, and which of them go on with which event."""

from collections.abc import Mapping, Sequence

import msgspec

from gateway.inspection.channels import Channel
from gateway.inspection.follow import Follower, Stages, kept
from gateway.inspection.logprobs import Token, Told, nothing_told, read
from gateway.inspection.plans import Plan
from gateway.inspection.rewrite import Edit
from gateway.inspection.shapes import Spans
from guardrails.interface import StreamInspector

_EMPTY = (b"[]", b"{}")


class Part(msgspec.Struct):
    """One member of an event that has log-probabilities."""

    group: int
    told: Told | None
    """None: what it says cannot be told apart."""
    channels: list[Channel]
    """Whose texts it may be of."""
    wholes: list[tuple[int, str]]
    """Texts that stand alone and are repeated: the place of each among the plan's, and the member of its tokens."""


class Beside:
    """Those of one stream."""

    __slots__ = ("_inspector", "_judged", "active", "dropped")

    def __init__(self, inspector: StreamInspector) -> None:
        self.active = inspector.changes or inspector.restores
        """A text may change."""
        self.dropped = 0
        """Members that lost some."""
        self._inspector = inspector
        self._judged = inspector.changes

    def repeated(self, channel: Channel, text: str, told: Told) -> None:
        """`taken` for an event that has one text and nothing else, of a channel whose tokens came before."""
        follower = channel.follower
        if follower is None:
            raise TypeError
        follower.form = Told({}, told.names, told.columns)
        for name, tokens in told.lists.items():
            if follower.accepts(text, tokens):
                return follower.take(text, name, tokens, channel.pending)
        return follower.take(text, "", (), channel.pending)

    def rest(self, channel: Channel, told: Told, unchanged: bool) -> bytes | None:
        """`edits` for such an event: how its log-probabilities are written; None: as they came."""
        lists = channel.follower.due(unchanged) if channel.follower is not None else dict[str, list[Token]]()
        if told.whole and all(lists.get(name, []) == tokens for name, tokens in told.lists.items()):
            return None
        self.dropped += sum(map(len, lists.values())) < sum(map(len, told.lists.values()))
        return told.written(lists)

    def taken(
        self, data: bytes, plan: Plan, spans: Spans, texts: Sequence[str], channels: Sequence[Channel | None]
    ) -> list[Part]:
        """Take those of an event, whose texts have not been judged yet. `texts` and `channels` are of the plan's
        slots."""
        parts: list[Part] = []
        told_of: set[Channel] = set()
        for group in plan.logprobs:
            raw = data[slice(*spans[group])]
            told = Told({}, ()) if raw in _EMPTY else read(raw, self._judged)
            part = Part(group, told, [], [])
            places = [at for at, slot in enumerate(plan.slots) if slot.logprobs == group]
            for at in places:
                channel = channels[at]
                if channel is not None and channel not in part.channels:
                    part.channels.append(channel)
                    self._followed(channel, told)
            for name, tokens in told.lists.items() if told is not None else ():
                at = _chosen(name, tokens, places, texts, channels)
                channel = channels[at] if at >= 0 else None
                if at >= 0 and channel is None:
                    part.wholes.append((at, name))
                elif channel is not None and channel.follower is not None:
                    told_of.add(channel)
                    channel.follower.take(texts[at], name, tokens, channel.pending)
            parts.append(part)
        for text, channel in zip(texts, channels, strict=True):
            if text and channel is not None and channel.follower is not None and channel not in told_of:
                channel.follower.take(text, "", (), channel.pending)
        return parts

    def edits(
        self,
        parts: Sequence[Part],
        data: bytes,
        spans: Spans,
        texts: Sequence[str],
        news: Mapping[int, tuple[str, Stages | None]],
        unchanged: Mapping[Channel, bool],
    ) -> list[Edit]:
        """How those members are written anew. `news`: by place, what became of texts that stand alone, and what they
        went through; `unchanged`: whether each channel's text came out as it was."""
        edits: list[Edit] = []
        for part in parts:
            start, end = spans[part.group]
            if data[start:end] in _EMPTY and not any(_waits(channel) for channel in part.channels):
                continue
            told, lists = part.told, dict[str, list[Token]]()
            for channel in part.channels if told is not None else ():
                if channel.follower is not None:
                    _add(lists, channel.follower.due(unchanged.get(channel, True)))
            for at, name in part.wholes if told is not None else ():
                new, stages = news[at]
                _add(lists, kept(texts[at], new, stages, name, told.lists[name] if told is not None else ()))
            if told is not None and told.whole and all(lists.get(name, []) == told.lists[name] for name in told.lists):
                continue
            self.dropped += told is None or sum(map(len, lists.values())) < sum(map(len, told.lists.values()))
            form = told or nothing_told(data[start])
            edits.append((start, end, form.written(lists)))
        return edits

    def due(self, channel: Channel, unchanged: bool = True) -> bytes:
        """JSON of the log-probabilities that go on by now with a channel's text, for an event of our own; empty: none
        do."""
        follower = channel.follower
        if follower is None or follower.idle or self._inspector.blocked:
            return b""
        lists = follower.due(unchanged)
        return follower.form.written(lists) if lists else b""

    def _followed(self, channel: Channel, told: Told | None) -> None:
        if channel.follower is None:
            stages = None
            if not channel.json:
                stages = self._inspector.follow(channel.name, channel.role, channel.json)
            channel.follower = Follower(stages)
        if told is not None and (told.names or told.lists):
            channel.follower.form = Told({}, told.names, told.columns)


def unchanged_in(
    channels: Sequence[Channel | None], spans: Spans, plan: Plan, edits: Mapping[int, Edit]
) -> dict[Channel, bool]:
    """Whether each channel's texts of an event came out as they were."""
    same: dict[Channel, bool] = {}
    for channel, slot in zip(channels, plan.slots, strict=True):
        if channel is not None:
            same[channel] = same.get(channel, True) and spans[slot.group][0] not in edits
    return same


def _chosen(
    name: str, tokens: Sequence[Token], places: Sequence[int], texts: Sequence[str], channels: Sequence[Channel | None]
) -> int:
    """Which of the texts at `places` the tokens are of: one that is there rather than one that may come, and one whose
    name is that of the tokens; -1: of none."""
    fitting: list[tuple[bool, bool, int]] = []
    for at in places:
        channel = channels[at]
        follower = Follower(()) if channel is None else channel.follower
        if follower is not None and follower.accepts(texts[at], tokens):
            other = channel is not None and name != "" and name not in channel.family.split("/")
            fitting.append((not texts[at], other, at))
    return min(fitting)[2] if fitting else -1


def _waits(channel: Channel) -> bool:
    return channel.follower is not None and not channel.follower.idle


def _add(lists: dict[str, list[Token]], more: Mapping[str, list[Token]]) -> None:
    for name, tokens in more.items():
        lists.setdefault(name, []).extend(tokens)
