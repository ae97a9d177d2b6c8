"""The language of users' patterns: what of regular expressions is allowed, and its form for RE2.

Allowed is what can be matched in linear time and decided in a known distance: literals, classes, `.`, groups,
alternation, repeats (greedy or lazy), `\\b`, `\\B`, `(?i)`, and one group `(?P<mask>...)` around what is to be masked.
`\\w \\d \\s \\b` are ASCII, as in RE2 and in `re` with re.ASCII; `(?i)` ignores case of all scripts, character by
character. A repeat without an end takes at most `OPEN_REPEAT` characters,
or `OPEN_TURNS` turns of something longer.
"""

import re
from collections.abc import Iterator

import msgspec

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
    children,
    lengths,
    parse,
    walk,
)
from guardrails.words.errors import WordsError

LONGEST_PATTERN = 1_000
"""Characters of the pattern as written."""
MOST_TURNS = 1_000
OPEN_REPEAT = 128
OPEN_TURNS = 7
LONGEST_MATCH = 4_096
MOST_NODES = 20_000
"""Size of the pattern with its repeats written out, in characters to match."""
_ALLOWED = "allowed are classes, groups, alternation, repeats and \\b; (?P<mask>...) chooses what is masked"


class UserPattern(msgspec.Struct, frozen=True):
    """A pattern from the configuration."""

    name: str
    type: str
    pattern: str
    caseless: bool = False
    score: float = 1.0
    rule: str = ""
    """Id of its matches; `pattern.NAME` if empty."""


class Read(msgspec.Struct, frozen=True):
    """A user's pattern, understood."""

    tree: Node
    longest: int
    """Characters of the longest match."""
    lead: int
    """Most characters before what is masked."""
    size: int
    """Characters to match with every repeat written out."""
    capped: bool
    """Whether a repeat without an end was given one."""


def read(pattern: UserPattern) -> Read:
    """Raises WordsError: not a regular expression, or one that is not allowed here."""
    who = f"pattern {pattern.name!r}"
    if len(pattern.pattern) > LONGEST_PATTERN:
        raise WordsError(f"{who} is longer than {LONGEST_PATTERN} characters")
    try:
        tree = parse(pattern.pattern, re.ASCII | (re.IGNORECASE if pattern.caseless else 0))
    except SyntaxRefused as error:
        raise WordsError(f"{who} is {error}") from None
    nodes = list(walk(tree))
    for node in nodes:
        reason = _refused(node)
        if reason:
            raise WordsError(f"{who} {reason}; {_ALLOWED}")
    capped = _capped(tree)
    shortest, longest = lengths(capped)
    if not shortest:
        raise WordsError(f"{who} matches the empty text, so it would be found everywhere")
    if longest > LONGEST_MATCH:
        raise WordsError(f"{who} can match {longest:,} characters; {LONGEST_MATCH:,} are allowed: bound its repeats")
    written_out = _size(capped)
    if written_out > MOST_NODES:
        raise WordsError(f"{who} is too large with its repeats written out: lower their counts, or do not nest them")
    masks = [node for node in nodes if isinstance(node, Group) and node.name == "mask"]
    lead = _lead(capped) if masks else 0
    if lead is None:
        raise WordsError(
            f"{who}: the group mask must take part in every match, so not within |, ?, * or another repeat"
        )
    if masks and not lengths(masks[0])[0]:
        raise WordsError(f"{who}: the group mask can be empty, so that nothing would be masked")
    return Read(capped, longest, lead, written_out, any(_open(node) for node in nodes))


def _refused(node: Node) -> str:
    match node:
        case Look():
            return "holds a look-around, which cannot be decided in linear time"
        case Again():
            return "holds a back-reference or a condition, which cannot be decided in linear time"
        case Atomic() | Repeat(_, _, _, "possessive"):
            return "holds an atomic group or a possessive repeat, which cannot be decided in linear time"
        case Edge(place) if place in ("beginning", "end"):
            return "asks for the beginning or end of the text, which a stream does not have"
        case Repeat(_, least, most, _) if least > MOST_TURNS or MOST_TURNS < most < UNBOUNDED:
            return f"repeats more than {MOST_TURNS:,} times"
        case Chars(()):
            return "holds a class that nothing is in"
        case _:
            return ""


