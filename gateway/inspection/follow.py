"""Keeps the log-probabilities of one text's tokens until what they tell of has left.

A token goes on with the last of its characters, if all of them came out as they were; else it never does. Tokens may
come before their text, as some servers send them, and are then kept until it comes. What is not of the text is left
out: nobody judged it.
"""

import math
from collections import deque
from collections.abc import Sequence

import msgspec

from gateway.inspection.logprobs import Token, Told
from guardrails.interface import Stage

MOST_AHEAD = 64
"""Tokens that may come before their text."""
_NOT_YET = math.inf

Stages = tuple[Stage, ...]


class _Ahead(msgspec.Struct):
    """A token whose text did not come yet, or not all of it. `begun`: the character it begins in; -1: none came."""

    name: str
    token: Token
    rest: bytes
    begun: int = -1


class Follower:
    """One text's. `stages`: what it goes through; None: nobody can say, and a token stays only where all that came
    with it passed unchanged."""

    __slots__ = ("_ahead", "_places", "_waiting", "begun", "dropped", "form", "stages")

    def __init__(self, stages: Stages | None) -> None:
        self.stages = stages
        self.form = Told({}, ())
        """How its log-probabilities are written."""
        self.dropped = 0
        """Tokens that were left out."""
        self.begun = bool(stages) and not any(stage.taken for stage in stages or ())
        """It knows its text from the beginning."""
        self._ahead: list[_Ahead] = []
        self._waiting: deque[tuple[int, int, str, Token]] = deque()
        self._places = [0] * len(stages or ())
        """By stage, the first stretch that may still matter."""

    @property
    def idle(self) -> bool:
        """Nothing is kept."""
        return not (self._waiting or self._ahead)

    def accepts(self, text: str, tokens: Sequence[Token]) -> bool:
        """Whether these are tokens of the text as it goes on with `text`."""
        return self._of(text.encode("utf-8", "surrogatepass"), tokens) is not None

    def take(self, text: str, name: str, tokens: Sequence[Token], before: str = "", whole: bool = False) -> None:
        """The text is about to go on with `text`, and these are told with it under the member `name`. `before`: half of
        a character that did not go in yet. `whole`: it is all of the text, and went in already."""
        said = text.encode("utf-8", "surrogatepass")
        coming = self._of(said, tokens, name)
        if coming is None:
            self.dropped += len(self._ahead) + len(tokens)
            self._ahead.clear()
            return
        self.dropped += len(self._ahead) + len(tokens) - len(coming)
        self._ahead.clear()
        base = self.stages[0].taken if self.stages and not whole else 0
        if before and text and not "\udc00" <= text[0] <= "\udfff":
            base += len(before)
        places = None if text.isascii() else _places(text)
        at = 0
        for one in coming:
            end = at + len(one.rest)
            begun = one.begun
            if begun < 0 and at <= len(said):
                begun = base + (at if places is None else places[at][0])
            if end <= len(said):
                self._waiting.append((begun, base + (end if places is None else places[end][1]), one.name, one.token))
            else:
                one.begun = begun if at < len(said) else one.begun
                one.rest = one.rest[max(len(said) - at, 0) :]
                self._ahead.append(one)
            at = end
        if len(self._ahead) > MOST_AHEAD:
            self.dropped += len(self._ahead)
            self._ahead.clear()

    def due(self, unchanged: bool = False) -> dict[str, list[Token]]:
        """The tokens that may go on by now, by the member that has them, once. `unchanged`: what was taken last came
        out as it was, for who cannot know more."""
        found: dict[str, list[Token]] = {}
        while self._waiting:
            start, end, name, token = self._waiting[0]
            by = self._fate(start, end) if self.stages is not None else 0 if unchanged else None
            if by == _NOT_YET:
                break
            self._waiting.popleft()
            if by is None:
                self.dropped += 1
            else:
                found.setdefault(name, []).append(token.moved(int(by)))
        return found

    def _fate(self, start: int, end: int) -> float | None:
        """What became of these characters: by how many they moved; None: others took the place of some."""
        moved = 0
        for number, stage in enumerate(self.stages or ()):
            if end > stage.passed:
                return _NOT_YET
            replaced, at = stage.replaced, self._places[number]
            while at + 1 < len(replaced) and replaced[at + 1][1] <= start:
                at += 1
            self._places[number] = at
            if at + 1 < len(replaced) and replaced[at + 1][0] < end and start < replaced[at + 1][1]:
                return None
            by = replaced[at][2]
            start, end, moved = start + by, end + by, moved + by
        return moved

    def _of(self, said: bytes, tokens: Sequence[Token], name: str = "") -> list[_Ahead] | None:
        """The tokens that the text goes on with, when it does so with `said`; None: those here are of another."""
        new = [_Ahead(name, token, token.said) for token in tokens]
        if self.stages is None:
            return new if b"".join([each.rest for each in new]) == said else None
        for coming in (self._ahead + new, new) if self._ahead else (new,):
            if b"".join([each.rest for each in coming]).startswith(said):
                return coming
        return None


def kept(text: str, new: str, stages: Stages | None, name: str, tokens: Sequence[Token]) -> dict[str, list[Token]]:
    """The tokens of a whole text, of which all was judged and became `new`, that go on."""
    follower = Follower(stages)
    follower.take(text, name, tokens, whole=True)
    return follower.due(unchanged=new == text)


def _places(text: str) -> list[tuple[int, int]]:
    """By byte of the text's UTF-8, how many characters end up to there, and how many begin before."""
    places = [(0, 0)]
    for at, char in enumerate(text):
        size = len(char.encode("utf-8", "surrogatepass"))
        places += [(at, at + 1)] * (size - 1) + [(at + 1, at + 1)]
    return places
