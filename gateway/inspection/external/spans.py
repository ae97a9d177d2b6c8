"""Maps spans as services count them to characters of the text.

Python services count code points, JavaScript and .NET ones UTF-16 units, Go and Rust ones bytes; some ends are
inclusive. Where a service quotes what it found, the quotation decides which it was.
"""

from collections.abc import Iterator


def inside(text: str, start: int, end: int) -> tuple[int, int]:
    """The span clipped to the text, in order: whatever a service says, slicing by it is safe."""
    start = min(max(start, 0), len(text))
    return start, min(max(end, start), len(text))


def located(text: str, start: int, end: int, quoted: str | None) -> tuple[int, int]:
    """Character span of what a service found at `start` to `end`.

    With `quoted`, the reading of the offsets that gives the quotation: code points, then with an inclusive end, then
    UTF-16 units, then UTF-8 bytes, then the occurrence nearest to `start`. Without it, or when it does not occur:
    code points.
    """
    if not quoted:
        return inside(text, start, end)
    for span in _readings(text, start, end):
        if text[span[0] : span[1]] == quoted:
            return span
    nearest = min(occurrences(text, quoted), key=lambda span: abs(span[0] - start), default=None)
    return nearest or inside(text, start, end)


def occurrences(text: str, quoted: str, most: int = 1000) -> Iterator[tuple[int, int]]:
    """Spans of `quoted` in `text`, without overlaps, the first `most` of them."""
    at = text.find(quoted) if quoted else -1
    while at >= 0 and most > 0:
        yield at, at + len(quoted)
        at = text.find(quoted, at + len(quoted))
        most -= 1


def _readings(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    yield inside(text, start, end)
    yield inside(text, start, end + 1)
    if not text.isascii() and 0 <= start <= end:
        units = text.encode("utf-16-le", "replace")
        yield _length(units[: start * 2], "utf-16-le"), _length(units[: end * 2], "utf-16-le")
        octets = text.encode("utf-8", "replace")
        yield _length(octets[:start], "utf-8"), _length(octets[:end], "utf-8")


def _length(head: bytes, encoding: str) -> int:
    """Characters in `head`; one that is cut off counts not."""
    return len(head.decode(encoding, "ignore"))
