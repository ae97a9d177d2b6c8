"""Asks classifiers about a text: once about a whole one, at declared steps about one that grows."""

import math

from guardrails.detector import Classifier, Judging, Match
from guardrails.program import CompiledRule, Program
from guardrails.tally import Tally

STEP = 400
"""Characters of a stream after which its classifiers are asked again,"""
WINDOW = 2_000
"""about this many characters back from there."""


class Judge:
    """The classifiers of a program at work on one text. `step` 0: the text is judged once, whole, when it is complete.

    Where a stream is judged, and how, depends on its text alone: at every multiple of `step`, over the last `window`
    characters, and at the end. When it blocks, what stands before that step has passed but for what was held back; how
    much that was may differ between two ways of cutting the text.
    """

    __slots__ = (
        "_judged", "_path", "_pieces", "_program", "_role", "_seen", "_step", "_tally", "_window", "room", "total",
    )  # fmt: skip

    def __init__(
        self, program: Program, tally: Tally, path: str, role: str, step: int = 0, window: int = WINDOW
    ) -> None:
        self._program = program
        self._tally = tally
        self._path = path
        self._role = role
        self._step = step
        self._window = window
        self._pieces: list[str] = []
        self._judged = -1
        self._seen: set[tuple[int, str, str]] = set()
        self.total = 0
        """Characters taken."""
        self.room: float = step or math.inf
        """Characters until the next step."""

    def add(self, piece: str) -> None:
        """Take up to `room` characters more."""
        self._pieces.append(piece)
        self.total += len(piece)
        if self._step:
            self.room -= len(piece)
            if self.room <= 0:
                self.room = self._step
                self._ask()

    def finish(self) -> None:
        """The text is complete."""
        if self._judged != self.total:
            self._ask()

    def _ask(self) -> None:
        self._judged = self.total
        text = "".join(self._pieces)
        if self._step:
            text = text[-self._window :]
            self._pieces = [text]
        if not text:
            return
        offset = self.total - len(text)
        length = math.inf if self._step else len(text)
        timer = self._tally.timer
        for classifier, every in self._program.classifiers:
            rules = [compiled for compiled in every if compiled not in self._tally.over]
            if not rules:
                continue
            since = timer() - self._tally.paused if timer is not None else 0
            try:
                for match in self._said(classifier, text):
                    for compiled in rules:
                        if compiled.wants(match) and compiled.reaches(offset + match.start, length):
                            self._note(compiled, match, offset, text[match.start : match.end])
            except Exception as error:
                self._tally.failed(classifier.name, type(error).__name__, rules)
            self._tally.took(classifier.name, since)

    def _said(self, classifier: Classifier, text: str) -> list[Match]:
        """What it says; where others wait for their turn, they are let go first in between."""
        breathe = self._tally.breathe
        pausing: Judging | None = None if breathe is None else getattr(classifier, "judge_paused", None)
        if breathe is None or pausing is None:
            return classifier.judge(text, self._role)
        return pausing(text, self._role, breathe)

    def _note(self, compiled: CompiledRule, match: Match, offset: int, value: str) -> None:
        """Count a finding; on a stream once, although each further window sees it again."""
        seen = (compiled.place, match.type, match.rule)
        if (self._step and seen in self._seen) or compiled.allows(value, self._tally.hasher):
            return
        self._seen.add(seen)
        action = compiled.rule.action
        self._tally.found(compiled, match, self._path, offset + match.start, offset + match.end, value, action)
        if action == "block" and self._tally.mode(compiled) == "enforce":
            self._tally.blocked = True
