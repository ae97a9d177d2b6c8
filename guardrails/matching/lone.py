"""Words the gate has seen alone and found nothing in: a word that comes again among words need not be shown to it.

A scan costs a microsecond and more however short the text is, and a streamed answer comes in pieces of some letters.
What matches within a word depends on the word alone and on the blanks around it, so that is as it was the last time.
What matches over a blank does not: so no word is kept with which such a match could end. Those are read out of the
expressions; where they cannot be told, because an expression has too many of them, no word is kept at all. None of
this holds where something else than words stands so near before that a match may reach over from there (`Lone.tail`).
"""

import re
from collections.abc import Iterable

from guardrails.detector import Expression
from guardrails.matching.extent import NEVER, PLAIN, plain_bytes
from guardrails.matching.syntax import (
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
    parse,
    walk,
)

_PLAIN = frozenset([chr(code) for low, high in PLAIN for code in range(low, high + 1)])
_APART = frozenset(" \n")
"""What parts words."""
_LONGEST = 16
"""Characters of a word that is kept; few are longer, and those come seldom again."""
_MOST_WORDS = 4096
_MOST_TEXTS = 1000
"""Different texts of plain characters that an expression with a blank may match."""

Texts = frozenset[str]


class _TooMany(ValueError):
    """What an expression matches cannot be told text by text."""


class Lone:
    """Words, each with the blank or line feed behind it, for one set of expressions. Used from several threads."""

    __slots__ = ("_begun", "_whole", "known", "tail")

    def __init__(self, expressions: Iterable[Expression]) -> None:
        self.known: set[str] = set()
        """To be looked in, and not to be changed."""
        whole: set[str] = set()
        begun: set[str] = set()
        self.tail = 0
        """The most plain characters in a row, blanks among them, that a match may end with."""
        self._whole: set[str] | None = None
        self._begun: tuple[str, ...] = ()
        try:
            for expression in expressions:
                tree = _tree(expression)
                if not _parts(tree):
                    continue
                self.tail = max(self.tail, _tail(tree))
                for text in _over_blanks(tree):
                    *_, before, last = re.split("[ \n]", text)
                    if last:
                        begun.add(last)
                    else:
                        whole.add(before)
        except (SyntaxRefused, _TooMany):
            return
        self._whole, self._begun = whole, tuple(begun)

    def add(self, word: str) -> None:
        """Keep a word in which the gate saw nothing, where it stands between blanks or line feeds, the one behind it
        included. What is no single word, or may be the end of a match that began before it, is not kept."""
        if self._whole is None or len(word) > _LONGEST or word[-1:] not in _APART or not _APART.isdisjoint(word[:-1]):
            return
        bare = word[:-1].lower()
        if bare in self._whole or bare.startswith(self._begun):
            return
        if len(self.known) >= _MOST_WORDS:
            self.known.clear()
        self.known.add(word)


def _tree(expression: Expression) -> Node:
    if expression.prefilter:
        raise _TooMany
    return parse(expression.pattern.encode("utf-8", "surrogatepass").decode("latin-1"), re.ASCII)


def _parts(tree: Node) -> bool:
    """Whether a blank or a line feed may be in a match, or what is in it cannot be told."""
    return any(
        isinstance(node, Look | Again | Atomic)
        or (isinstance(node, Chars) and any(_holds(node, ord(mark)) for mark in _APART))
        for node in walk(tree)
    )


def _tail(node: Node) -> int:
    """The most plain characters in a row that a match ends with."""
    match node:
        case Chars() | Edge():
            return max(plain_bytes(node), 0)
        case Sequence(parts):
            most = behind = 0
            for part in reversed(parts):
                most = max(most, behind + _tail(part))
                plain = plain_bytes(part)
                if plain == NEVER:
                    break
                behind += plain
            return most
        case Either(choices):
            return max(map(_tail, choices))
        case Repeat(part, _, most):
            return _tail(part) + max(plain_bytes(part), 0) * max(most - 1, 0) if most else 0
        case Group(part):
            return _tail(part)
        case _:
            raise _TooMany


def _over_blanks(tree: Node) -> Texts:
    """What an expression matches of plain characters with a blank or a line feed among them, in lower case."""
    if plain_bytes(tree) == NEVER:
        return frozenset()
    texts = frozenset([text for text in _texts(tree) if not _APART.isdisjoint(text)])
    # An edge behind a last blank is decided by what comes then, when the word before it has long been passed on.
    if any(isinstance(node, Edge) for node in walk(tree)) and any(text[-1] in _APART for text in texts):
        raise _TooMany
    return texts


def _texts(node: Node) -> Texts:
    """What a node matches of plain characters, in lower case."""
    match node:
        case Chars():
            return frozenset([mark.lower() for mark in _PLAIN if _holds(node, ord(mark))])
        case Sequence(parts):
            found: Texts = frozenset(("",))
            for part in parts:
                if not (found := _joined(found, part)):
                    break
            return found
        case Either(choices):
            return frozenset[str]().union(*[_texts(choice) for choice in choices])
        case Repeat(part, least, most):
            found, all_found = frozenset(("",)), frozenset[str]()
            for count in range(most + 1):
                all_found = all_found | found if count >= least else all_found
                if len(all_found) > _MOST_TEXTS:
                    raise _TooMany
                found = _joined(found, part) if count < most else found
                if not found or found <= all_found:
                    break
            return all_found
        case Group(part):
            return _texts(part)
        case Edge():
            return frozenset(("",))
        case _:
            raise _TooMany


def _joined(before: Texts, part: Node) -> Texts:
    behind = _texts(part)
    if len(before) * len(behind) > _MOST_TEXTS:
        raise _TooMany
    return frozenset([one + other for one in before for other in behind])


def _holds(node: Chars, code: int) -> bool:
    return any(low <= code <= high for low, high in node.ranges)
