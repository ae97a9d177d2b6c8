"""The detector of personal data: what the gate hit is confirmed around the hit, and nowhere else.

Differences from Presidio 2.2.366 that are meant, rule by rule, with `extra=False`:

| what | Presidio | here | why |
|---|---|---|---|
| overlapping candidates of a rule | the first of a scan, then behind it | each start | streams are cut anywhere |
| letters with IGNORECASE | also K (Kelvin), ſ, ı, İ | ASCII | the gate reads bytes |
| word characters | also combining marks, joiners | letters, digits, `_` | `re` |
| e-mail local part, host, URL path | no limit | 64, 253, 1,024 characters | a stream cannot wait for ever |
| CRYPTO within a longer run of letters and digits | by chance | no | every place of such a run would begin one |
| IN_PAN by look-ahead over the line | score 0.01 | no | depends on text of any distance |
| look-behinds of the US_..._NUMBER entities | any distance | 64 characters | as above |
| PHONE_NUMBER separators | also dashes and brackets outside ASCII | ASCII | libphonenumber's list |
| context | a context word within one of the five words before | whole words (and plurals), backward | linear; no wait |
"""

from collections.abc import Callable, Sequence
from operator import itemgetter

from guardrails.detector import Expression, Hit, Match, Reach
from guardrails.pii import context as contexts
from guardrails.pii.candidates import BEHIND, Candidate, Pattern, Recognizer
from guardrails.pii.checks import CHECKS, REFUSING
from guardrails.pii.context import Context, Near, raised
from guardrails.pii.iban import Iban
from guardrails.pii.mail import Mail
from guardrails.pii.phone import Phone
from guardrails.pii.rules import DEFAULT, Row, described, read
from guardrails.pii.suffixes import Suffixes
from guardrails.pii.tail import Tail
from guardrails.pii.url import Url
from guardrails.pii.wide import GATE, MOST, SPREAD, TABLE, begun, in_table, narrowed
from guardrails.pii.windows import characters, clusters, foreign_digits, merged, paced, regions

_END = itemgetter(1)
EVERYONE = -1
"""Whom the gate's expression calls that is for all recognizers."""
WIDE = -2
"""And one that is for numbers with several blanks between their groups: see `wide.py`."""
CLOSE = 64
"""Digits outside ASCII that are so close are looked at in one go: every stretch costs a recognizer more than that."""
STRETCH = 500
"""Characters that are looked at between two pauses."""
NEAR = 128
"""A match within another of its type and at least its score is dropped, if that one starts at most so far before it."""


