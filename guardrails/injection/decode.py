"""Text inside text: base64, hexadecimal, percent, Unicode escapes, binary, Morse, spaced letters, reversed, rot13.

Bounded: a text gives at most `MOST_SPANS` decoded spans of at most `LONGEST` characters each, and what was decoded is
looked into `DEPTH` times. Every expression here is linear: fixed classes, no nested repetition over the same letters.
"""

import base64
import binascii
import codecs
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from itertools import accumulate, compress, islice, repeat

import msgspec

MOST_SPANS = 8
LONGEST = 8192
"""Characters of one encoded span that are read; the rest of a longer one is not."""
DEPTH = 2


class Decoded(msgspec.Struct, frozen=True):
    """What a span of the source says when decoded."""

    start: int
    end: int
    text: str
    kind: str


_BASE64 = re.compile(r"(?<![A-Za-z0-9+/_=-])[A-Za-z0-9+/_-]{16,}={0,2}")
_BASE32 = re.compile(r"(?<![A-Z2-7])[A-Z2-7]{24,}={0,6}")
_HEX = re.compile(r"(?<![0-9A-Fa-f])(?:(?:0x|\\x)?[0-9A-Fa-f]{2}[ :,]?){12,}")
_PERCENT = re.compile(r"(?:%[0-9A-Fa-f]{2}|[A-Za-z0-9+._-]){4,}")
_ESCAPES = re.compile(r"(?:\\u[0-9A-Fa-f]{4}){6,}")
_ENTITIES = re.compile(r"(?:&#x?[0-9A-Fa-f]{2,6};){6,}")
_BINARY = re.compile(r"(?<![01])(?:[01]{8}[ ,]?){6,}")
_DECIMAL = re.compile(r"[0-9](?<![0-9]{2})[0-9]{1,2}(?:[ ,]+[0-9]{2,3}){8,}")
_MORSE = re.compile(r"(?:[.\-·–−]{1,6}[ /|]{1,3}){8,}[.\-·–−]{0,6}")
_SPACED = re.compile(r"(?<![^\W_])[^\W_](?:[ ._*\-|~]{1,3}[^\W_](?![^\W_])){7,}")
_CODES = {
    ".-": "a", "-...": "b", "-.-.": "c", "-..": "d", ".": "e", "..-.": "f", "--.": "g", "....": "h", "..": "i",
    ".---": "j", "-.-": "k", ".-..": "l", "--": "m", "-.": "n", "---": "o", ".--.": "p", "--.-": "q", ".-.": "r",
    "...": "s", "-": "t", "..-": "u", "...-": "v", ".--": "w", "-..-": "x", "-.--": "y", "--..": "z",
}  # fmt: skip
"""ITU-R M.1677-1, letters."""


def spans(text: str) -> list[Decoded]:
    """Decoded spans in the order of their kinds, at most `MOST_SPANS`. Linear; never raises."""
    found: list[Decoded] = []
    for kind, shape, reading in _readings(text):
        for match in islice(shape.finditer(text), MOST_SPANS * 4):
            said = reading(match.group()[:LONGEST])
            if said is not None and _legible(said):
                found.append(Decoded(match.start(), match.end(), said, kind))
                if len(found) == MOST_SPANS:
                    return found
    return found


def _readings(text: str) -> Iterator[tuple[str, re.Pattern[str], Callable[[str], str | None]]]:
    """Only what the text may hold, by signs that are cheap to see. Runs of a code's characters are seen first, for most
    texts have none; then the lengths of what stands between blanks."""
    plain, parts = text.encode("ascii", "replace"), _Parts(text)
    if _says(_BASE64, text, _runs(plain, _IN_BASE64, 16), _base64):
        yield "base64", _BASE64, _base64
    if _says(_BASE32, text, _runs(plain, _IN_BASE32, 24), _base32):
        yield "base32", _BASE32, _base32
    numbers = list(_runs(plain, _IN_NUMBERS, 24))
    if _within(_HEX, text, numbers) and (parts.run(_HEX_RUNS) or _HEX.search(parts.longer)):
        yield "hex", _HEX, _hex
    if text.count("%") >= 4 and _PERCENT_RUN.search(text):
        yield "percent", _PERCENT, _percent
    if "\\" in text and "\\u" in text:
        yield "escapes", _ESCAPES, _escapes
    if "&" in text and "&#" in text:
        yield "entities", _ENTITIES, _entities
    # Letters are 97 to 122 in decimal, 011 and five bits in binary.
    if text.count("011") >= 6:
        yield "binary", _BINARY, _binary
    if _within(_DECIMAL, text, numbers) and sum(map(text.count, _DECIMAL_STARTS)) >= 5 and parts.matches(_DECIMAL_RUN):
        yield "decimal", _DECIMAL, _decimal
    if (
        _within(_MORSE, text, _runs(plain, _IN_MORSE, 16))
        and sum(map(text.count, _MORSE_STARTS)) >= 7
        and parts.matches(_MORSE_RUN)
        and _crowded(text)
    ):
        yield "morse", _MORSE, _morse
    if _apart(text, plain) and (parts.run(_SPACED_RUNS) or _SPACED.search(parts.long)):
        yield "spaced", _SPACED, _spaced


