"""Telephone numbers: a chain of digit groups, judged by the numbering plans and by how numbers are written.

Presidio runs libphonenumber's text matcher once for each of eight regions. Here a number is looked for at every group
of digits, with the same separators and the same validity (`numbering.py`); rule `pii.phone_number.1`. What people
write without any plan knowing it, because it is foreign, old or invented, is recognized by its grouping: the other rules.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from guardrails.detector import Expression
from guardrails.pii.candidates import Candidate
from guardrails.pii.context import Context
from guardrails.pii.numbering import Numbering

SPAN = 48
"""Characters from the first digit in which a number must end, without its extension."""
LEAD = 4
"""Characters before the first digit that may belong to a number: `+`, brackets, spaces between."""
EXTENSION = 18
MOST_DIGITS = 17
"""ITU-T E.164 allows 15; an international prefix may stand before them."""
FEWEST_DIGITS = 7
PLANNED_FEWEST = 4
"""Digits of the shortest number that some plan knows. Four to six digits are rarely meant as one, so that `extra` leaves
them out."""
GAP = r"[-x ./()\[\]~]"
GROUP = re.compile(r"\d+")
FIRST = re.compile(r"(?<!\d)\d")
LEADING = re.compile(r"(?:\(?\+\(?|\()\Z")
CHAINED = re.compile(rf"\d{GAP}{{0,4}}[+(]{{0,2}}\Z")
LINK = re.compile(rf"{GAP}{{1,4}}")
EXTENDED = re.compile(r"(?:(?: ?[,;]?| - ?) ?(?:x|ext(?:ensio)?n?|extension)[.:]? ?|#)(\d{1,7})(?!\w)", re.IGNORECASE)
DATE = re.compile(r"(?:[0-3]?\d/[01]?\d|[01]?\d/[0-3]?\d)/(?:[12]\d)?\d{2}")
BALANCED = re.compile(r"[(\[]?(?:[^()\[\]]+[)\]])?[^()\[\]]+(?:[(\[][^()\[\]]+[)\]]){0,3}[^()\[\]]*")
REFUSED_BESIDE = re.compile(r"[A-Za-z\u00aa\u00ba\u00c0-\u024f\u0300-\u036f\u1e00-\u1eff%$\u00a2-\u00a5\u20a0-\u20c0]")
"""Latin letters, per cent and currency signs: what stands beside them is an amount or a part number."""


class Chain(NamedTuple):
    """Groups of digits and what is between them, from one group on. Offsets from the first digit."""

    groups: list[tuple[int, int]]
    text: str
    ended: bool
    """False: it goes on beyond what is looked at."""


def chain_at(text: str, at: int) -> Chain:
    """The chain whose first digit is at `at`, by the text up to `at + SPAN` alone."""
    window = text[at : at + SPAN]
    groups: list[tuple[int, int]] = []
    place = 0
    while found := GROUP.match(window, place):
        groups.append(found.span())
        link = LINK.match(window, found.end())
        if link is None:
            break
        place = link.end()
    cut = len(window) == SPAN and bool(groups) and (groups[-1][1] >= SPAN - 5)
    if cut:
        groups.pop()
    return Chain(groups, window, not cut)


class Shape(NamedTuple):
    """One way of writing numbers."""

    rule: str
    score: float
    separators: str
    alone: bool
    """Only where no further group follows or goes before."""


def _shapes() -> dict[tuple[int, ...], Shape]:
    """By digits of each group."""
    american = Shape("pii.phone_number.grouped", 0.6, " .-", alone=False)
    local = Shape("pii.phone_number.local", 0.4, " .-", alone=True)
    short = Shape("pii.phone_number.local", 0.4, " -", alone=True)
    table = dict.fromkeys([(3, 3, 4), (1, 3, 3, 4)], american)
    table |= dict.fromkeys([(2, 4, 4), (4, 3, 3), (3, 4, 4), (2, 2, 2, 2, 2), (4, 3, 4), (3, 2, 2, 2)], local)
    table |= dict.fromkeys([(3, 4), (4, 4), (2, 3, 3), (2, 6), (2, 2, 2, 2), (2, 3, 2, 2), (3, 2, 3)], short)
    return table


class Phone:
    """PHONE_NUMBER."""

    entity = "PHONE_NUMBER"
    back = SPAN + LEAD + 6
    length = LEAD + SPAN + EXTENSION
    after = 3

    def __init__(self, context: Context, extra: bool) -> None:
        self.numbering = Numbering()
        self.context = context
        self.extra = extra
        self.fewest = FEWEST_DIGITS if extra else PLANNED_FEWEST
        chained = rf"[0-9](?:{GAP}{{0,4}}[+(]{{0,2}}[0-9]){{{self.fewest - 1},{MOST_DIGITS}}}"
        self.expressions = (Expression(pattern=rf"(?:^|[^0-9]){chained}(?:[^0-9]|$)"),)
        self.shapes = _shapes()

    def scan(self, text: str, low: int, high: int) -> Iterator[Candidate]:
        base = max(low - 1, 0)
        for found in FIRST.finditer(text, base, high + LEAD):
            at = found.start()
            if at and text[at - 1].isdecimal():
                continue
            lead = LEADING.search(text[max(at - LEAD, 0) : at])
            start = at - len(lead[0]) if lead else at
            if not low <= start < high:
                continue
            chain = chain_at(text, at)
            if chain.groups:
                yield from self.judged(text, at, start, chain)

    def judged(self, text: str, at: int, start: int, chain: Chain) -> Iterator[Candidate]:
        sign = text[start:at]
        if (end := self.planned(text, at, sign, start, chain)) is not None:
            yield self.extended(text, start, end, 0.4, "pii.phone_number.1")
        if self.extra and (found := self.written(text, at, sign, start, chain)) is not None:
            yield found

    # The plans

    def planned(self, text: str, at: int, sign: str, start: int, chain: Chain) -> int | None:
        """Where the longest valid number ends that begins here."""
        before = text[start - 1 : start]
        if before and not sign and REFUSED_BESIDE.match(before):
            return None
        for count in self.ends(text, start, chain):
            end = at + chain.groups[count - 1][1]
            digits = "".join(chain.text[low:high] for low, high in chain.groups[:count])
            if not self.fewest <= len(digits) <= MOST_DIGITS or not self.valid(digits, "+" in sign):
                continue
            whole = text[start:end]
            after = text[end : end + 1]
            beside = bool(after and REFUSED_BESIDE.match(after)) and not EXTENDED.match(text, end)
            if not beside and BALANCED.fullmatch(whole) and not DATE.search(whole) and "x" not in whole:
                return end
        return None

    def ends(self, text: str, start: int, chain: Chain) -> Iterator[int]:
        """How many groups a number that begins here may have, most first: all; or up to the next separator of the kind
        before it, or of any kind for the first of a chain."""
        first = not CHAINED.search(text[max(start - 7, 0) : start])
        kinds = "/ .(" if first else {"/": "", " ": " ", ".": ".", "(": "("}.get(text[start - 1 : start], "-")
        if text[start : start + 1] == "(":
            kinds += "("
        if chain.ended and kinds != "-":
            yield len(chain.groups)
        for count in range(len(chain.groups) - 1, 0, -1):
            link = chain.text[chain.groups[count - 1][1] : chain.groups[count][0]]
            if any(kind in link for kind in kinds):
                yield count

    def valid(self, digits: str, plus: bool) -> bool:
        if not digits.isascii():
            digits = "".join(str(int(digit)) for digit in digits)
        return self.numbering.international(digits) if plus else self.numbering.national(digits)

    # The ways of writing

    def written(self, text: str, at: int, sign: str, start: int, chain: Chain) -> Candidate | None:
        """The number that begins here by its grouping."""
        before = text[max(start - 2, 0) : start]
        if before and (before[-1].isalnum() or before[-1] in "_$%+" or REFUSED_BESIDE.match(before[-1])):
            return None
        follows = len(before) == 2 and before[0].isdecimal() and before[1] in " .,-/"
        for count in range(min(len(chain.groups), 7), 0, -1):
            end = at + chain.groups[count - 1][1]
            tail = text[end : end + 2]
            if tail and (tail[0].isalnum() or tail[0] in "_%") and not EXTENDED.match(text, end):
                continue
            goes_on = len(tail) == 2 and tail[1].isdecimal() and tail[0] in " .,-/:"
            links = [chain.text[chain.groups[i][1] : chain.groups[i + 1][0]] for i in range(count - 1)]
            sizes = tuple(high - low for low, high in chain.groups[:count])
            digits = "".join(chain.text[low:high] for low, high in chain.groups[:count])
            shape = self.shape(digits, sizes, links, sign)
            if shape is None or (shape.alone and (follows or goes_on)):
                continue
            if shape.rule == "pii.phone_number.context" and not self.context.before(text, start):
                continue
            begin = start if "+" in sign or ("(" in sign and ")" in "".join(links[:2])) else at
            return self.extended(text, begin, end, shape.score, shape.rule)
        return None

    def shape(self, digits: str, sizes: tuple[int, ...], links: list[str], sign: str) -> Shape | None:
        if not FEWEST_DIGITS <= len(digits) <= 16 or len(set(digits)) == 1:
            return None
        bracket = "(" in sign and "+" not in sign
        if bracket and links and links[0] not in (")", ") ", ")-"):
            return None
        if "+" in sign or (digits.startswith("00") and len(sizes) > 1):
            code = digits if "+" in sign else digits[2:]
            known = any(code[:size] in self.numbering.codes for size in (1, 2, 3))
            tidy = all(len(link) <= 3 for link in links) and len(code) >= 8 and len(code) <= 15
            return Shape("pii.phone_number.international", 0.6, "", alone=False) if known and tidy else None
        if len(sizes) == 1:
            return Shape("pii.phone_number.context", 0.3, "", alone=True) if len(digits) <= 13 else None
        plain = links[1:] if bracket else links
        if any(len(link) != 1 for link in plain) or len(set(plain)) > 1:
            return self.mixed(digits, sizes, links)
        separator = plain[0] if plain else " "
        if bracket:
            tidy = separator in " .-" and len(digits) >= 8 and 2 <= sizes[0] <= 5 and min(sizes) >= 2
            return Shape("pii.phone_number.bracketed", 0.6, "", alone=False) if tidy else None
        shape = self.shapes.get(sizes)
        if shape is not None and separator in shape.separators:
            return shape
        return self.trunk(digits, sizes, separator)

    @staticmethod
    def trunk(digits: str, sizes: tuple[int, ...], separator: str) -> Shape | None:
        """A trunk zero, as most of the world dials it within a country."""
        tidy = (
            digits[0] == "0"
            and digits[1] != "0"
            and 9 <= len(digits) <= 11
            and 2 <= sizes[0] <= 5
            and min(sizes) >= 2
            and sizes != (3, 2, 4)
            and separator in " .-/"
        )
        return Shape("pii.phone_number.trunk", 0.5, "", alone=True) if tidy else None

    @staticmethod
    def mixed(digits: str, sizes: tuple[int, ...], links: list[str]) -> Shape | None:
        """An American number with a bracket behind its country code, or with separators that differ."""
        if sizes[-3:] != (3, 3, 4) or any(len(link) > 2 for link in links):
            return None
        known = len(sizes) == 3 or (len(sizes) == 4 and digits[: sizes[0]] in ("1", "001"))
        return Shape("pii.phone_number.grouped", 0.6, "", alone=False) if known else None

    def extended(self, text: str, start: int, end: int, score: float, rule: str) -> Candidate:
        """With the extension behind the number, if there is one."""
        extension = EXTENDED.match(text, end)
        if extension is None:
            return Candidate(start, end, score, rule, "pattern")
        return Candidate(start, extension.end(), score, rule, "pattern")
