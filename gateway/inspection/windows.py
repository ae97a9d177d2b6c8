"""Makes texts fit for a detector outside of the engine: valid UTF-8, and cut to what it takes; joins what it finds."""

from collections.abc import Iterable, Iterator

from guardrails.detector import Match

OVERLAP = 200
"""Characters two windows share: what is no longer than this is whole in one of them."""


def clean(text: str) -> str:
    """`text` with each lone surrogate replaced by U+FFFD: as long as before, so offsets stay, and valid UTF-8."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return "".join("\ufffd" if "\ud800" <= c <= "\udfff" else c for c in text)
    return text


def windows(text: str, size: int) -> Iterator[tuple[int, str]]:
    """Start and content of each window of at most `size` characters (0: no limit); cut after whitespace if there is
    some in the last tenth."""
    start = 0
    while size and len(text) - start > size:
        end = start + size
        space = max(text.rfind(" ", end - size // 10, end), text.rfind("\n", end - size // 10, end))
        end = space + 1 if space > start else end
        yield start, text[start:end]
        start = max(end - min(OVERLAP, size // 4), start + 1)
    yield start, text[start:]


def shifted(match: Match, offset: int) -> Match:
    """`match` as it stands in the whole text."""
    if not offset:
        return match
    start, end = match.start + offset, match.end + offset
    return Match(match.type, start, end, match.score, match.rule, match.evidence)


def merged(matches: Iterable[Match]) -> list[Match]:
    """Sorted, and what two windows both saw only once: of one rule's overlapping spans the union, with the better
    score."""
    out: list[Match] = []
    last: dict[str, int] = {}
    for match in sorted(matches, key=_order):
        at = last.get(match.rule)
        if at is not None and (match.start < out[at].end or (match.start, match.end) == (out[at].start, out[at].end)):
            known = out[at]
            end, score = max(known.end, match.end), max(known.score, match.score)
            out[at] = Match(known.type, known.start, end, score, known.rule, known.evidence)
        else:
            last[match.rule] = len(out)
            out.append(match)
    return sorted(out, key=_order)


def _order(match: Match) -> tuple[int, int, str]:
    return match.start, match.end, match.rule
