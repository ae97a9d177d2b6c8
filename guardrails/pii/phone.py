"""Telephone numbers: a chain of digit groups, judged by the numbering plans and by how numbers are written.

Presidio runs libphonenumber's text matcher once for each of eight regions. Here a number is looked for at every group
of digits, with the same separators and the same validity (`numbering.py`); rule `pii.phone_number.1`. What people
write without any plan knowing it, because it is foreign, old or invented, is recognized by its grouping: other rules.
What the grouping rules out is known by its skeleton (`writing.py`), and costs no look at the digits.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from guardrails.detector import Expression
from guardrails.pii.candidates import Candidate, new
from guardrails.pii.context import Context, words_before
from guardrails.pii.numbering import Numbering
from guardrails.pii.writing import (
    GAP,
    GAPS,
    INTERNATIONAL,
    MOST_DIGITS,
    PLAIN,
    SPAN,
    Before,
    Dialled,
    Shape,
    Writing,
    Writings,
    Written,
)

LEAD = 4
"""Characters before the first digit that may belong to a number: `+`, brackets, spaces between."""
EXTENSION = 18
OPENING = frozenset("+(")
LEADING = re.compile(r"(?:\(?\+\(?|\()\Z")
CHAINED = re.compile(rf"\d{GAP}{{0,4}}\Z")
EXTENDED = re.compile(r"(?:(?: ?[,;]?| ?- ?) ?(?:x|ext(?:ensio)?n?|extension)[.:]? ?|#)(\d{1,7})(?!\w)", re.IGNORECASE)
EXTENDING = frozenset(" ,;-xXeE#")
"""What an extension begins with."""
QUIET = frozenset(" \n\t.,;()[]{}<>\"'/-=*?!|~#")
"""Of what may stand beside a number, what changes nothing, and most of it."""
DATE = re.compile(r"(?:[0-3]?\d/[01]?\d|[01]?\d/[0-3]?\d)/(?:[12]\d)?\d{2}")
TIME = re.compile(r"[12]\d{3}[-/]?[01]\d[-/]?[0-3]\d +[0-2]\d\Z")
MINUTES = re.compile(r":[0-5]\d")
CHAINS = 1024
"""Whole chains whose numbers are kept: they hold more than one of the skeletons each."""
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
REFUSED_BESIDE = re.compile(r"[A-Za-z\u00aa\u00ba\u00c0-\u024f\u0300-\u036f\u1e00-\u1eff%$\u00a2-\u00a5\u20a0-\u20c0]")
"""Latin letters, per cent and currency signs: what stands beside them is an amount or a part number."""
ZEROED = bytes.maketrans(b"123456789", b"000000000")
SEPARATING = GAPS.encode()
NOTHING = Before("", follows=False, joined=False, refused=False)
LISTED = NOTHING._replace(follows=True)
JOINED = NOTHING._replace(joined=True)
REFUSED = JOINED._replace(refused=True)
LINKED = {link: Before(link, False, link in "xX", link in "xX") for link in GAPS}
LOOSE = {link: NOTHING if link not in "xX" else REFUSED for link in GAPS}
FOLLOWING = LINKED | {link: LISTED._replace(link=link) for link in " .-/"}


class Begun(NamedTuple):
    """A number that can begin within a chain. Offsets are characters from the chain's first digit."""

    start: int
    """With what leads the number, so that the first may begin before its chain."""
    at: int
    """Its first digit."""
    end: int
    """Where what can be a part of it ends."""
    writing: Writing