class _Parts:
    """What stands between the blanks of a text, which is taken apart when it is first asked for."""

    def __init__(self, text: str) -> None:
        self._text = text

    @cached_property
    def _parts(self) -> list[str]:
        return self._text.split()

    @cached_property
    def _lengths(self) -> bytes:
        return _lengths(self._parts)

    def run(self, runs: Iterable[bytes]) -> bool:
        """Whether so many parts of such lengths stand in a row."""
        return any(run in self._lengths for run in runs)

    def matches(self, shape: re.Pattern[bytes]) -> bool:
        return shape.search(self._lengths) is not None

    @cached_property
    def long(self) -> str:
        """Parts of 15 characters and more. A line end is in no code, so that nothing is read over their borders."""
        return "\n".join(compress(self._parts, self._lengths.translate(_LONG)))

    @cached_property
    def longer(self) -> str:
        return "\n".join(part for part in self.long.split("\n") if len(part) >= _LONGER)


_LONG = bytes(int(length >= 15) for length in range(256))
_LONGER = 24
_IN = b"x"


def _table(chars: str) -> bytes:
    """What makes `_IN` of some characters of ASCII, and blanks of the rest."""
    return bytes(_IN[0] if chr(byte) in chars else 32 for byte in range(256))


_DIGITS = "0123456789"
_CAPITALS, _SMALL = "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz"
_IN_BASE64, _IN_BASE32 = _table(_CAPITALS + _SMALL + _DIGITS + "+/_-"), _table(_CAPITALS + "234567")
_IN_NUMBERS = _table(_DIGITS + "abcdefABCDEFx\\ :,")
"""Of hexadecimal and decimal."""
_IN_MORSE = _table(".-?/| ")
"""`?` stands for what is beyond ASCII."""
_HEX_RUNS = tuple(bytes([length]) * 8 for length in range(2, 6))
"""Lengths of `69 67`, `69, 67`, `0x69 0x67` and `0x69, 0x67`."""
_DECIMAL_RUN = re.compile(rb"[\x02-\x04]{8}")
_PERCENT_RUN = re.compile(r"%[0-9A-Fa-f]{2}(?:[A-Za-z0-9+._-]{0,40}%[0-9A-Fa-f]{2}){3}")
_DECIMAL_STARTS = (" 10", " 11", " 12")
_MORSE_STARTS = (" .", " -", " ·", " –", " −", "/.", "/-", "|.", "|-")
"""Every letter of a text in Morse but the first has one before its first sign."""
_MORSE_REACH = 7 * (6 + 3)
"""Characters from the start of one of eight letters in Morse to that of the last: six signs and three blanks each."""
_MORSE_RUN = re.compile(rb"[\x01-\x07]{8}")
_SPACED_RUNS = (b"\x01" * 6, b"\x02" * 6)
"""Lengths of `a b c` and `a. b. c.`."""
_APART = bytes(
    ord("s" if char in " ._*-|~" else "w" if char.isalnum() or char == "?" else "o") for char in map(chr, range(128))
) + bytes(128)
"""Letters (and `?`, which stands for any beyond ASCII) are w, what stands between letters that stand apart s."""
_NEAR = re.compile(rb"[\x00-\x03]{2,}")
_SPACED_REACH = 8 + 8 * 3
"""Characters of eight letters that stand apart, and of signs before them."""
_MOST_NEAR = 16
"""Places with letters near one another that are looked at one by one."""


def _runs(plain: bytes, table: bytes, least: int) -> Iterator[tuple[int, int]]:
    """Start and end of each run of at least so many characters of a table, but for those of blanks alone."""
    marked, sought = plain.translate(table), _IN * least
    at = marked.find(sought)
    while at >= 0:
        end = marked.find(b" ", at + least) % (len(marked) + 1)  # the end of the text where there is none
        if not plain[at:end].isspace():
            yield at, end
        at = marked.find(sought, end)


def _within(shape: re.Pattern[str], text: str, runs: Iterable[tuple[int, int]]) -> bool:
    """Whether a match lies in one of the runs, where all of a match's characters are of the run's."""
    return any(shape.search(text, start, end) for start, end in runs)