class PiiDetector:
    """Finds personal data.

    `entities`: names from `described()`; None for `DEFAULT`. Unknown names raise ValueError with all of them.
    `extra`: with the rules that go beyond Presidio's. `without`: ids of rules to leave out.

    A match within another of the same type that starts at most `NEAR` characters before it and has at least its score
    is not reported; of equal spans the higher score, then the earlier rule. Parts of matches may overlap otherwise, and
    matches of different types always may.
    """

    name = "pii"

    def __init__(
        self, entities: frozenset[str] | None = None, *, extra: bool = True, without: frozenset[str] = frozenset()
    ) -> None:
        wanted = frozenset(DEFAULT) if entities is None else entities
        if unknown := sorted(wanted - described().keys()):
            raise ValueError(f"unknown entities: {', '.join(unknown)}")
        self.entities = wanted
        table = read("presidio")
        self._context = {name: Context(table.context.get(name, ())) for name in wanted}
        own = read("own").rules if extra else ()
        rows = [row for row in (*table.rules, *own) if row.entity in wanted and row.id not in without]
        self._without = without
        self._recognizers = self._built(rows, wanted, extra)
        self._spaced = self._with_blanks(rows) if extra else []
        self._widest = SPREAD * max((one.length for one in self._spaced), default=0)
        self.expressions: Sequence[Expression] = self._published()
        self._tail = Tail(
            [row.prefix for row in rows],
            phone="PHONE_NUMBER" in wanted,
            iban="IBAN_CODE" in wanted,
            url="URL" in wanted,
            longest=max((row.length for row in rows if row.prefix), default=0),
        )
        self.reach = Reach(
            length=max([1, self._widest, *(one.length for one in self._recognizers)]),
            before=NEAR + max(contexts.REACH, BEHIND, TABLE if self._spaced else 0) + MOST,
            after=max([1, *(one.after for one in self._recognizers)]) + (TABLE if self._spaced else 0),
            # A match has a hit that ends behind its start, and so has each one that makes another be dropped.
            lead=NEAR,
            wordwise=not self._tail.letters,
        )

    def _built(self, rows: list[Row], wanted: frozenset[str], extra: bool) -> list[Recognizer]:
        found: list[Recognizer] = []
        # The surer first: what they find spares others.
        for row in sorted(rows, key=lambda row: (-row.score, row.id)):
            check = CHECKS.get(row.id) or CHECKS.get(row.entity)
            found.append(Pattern(row, check, check in REFUSING))
        suffixes = Suffixes()
        if "EMAIL_ADDRESS" in wanted:
            found.append(Mail(suffixes, extra))
        if "IBAN_CODE" in wanted:
            found.append(Iban(extra))
        if "URL" in wanted:
            found.append(Url(suffixes.top, extra))
        if "PHONE_NUMBER" in wanted:
            found.append(Phone(extra))
        return found

    def _with_blanks(self, rows: list[Row]) -> list[Recognizer]:
        """The recognizers of numbers that may hold a blank, and depend on nothing far before them."""
        holds = {row.id for row in rows if row.prefix and not row.behind}
        return [
            one
            for one in self._recognizers
            if isinstance(one, Iban) or (isinstance(one, Pattern) and one.rule in holds)
        ]

    def _published(self) -> list[Expression]:
        """The recognizers' expressions, each with the recognizers it calls for; the last is for all of them."""
        self._called: list[int] = []
        published: list[Expression] = []
        for index, one in enumerate(self._recognizers):
            published += one.expressions
            self._called += [index] * len(one.expressions)
        published.append(Expression(pattern=foreign_digits()))
        self._called.append(EVERYONE)
        if self._spaced:
            published.append(Expression(pattern=GATE))
            self._called.append(WIDE)
        return published

    def confirm(self, text: str, hits: Sequence[Hit]) -> list[Match]:
        """See `Detector.confirm`."""
        return self.confirm_paused(text, hits, None)

    def confirm_paused(self, text: str, hits: Sequence[Hit], breathe: Callable[[], None] | None) -> list[Match]:
        """See `guardrails.detector.Pausing`."""
        if not hits:
            return []
        kept: list[tuple[int, int, str, Match]] = []
        candidates, without = self._candidates(text, hits, breathe), self._without
        near = Near(text, sum(map(len, candidates.values())))
        for entity, found in candidates.items():
            among = self._context[entity].among
            seen: list[tuple[int, int, float, str, str]] = []
            for start, end, score, rule, evidence in found:
                if breathe is not None and not len(seen) & 127:
                    breathe()
                if without and rule in without:
                    continue
                if score < 1.0 and among(near.before(start)):
                    score, evidence = raised(score), "context"
                seen.append((start, -end, -score, rule, evidence))
            _outermost(entity, seen, kept)
        kept.sort()
        return [match for _, _, _, match in kept]

    def _candidates(
        self, text: str, hits: Sequence[Hit], breathe: Callable[[], None] | None
    ) -> dict[str, list[Candidate]]:
        """By entity, what begins where the hits say that something may."""
        found: dict[str, list[Candidate]] = {}
        ends = self._ends(text, hits)
        foreign = ends.pop(EVERYONE, [])
        if ends.pop(WIDE, None):
            self._read_narrowed(text, found, breathe)
        dense = clusters(foreign, CLOSE) if foreign else []
        for index in range(len(self._recognizers)) if foreign else sorted(ends):
            one = self._recognizers[index]
            own, among = ends.get(index, ()), found.get(one.entity)
            if among and isinstance(one, Pattern):
                stretches = one.spared(own, among, NEAR)
            else:
                stretches = regions(own, one.back, one.shortest, one.apart)
            if dense and one.foreign:
                # A digit outside ASCII may stand anywhere in a match, so that every start up to it is looked at.
                stretches = merged(stretches, [(max(low - one.back, 0), high + 1) for low, high in dense])
            if breathe is not None:
                stretches = paced(stretches, STRETCH, breathe)
            scan = one.scan
            for low, high in stretches:
                if candidates := scan(text, low, high):
                    if among is None:
                        among = found[one.entity] = []
                    among += candidates
        return found

    def _read_narrowed(self, text: str, found: dict[str, list[Candidate]], breathe: Callable[[], None] | None) -> None:
        """Add the numbers that have several blanks somewhere between their groups."""
        reading = narrowed(text, self._widest)
        if reading is None:
            return
        for one in self._spaced:
            context = self._context[one.entity]
            stretches = reading.around(one.length, 0)
            for low, high in stretches if breathe is None else paced(stretches, STRETCH, breathe):
                for candidate in one.scan(reading.text, low, high):
                    if not reading.differs(candidate.start, candidate.end):
                        continue
                    start, end = reading.source(candidate.start), reading.source(candidate.end - 1) + 1
                    sure = candidate.evidence == "checksum" or context.among(contexts.words_before(text, start))
                    if sure and not in_table(text, start, end):
                        found.setdefault(one.entity, []).append(candidate._replace(start=start, end=end))

    def _ends(self, text: str, hits: Sequence[Hit]) -> dict[int, list[int]]:
        """Where hits end, in characters and in order: by recognizer, `EVERYONE` and `WIDE`."""
        ends: dict[int, list[int]] = {}
        called = self._called
        ordered: Sequence[tuple[int, int]] = hits
        if not text.isascii():
            ordered = sorted(hits, key=_END)
            places = characters(text, [end for _, end in ordered])
            ordered = [(hit[0], place) for hit, place in zip(ordered, places, strict=True)]
        for expression, end in ordered:
            index = called[expression]
            own = ends.get(index)
            if own is None:
                ends[index] = [end]
            else:
                own.append(end)
        if ordered is hits:
            size = len(text)
            for own in ends.values():
                own.sort()  # in order already, if it is the gate that tells
                if own[-1] > size:
                    own[:] = [min(end, size) for end in own]
        return ends

    def settled(self, text: str) -> int:
        """See `Detector.settled`."""
        place = self._tail.settled(text)
        return min(place, begun(text, self._widest)) if self._spaced else place


def _outermost(
    entity: str, seen: list[tuple[int, int, float, str, str]], kept: list[tuple[int, int, str, Match]]
) -> None:
    """Of start, end, score, rule and evidence (end and score negative, so that they sort): the matches without those
    within another, see `PiiDetector`, behind what sorts them among others, go to `kept`."""
    seen.sort()
    farthest = 1
    for at, (start, minus_end, minus_score, rule, evidence) in enumerate(seen):
        if minus_end < farthest:
            farthest = minus_end  # what ends behind all before it is within none
        elif _is_within(seen, at):
            continue
        kept.append((start, minus_end, entity, Match(entity, start, -minus_end, -minus_score, rule, evidence)))


def _is_within(seen: list[tuple[int, int, float, str, str]], at: int) -> bool:
    """Whether one before it, and near, has all of a match, and its score."""
    start, minus_end, minus_score, _, _ = seen[at]
    for other in range(at - 1, -1, -1):
        other_start, other_end, other_score, _, _ = seen[other]
        if other_start < start - NEAR:
            return False
        if other_end <= minus_end and other_score <= minus_score:
            return True
    return False
