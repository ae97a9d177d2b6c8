"""A stream that was held back until its end: its texts, whole, and the same events with other texts in them.

Both are stream inspectors, so that every dialect's event rewriter reads and writes the events as it does for the
engine's own.
"""

from collections.abc import Mapping

from guardrails.interface import ALLOWED, Breathe, Segment, Verdict

_DOCUMENT = ".arguments"
"""Ends the path of a channel that is JSON, as it ends those of tool calls' arguments in bodies."""


class Collected:
    """Passes everything and keeps the texts. Implements `StreamInspector`."""

    blocked = False
    restores = False
    changes = False

    def __init__(self) -> None:
        self._texts: dict[str, list[str]] = {}
        self._kinds: dict[str, tuple[str, bool]] = {}

    @property
    def verdict(self) -> Verdict:
        return ALLOWED

    def pace(self, breathe: Breathe | None) -> None:
        """Nothing here takes long."""

    def follow(self, channel: str, role: str = "assistant", json: bool = False) -> None:
        """What becomes of a text is known for all of it alone."""

    def feed(self, channel: str, text: str, role: str = "assistant", json: bool = False) -> str:
        self._kinds.setdefault(channel, (role, json))
        self._texts.setdefault(channel, []).append(text)
        return text

    def flush(self, channel: str) -> str:
        return ""

    def unread(self, error: str) -> None:
        """Who collects asks the rules: see `EventRewriter.unread`."""

    def held(self) -> int:
        return 0

    @property
    def segments(self) -> list[Segment]:
        """The text of each channel, in the order they began; its path is the channel's name."""
        return [
            Segment(channel + (_DOCUMENT if self._kinds[channel][1] else ""), self._kinds[channel][0], "".join(pieces))
            for channel, pieces in self._texts.items()
        ]


class Replaced:
    """Gives a channel's new text in the place of its first piece, and every other text as it comes. Implements
    `StreamInspector`."""

    blocked = False
    restores = False

    def __init__(self, rewrites: Mapping[str, str]) -> None:
        """`rewrites`: new texts by the paths of `Collected.segments`."""
        self._rewrites = {path.removesuffix(_DOCUMENT): text for path, text in rewrites.items()}
        self._given: set[str] = set()
        self.changes = True

    @property
    def verdict(self) -> Verdict:
        return ALLOWED

    def pace(self, breathe: Breathe | None) -> None:
        """Nothing here takes long."""

    def follow(self, channel: str, role: str = "assistant", json: bool = False) -> None:
        """What becomes of a text is known for all of it alone."""

    def feed(self, channel: str, text: str, role: str = "assistant", json: bool = False) -> str:
        if channel not in self._rewrites:
            return text
        if channel in self._given:
            return ""
        self._given.add(channel)
        return self._rewrites[channel]

    def flush(self, channel: str) -> str:
        return ""

    def unread(self, error: str) -> None:
        """The rules have let it pass."""

    def held(self) -> int:
        return sum(len(text) for channel, text in self._rewrites.items() if channel not in self._given)
