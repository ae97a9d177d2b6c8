"""Small honest detectors that keep the promises of `guardrails/detector.py`, and a gate of `re`, for tests."""

import re
from collections.abc import Sequence

from guardrails.detector import Expression, Hit, Match, Reach


class ReGate:
    """Hyperscan's answers from `re`: every expression, every end (overlapping starts included) in bytes."""

    def __init__(self, expressions: Sequence[Expression]) -> None:
        self.compiled = [
            re.compile(f"(?=({e.pattern}))".encode(), re.IGNORECASE if e.caseless else 0) for e in expressions
        ]
        self.scanned = 0

    def scan(self, data: bytes) -> list[tuple[int, int]]:
        self.scanned += len(data)
        return [(number, m.end(1)) for number, p in enumerate(self.compiled) for m in p.finditer(data)]


class Pattern:
    """A regular expression tried at every start. `growing`: what the end of a text must look like for a match to be
    still possible or still growing there, the left-most such place counts."""

    def __init__(self, name: str, type: str, pattern: str, gate: str, growing: str, length: int, score: float = 1.0):
        self.name = name
        self.expressions = (Expression(gate),)
        self.reach = Reach(length, 1, 1, 0)
        self.type = type
        self.score = score
        self.pattern = re.compile(pattern)
        self.growing = re.compile(growing)
        self.confirmed = 0

    def confirm(self, text: str, hits: Sequence[Hit]) -> list[Match]:
        self.confirmed += 1
        found: list[Match] = []
        for m in re.finditer(f"(?=({self.pattern.pattern}))", text):
            if m.end(1) > m.start() and self.keeps(m.group(1)):
                found.append(Match(self.type, m.start(), m.end(1), self.score, f"{self.name}.one", "pattern"))
        return found

    def keeps(self, value: str) -> bool:
        return True

    def settled(self, text: str) -> int:
        begin = max(0, len(text) - self.reach.length - self.reach.after)
        found = self.growing.search(text, begin)
        return len(text) if found is None else found.start()


def mail() -> Pattern:
    """`word@word.word...`, at most 40 characters: 12 before the @, four labels of up to six behind."""
    name, part = r"[a-z0-9é😀]{1,12}", r"[a-z0-9]{1,6}"
    return Pattern(
        "mail", "EMAIL_ADDRESS", rf"(?<![a-z0-9é😀]){name}@{part}(?:\.{part}){{1,3}}(?![a-z0-9])", "@",
        rf"(?<![a-z0-9é😀]){name}(?:@(?:{part}(?:\.{part}){{0,3}}(?:\.(?:{part})?)?)?)?\Z", 41, 0.9,
    )  # fmt: skip


def fence() -> Pattern:
    """`<<anything>>` of up to 700 characters: what waits long for its end."""
    return Pattern("fence", "FENCED", "<<[^<>]{0,700}>>", "<<", r"<(?:<[^<>]{0,700}>?)?\Z", 704)


class Card(Pattern):
    """Sixteen digits, in fours or not, that pass Luhn's check."""

    def __init__(self) -> None:
        super().__init__(
            "card", "CREDIT_CARD", r"(?<![0-9])[0-9]{4}(?:[ -]?[0-9]{4}){3}(?![0-9])", "[0-9]{4}",
            r"(?<![0-9])[0-9]{1,4}(?:[ -]?[0-9]{0,4}){0,3}\Z", 19,
        )  # fmt: skip

    def keeps(self, value: str) -> bool:
        digits = [int(c) for c in value if c.isdigit()]
        return sum(d if i % 2 else sum(divmod(2 * d, 10)) for i, d in enumerate(digits)) % 10 == 0


class Words:
    """Whole words of a list, whatever their case, of letters and digits."""

    def __init__(self, name: str, type: str, *words: str) -> None:
        self.name = name
        self.type = type
        self.words = tuple(sorted(words, key=len, reverse=True))
        self.expressions = tuple(Expression(re.escape(word), caseless=True) for word in words)
        self.reach = Reach(max(map(len, words)), 1, 1, 0)
        self.pattern = re.compile(rf"(?<![^\W_])(?=({'|'.join(map(re.escape, self.words))})(?![^\W_]))", re.I | re.A)
        self.confirmed = 0

    def confirm(self, text: str, hits: Sequence[Hit]) -> list[Match]:
        self.confirmed += 1
        return [
            Match(self.type, m.start(), m.end(1), 0.8, f"{self.name}.list", "list") for m in self.pattern.finditer(text)
        ]

    def settled(self, text: str) -> int:
        for at in range(max(0, len(text) - self.reach.length), len(text)):
            tail = text[at:].lower()
            if any(word.lower().startswith(tail) for word in self.words):
                return at
        return len(text)


class Overlapping:
    """Marks of one letter, then as many characters as the digit behind it says (`x5abcde`): chains of any shape. No
    expressions, so it is asked about every text."""

    def __init__(self, name: str, mark: str, score: float = 0.5) -> None:
        self.name = name
        self.mark = mark
        self.score = score
        self.expressions: tuple[Expression, ...] = ()
        self.reach = Reach(11, 0, 0)

    def confirm(self, text: str, hits: Sequence[Hit]) -> list[Match]:
        found: list[Match] = []
        for m in re.finditer(rf"{self.mark}([0-9])", text):
            end = m.end() + int(m.group(1))
            if end <= len(text):
                found.append(Match(self.mark.upper(), m.start(), end, self.score, f"{self.name}.mark", "pattern"))
        return found

    def settled(self, text: str) -> int:
        for at in range(max(0, len(text) - 11), len(text)):
            if text[at] == self.mark:
                digit = text[at + 1 : at + 2]
                if not digit or (digit in "0123456789" and at + 2 + int(digit) > len(text)):
                    return at
        return len(text)


class Failing:
    """Finds what `inner` finds, and breaks on texts that hold `bait`, in `confirm` or in `settled`."""

    def __init__(self, inner: Pattern | Words, bait: str, where: str = "confirm") -> None:
        self.inner = inner
        self.name = inner.name
        self.expressions = inner.expressions
        self.reach = inner.reach
        self.bait = bait
        self.where = where
        self.broke = 0

    def confirm(self, text: str, hits: Sequence[Hit]) -> list[Match]:
        if self.where == "confirm" and self.bait in text:
            self.broke += 1
            raise RuntimeError(text)
        return self.inner.confirm(text, hits)

    def settled(self, text: str) -> int:
        if self.where == "settled" and self.bait in text:
            self.broke += 1
            raise RuntimeError(text)
        return self.inner.settled(text)


class Accuser:
    """A classifier: the share of its word among the words it is shown."""

    name = "accuser"

    def __init__(self, word: str = "evil") -> None:
        self.word = word
        self.asked: list[int] = []

    def judge(self, text: str, role: str) -> list[Match]:
        self.asked.append(len(text))
        words = text.split() or [""]
        score = words.count(self.word) / len(words)
        return [Match("PROMPT_INJECTION", 0, len(text), score, "accuser.share", "model")] if score >= 0.01 else []
