"""Learns what the events of a stream look like, so that only the first of a kind is taken apart.

Events of one kind differ in their strings and numbers and in nothing else. So from an event that was taken apart a
regular expression is made: the bytes between the values as they are, and in place of each value the grammar of one
(RFC 8259 sections 6 and 7). An event that matches has, token for token, the same structure: what was found out about
the first one (which string is text, which number tells the choice, that no name is given twice) holds for it, and the
groups of the match say where. Values that decide (`type`, `role`) stay in the expression as they are.

Nothing in the expression goes back over what it has read: matching is linear in the event.
"""

import re
from collections.abc import Sequence
from typing import Generic, TypeVar

from gateway.inspection.scan import Leaf

Spans = Sequence[tuple[int, int]]
P = TypeVar("P")

MAX_EVENT = 8192
"""Bytes of an event a shape is learned from."""
MAX_LEAVES = 150
MAX_SHAPES = 12
"""Shapes of one kind of event, the most useful ones."""
MAX_KINDS = 64

_STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_NUMBER = rb"-?(?:0|[1-9][0-9]*+)(?>(?:\.[0-9]++)?)(?>(?:[eE][+-]?[0-9]++)?)"


def _nested(depth: int) -> bytes:
    """A bracketed value of at most this depth."""
    inner = rb'(?>(?:[^"\[\]{}]++|' + _STRING + rb")*)"
    for _ in range(depth - 1):
        inner = rb'(?>(?:[^"\[\]{}]++|' + _STRING + rb"|[\[{]" + inner + rb"[\]}])*)"
    return rb"[\[{]" + inner + rb"[\]}]"


_BRACKETED = _nested(8)
"""Alternatives to a token, with their bytes, are six deep."""


def pattern(data: bytes, leaves: Sequence[Leaf], literal: set[int], wanted: Sequence[int]) -> bytes:
    """The expression for events like `data`. `literal`: leaves that must be the same; `wanted`: leaves that become
    groups, in ascending order. A leaf may be both."""
    parts: list[bytes] = []
    at = 0
    for number, leaf in enumerate(leaves):
        if number in literal and number not in wanted:
            continue
        parts.append(re.escape(data[at : leaf.start]))
        first = data[leaf.start]
        value = _STRING if first == 0x22 else _BRACKETED if first in b"{[" else _NUMBER
        if number in literal:
            value = re.escape(data[leaf.start : leaf.end])
        parts.append(b"(" + value + b")" if number in wanted else value)
        at = leaf.end
    parts.append(re.escape(data[at:]))
    return b"".join(parts)


class Shapes(Generic[P]):
    """Shapes learned so far, each with what its events mean to one dialect. Shared by all streams of that dialect: a
    shape says nothing about one stream. Bounded, whatever providers send."""

    def __init__(self) -> None:
        self._kinds: dict[bytes, list[tuple[re.Pattern[bytes], P]]] = {}
        self._once: set[bytes] = set()

    def find(self, kind: bytes, data: bytes) -> tuple[P, Spans] | None:
        """What an event means and where its groups are, if its shape is known."""
        known = self._kinds.get(kind)
        if known is None:
            return None
        for at, (shape, plan) in enumerate(known):
            match = shape.fullmatch(data)
            if match is not None:
                if at:
                    known.insert(0, known.pop(at))
                return plan, match.regs[1:]
        return None

    def learn(
        self, kind: bytes, data: bytes, leaves: Sequence[Leaf], literal: set[int], wanted: Sequence[int], plan: P
    ) -> None:
        """Note an event that was taken apart. Its shape is made when it is seen for the second time, because making
        it costs as much as taking apart several."""
        if len(data) > MAX_EVENT or len(leaves) > MAX_LEAVES:
            return
        expression = pattern(data, leaves, literal, wanted)
        if expression not in self._once:
            if len(self._once) >= MAX_KINDS * MAX_SHAPES:
                self._once.clear()
            self._once.add(expression)
            return
        known = self._kinds.get(kind)
        if known is None:
            if len(self._kinds) >= MAX_KINDS:
                return
            known = self._kinds[kind] = []
        known.insert(0, (re.compile(expression, re.DOTALL), plan))
        del known[MAX_SHAPES:]
