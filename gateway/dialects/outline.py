"""A huge body without the insides of its long strings, so that decoders see a small one.

Code in C cannot pause, and 20 MB of base64 are gone through a dozen times: to read fields, to take texts out, to put a
model's name in. Nearly all of it stands in a few long strings. So those are found by their bytes alone, looked at once,
a piece at a time, and each is represented in the `skeleton` by its beginning and a mark. Whoever reads or rewrites does
so with the skeleton; `filled` puts the strings back.

Why that means the same. The mark is random, and no JSON outside of a string: a skeleton that is valid has all its marks
in strings. What it stands for has no quote that ends a string, ends where no escape and no character is cut, and is
found to be valid by itself. So the body is valid JSON exactly if the skeleton is, and has the same values but for what
the marks stand for. Where a stretch without quotes stands between strings (numbers, blanks), it is left in; so is a
member's name, since whether two are the same matters.
"""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import msgspec

from gateway.facts import Segment
from gateway.wire.surfaces import sound

LONG = 256 * 1024
"""Bytes of a body from which on it is worth it."""
STRETCH = 64 * 1024
"""Bytes without a quote that make a string long; a shorter one costs a decoder less than a tenth of a millisecond."""
PIECE = 128 * 1024
"""Bytes of a string that are looked at in one go."""
_WIDE = 1 << 20
"""Bytes that are looked through for a quote in one go."""
_TRIES = 64
"""Quotes behind a back-slash that are passed over one by one."""
_LONGEST_UNIT = 12
"""Bytes of the longest way to write a character, a pair of escaped surrogates."""
_KEPT = re.compile(
    rb'(?>(?:[^"\\\x80-\xff]|[\xc0-\xff][\x80-\xbf]*+'
    rb"|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}|\\[^u]){0,520})"
)
"""The beginning of a string that stays: whoever asks whether an address is `data:` looks at 512 characters."""
_RUN = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+', re.DOTALL)
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?+', re.DOTALL)
"""A string, or the rest of a body in which it does not end: else every quote in it would be tried as a beginning."""
_STRINGS = re.compile(rb'(?>(?:[^"\\]*+(?:\\.[^"\\]*+)*+")*)', re.DOTALL)
_COLON = re.compile(rb"[ \t\r\n]*+:")
_HIGH = re.compile(rb"\\u[dD][89abAB][0-9a-fA-F]{2}")
_QUOTE, _BACKSLASH = b'"\\'

T = TypeVar("T")
Breathe = Callable[[], None]
Span = tuple[int, int]

_check = msgspec.json.Decoder(msgspec.Raw).decode
_string = msgspec.json.Decoder(str).decode


class Unsound(Exception):
    """A long string is not valid JSON in UTF-8."""


class Outline:
    """A body and its skeleton. `holes`: what each mark stands for, as offsets in the body."""

    __slots__ = ("_holes", "_loose", "_mark", "_split", "body", "skeleton")

    def __init__(self, body: bytes, holes: Sequence[Span], mark: bytes, loose: bool = False) -> None:
        """`mark`: 32 random characters of ASCII, which must occur nowhere in the body. `loose`: a string may have
        halves of surrogate pairs, as some providers write them."""
        self.body = body
        self._loose = loose
        self._holes = tuple(holes)
        self._mark = mark
        self._split = re.compile(rb"\x7f%b-([0-9]+)\x7f" % mark)
        self.skeleton = self._without()

    @property
    def holes(self) -> int:
        """How many strings are represented by a mark."""
        return len(self._holes)

    def _without(self) -> bytes:
        parts: list[bytes] = []
        at = 0
        for number, (start, end) in enumerate(self._holes):
            parts += self.body[at:start], b"\x7f%b-%d\x7f" % (self._mark, number)
            at = end
        parts.append(self.body[at:])
        return b"".join(parts)

    def filled(self, skeleton: bytes) -> bytes:
        """A skeleton, rewritten perhaps, with what its marks stand for in their places."""
        parts: list[bytes | memoryview] = []
        whole, at = memoryview(self.body), 0
        for found in self._split.finditer(skeleton):
            start, end = self._holes[int(found[1])]
            parts += skeleton[at : found.start()], whole[start:end]
            at = found.end()
        parts.append(skeleton[at:])
        return b"".join(parts)

    def text(self, text: str, breathe: Breathe) -> str:
        """A text taken from the skeleton as it is in the body."""
        if "\x7f" not in text:
            return text
        parts: list[str] = []
        at = 0
        for found in re.finditer(f"\x7f{self._mark.decode()}-([0-9]+)\x7f", text):
            parts += text[at : found.start()], *self._decoded(self._holes[int(found[1])], breathe)
            at = found.end()
        parts.append(text[at:])
        return "".join(parts)

    def texts(self, segments: Sequence[Segment], breathe: Breathe) -> list[Segment]:
        """The same for texts with their places; these stay as they are in the skeleton."""
        return [
            segment
            if "\x7f" not in segment.text
            else Segment(segment.path, segment.role, self.text(segment.text, breathe))
            for segment in segments
        ]

    def strings_only(self, breathe: Breathe) -> "Outline":
        """The same with those marks alone that stand in strings, as the skeleton is read from its beginning."""
        inside: set[int] = set()
        for number, string in enumerate(_STRING.finditer(self.skeleton)):
            if not number % 1024:
                breathe()
            if string.end() - string.start() > len(self._mark):
                inside.update(int(found[1]) for found in self._split.finditer(self.skeleton, *string.span()))
        if len(inside) == len(self._holes):
            return self
        holes = [hole for number, hole in enumerate(self._holes) if number in inside]
        return Outline(self.body, holes, self._mark, self._loose)

    def check(self, breathe: Breathe) -> None:
        """Raises `Unsound` where the inside of a long string is not valid."""
        valid = _loose_text if self._loose else _valid
        for hole in self._holes:
            for piece in _pieces(self.body, hole, valid):
                if piece is None:
                    raise Unsound
                breathe()

    def _decoded(self, hole: Span, breathe: Breathe) -> Iterator[str]:
        for piece in _pieces(self.body, hole, _loose_text if self._loose else _text):
            if piece is None:
                raise Unsound
            breathe()
            yield piece