def _capped(node: Node) -> Node:
    match node:
        case Sequence(parts):
            return Sequence(tuple(_capped(part) for part in parts))
        case Either(choices):
            return Either(tuple(_capped(choice) for choice in choices))
        case Group(part, number, name):
            return Group(_capped(part), number, name)
        case Repeat(part, least, most, kind):
            inner = _capped(part)
            if most == UNBOUNDED:
                width = max(1, lengths(inner)[1])
                most = max(least, OPEN_REPEAT // width, OPEN_TURNS)
            return Repeat(inner, least, most, kind)
        case _:
            return node


def _open(node: Node) -> bool:
    return isinstance(node, Repeat) and node.most == UNBOUNDED


def _size(node: Node) -> int:
    match node:
        case Repeat(part, _, most):
            return _size(part) * max(1, most)
        case _:
            return 1 + sum(_size(child) for child in children(node))


def _lead(node: Node) -> int | None:
    """Most characters before the group `mask`; None: it is not part of every match."""
    match node:
        case Group(_, _, "mask"):
            return 0
        case Group(part):
            return _lead(part)
        case Sequence(parts):
            before = 0
            for part in parts:
                inner = _lead(part)
                if inner is not None:
                    return before + inner
                before += lengths(part)[1]
            return None
        case _:
            return None


def for_re2(node: Node) -> str:
    """The tree in RE2's syntax, over characters."""
    match node:
        case Chars(ranges):
            return _chars(ranges)
        case Sequence(parts):
            return "".join(for_re2(part) for part in parts)
        case Either(choices):
            return f"(?:{'|'.join(for_re2(choice) for choice in choices)})"
        case Repeat(part, least, most, kind):
            return _repeated(f"(?:{for_re2(part)})", least, most) + ("?" if kind == "lazy" else "")
        case Group(part, _, name):
            return f"({'?P<mask>' if name == 'mask' else '?:'}{for_re2(part)})"
        case Edge(place):
            return r"\b" if place == "boundary" else r"\B"
        case _:
            raise SyntaxRefused("it holds what RE2 has not")


def _repeated(inner: str, least: int, most: int) -> str:
    return f"{inner}{{{least},{most}}}"


def _chars(ranges: tuple[tuple[int, int], ...]) -> str:
    return "[" + "".join(f"\\x{{{low:x}}}-\\x{{{high:x}}}" for low, high in ranges) + "]"


def unfinished(node: Node) -> str:
    """RE2 for what could still become a match, or another one, with more text: beginnings of matches, whole ones
    included, up to the end of the text. A boundary at the very end may turn out either way."""
    return rf"(?:{'|'.join(_begun(node))}|{_open_edges(node)})\z"


def _begun(node: Node) -> Iterator[str]:
    """Alternatives for proper beginnings."""
    match node:
        case Chars():
            yield ""
        case Sequence(parts):
            yield _begun_sequence(parts)
        case Either(choices):
            for choice in choices:
                yield from _begun(choice)
        case Group(part):
            yield from _begun(part)
        case Repeat(part, _, most) if most:
            yield f"(?:{_open_edges(part)}){{0,{most - 1}}}(?:{'|'.join(_begun(part))})"
        case _:
            return


def _begun_sequence(parts: tuple[Node, ...]) -> str:
    nested: str | None = None
    for part in reversed(parts):
        further = [] if nested is None else [f"{_open_edges(part)}(?:{nested})"]
        choices = [*_begun(part), *further]
        nested = "|".join(dict.fromkeys(choices)) if choices else None
    return f"(?:{nested or ''})"


def _open_edges(node: Node) -> str:
    """As `for_re2`, with boundaries that hold at the end of the text, and without captures."""
    match node:
        case Sequence(parts):
            return "".join(_open_edges(part) for part in parts)
        case Either(choices):
            return f"(?:{'|'.join(_open_edges(choice) for choice in choices)})"
        case Repeat(part, least, most):
            return _repeated(f"(?:{_open_edges(part)})", least, most)
        case Group(part):
            return f"(?:{_open_edges(part)})"
        case Edge(place):
            return r"(?:\b|\z)" if place == "boundary" else r"(?:\B|\z)"
        case _:
            return for_re2(node)
