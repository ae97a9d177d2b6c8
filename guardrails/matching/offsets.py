"""From offsets in the UTF-8 bytes of a text to offsets in its characters."""

from collections.abc import Sequence

from guardrails.detector import Hit

_CONTINUATIONS = bytes(range(0x80, 0xC0))


def to_characters(text: str, ends: Sequence[int]) -> Sequence[int]:
    """Byte offsets in `text` as UTF-8 (lone surrogates as three bytes each) → character offsets, in the same order. An
    offset inside a character becomes the end of that character. Linear in the text; free for ASCII."""
    if text.isascii():
        return ends
    data = text.encode("utf-8", "surrogatepass")
    at: dict[int, int] = {}
    seen = 0
    characters = 0
    for end in sorted(set(ends)):
        characters += len(data[seen:end].translate(None, _CONTINUATIONS))
        seen = end
        at[end] = characters
    return [at[end] for end in ends]


def behind(hits: Sequence[Hit], window: str, at: int) -> list[Hit]:
    """Hits that end behind the character `at` of `window`: what ends before it announces no new match."""
    if at <= 0:
        return list(hits)
    offset = at if window.isascii() else len(window[:at].encode())
    return [hit for hit in hits if hit.end > offset]