def outlined(body: bytes, mark: bytes, breathe: Breathe, loose: bool = False) -> Outline:
    """The outline of a body, which need not be valid; `mark` and `loose` as for `Outline`. Raises `Unsound` where it is
    not valid inside of a long string. Whether the rest is, the skeleton says."""
    holes = list(_stretches(body, breathe))
    outline = Outline(body, holes, mark, loose)
    if holes:
        try:
            _check(outline.skeleton)
        except (ValueError, RecursionError):
            outline = outline.strings_only(breathe)
        outline.check(breathe)
    return outline


def _stretches(body: bytes, breathe: Breathe) -> Iterator[Span]:
    """Between two quotes that are not escaped: long stretches without such a quote, but for their beginning."""
    at, size = body.find(b'"') + 1, len(body)
    while at and at + STRETCH <= size:
        breathe()
        last = _unescaped_before(body, at, at + STRETCH)
        if last >= 0:
            at = last + 1
            continue
        end = _end(body, at, breathe)
        kept = _KEPT.match(body, at, end)
        start = kept.end() if kept is not None else end
        if end < size and end - start >= STRETCH // 2 and _COLON.match(body, end + 1) is None:
            yield start, end
        at = end + 1


def _unescaped_before(body: bytes, start: int, end: int) -> int:
    """The last quote in `start..end` that is certainly not escaped; -1 if there is none. Were it another one than the
    last, a body of quotes could be gone through one by one."""
    at = end
    for _ in range(_TRIES):
        at = body.rfind(b'"', start, at)
        if at < 0:
            break
        if at == start or body[at - 1] != _BACKSLASH:
            return at
    strings = _STRINGS.match(body, start, end)
    return -1 if strings is None or strings.end() <= start else strings.end() - 1


def _end(body: bytes, start: int, breathe: Breathe) -> int:
    """Where the first quote behind `start` stands that is not escaped; the length of the body if there is none."""
    at, size = start, len(body)
    while at < size:
        found = body.find(b'"', at, at + _WIDE)
        if found >= 0 and (found == start or body[found - 1] != _BACKSLASH):
            return found
        if found >= 0:
            break
        at += _WIDE
        breathe()
    else:
        return size
    at = start
    while at < size:
        run = _RUN.match(body, at, at + PIECE)
        stopped = run.end() if run is not None else at
        if stopped == at or (stopped < size and body[stopped] == _QUOTE):
            return stopped if stopped < size and body[stopped] == _QUOTE else size
        at = stopped
        breathe()
    return size


def _pieces(body: bytes, hole: Span, read: Callable[[bytes], T]) -> Iterator[T | None]:
    """What `read` makes of the inside of a string, piece by piece; it raises for one that ends in the midst of a
    character. None, and no more: that is so wherever one is cut."""
    at, end = hole
    while at < end:
        stop = min(at + PIECE, end)
        for _ in range(_LONGEST_UNIT + 1):
            if stop < end and _HIGH.fullmatch(body, stop - 6, stop):
                stop -= 6
            try:
                made = read(b'"%b"' % body[at:stop])
                break
            except ValueError:
                if stop == end:
                    yield None
                    return
                stop -= 1
        else:
            yield None
            return
        yield made
        at = stop


def _valid(quoted: bytes) -> bool:
    _check(quoted)
    if not quoted.isascii():
        quoted.decode()
    return True


def _text(quoted: bytes) -> str:
    return _string(quoted)


def _loose_text(quoted: bytes) -> str:
    return sound(json.loads(quoted.decode()))
