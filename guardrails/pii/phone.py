"""Telephone numbers: a chain of digit groups, judged by the numbering plans and by how numbers are written.

Presidio runs libphonenumber's text matcher once for each of eight regions. Here a number is looked for at every group
of digits, with the same separators and the same validity (`numbering.py`); rule `pii.phone_number.1`. What people
write without any plan knowing it, because it is foreign, old or invented, is recognized by its grouping: other rules.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from guardrails.detector import Expression
from guardrails.pii.candidates import Candidate
from guardrails.pii.context import Context, words_before
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
"""Digits of the shortest number that some plan knows. Four to six digits are rarely meant as one: `extra` leaves them
out."""
GAP = r"[-xX ./()\[\]~]"
LINKED = frozenset("-xX ./()[]~")
OPENING = frozenset("+(")
KINDS = {"/": "", " ": " ", ".": ".", "(": "("}
"""A separator before a number, other than the first of its chain, and where the number then ends: at the next such, or
at the end of the chain. libphonenumber's inner matches."""
BETWEEN = frozenset("-. ")
GROUP = re.compile(r"\d+")
LINK = re.compile(r"\D+")
CHAIN = re.compile(rf"\d+(?:{GAP}{{1,4}}\d+)*")
LEADING = re.compile(r"(?:\(?\+\(?|\()\Z")
CHAINED = re.compile(rf"\d{GAP}{{0,4}}\Z")
EXTENDING = re.compile(r" ?[xX~] ?\Z")
EXTENDED = re.compile(r"(?:(?: ?[,;]?| - ?) ?(?:x|ext(?:ensio)?n?|extension)[.:]? ?|#)(\d{1,7})(?!\w)", re.IGNORECASE)
DATE = re.compile(r"(?:[0-3]?\d/[01]?\d|[01]?\d/[0-3]?\d)/(?:[12]\d)?\d{2}")
TIME = re.compile(r"[12]\d{3}[-/]?[01]\d[-/]?[0-3]\d +[0-2]\d\Z")
MINUTES = re.compile(r":[0-5]\d")
SPOKEN = (
    "call",
    "cell",
    "cellphone",
    "dial",
    "fax",
    "mobile",
    "phone",
    "sms",
    "tel",
    "telefon",
    "telephone",
    "whatsapp",
)
"""Words that make a number without any separator a telephone number. "Number" alone says too little."""
SOCIAL = (3, 2, 4)
"""Groups of an American social security number."""
UNLIKELY = frozenset({SOCIAL, (4, 2, 2), (2, 2, 4)})
"""And of dates."""
REFUSED_BESIDE = re.compile(r"[A-Za-z\u00aa\u00ba\u00c0-\u024f\u0300-\u036f\u1e00-\u1eff%$\u00a2-\u00a5\u20a0-\u20c0]")
"""Latin letters, per cent and currency signs: what stands beside them is an amount or a part number."""


class Chain(NamedTuple):
    """Groups of digits and what is between them, from one group on, as far as a number can reach."""

    at: int
    """Where the first digit stands in the text."""
    groups: list[str]
    links: list[str]
    """What stands before each group but the first."""
    ended: bool
    """False: it goes on beyond what is looked at."""

    def end(self, count: int) -> int:
        """Where the group before `count` ends in the text."""
        return self.at + sum(map(len, self.groups[:count])) + sum(map(len, self.links[: count - 1]))


def chain_at(text: str, at: int) -> Chain:
    """The chain whose first digit is at `at`, by `SPAN` characters alone."""
    found = CHAIN.match(text, at, at + SPAN + 1)
    segment = found[0] if found else ""
    groups, links = GROUP.findall(segment), LINK.findall(segment)
    ended = len(segment) <= SPAN
    if not ended:
        groups.pop()
    return Chain(at, groups, links, ended)


def balanced(whole: str) -> bool:
    """Whether brackets come in pairs, without nesting. Of the first pair one may be missing, as in libphonenumber."""
    if "(" not in whole and ")" not in whole and "[" not in whole and "]" not in whole:
        return True
    return _paired(whole, False) or _paired(whole, True) or (whole[0] in "([" and _paired(whole[1:], False))