class Phone:
    """PHONE_NUMBER."""

    entity = "PHONE_NUMBER"
    back = SPAN + LEAD + 6
    length = LEAD + SPAN + EXTENSION
    after = 3
    foreign = True
    apart = 64

    def __init__(self, extra: bool) -> None:
        self.numbering = Numbering()
        self.spoken = Context(SPOKEN)
        self.extra = extra
        self.writings = Writings(extra)
        more = self.writings.fewest - 1
        self.shortest = more
        # To the end of the group in which there are enough: a number ends there or behind.
        chained = rf"[0-9](?:{GAP}{{0,4}}[+(]{{0,2}}[0-9]){{{more}}}[0-9]{{0,{MOST_DIGITS - more}}}"
        self.expressions = (Expression(pattern=rf"(?:^|[^0-9A-Za-z]){chained}(?:[^0-9]|$)"),)
        # What is repeated is written out and gives nothing back, which changes nothing here and costs a quarter less.
        enough = rf"{GAP}{{0,4}}+\d" * more
        begin = rf"\d(?<!\d\d)(?<![A-Za-z]\d)(?={enough})"
        chain = rf"\d{{0,{SPAN}}}+(?:{GAP}{{1,4}}+\d{{1,{SPAN}}}+){{0,{SPAN // 2}}}"
        self.chains = re.compile(rf"{begin}{chain}\d*+").finditer
        """Groups not behind a letter, from whose first digit on there are enough digits, with what follows them."""
        self.starts = re.compile(rf"{begin}(?=({chain}))\d*+").finditer
        """The same for each of the groups."""
        self.read = lru_cache(CHAINS)(self.begun)

    def scan(self, text: str, low: int, high: int) -> list[Candidate]:
        numbers: list[Candidate] = []
        top = high + LEAD
        for found in self.chains(text, low, top + SPAN):
            first = found.start()
            if first >= top:
                break
            chain: str = found[0]
            if len(chain) > SPAN:
                begun = self.each(text, first, found.end(), top + SPAN)
            else:
                start = led(text, first) if text[first - 1 : first] in OPENING else first
                begun = self.read(before(text, start) if start else NOTHING, text[start:first], zeroed(chain))
            for start, at, end, writing in begun:
                # In the middle of digits that begin before the region, `first` is before it too.
                if low <= first + start < high and not (writing.abroad and not text.startswith("00", first + at)):
                    numbers += self.judged(text, first + start, first + at, text[first + at : first + end], writing)
        return numbers

    def begun(self, ahead: Before, sign: str, skeleton: str) -> tuple[Begun, ...]:
        """The numbers that can begin within a chain: what stands before its later groups is a part of it."""
        return tuple(self.each(skeleton, 0, len(skeleton), len(skeleton), ahead, sign))

    def each(
        self, text: str, low: int, high: int, stop: int, ahead: Before | None = None, sign: str = ""
    ) -> Iterator[Begun]:
        """The numbers that can begin with the groups in `text[low:high]`, of which what lies behind `stop` is not
        seen. `ahead`, `sign`: what stands before the first group, if that is no part of the text."""
        for found in self.starts(text, low, stop):
            at = found.start()
            if at >= high:
                return
            chain = text[at : found.end(1)]
            if len(chain) > SPAN:
                chain = chain[: SPAN + 1].rstrip(GAPS)
            if ahead is not None and at == low:
                start, writing = at - len(sign), self.writings.read(ahead, sign, chain)
            else:
                start = led(text, at)
                writing = self.writings.read(before(text, start) if start else NOTHING, text[start:at], zeroed(chain))
            if writing.written or writing.dialled:
                yield Begun(start - low, at - low, at - low + len(chain), writing)

    def judged(self, text: str, start: int, at: int, chain: str, writing: Writing) -> list[Candidate]:
        """What of all that the chain can be by its skeleton, it is by its digits and by what stands around it."""
        numbers: list[Candidate] = []
        for written in writing.written:
            end = at + written.end
            shape = self.shape(chain[: writing.end], written)
            if shape is not None and self.stands(text, start, at, end, shape):
                found = extended(text, start if written.signed else at, end, shape.score, shape.rule)
                if found.start == start and found.end >= at + writing.end:
                    return [found]  # no plan says more
                numbers.append(found)
                break
        for dialled in writing.dialled:
            if self.dialled(text, start, at, chain[: dialled.until], dialled):
                numbers.append(extended(text, start, at + dialled.end, 0.4, "pii.phone_number.1"))
                break
        return numbers

    def shape(self, chain: str, written: Written) -> Shape | None:
        """How the first groups of a chain are written, None if nobody writes a number like that."""
        need = written.need
        if need not in {"code", "first"} and chain.startswith("00"):
            return INTERNATIONAL if written.abroad and self.numbering.coded(_digits(chain[: written.end])[2:]) else None
        if written.shape is None:
            return None
        if need == "code":
            right = self.numbering.coded(_digits(chain[: written.end]))
        elif need == "varied":
            right = bool(chain.strip(chain[0] + GAPS))
        elif need == "first":
            right = len(set(chain[: written.end])) > 1
        elif need == "trunk":
            right = chain[0] == "0"
        else:
            right = not need or (chain[0] == "1" and not chain[1].isdecimal())
        return written.shape if right else None

    def stands(self, text: str, start: int, at: int, end: int, shape: Shape) -> bool:
        """Whether a number so written can stand where it does."""
        mark = text[end : end + 1]
        if mark and mark not in QUIET:
            if (mark.isalnum() or mark in "_%") and not EXTENDED.match(text, end):
                return False
            if mark == ":" and MINUTES.match(text, end) and TIME.search(text[at:end]):
                return False
        if shape.alone and text[end + 1 : end + 2].isdecimal() and mark in " .,-/:":
            return False
        return shape is not PLAIN or self.spoken.among(words_before(text, start))

    def dialled(self, text: str, start: int, at: int, chain: str, dialled: Dialled) -> bool:
        """Whether the chain is a number that some plan knows."""
        digits = _digits(chain)
        if dialled.zero and digits[0] != "0":
            return False
        if dialled.alone and not (
            (digits[0] == "0" and 10 <= len(digits) <= 15)
            or (len(digits) == 10 and digits[0] in "23456789")
            or self.spoken.among(words_before(text, start))
        ):
            return False
        if not self.numbering.valid(digits, "+" in text[start:at]):
            return False
        end = at + dialled.end
        mark = text[end : end + 1]
        if mark and mark not in QUIET and REFUSED_BESIDE.match(mark) and not EXTENDED.match(text, end):
            return False
        whole = text[start : at + dialled.until]
        if dialled.dated and DATE.search(whole):
            return False
        return not (mark == ":" and MINUTES.match(text, end) and TIME.search(whole))


