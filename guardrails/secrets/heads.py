"""Where a token rule's matches can begin: the head of its pattern, which the gate looks for.

The head is the beginning of the pattern up to three literal characters and six more of whatever follows, so that prose
does not set it off (`sk-` alone would be in "task-force") and the gate stays small and quick to compile. That is also
why it has no boundary in front: with `\\b` before each, Hyperscan compiles the 260 heads in 0.6 s instead of 0.2.
"""

import re

import msgspec

from guardrails.detector import Expression
from guardrails.matching.syntax import Chars, Either, Group, Node, Repeat, Sequence, lengths, parse, walk
from guardrails.matching.widening import widened_tree

_LITERALS = 3
_MORE = 6


class Head(msgspec.Struct, frozen=True):
    """How the gate sees a rule."""

    expression: Expression
    shortest: int
    longest: int
    """Characters of the head: a match starts that far before a hit's end."""
    fixed: int
    """Characters that are the same for every token of this rule, or nearly so: no part of what is random."""
    lead: int
    """Most characters between the start of the pattern and of what is masked."""
    length: int
    """The longest match of the whole pattern."""


def head(pattern: str) -> Head:
    """The head of a token pattern, which has ASCII semantics. Raises SyntaxRefused."""
    tree = parse(pattern, re.ASCII)
    parts = tree.parts if isinstance(tree, Sequence) else (tree,)
    taken = _take(parts)
    shortest, longest = lengths(Sequence(taken))
    written = widened_tree(Sequence(taken), ascii_only=True)
    return Head(
        expression=written,
        shortest=shortest,
        longest=longest,
        fixed=_fixed(parts),
        lead=_lead(parts),
        length=lengths(tree)[1],
    )


def _take(parts: tuple[Node, ...]) -> tuple[Node, ...]:
    taken: list[Node] = []
    literals, more = 0, _MORE
    for part in parts:
        if literals < _LITERALS:
            if literals + _literals(part) < _LITERALS or not isinstance(part, Group | Sequence):
                taken.append(part)
                literals += _literals(part)
            else:
                taken += _take(part.parts if isinstance(part, Sequence) else (part.part,))
                break
        elif _literals(part) and not isinstance(part, Group):
            taken.append(part)
        elif isinstance(part, Chars) and more:
            taken.append(part)
            more -= 1
        else:
            if isinstance(part, Repeat) and isinstance(part.part, Chars) and min(part.least, more):
                taken.append(Repeat(part.part, min(part.least, more), min(part.least, more)))
            break
    return tuple(taken)


def _literals(part: Node) -> int:
    """Literal characters that every match of the part holds."""
    match part:
        case Chars(ranges):
            return int(len(ranges) == 1 and ranges[0][0] == ranges[0][1])
        case Sequence(parts):
            return sum(_literals(each) for each in parts)
        case Either(choices):
            return min(_literals(choice) for choice in choices)
        case Group(inner):
            return _literals(inner)
        case Repeat(inner, least):
            return _literals(inner) * least
        case _:
            return 0


def _fixed(parts: tuple[Node, ...]) -> int:
    """Characters before the first run of chance ones."""
    count = 0
    for part in parts:
        if isinstance(part, Repeat | Group):
            break
        count += lengths(part)[1]
    return count


def _lead(parts: tuple[Node, ...]) -> int:
    """Characters before the group `secret`, which stands on the top level, if it is there at all."""
    count = 0
    for part in parts:
        if isinstance(part, Group) and part.name == "secret":
            return count
        count += lengths(part)[1]
    return 0


def has_blank(pattern: str) -> bool:
    """Whether a match may hold a blank; no token rule's may, which is what `settled` builds on."""
    blanks = (9, 10, 11, 12, 13, 32)
    sets = (node for node in walk(parse(pattern, re.ASCII)) if isinstance(node, Chars))
    return any(low <= blank <= high for chars in sets for low, high in chars.ranges for blank in blanks)
