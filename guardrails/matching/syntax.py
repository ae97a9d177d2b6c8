"""Regular expressions as trees: what a pattern can match, how long that is, and its form for another engine.

The reading itself is done by the standard library's own parser, so that a pattern means here what it means to `re`.
Character sets hold code points; where a set's members beyond ASCII depend on Unicode tables (`\\w`, ignored case) it is
marked `vague` instead of listing them.
"""

import re
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import msgspec

UNBOUNDED = 1 << 30
"""The upper end of a repeat without one, in characters; lengths saturate here."""
LAST = 0x10FFFF
_ASCII_LETTERS = tuple(range(0x41, 0x5B)) + tuple(range(0x61, 0x7B))
_CATEGORIES = {
    "CATEGORY_DIGIT": ((0x30, 0x39),),
    "CATEGORY_SPACE": ((0x09, 0x0D), (0x20, 0x20)),
    "CATEGORY_WORD": ((0x30, 0x39), (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A)),
}
_UNICODE_SPACE = ((0x09, 0x0D), (0x1C, 0x20))
"""The ASCII part of what `\\s` is without re.ASCII."""
Ranges = tuple[tuple[int, int], ...]


class SyntaxRefused(ValueError):
    """The pattern is not a regular expression, or too deeply nested. Never quotes the pattern."""


class Chars(msgspec.Struct, frozen=True):
    """One character out of a set."""

    ranges: Ranges
    """Inclusive, sorted, not overlapping."""
    vague: bool = False
    """May match any character beyond ASCII, whatever `ranges` says of those."""


class Sequence(msgspec.Struct, frozen=True):
    parts: "tuple[Node, ...]"


class Either(msgspec.Struct, frozen=True):
    choices: "tuple[Node, ...]"


class Repeat(msgspec.Struct, frozen=True):
    part: "Node"
    least: int
    most: int
    """UNBOUNDED: no end."""
    kind: str = "greedy"
    """greedy, lazy or possessive."""


class Group(msgspec.Struct, frozen=True):
    part: "Node"
    number: int
    name: str = ""


class Edge(msgspec.Struct, frozen=True):
    """Matches nothing, at a place: boundary, no-boundary, beginning, end."""

    place: str


class Look(msgspec.Struct, frozen=True):
    """A look-around."""

    part: "Node"


class Again(msgspec.Struct, frozen=True):
    """A back-reference, or (`choices`) what depends on whether a group matched."""

    number: int
    choices: "tuple[Node, ...]" = ()


class Atomic(msgspec.Struct, frozen=True):
    part: "Node"


Node = Chars | Sequence | Either | Repeat | Group | Edge | Look | Again | Atomic


def parse(pattern: str, flags: int = 0) -> Node:
    """The tree of a `str` pattern. With re.ASCII no set is vague. Raises SyntaxRefused."""
    parser: Any = import_module("re._parser")
    try:
        parsed: Any = parser.parse(pattern, flags)
    except (re.error, OverflowError, ValueError) as error:  # ValueError: flags that exclude each other
        raise SyntaxRefused(f"not a regular expression: {getattr(error, 'msg', error)}") from None
    except RecursionError:
        raise SyntaxRefused("too deeply nested") from None
    names = {number: name for name, number in parsed.state.groupdict.items()}
    try:
        return _Reader(names).sequence(parsed, int(parsed.state.flags))
    except RecursionError:
        raise SyntaxRefused("too deeply nested") from None


# Plain numbers: the operators of re.RegexFlag are slow, and tens of thousands of characters are asked.
_ASCII, _IGNORECASE, _DOTALL = int(re.ASCII), int(re.IGNORECASE), int(re.DOTALL)


class _Reader:
    """Turns the standard library's parse into ours."""

    def __init__(self, names: dict[int, str]) -> None:
        self._names = names

    def sequence(self, parsed: Any, flags: int) -> Node:
        parts = tuple(self.node(str(op), value, flags) for op, value in parsed)
        return parts[0] if len(parts) == 1 else Sequence(parts)

    def node(self, op: str, value: Any, flags: int) -> Node:
        if op in ("LITERAL", "NOT_LITERAL", "ANY", "IN"):
            return self.chars(op, value, flags)
        if op == "BRANCH":
            return Either(tuple(self.sequence(choice, flags) for choice in value[1]))
        if op == "SUBPATTERN":
            number, added, removed, inner = value
            part = self.sequence(inner, (flags | int(added)) & ~int(removed))
            return part if number is None else Group(part, number, self._names.get(number, ""))
        if op in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
            least, most, inner = value
            kind = {"MAX_REPEAT": "greedy", "MIN_REPEAT": "lazy"}.get(op, "possessive")
            return Repeat(self.sequence(inner, flags), int(least), min(int(most), UNBOUNDED), kind)
        return self.zero_width(op, value, flags)

    def zero_width(self, op: str, value: Any, flags: int) -> Node:
        if op == "AT":
            places = {"AT_BOUNDARY": "boundary", "AT_NON_BOUNDARY": "no-boundary"}
            return Edge(places.get(str(value), "beginning" if "BEGINNING" in str(value) else "end"))
        if op in ("ASSERT", "ASSERT_NOT"):
            return Look(self.sequence(value[1], flags))
        if op == "GROUPREF":
            return Again(value)
        if op == "GROUPREF_EXISTS":
            return Again(value[0], tuple(self.sequence(choice or (), flags) for choice in value[1:]))
        if op == "ATOMIC_GROUP":
            return Atomic(self.sequence(value, flags))
        if op == "FAILURE":
            return Chars(())
        raise SyntaxRefused(f"{op.lower().replace('_', ' ')} is not known here")

    def chars(self, op: str, value: Any, flags: int) -> Chars:
        if op == "ANY":
            return Chars(((0, LAST),) if flags & _DOTALL else inverted(((10, 10),)))
        if op == "LITERAL" and not flags & _IGNORECASE:
            return Chars(((value, value),))
        items = [("LITERAL", value)] if op.endswith("LITERAL") else [(str(kind), item) for kind, item in value]
        negated = op == "NOT_LITERAL" or items[0][0] == "NEGATE"
        ranges: list[tuple[int, int]] = []
        vague = False
        for kind, item in items:
            if kind in ("LITERAL", "RANGE"):
                ranges.append(item if kind == "RANGE" else (item, item))
            elif kind == "CATEGORY":
                name = str(item).replace("_NOT_", "_")
                exact = bool(flags & _ASCII)
                last = LAST if exact else 0x7F
                members = _CATEGORIES[name] if exact or "SPACE" not in name else _UNICODE_SPACE
                ranges += inverted(members, last) if "_NOT_" in str(item) else members
                vague = vague or not exact
        if flags & _IGNORECASE:
            ranges, beyond = _both_cases(ranges, bool(flags & _ASCII))
            vague = vague or beyond
        merged = merge(ranges)
        return Chars(inverted(merged) if negated else merged, vague)