def _paired(text: str, opened: bool) -> bool:
    for character in text:
        if character in "([":
            if opened:
                return False
            opened = True
        elif character in ")]":
            if not opened:
                return False
            opened = False
    return not opened


class Shape(NamedTuple):
    """One way of writing numbers."""

    rule: str
    score: float
    separators: str
    alone: bool
    """Only where no further group follows or goes before."""


AMERICAN = Shape("pii.phone_number.grouped", 0.6, " .-", alone=False)
INTERNATIONAL = Shape("pii.phone_number.international", 0.6, "", alone=False)
BRACKETED = Shape("pii.phone_number.bracketed", 0.6, "", alone=False)
TRUNK = Shape("pii.phone_number.trunk", 0.5, "", alone=True)
PLAIN = Shape("pii.phone_number.context", 0.3, "", alone=True)


def _shapes() -> dict[tuple[int, ...], Shape]:
    """By digits of each group: how people write numbers that need no trunk zero."""
    local = Shape("pii.phone_number.local", 0.4, " .-", alone=True)
    short = Shape("pii.phone_number.local", 0.4, " -", alone=True)
    table = dict.fromkeys([(3, 3, 4), (1, 3, 3, 4)], AMERICAN)
    table |= dict.fromkeys([(2, 4, 4), (4, 3, 3), (3, 4, 4), (2, 2, 2, 2, 2), (4, 3, 4), (3, 3, 3)], local)
    table |= dict.fromkeys(
        [(3, 4), (4, 4), (2, 3, 3), (2, 6), (2, 2, 2, 2), (2, 3, 2, 2), (3, 2, 3), (3, 2, 2, 2)], short
    )
    return table