def _apart(text: str, plain: bytes) -> bool:
    """Whether eight letters stand apart. Of the six between the others every other one at least is seen as a letter
    between two signs, with at most three characters from one to the next."""
    pieces = plain.translate(_APART).split(b"sws")
    found = [match.span() for match in _NEAR.finditer(_lengths(pieces), 1)]
    if not found or len(found) > _MOST_NEAR:
        return bool(found)
    nexts = list(accumulate(len(piece) + 3 for piece in pieces))
    spans = ((max(0, nexts[first - 1] - _SPACED_REACH), nexts[end - 1] + _SPACED_REACH) for first, end in found)
    return any(_SPACED.search(text, start, end) for start, end in spans)


def _crowded(text: str) -> bool:
    """Whether seven letters of Morse may begin near one another."""
    starts = sorted(at for start in _MORSE_STARTS for at in _places(text, start))
    return any(last - first <= _MORSE_REACH for first, last in zip(starts, starts[6:], strict=False))


def _places(text: str, part: str) -> Iterator[int]:
    at = text.find(part)
    while at >= 0:
        yield at
        at = text.find(part, at + 1)


def _lengths(parts: Sequence[str | bytes]) -> bytes:
    """Each at most 255."""
    try:
        return bytes(map(len, parts))
    except ValueError:
        return bytes(map(min, map(len, parts), repeat(255)))


def _says(
    shape: re.Pattern[str], text: str, runs: Iterable[tuple[int, int]], reading: Callable[[str], str | None]
) -> bool:
    """Whether anything of that shape can be read; a match begins where a run does."""
    found = islice(filter(None, (shape.match(text, start) for start, _ in runs)), MOST_SPANS * 4)
    return any((said := reading(match.group()[:LONGEST])) is not None and _legible(said) for match in found)


def _legible(said: str) -> bool:
    """Mostly letters and spaces, as in words; not the noise that an identifier decodes to."""
    letters = sum(map(str.isalpha, said)) + said.count(" ")
    return len(said) >= 8 and letters >= len(said) * 0.75


def _utf8(data: bytes) -> str | None:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return None


def _base64(span: str) -> str | None:
    plain = span.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return _utf8(base64.b64decode(plain + "=" * (-len(plain) % 4)))
    except (binascii.Error, ValueError):
        return None


def _base32(span: str) -> str | None:
    plain = span.rstrip("=")
    try:
        return _utf8(base64.b32decode(plain + "=" * (-len(plain) % 8)))
    except (binascii.Error, ValueError):
        return None


def _hex(span: str) -> str | None:
    digits = re.sub(r"0x|\\x|[ :,]", "", span)
    return _utf8(bytes.fromhex(digits[: len(digits) // 2 * 2]))


def _percent(span: str) -> str | None:
    if span.count("%") < 4:
        return None
    pieces = re.split(r"%([0-9A-Fa-f]{2})", span)
    data = b"".join(bytes.fromhex(piece) if place % 2 else piece.encode() for place, piece in enumerate(pieces))
    return (said := _utf8(data)) and said.replace("+", " ")


def _escapes(span: str) -> str | None:
    return "".join(chr(int(code, 16)) for code in re.findall(r"[0-9A-Fa-f]{4}", span))


def _entities(span: str) -> str | None:
    codes = [
        int(code[1:], 16) if code[0] in "xX" else int(code)
        for code in re.findall(r"&#(x?[0-9A-Fa-f]+);", span)
        if _number(code)
    ]
    return "".join(chr(code) for code in codes if code < 0x110000)


def _number(code: str) -> bool:
    return code[0] == "x" or code.isdecimal()


def _binary(span: str) -> str | None:
    return _utf8(bytes(int(bits, 2) for bits in re.findall(r"[01]{8}", span)))


def _decimal(span: str) -> str | None:
    codes = [int(code) for code in re.findall(r"[0-9]+", span)]
    return "".join(map(chr, codes)) if max(codes) < 256 else None


def _morse(span: str) -> str | None:
    plain = span.replace("·", ".").replace("–", "-").replace("−", "-")
    words = re.split(r"\s*[/|]\s*|\s{3,}", plain)
    return " ".join("".join(_CODES.get(code, "") for code in word.split()) for word in words)


def _spaced(span: str) -> str | None:
    """Letters that stand apart; two or more separators stand for the end of a word."""
    words = re.split(r"[ ._*\-|~]{2,3}", span)
    return " ".join(re.sub(r"[ ._*\-|~]", "", word) for word in words)


def rot13(text: str) -> str:
    return codecs.encode(text, "rot13")


def backwards(text: str) -> str:
    return text[::-1]
