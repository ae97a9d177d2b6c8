"""How telephone numbers are written: what the grouping of digits says before anybody looks at the digits.

A chain of digit groups becomes its skeleton: every digit a zero, separators as they are. From skeleton, sign and what
stands before follows which of its groups can be a number at all, so that this is worked out once for each skeleton and
kept. A skeleton tells nothing about the number it was taken from.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

SPAN = 48
"""Characters from the first digit in which a number must end, without its extension."""
MOST_DIGITS = 17
"""ITU-T E.164 allows 15; an international prefix may stand before them."""
FEWEST_DIGITS = 7
PLANNED_FEWEST = 4
"""Digits of the shortest number that some plan knows. Four to six digits are rarely meant as one: `extra` leaves them
out."""
REMEMBERED = 4096
"""Skeletons that are kept."""
GAP = r"[-xX ./()\[\]~]"
GAPS = "-xX ./()[]~"
KINDS = {"/": "", " ": " ", ".": ".", "(": "("}
"""A separator before a number, other than the first of its chain, and where the number then ends: at the next such, or
at the end of the chain. libphonenumber's inner matches."""
BETWEEN = frozenset("-. ")
LINK = re.compile(r"(\D+)")
EXTENDING = re.compile(r" ?[xX~] ?\Z")
SOCIAL = (3, 2, 4)
"""Groups of an American social security number."""
UNLIKELY = frozenset({SOCIAL, (4, 2, 2), (2, 2, 4)})
"""And of dates."""
CARD = (4, 4, 4)
"""First groups of a card, or an account."""


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


class Before(NamedTuple):
    """What stands before a number."""

    link: str
    """The separator, where it links the number to digits before it."""
    follows: bool
    """Whether digits go before it, with a blank, comma, point, dash or slash between."""
    joined: bool
    """Whether it goes on from a word, so that no way of writing counts."""
    refused: bool
    """Whether a letter or a currency stands before it, so that no plan counts, but for a sign."""


class Written(NamedTuple):
    """The first groups of a chain as a number that people write so. Offsets are characters from the first digit."""

    end: int
    shape: Shape | None
    need: str
    """What the digits must be: "" anything; "code": begin with a calling code; "varied": not all groups of one digit;
    "first": the first group not of one digit; "trunk": begin with a single zero; "one": begin with the code 1."""
    abroad: bool
    """Whether it is a number, too, that begins with 00 and a calling code. If digits begin so, nothing else counts."""
    signed: bool
    """Whether the sign before the first digit belongs to it."""


class Dialled(NamedTuple):
    """The first groups of a chain as a number that some plan may know."""

    until: int
    """Where its digits end."""
    end: int
    """Where it ends, with its extension."""
    alone: bool
    """One group, without a sign: only with a sign that it is a telephone number."""
    zero: bool
    """Only with a zero at its beginning."""
    dated: bool
    """Has slashes enough for a date."""


class Writing(NamedTuple):
    """All that a skeleton can be, longest first."""

    written: tuple[Written, ...]
    dialled: tuple[Dialled, ...]
    end: int
    """Where the chain ends."""
    abroad: bool = False
    """Whether it is one of these only if its digits begin with 00."""


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


