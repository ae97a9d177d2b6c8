"""Brings a pattern over characters into an expression over UTF-8 bytes that finds at least as much, for the gate.

The gate sees bytes, where `\\w` and `\\b` know ASCII only, `.` takes one byte of up to four, and look-arounds are not
possible. `widened` gives an expression without any of that:

- A set that can match beyond ASCII becomes its ASCII part and all high bytes, one to four of them for each character.
- `\\b` stays where its neighbour is surely an ASCII word character: what is a boundary for characters is one for bytes
  there. Beside a set of word characters that goes beyond ASCII it becomes `(?:\\b|[\\x80-\\xff])`, which may take the
  outermost byte of such a character itself. Anywhere else it is left out, as `\\B`, `^`, `$` and look-arounds are.
- A back-reference becomes a copy of its group; atomic groups and possessive repeats become ordinary ones.
- A repeat at the very end is cut to its fewest turns, which makes one hit of many.

The promise: for every match of the pattern in a text, `[start, end)` in bytes of its UTF-8, a hit lies in
`(start, end]`.
"""

import re

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
    Repeat,
    Sequence,
    SyntaxRefused,
    lengths,
    parse,
    walk,
)

_HIGH = r"\x80-\xff"
_WORD = ((0x30, 0x39), (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A))
_LEAST_OPENING, _MOST_OPENING = 4, 16
_MOST_COUNTED = 200
"""Repeats with a higher bound lose it: counting is what makes Hyperscan's automata large."""


def widened(pattern: str, flags: int = 0) -> Expression:
    """The gate's expression for a pattern of `re` (flags as there). Raises SyntaxRefused: not a regular expression, or
    what is left of it matches the empty text, so that a gate is of no use."""
    return widened_tree(parse(pattern, flags), ascii_only=bool(flags & re.ASCII))


def widened_tree(tree: Node, ascii_only: bool) -> Expression:
    """As `widened`, from a tree. `ascii_only`: `\\b` is meant for ASCII, so that it stays as it is."""
    if lengths(tree)[0] == 0:
        raise SyntaxRefused("it matches the empty text, so it would be found everywhere")
    groups = {node.number: node.part for node in walk(tree) if isinstance(node, Group)}
    return Expression(_Writer(groups, ascii_only).text(_trimmed(tree)), wide=True)


def opening(tree: Node, caseless: bool) -> Expression | None:
    """An expression for the literal characters a pattern with ASCII semantics begins with (4 to 16 of them), without
    its boundary; None: there are not enough. It hits more often than `widened_tree`'s, within matches all the same, and
    ten thousand of its kind compile in seconds instead of a minute."""
    found: list[str] = []
    for part in tree.parts if isinstance(tree, Sequence) else (tree,):
        if isinstance(part, Edge) and not found:
            continue
        letter = _letter(part, caseless)
        if letter is None or len(found) == _MOST_OPENING:
            break
        found.append(letter)
    return Expression("".join(map(_byte, map(ord, found))), caseless) if len(found) >= _LEAST_OPENING else None


def _letter(node: Node, caseless: bool) -> str | None:
    """The ASCII character a part stands for, lower-case where case is ignored."""
    if not isinstance(node, Chars) or _beyond(node):
        return None
    codes = [code for low, high in node.ranges for code in range(low, min(high, low + 1) + 1)]
    if len(codes) == 1:
        return chr(codes[0])
    both = caseless and len(node.ranges) == len(codes) == 2 and chr(codes[0]).lower() == chr(codes[1])
    return chr(codes[1]) if both else None


def _trimmed(node: Node) -> Node:
    match node:
        case Sequence(parts) if parts:
            last = _trimmed(parts[-1])
            shorter = Sequence((*parts[:-1], last))
            return shorter if lengths(shorter)[0] else node
        case Repeat(part, least, _, _) if least and isinstance(part, Chars):
            return Repeat(part, least, least)
        case Repeat(_, 0, _, _):
            return Sequence(())
        case _:
            return node


