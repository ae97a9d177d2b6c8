"""The promises of `guardrails/detector.py` as checks that run on any detector and any text."""

from collections.abc import Callable, Sequence

from guardrails.detector import Detector, Expression, Hit, Match
from guardrails.scanner import Gate, Scanner


def finder(detector: Detector, gate: Callable[[Sequence[Expression]], Gate]) -> Callable[[str], list[Match]]:
    """What the detector finds in a text, asked as the engine asks: only when its gate saw something."""
    scanner = Scanner([detector], gate=gate)

    def find(text: str) -> list[Match]:
        seen = scanner.gate.scan(text.encode()) if scanner.gate is not None else ()
        hits: Sequence[Hit] = scanner.by_detector(seen).get(0, ())
        return detector.confirm(text, hits) if hits or not detector.expressions else []

    return find


def check_locality(detector: Detector, find: Callable[[str], list[Match]], text: str, begin: int, end: int) -> None:
    """Whether a match starts at `s` "depends on `text[s - reach.before : s + reach.length + reach.after]` and on
    nothing else": what a window shows of the whole is the same, wherever the window has all of that."""
    reach = detector.reach
    first = begin + reach.before if begin else 0
    last = end - reach.length - reach.after if end < len(text) else len(text)
    whole = {m for m in find(text) if first <= m.start < last}
    window = {Match(m.type, m.start + begin, m.end + begin, m.score, m.rule, m.evidence) for m in find(text[begin:end])}
    assert whole == {m for m in window if first <= m.start < last}


def check_stability(detector: Detector, find: Callable[[str], list[Match]], text: str, cut: int) -> None:
    """With "`p = settled(text)`: for every continuation `u`, the matches of `text + u` that start before `p` are the
    matches of `text` that start before `p`", and `p` is never further back than the reach."""
    begun = text[:cut]
    settled = detector.settled(begun)
    assert cut - detector.reach.length - detector.reach.after <= settled <= cut
    assert {m for m in find(begun) if m.start < settled} == {m for m in find(text) if m.start < settled}


def check_lead(detector: Detector, gate: Callable[[Sequence[Expression]], Gate], text: str) -> None:
    """`reach.lead`: a match is found with those hits alone that end behind its start less the lead."""
    scanner = Scanner([detector], gate=gate)
    if scanner.gate is None:
        return
    hits = scanner.by_detector(scanner.gate.scan(text.encode())).get(0, [])
    lead = detector.reach.before if detector.reach.lead is None else detector.reach.lead
    for match in detector.confirm(text, hits):
        begin = len(text[: max(0, match.start - lead)].encode())
        assert match in detector.confirm(text, [hit for hit in hits if hit.end > begin])


def check_shape(detector: Detector, find: Callable[[str], list[Match]], text: str) -> None:
    """Matches are sorted, lie in the text, are no longer than the reach, and have a score."""
    found = find(text)
    assert [m.start for m in found] == sorted(m.start for m in found)
    for m in found:
        assert 0 <= m.start < m.end <= len(text)
        assert m.end - m.start <= detector.reach.length
        assert 0.0 <= m.score <= 1.0
        assert m.type
        assert m.rule
