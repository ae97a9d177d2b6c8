"""From the gate's hits to the stretches of text that must be looked at."""

import re
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence

CONTINUATION = bytes(range(0x80, 0xC0))
INNER = re.compile(rb"[\x80-\xbf]")


def characters(text: str, ends: Sequence[int]) -> list[int]:
    """Offsets in the UTF-8 bytes of `text`, in rising order, as offsets in its characters. One pass.

    An offset inside of a character counts as behind it, one beyond the text as its end. Lone surrogates have three
    bytes, as the gate encodes them ("surrogatepass").
    """
    if text.isascii():
        size = len(text)
        return [min(end, size) for end in ends]
    raw = text.encode("utf-8", "surrogatepass")
    size = len(raw)
    if size - len(text) <= len(ends) and ends[-1] <= size:
        # Each character has one byte that is no continuation, and few have more.
        inner = [inside.start() for inside in INNER.finditer(raw)]
        return [end - bisect_left(inner, end) for end in ends]
    found: list[int] = []
    done = count = 0
    for end in ends:
        if end > done:
            # Each character has one byte that is no continuation.
            count += len(raw[done:end].translate(None, CONTINUATION))
            done = end
        found.append(count)
    return found


def regions(ends: Iterable[int], back: int, shortest: int, apart: int = 0) -> list[tuple[int, int]]:
    """Stretches `[low, high)` that hold every start from `back` to `shortest` characters before an end. They do not
    overlap, so that together they are no longer than the text, and no longer than the hits are many. Those that are at
    most `apart` are one."""
    found: list[tuple[int, int]] = []
    low, high = 0, -1
    for end in ends:
        if end - shortest < high:
            continue
        begin = end - back
        if begin < 0:
            begin = 0
        if begin > high + apart:
            if high > 0:
                found.append((low, high))
            low = begin
        high = end - shortest + 1
    if high > 0:
        found.append((low, high))
    return found


def clusters(places: Iterable[int], gap: int) -> list[tuple[int, int]]:
    """Places in rising order, as first and last of those that are at most `gap` apart each from the next."""
    found: list[tuple[int, int]] = []
    first, last = -1, -1
    for place in places:
        if first < 0:
            first = place
        elif place - last > gap:
            found.append((first, last))
            first = place
        last = place
    if first >= 0:
        found.append((first, last))
    return found


def merged(some: list[tuple[int, int]], more: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Two lists of stretches as one, none overlapping."""
    found: list[tuple[int, int]] = []
    for low, high in sorted(some + more):
        if found and low <= found[-1][1]:
            found[-1] = found[-1][0], max(high, found[-1][1])
        else:
            found.append((low, high))
    return found


def foreign_digits() -> str:
    """An expression for the gate: any decimal digit outside ASCII, as bytes of its UTF-8. `re` takes them for digits,
    Presidio takes them, and a superset on bytes cannot say so in each rule."""
    everything = "".join(map(chr, range(0x80, 0xD800))) + "".join(map(chr, range(0xE000, 0x20000)))
    heads: dict[bytes, list[int]] = {}
    for digit in re.findall(r"\d", everything):
        raw = digit.encode()
        heads.setdefault(raw[:-1], []).append(raw[-1])
    return "|".join(_bytes(head) + f"[{''.join(_bytes([last]) for last in lasts)}]" for head, lasts in heads.items())


def _bytes(values: Iterable[int]) -> str:
    return "".join(f"\\x{value:02x}" for value in values)


def paced(stretches: Iterable[tuple[int, int]], most: int, breathe: Callable[[], None]) -> Iterator[tuple[int, int]]:
    """The same stretches in parts of at most `most`, with a breath before a part once as much was looked at."""
    done = most
    for low, high in stretches:
        for begin in range(low, high, most):
            end = min(begin + most, high)
            if done >= most:
                breathe()
                done = 0
            done += end - begin
            yield begin, end