class Phone:
    """PHONE_NUMBER."""

    entity = "PHONE_NUMBER"
    back = SPAN + LEAD + 6
    length = LEAD + SPAN + EXTENSION
    after = 3
    shortest = 1

    def __init__(self, extra: bool) -> None:
        self.numbering = Numbering()
        self.spoken = Context(SPOKEN)
        self.extra = extra
        self.fewest = FEWEST_DIGITS if extra else PLANNED_FEWEST
        chained = rf"[0-9](?:{GAP}{{0,4}}[+(]{{0,2}}[0-9]){{{self.fewest - 1},{MOST_DIGITS}}}"
        self.starts = re.compile(rf"\d(?<!\d\d)(?<![A-Za-z]\d)(?=(?:{GAP}{{0,4}}\d){{{self.fewest - 1}}})")
        """First digits of groups, not behind a letter, that enough digits follow."""
        self.expressions = (Expression(pattern=rf"(?:^|[^0-9]){chained}(?:[^0-9]|$)"),)
        self.shapes = _shapes()

    def scan(self, text: str, low: int, high: int) -> Iterator[Candidate]:
        for found in self.starts.finditer(text, low, high + LEAD + SPAN):
            at = found.start()
            if at >= high + LEAD:
                return
            start = at
            if at and text[at - 1] in OPENING:
                lead = LEADING.search(text[max(at - LEAD, 0) : at])
                start = at - len(lead[0]) if lead else at
            # In the middle of digits that begin before the region, `at` is before it too.
            if low <= start < high:
                chain = chain_at(text, at)
                if chain.groups and not self.hopeless(text, chain):
                    yield from self.judged(text, start, chain)

    def hopeless(self, text: str, chain: Chain) -> bool:
        """Whether it is seen at once that no number begins here: digits that are separated as on cards and in
        addresses of machines. But for the cards it says no more than `judged` would, and sooner."""
        at = chain.at
        if self.extra and len(chain.groups) > 2 and tuple(map(len, chain.groups[:3])) == (4, 4, 4):
            return True  # a card, or an account
        before = text[at - 1] if at > 1 else ""
        if before not in BETWEEN or not text[at - 2].isdecimal():
            return False
        first = chain.groups[0]
        size = len(first)
        if size >= self.fewest or first.startswith("00"):
            return False
        if size in {1, 3} and len(chain.groups) > 1 and len(chain.groups[1]) == 3:
            return False
        return before == "-" or (len(chain.groups) > 1 and chain.links[0][0] == before)

    def judged(self, text: str, start: int, chain: Chain) -> Iterator[Candidate]:
        found = self.written(text, start, chain) if self.extra else None
        if found is not None:
            yield found
            if found.start == start and found.end >= chain.end(len(chain.groups)):
                return  # no plan says more
        if (end := self.planned(text, start, chain)) is not None:
            yield self.extended(text, start, end, 0.4, "pii.phone_number.1")

    # The plans

    def planned(self, text: str, start: int, chain: Chain) -> int | None:
        """Where the longest valid number ends that begins here."""
        sign = text[start : chain.at]
        if start and not sign and REFUSED_BESIDE.match(text[start - 1]):
            return None
        for count, last in self.ends(text, start, chain):
            digits = "".join(chain.groups[:count])
            if not self.fewest <= len(digits) <= MOST_DIGITS:
                continue
            if self.extra and self.doubtful(text, start, digits, chain, count):
                continue
            if not self.valid(digits, "+" in sign):
                continue
            end = chain.end(last)
            after = text[end : end + 1]
            if after and REFUSED_BESIDE.match(after) and not EXTENDED.match(text, end):
                continue
            whole = text[start : chain.end(count)]
            if not balanced(whole) or DATE.search(whole) or "x" in whole:
                continue
            if TIME.search(whole) and MINUTES.match(text, end):
                continue
            return end
        return None

    def doubtful(self, text: str, start: int, digits: str, chain: Chain, count: int) -> bool:
        """Some plan may know the digits, but so written they are more often something else: an account, an address of a
        machine, a social security number, digits without any sign that they are a telephone number. (Of seven digits
        in groups the grouping decides.)"""
        if text[start] in "+(":
            return False
        if len(digits) > 12 and digits[0] != "0":
            return True
        if count == 1:
            dialled = digits[0] == "0" and 10 <= len(digits) <= 15
            american = len(digits) == 10 and digits[0] in "23456789"
            return not (dialled or american or self.spoken.among(*words_before(text, start)))
        sizes = tuple(map(len, chain.groups[:count]))
        machine = count == 4 and set(chain.links[:3]) == {"."} and max(sizes) <= 3
        return machine or sizes in UNLIKELY or len(digits) == FEWEST_DIGITS

    def ends(self, text: str, start: int, chain: Chain) -> Iterator[tuple[int, int]]:
        """How many groups a number that begins here may have, without and with its extension, most first: all; or up
        to the next separator of the kind before it, or of any kind for the first of a chain."""
        before = text[start - 1 : start] if start else ""
        first = (
            before not in LINKED
            or "+" in text[start : start + 2]
            or not CHAINED.search(text[max(start - 5, 0) : start])
        )
        size = len(chain.groups)
        kind = "" if first else KINDS.get(before, "-")
        if text[start] == "(" and not first:
            kind = "("
        if kind == "-":
            return
        stops = {self.stop(chain, one) for one in ("/ .(" if first else kind)}
        if first or not kind or None in stops:
            stops = stops | {size if chain.ended else None}
        if "(" in text[start : start + 2]:
            stops |= {self.stop(chain, "(")}
        for count in range(size, 0, -1):
            link = chain.links[count - 1] if count < size else ""
            if ("x" in link or "X" in link or "~" in link) and EXTENDING.match(link) and len(chain.groups[count]) <= 9:
                yield count, count + 1
            if count in stops:
                yield count, count

    @staticmethod
    def stop(chain: Chain, kind: str) -> int | None:
        """How many groups there are before the first separator of a kind; None without one."""
        for count, link in enumerate(chain.links, start=1):
            if kind in link:
                return count
        return None

    def valid(self, digits: str, plus: bool) -> bool:
        if not digits.isascii():
            digits = "".join(str(int(digit)) for digit in digits)
        return self.numbering.international(digits) if plus else self.numbering.national(digits)

    # The ways of writing

    def written(self, text: str, start: int, chain: Chain) -> Candidate | None:
        """The number that begins here by its grouping."""
        if start and (text[start - 1].isalnum() or text[start - 1] in "_+" or REFUSED_BESIDE.match(text[start - 1])):
            return None
        follows = start > 1 and text[start - 1] in " .,-/" and text[start - 2].isdecimal()
        sign = text[start : chain.at]
        sizes = tuple(map(len, chain.groups[:7]))
        total = sum(sizes)
        for count in range(len(sizes), 0, -1):
            digits, total = total, total - sizes[count - 1]
            if digits < FEWEST_DIGITS:
                return None
            shape = self.shape(chain, sizes[:count], sign) if digits <= 16 else None
            if shape is None or (shape.alone and follows):
                continue
            end = chain.end(count)
            tail = text[end : end + 2]
            if tail and (tail[0].isalnum() or tail[0] in "_%") and not EXTENDED.match(text, end):
                continue
            if shape.alone and len(tail) == 2 and tail[1].isdecimal() and tail[0] in " .,-/:":
                continue
            if TIME.search(text[chain.at : end]) and MINUTES.match(text, end):
                continue
            if shape.rule == "pii.phone_number.context" and not self.spoken.among(*words_before(text, start)):
                continue
            closed = "(" in sign and ")" in "".join(chain.links[: min(count - 1, 2)])
            begin = start if "+" in sign or closed else chain.at
            return self.extended(text, begin, end, shape.score, shape.rule)
        return None

    def shape(self, chain: Chain, sizes: tuple[int, ...], sign: str) -> Shape | None:
        """How the first groups of a chain are written, None if nobody writes a number like that."""
        first = chain.groups[0]
        if "+" in sign or (len(sizes) > 1 and first.startswith("00")):
            return self.foreign(chain, sizes, "+" in sign)
        if len(sizes) == 1:
            return PLAIN if sizes[0] <= 13 and len(set(first)) > 1 else None
        links = chain.links[: len(sizes) - 1]
        if "(" in sign:
            return self.bracketed(links, sizes)
        if len(set(links)) > 1 or len(links[0]) != 1:
            return self.mixed(first, sizes, links)
        shape = self.shapes.get(sizes)
        if shape is None or links[0] not in shape.separators:
            return self.trunk(first, sizes, links[0])
        return shape if len(set("".join(chain.groups))) > 1 else None

    def foreign(self, chain: Chain, sizes: tuple[int, ...], plus: bool) -> Shape | None:
        """With a calling code behind `+` or `00`."""
        digits = "".join(chain.groups[: len(sizes)])
        code = digits if plus else digits[2:]
        known = any(code[:size] in self.numbering.codes for size in (1, 2, 3))
        tidy = 8 <= len(code) <= 15 and all(len(link) <= 3 for link in chain.links[: len(sizes) - 1])
        return INTERNATIONAL if known and tidy else None

    def bracketed(self, links: list[str], sizes: tuple[int, ...]) -> Shape | None:
        """With the area code in brackets."""
        if links[0] not in {")", ") ", ")-"} or not (2 <= sizes[0] <= 5 and min(sizes) >= 2 and sum(sizes) >= 8):
            return None
        return BRACKETED if set(links[1:]) in (set(), {" "}, {"."}, {"-"}) else self.mixed("", sizes, links)

    @staticmethod
    def trunk(first: str, sizes: tuple[int, ...], separator: str) -> Shape | None:
        """With a trunk zero, as most of the world dials within a country."""
        if first[0] != "0" or first[1:2] == "0" or separator not in " .-/" or sizes == SOCIAL:
            return None
        tidy = 9 <= sum(sizes) <= 11 and 2 <= sizes[0] <= 5 and min(sizes) >= 2
        return TRUNK if tidy else None

    @staticmethod
    def mixed(first: str, sizes: tuple[int, ...], links: list[str]) -> Shape | None:
        """An American number with a bracket behind its country code, or with separators that differ."""
        if sizes[-3:] != (3, 3, 4) or any(len(link) > 2 for link in links):
            return None
        known = len(sizes) == 3 or (len(sizes) == 4 and first in {"1", "001"})
        return AMERICAN if known else None

    def extended(self, text: str, start: int, end: int, score: float, rule: str) -> Candidate:
        """With the extension behind the number, if there is one."""
        extension = EXTENDED.match(text, end)
        if extension is None:
            return Candidate(start, end, score, rule, "pattern")
        return Candidate(start, extension.end(), score, rule, "pattern")
