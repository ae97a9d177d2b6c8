"""A detector that looks at texts as they are read, too: see `guardrails/matching/reading.py`.

What it finds there counts where something in it is written otherwise; the rest is found as it stands. Only what is
around such places is looked at, behind the gate that all detectors of a scanner share.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from operator import attrgetter

from guardrails.detector import Detector, Expression, Hit, Match, Pausing, Reach
from guardrails.matching.reading import BESIDE, GATE, STRETCH, Reading, is_odd, read, readings, tail

NEAR = 64
"""A match within another of its type and at least its score, of which one is read so and the other as it stands, is
dropped if that one starts at most so far before it."""
Look = Callable[[str], Sequence[Hit]]
"""What the gate sees of a detector's expressions in a text."""
_START = attrgetter("start")


class Reader:
    """`written`, and what `read` finds in texts as they are read.

    `read`: a detector of the same kind with the same expressions or fewer, and the same findings or fewer. A reader
    reaches `STRETCH` times as far as it does. Without expressions each text is looked at. `runs`: nothing that
    `written` holds back of an end begins before its last run without a blank, so that how that is read says no more.
    """

    def __init__(self, written: Detector, read: Detector, *, runs: bool = False) -> None:
        self.name = written.name
        self._written = written
        self._read = read
        self._pausing: tuple[Pausing | None, Pausing | None] = (
            getattr(written, "confirm_paused", None),
            getattr(read, "confirm_paused", None),
        )
        self.expressions: Sequence[Expression] = (*written.expressions, Expression(GATE)) if written.expressions else ()
        self._odd = len(written.expressions)
        places: dict[Expression, list[int]] = {}
        for number, expression in enumerate(read.expressions):
            places.setdefault(expression, []).append(number)
        self._places = [places.get(expression, []) for expression in written.expressions]
        reach, own = written.reach, read.reach
        self._own = own
        self._alive = 0 if runs else own.length + own.after
        self.reach = Reach(
            length=max(reach.length, STRETCH * own.length),
            before=max(reach.before, STRETCH * own.before + BESIDE) + NEAR,
            after=max(reach.after, STRETCH * own.after + BESIDE),
            plain=max(reach.before, own.before) + NEAR,
            lead=reach.lead,  # what is read otherwise is inside of its match
            wordwise=reach.wordwise,
        )
        self._look: Look = _blind

    def lend(self, look: Look) -> None:
        """Behind this gate, which has all of `expressions`, texts are looked at as they are read."""
        self._look = look

    def confirm(self, text: str, hits: Sequence[Hit]) -> list[Match]:
        """See `Detector.confirm`."""
        return self.confirm_paused(text, hits, None)

    def confirm_paused(self, text: str, hits: Sequence[Hit], breathe: Callable[[], None] | None) -> list[Match]:
        """See `guardrails.detector.Pausing`."""
        written = self._written
        own = hits if text.isascii() else [hit for hit in hits if hit[0] != self._odd]
        pausing = self._pausing[0]
        found = written.confirm(text, own) if breathe is None or pausing is None else pausing(text, own, breathe)
        if own is hits or (len(own) == len(hits) and self.expressions):
            return found
        reading = read(text)
        return found if reading is None else _joined(found, self._otherwise(reading, breathe))

    def _otherwise(self, reading: Reading, breathe: Callable[[], None] | None) -> list[Match]:
        """What is found where the text is read otherwise than it is written, with its places in the source."""
        own, text, pausing = self._own, reading.text, self._pausing[1]
        found: list[Match] = []
        for low, high in reading.around(own.length + own.before, own.length + own.after):
            piece = text[low:high]
            seen = self._look(piece)
            hits = [Hit(place, end) for number, end in seen if number < self._odd for place in self._places[number]]
            if breathe is not None:
                breathe()
            if breathe is None or pausing is None:
                matches = self._read.confirm(piece, hits)
            else:
                matches = pausing(piece, hits, breathe)
            for match in matches:
                start, end = low + match.start, low + match.end
                if reading.differs(start, end):
                    place, last = reading.source(start), reading.source(end - 1)
                    found.append(Match(match.type, place, last + 1, match.score, match.rule, match.evidence))
        return found

    def settled(self, text: str) -> int:
        """See `Detector.settled`."""
        place = self._written.settled(text)
        if not self._alive or text.isascii() or not is_odd(text, max(len(text) - self._alive, 0)):
            return place
        begin = tail(text, self._alive)
        for reading in readings(text[begin:]):
            place = min(place, begin + reading.source(self._written.settled(reading.text)))
        return place


def _joined(found: list[Match], more: list[Match]) -> list[Match]:
    """Matches as they stand and as they are read, by start, without those within one of the other kind: see `NEAR`. Of
    equal ones the first stays."""
    kept = [match for match in found if not any(match != other for other in _around(match, more))]
    kept += [match for match in more if not any(True for _ in _around(match, found))]
    return sorted(kept, key=_START)


def _around(match: Match, others: list[Match]) -> Iterator[Match]:
    """Which of the others have all of it, and its score. A rule's name makes no difference."""
    span = match.start, match.end, match.score
    low = bisect_left(others, match.start - NEAR, key=_START)
    for other in others[low : bisect_right(others, match.start, key=_START)]:
        if other.type == match.type and other.end >= match.end and other.score >= match.score:
            yield match if (other.start, other.end, other.score) == span else other


def _blind(text: str) -> Sequence[Hit]:
    del text
    return ()
