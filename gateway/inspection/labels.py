"""Strings of a stream that are told whole, as a tool's name is, and that clients put together should there be several.

Each is judged by itself, because it must go on at once. Those before it have left, so that nothing can be written in
the place of them all: what they make together must be as harmless as they are.
"""

from collections.abc import Callable

from gateway.inspection.plans import Slot

Judge = Callable[[str, str, bool], tuple[str, object]]
"""Of a whole text, its role and whether it is JSON: what it becomes."""

_KEPT = 256
"""Characters of strings that went on as they came."""


class Labels:
    """Those of one stream, at most `most`."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: dict[tuple[bytes, ...], tuple[str, str]] = {}

    def goes_with(self, slot: Slot, key: tuple[bytes, ...], text: str, new: str, judge: Judge) -> bool:
        """Whether a string that came as `text` and leaves as `new` may stand behind those that had the same key."""
        raw, sent = self._known.get(key, ("", ""))
        begun = bool(raw)
        raw, sent = raw + text, sent + new
        if begun or len(self._known) < self._most:
            self._known[key] = (raw[-_KEPT:], sent[-_KEPT:]) if raw == sent else (raw, sent)
        return not begun or judge(raw, slot.role, slot.json)[0] == sent