def _both_cases(ranges: list[tuple[int, int]], ascii_only: bool) -> tuple[list[tuple[int, int]], bool]:
    """The ranges with the other case of their letters; and whether more beyond ASCII may match than that says (`re`
    lets `i k s` match four letters there)."""
    wider = list(ranges)
    for low, high in ranges:
        wider += [(c ^ 0x20, c ^ 0x20) for c in _ASCII_LETTERS if low <= c <= high]
        if ascii_only:
            for code in range(max(low, 0x80), min(high, 0x24FF) + 1):
                wider += [(ord(other), ord(other)) for other in other_cases(chr(code))]
    beyond = not ascii_only and any(high > 0x7F or any(low <= ord(c) <= high for c in "IKSiks") for low, high in ranges)
    return wider, beyond


def other_cases(char: str) -> set[str]:
    """Single characters beyond ASCII that differ from `char` in case alone."""
    return {c for c in (char.lower(), char.upper(), char.casefold()) if len(c) == 1 and c > "\x7f"} - {char}


def merge(ranges: list[tuple[int, int]]) -> Ranges:
    merged: list[tuple[int, int]] = []
    for low, high in sorted(ranges):
        if merged and low <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
        else:
            merged.append((low, high))
    return tuple(merged)


def inverted(ranges: Ranges, last: int = LAST) -> Ranges:
    """Everything from 0 to `last` that `ranges` (sorted, not overlapping) leaves out."""
    gaps: list[tuple[int, int]] = []
    free = 0
    for low, high in ranges:
        if low > free:
            gaps.append((free, min(low - 1, last)))
        free = high + 1
    return (*gaps, (free, last)) if free <= last else tuple(gaps)


def children(node: Node) -> "tuple[Node, ...]":
    match node:
        case Sequence(parts):
            return parts
        case Either(choices) | Again(_, choices):
            return choices
        case Repeat() | Group() | Look() | Atomic():
            return (node.part,)
        case _:
            return ()


def walk(node: Node) -> Iterator[Node]:
    """The node and everything below it."""
    yield node
    for child in children(node):
        yield from walk(child)


def beginnings(node: Node) -> Ranges:
    """The characters a match can begin with; all that come into question, where that is not known exactly. Everything,
    if a match can be empty."""
    ranges, empty = _beginnings(node)
    return ((0, LAST),) if empty else merge(ranges)


def _beginnings(node: Node) -> tuple[list[tuple[int, int]], bool]:
    """The characters, and whether what follows the node may begin the match as well."""
    match node:
        case Chars(ranges, vague):
            return [*ranges, *([(0x80, LAST)] if vague else [])], False
        case Sequence(parts):
            found: list[tuple[int, int]] = []
            for part in parts:
                more, empty = _beginnings(part)
                found += more
                if not empty:
                    return found, False
            return found, True
        case Either(choices):
            each = [_beginnings(choice) for choice in choices]
            return [one for more, _ in each for one in more], any(empty for _, empty in each)
        case Repeat(part, least):
            found, empty = _beginnings(part)
            return found, empty or not least
        case Group(part) | Atomic(part):
            return _beginnings(part)
        case Again():
            return [(0, LAST)], True
        case _:
            return [], True


def lengths(node: Node) -> tuple[int, int]:
    """Fewest and most characters a match can have; back-references count as 0 to UNBOUNDED."""
    match node:
        case Chars():
            return 1, 1
        case Sequence(parts):
            each = [lengths(part) for part in parts]
            return min(UNBOUNDED, sum(low for low, _ in each)), min(UNBOUNDED, sum(high for _, high in each))
        case Either(choices) | Again(_, choices) if choices:
            each = [lengths(choice) for choice in choices]
            return min(low for low, _ in each), max(high for _, high in each)
        case Repeat(part, least, most):
            low, high = lengths(part)
            return min(UNBOUNDED, low * least), min(UNBOUNDED, high * most)
        case Group(part) | Atomic(part):
            return lengths(part)
        case Again():
            return 0, UNBOUNDED
        case _:
            return 0, 0