def led(text: str, at: int) -> int:
    """Where a number begins whose first digit stands at `at`."""
    if at and text[at - 1] in OPENING and (lead := LEADING.search(text[max(at - LEAD, 0) : at])) is not None:
        return at - len(lead[0])
    return at


def zeroed(chain: str) -> str:
    """The skeleton of a chain."""
    if chain.isascii():
        return chain.encode().translate(ZEROED).decode()  # a third of what translating the text costs
    return "".join(["0" if character.isdecimal() else character for character in chain])


def before(text: str, start: int) -> Before:
    """What stands before a number that begins at `start`."""
    mark = text[start - 1]
    if mark in LINKED:
        second = text[start - 2 : start - 1]
        if second.isdecimal():
            return FOLLOWING[mark]
        if second and second in GAPS and CHAINED.search(text[max(start - 5, 0) : start]):
            return LINKED[mark]
        return LOOSE[mark]
    if mark == ",":
        return LISTED if text[start - 2 : start - 1].isdecimal() else NOTHING
    if mark in QUIET:
        return NOTHING
    if REFUSED_BESIDE.match(mark):
        return REFUSED
    return JOINED if mark.isalnum() or mark in "_+" else NOTHING


def extended(text: str, start: int, end: int, score: float, rule: str) -> Candidate:
    """With the extension behind the number, if there is one."""
    if text[end : end + 1] in EXTENDING and (extension := EXTENDED.match(text, end)) is not None:
        end = extension.end()
    return new(Candidate, (start, end, score, rule, "pattern"))


def _digits(chain: str) -> str:
    if chain.isascii():
        return chain.encode().translate(None, SEPARATING).decode()
    return "".join([character for character in chain if character not in GAPS])
