"""The detector seam's promises (guardrails/detector.py) as checks that every detector's tests run."""

from guardrails.detector import Detector, Hit, Match
from guardrails.matching.gate import Gate


def found(detector: Detector, gate: Gate, text: str) -> list[Match]:
    """What the engine would get: gate, then confirm."""
    return detector.confirm(text, [Hit(*hit) for hit in gate.scan(text.encode("utf-8", "surrogatepass"))])


def check_stability(detector: Detector, gate: Gate, text: str, cut: int) -> None:
    """With p = settled(text): for every continuation u, the matches of text + u that start before p are the matches of
    text that start before p; and p is never further from the end than reach.length + reach.after."""
    head = text[:cut]
    settled = detector.settled(head)
    assert len(head) - detector.reach.length - detector.reach.after <= settled <= len(head)
    whole, part = found(detector, gate, text), found(detector, gate, head)
    assert [m for m in whole if m.start < settled] == [m for m in part if m.start < settled], (text, cut, settled)


def check_locality(detector: Detector, gate: Gate, text: str, margin: int = 0) -> None:
    """Whether a match starts at s depends on text[s - reach.before : s + reach.length + reach.after] and on nothing
    else. (`margin`: looks at starts so many characters around each match too.)"""
    reach = detector.reach
    everything = found(detector, gate, text)
    starts = {m.start + shift for m in everything for shift in range(-margin, margin + 1)}
    for start in sorted(s for s in starts if 0 <= s < len(text)):
        low = max(0, start - reach.before)
        window = text[low : start + reach.length + reach.after]
        local = [(m.end + low, m.rule) for m in found(detector, gate, window) if m.start + low == start]
        assert local == [(m.end, m.rule) for m in everything if m.start == start], (text, start)