class _Writer:
    def __init__(self, groups: dict[int, Node], ascii_only: bool) -> None:
        self._groups = groups
        self._ascii_only = ascii_only
        self._copying: list[int] = []

    def text(self, node: Node) -> str:
        match node:
            case Chars():
                return _chars(node)
            case Sequence(parts):
                return self._sequence(parts)
            case Either(choices):
                return f"(?:{'|'.join(self.text(choice) for choice in choices)})"
            case Repeat():
                return self._repeat(node)
            case Group(part) | Atomic(part):
                return f"(?:{self.text(part)})"
            case Again():
                return self._again(node)
            case Edge(place):
                return r"\b" if place == "boundary" and self._ascii_only else ""
            case Look():
                return ""

    def _sequence(self, parts: tuple[Node, ...]) -> str:
        pieces: list[str] = []
        lender = -1  # the part that lent a byte to the boundary before it: it may have only one more
        for at, part in enumerate(parts):
            if self._ascii_only or not (isinstance(part, Edge) and part.place == "boundary"):
                pieces.append(self.text(part))
                continue
            left = parts[at - 1] if at and at - 1 != lender else None
            right = parts[at + 1] if at + 1 < len(parts) else None
            boundary, right_lends = _boundary(left, right)
            lender = at + 1 if right_lends else lender
            pieces.append(boundary)
        return "".join(pieces)

    def _repeat(self, node: Repeat) -> str:
        part = node.part
        most = node.most
        if isinstance(part, Chars) and not (_literal(part) and _beyond(part)):
            inner, width = _byte_set(part)
            most = min(UNBOUNDED, most * width)
        else:
            inner = f"(?:{self.text(part)})"
        if inner == "(?:)" or not most:
            return ""
        upper = "" if most > max(_MOST_COUNTED, node.least) else str(most)
        return inner + {(0, "1"): "?", (0, ""): "*", (1, ""): "+"}.get((node.least, upper), f"{{{node.least},{upper}}}")

    def _again(self, node: Again) -> str:
        if node.choices:
            return f"(?:{'|'.join(self.text(choice) for choice in node.choices)})"
        if node.number in self._copying or node.number not in self._groups:
            return r"[\x00-\xff]*"
        self._copying.append(node.number)
        copy = f"(?:{self.text(self._groups[node.number])})"
        self._copying.pop()
        return copy


def _boundary(left: Node | None, right: Node | None) -> tuple[str, bool]:
    """A boundary between two parts, and whether the right one lends it a byte."""
    before, behind = _edge_chars(left, -1), _edge_chars(right, 0)
    if any(side is not None and _ascii_word(side) and not _beyond(side) for side in (before, behind)):
        return r"\b", False
    borrowed = rf"(?:\b|[{_HIGH}])"
    if behind is not None and _ascii_word(behind) and not _literal(behind):
        return borrowed, True
    return borrowed if before is not None and _ascii_word(before) and not _literal(before) else "", False


def _edge_chars(node: Node | None, side: int) -> Chars | None:
    """The set of the character next to a boundary, where that is surely one character of one set."""
    match node:
        case Chars():
            return node
        case Repeat(Chars() as part, least) if least:
            return part
        case Sequence(parts) if parts:
            inner = _edge_chars(parts[side], side)
            return inner if inner is not None and not _beyond(inner) else None
        case Group(part) | Atomic(part):
            inner = _edge_chars(part, side)
            return inner if inner is not None and not _beyond(inner) else None
        case Either(choices):
            sets = [_edge_chars(choice, side) for choice in choices]
            plain = [s for s in sets if s is not None and _ascii_word(s) and not _beyond(s)]
            return plain[0] if len(plain) == len(sets) else None
        case _:
            return None


def _ascii_word(chars: Chars) -> bool:
    """Whether the set's ASCII members are all word characters."""
    return all(
        low > 0x7F or any(first <= low and min(high, 0x7F) <= last for first, last in _WORD)
        for low, high in chars.ranges
    ) and bool(chars.ranges)


def _beyond(chars: Chars) -> bool:
    return chars.vague or any(high > 0x7F for _, high in chars.ranges)


def _literal(chars: Chars) -> bool:
    """Whether this is one character, which is written as its own bytes."""
    return not chars.vague and len(chars.ranges) == 1 and chars.ranges[0][0] == chars.ranges[0][1]


def _chars(chars: Chars) -> str:
    if _literal(chars):
        return "".join(_byte(code) for code in chr(chars.ranges[0][0]).encode("utf-8", "surrogatepass"))
    inner, width = _byte_set(chars)
    return inner if width == 1 else f"{inner}{{1,4}}"


def _byte_set(chars: Chars) -> tuple[str, int]:
    """The set over bytes, and the most bytes that one of its characters takes."""
    if _literal(chars) and chars.ranges[0][0] <= 0x7F:
        return _byte(chars.ranges[0][0]), 1
    members = [(low, min(high, 0x7F)) for low, high in chars.ranges if low <= 0x7F]
    listed = "".join(_byte(low) if low == high else f"{_byte(low)}-{_byte(high)}" for low, high in members)
    beyond = _beyond(chars)
    if not members and not beyond:
        return r"[^\x00-\xff]", 1
    return f"[{listed}{_HIGH if beyond else ''}]", 4 if beyond else 1


def _byte(code: int) -> str:
    char = chr(code)
    return char if char.isascii() and char.isalnum() else f"\\x{code:02x}"
