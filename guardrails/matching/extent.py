"""How far the expressions of a gate reach: what need not be scanned again, and what a whole JSON body shows at once.

Expressions are read as the gates read them, byte by byte. What is not understood counts as reaching without end.
"""

import re
from collections.abc import Iterable

import msgspec

from guardrails.detector import Expression
from guardrails.matching.syntax import (
    UNBOUNDED,
    Again,
    Atomic,
    Chars,
    Edge,
    Either,
    Group,
    Look,
    Node,
    Ranges,
    Repeat,
    Sequence,
    SyntaxRefused,
    children,
    lengths,
    parse,
    walk,
)

_BLANK = b" "
PLAIN = (*[(ord(mark), ord(mark)) for mark in "\n ,.;'!?"], (0x41, 0x5A), (0x61, 0x7A))
"""Letters of ASCII, blanks, line feeds and the marks of prose, as `Reach.wordwise` has them."""
_AROUND = b'"{}[],: \t\r\n'
"""What stands before and behind a string's content or a number in JSON, and between names that are judged together."""
NEVER = -1


class Extent(msgspec.Struct, frozen=True):
    """What is known of some expressions together."""

    longest: int
    """Bytes of the longest match of any. UNBOUNDED: there is none, or what matches depends on more than that and the
    byte behind."""
    words: int
    """Bytes of the longest match that is made of ASCII letters, line feeds, `,.;'!?` and blanks, of these at least one;
    0: there is none."""
    within: bool
    """What matches in a string of a JSON document, taken by itself, matches at the same place where the document is
    scanned. For then no match depends on where the string begins and ends, or goes on from one string into the next."""


def extent(expressions: Iterable[Expression]) -> Extent:
    """The extent of some expressions."""
    return joined([_one(expression) for expression in expressions])


def joined(extents: Iterable[Extent]) -> Extent:
    """The extent of all that each of `extents` is about."""
    longest, words, within = 0, 0, True
    for one in extents:
        longest, words, within = max(longest, one.longest), max(words, one.words), within and one.within
    return Extent(longest, words, within)


def _one(expression: Expression) -> Extent:
    try:
        tree = parse(expression.pattern.encode("utf-8", "surrogatepass").decode("latin-1"), re.ASCII)
    except SyntaxRefused:
        return Extent(UNBOUNDED, UNBOUNDED, False)
    # What a prefilter makes of a look-around or a back-reference is the engine's affair.
    strange = expression.prefilter or any(isinstance(node, Look | Again | Atomic) for node in walk(tree))
    if strange or _possessive(tree):
        return Extent(UNBOUNDED, UNBOUNDED, False)
    blank = any(isinstance(node, Chars) and _holds(node.ranges, _BLANK) for node in walk(tree))
    return Extent(lengths(tree)[1], max(plain_bytes(tree), 0) if blank else 0, _within(tree))


def _possessive(tree: Node) -> bool:
    return any(isinstance(node, Repeat) and node.kind == "possessive" for node in walk(tree))


def plain_bytes(node: Node) -> int:
    """Bytes of the longest match made of plain characters alone; `NEVER`: there is none."""
    match node:
        case Chars(ranges):
            return 1 if any(low <= last and first <= high for low, high in ranges for first, last in PLAIN) else NEVER
        case Sequence(parts):
            each = [plain_bytes(part) for part in parts]
            return NEVER if NEVER in each else min(sum(each), UNBOUNDED)
        case Either(choices):
            return max(plain_bytes(choice) for choice in choices)
        case Repeat(part, least, most):
            inner = plain_bytes(part)
            if inner == NEVER:
                return NEVER if least else 0
            return min(inner * most, UNBOUNDED)
        case Group(part):
            return plain_bytes(part)
        case _:
            return 0


def _within(node: Node) -> bool:
    match node:
        case Group(part):
            return _within(part)
        case Either(choices):
            return all(_within(choice) for choice in choices)
        case Sequence(parts):
            first, *inner = parts
            last = inner.pop() if inner else None
            return (
                (_closed(first) or _opens(first, "beginning"))
                and all(_closed(part) for part in inner)
                and (last is None or _closed(last) or _opens(last, "end"))
            )
        case _:
            return _closed(node)


def _closed(node: Node) -> bool:
    """Whether what it matches is one piece of a string, wherever that begins and ends."""
    match node:
        case Chars(ranges):
            return not _holds(ranges, b"\n")
        case Edge(place):
            return place in ("boundary", "no-boundary")
        case _:
            return all(_closed(child) for child in children(node))


def _opens(node: Node, place: str) -> bool:
    """Whether it is met by the end of a string at `place` and as well by everything that may stand there in JSON."""
    match node:
        case Group(part):
            return _opens(part, place)
        case Chars(ranges):
            return _holds(ranges, _AROUND)
        case Either(choices):
            edges = [choice for choice in choices if choice == Edge(place)]
            others = [choice for choice in choices if choice != Edge(place)]
            met = any(isinstance(choice, Chars) and _holds(choice.ranges, _AROUND) for choice in others)
            return bool(edges or others) and met and all(_closed(c) or _opens(c, place) for c in others)
        case _:
            return False


def _holds(ranges: Ranges, some: bytes) -> bool:
    return all(any(low <= char <= high for low, high in ranges) for char in some)