class Writings:
    """The ways of writing, with (`extra`) or without those that no plan knows."""

    def __init__(self, extra: bool) -> None:
        self.extra = extra
        self.fewest = FEWEST_DIGITS if extra else PLANNED_FEWEST
        self.shapes = _shapes()
        self.read = lru_cache(REMEMBERED)(self.worked_out)
        """As `worked_out`, remembered."""

    def worked_out(self, before: Before, sign: str, skeleton: str) -> Writing:
        """What a chain can be. `skeleton`: of its groups from one on, at most `SPAN` characters and one; longer, its
        last group is cut off and the chain goes on."""
        parts = LINK.split(skeleton)
        ended = len(skeleton) <= SPAN
        if not ended:
            parts.pop()
        sizes, links = tuple(map(len, parts[::2])), parts[1::2]
        ends = [sum(map(len, parts[: 2 * count - 1])) for count in range(1, len(sizes) + 1)]
        if not sizes or (self.extra and sizes[:3] == CARD):
            return Writing((), (), 0)
        written = tuple(self._written(before, sign, sizes, links, ends)) if self.extra and not before.joined else ()
        chain = _Chain(sign, skeleton, sizes, links, ends, ended)
        refused = before.refused and not sign
        dialled = () if refused else tuple(self._dialled(before, chain))
        return Writing(written, dialled, ends[-1], not sign and self._inner(before, sizes, links))

    def _inner(self, before: Before, sizes: tuple[int, ...], links: list[str]) -> bool:
        """Whether digits go before, separated as on cards and in addresses of machines."""
        if not before.follows or before.link not in BETWEEN or sizes[0] >= self.fewest:
            return False
        if len(sizes) == 1:
            return before.link == "-"
        if sizes[0] in {1, 3} and sizes[1] == 3:
            return False
        return before.link == "-" or links[0][0] == before.link

    def _written(
        self, before: Before, sign: str, sizes: tuple[int, ...], links: list[str], ends: list[int]
    ) -> Iterator[Written]:
        plus = "+" in sign
        for count in range(min(len(sizes), 7), 0, -1):
            digits, inner = sum(sizes[:count]), links[: count - 1]
            if digits < FEWEST_DIGITS:
                return
            if digits > 16:
                continue
            tidy = all(len(link) <= 3 for link in inner)
            abroad = not plus and count > 1 and tidy and 8 <= digits - 2 <= 15
            shape, need = (
                (INTERNATIONAL if tidy and 8 <= digits <= 15 else None, "code")
                if plus
                else self._shape(sign, sizes[:count], inner)
            )
            if shape is not None and shape.alone and before.follows:
                shape = None
            closed = "(" in sign and ")" in "".join(inner[:2])
            if shape is not None or abroad:
                yield Written(ends[count - 1], shape, need, abroad, plus or closed)

    def _shape(self, sign: str, sizes: tuple[int, ...], links: list[str]) -> tuple[Shape | None, str]:
        """How these groups are written, None if nobody writes a number like that, and what their digits must be."""
        if len(sizes) == 1:
            return (PLAIN if sizes[0] <= 13 else None), "first"
        if "(" in sign:
            return _bracketed(sizes, links), ""
        if len(set(links)) > 1 or len(links[0]) != 1:
            return _mixed(sizes, links), "one" if len(sizes) == 4 else ""
        shape = self.shapes.get(sizes)
        if shape is None or links[0] not in shape.separators:
            return _trunk(sizes, links[0]), "trunk"
        return shape, "varied"

    def _dialled(self, before: Before, chain: "_Chain") -> Iterator[Dialled]:
        sign = chain.sign
        for count, last in self._counts(before, chain):
            digits = sum(chain.sizes[:count])
            if not self.fewest <= digits <= MOST_DIGITS:
                continue
            marked = not self.extra or bool(sign)
            if not marked and self._doubtful(chain, count, digits):
                continue
            whole = sign + chain.skeleton[: chain.ends[count - 1]]
            if not balanced(whole) or "x" in whole:
                continue
            yield Dialled(
                chain.ends[count - 1],
                chain.ends[last - 1],
                alone=not marked and count == 1,
                zero=not marked and digits > 12,
                dated=whole.count("/") > 1,
            )

    @staticmethod
    def _doubtful(chain: "_Chain", count: int, digits: int) -> bool:
        """Some plan may know the digits, but so written they are more often something else: an address of a machine, a
        social security number. (Of seven digits in groups the grouping decides.)"""
        if count == 1:
            return False
        sizes = chain.sizes[:count]
        machine = count == 4 and set(chain.links[:3]) == {"."} and max(sizes) <= 3
        return machine or sizes in UNLIKELY or digits == FEWEST_DIGITS

    @staticmethod
    def _counts(before: Before, chain: "_Chain") -> Iterator[tuple[int, int]]:
        """How many groups a number that begins here may have, without and with its extension, most first: all; or up
        to the next separator of the kind before it, or of any kind for the first of a chain."""
        opening = (chain.sign + chain.skeleton)[:2]
        size = len(chain.sizes)
        first = not before.link or "+" in opening
        kind = "" if first else KINDS.get(before.link, "-")
        if opening[0] == "(" and not first:
            kind = "("
        if kind == "-":
            return
        stops = {chain.stop(one) for one in ("/ .(" if first else kind)}
        if first or not kind or None in stops:
            stops = stops | {size if chain.ended else None}
        if "(" in opening:
            stops |= {chain.stop("(")}
        for count in range(size, 0, -1):
            link = chain.links[count - 1] if count < size else ""
            if ("x" in link or "X" in link or "~" in link) and EXTENDING.match(link) and chain.sizes[count] <= 9:
                yield count, count + 1
            if count in stops:
                yield count, count


class _Chain(NamedTuple):
    sign: str
    skeleton: str
    sizes: tuple[int, ...]
    links: list[str]
    """What stands before each group but the first, and behind the last if the chain goes on."""
    ends: list[int]
    ended: bool

    def stop(self, kind: str) -> int | None:
        """How many groups there are before the first separator of a kind; None without one."""
        for count, link in enumerate(self.links, start=1):
            if kind in link:
                return count
        return None


def _bracketed(sizes: tuple[int, ...], links: list[str]) -> Shape | None:
    """With the area code in brackets."""
    if links[0] not in {")", ") ", ")-"} or not (2 <= sizes[0] <= 5 and min(sizes) >= 2 and sum(sizes) >= 8):
        return None
    if set(links[1:]) in (set(), {" "}, {"."}, {"-"}):
        return BRACKETED
    return _mixed(sizes, links) if len(sizes) == 3 else None


def _mixed(sizes: tuple[int, ...], links: list[str]) -> Shape | None:
    """An American number with a bracket behind its country code, or with separators that differ."""
    tidy = sizes[-3:] == (3, 3, 4) and all(len(link) <= 2 for link in links)
    return AMERICAN if tidy and len(sizes) <= 4 else None


def _trunk(sizes: tuple[int, ...], separator: str) -> Shape | None:
    """With a trunk zero, as most of the world dials within a country."""
    if separator not in " .-/" or sizes == SOCIAL:
        return None
    return TRUNK if 9 <= sum(sizes) <= 11 and 2 <= sizes[0] <= 5 and min(sizes) >= 2 else None
