"""JSON in pieces: judged inside its strings, rewritten inside them, every other byte as it came (RFC 8259).

Strings are judged decoded, each as a text of its own. A member's name is judged and cannot be rewritten. A number is
judged too, if it is longer than any that says nothing, and what takes its place is a string. Whitespace is passed on.

Models write broken JSON, and plain text may begin like JSON. From the first character that cannot stand where it does,
the rest is plain text, judged and rewritten as that. So what is found never depends on good form, and where the break
is depends on the text alone.
"""

import json
import re
from collections.abc import Callable
from typing import Protocol

_BODY = re.compile(r'[^"\\]*+(?:\\.[^"\\]*+)*+\\?', re.DOTALL)
"""A string's characters up to its closing quote; what a backslash escapes is none."""
_ESCAPE = re.compile(
    r"\\(?:u(?P<high>[dD][89abAB][0-9a-fA-F]{2})\\u(?P<low>[dD][c-fC-F][0-9a-fA-F]{2})"
    r"|u(?P<unit>[0-9a-fA-F]{4})|[\"\\/bfnrt])"
)
_OPEN_ESCAPE = re.compile(
    r"\\(?:u(?:[0-9a-fA-F]{0,3}|[dD][89abAB][0-9a-fA-F]{2}(?:\\(?:u(?:[dD](?:[c-fC-F][0-9a-fA-F]?)?)?)?)?)?)?\Z"
)
"""The beginning of an escape, or of a pair whose second half may follow."""
_decode = json.JSONDecoder(strict=False).raw_decode
_ONE = {r"\b": "\b", r"\f": "\f", r"\n": "\n", r"\r": "\r", r"\t": "\t", r"\/": "/", r"\"": '"', "\\\\": "\\"}
_LONGEST_ESCAPE = 12
_SPACE = re.compile(r"[ \t\r\n]*")
_TOKEN = re.compile(r"[-+.\w]*")
_LITERAL = re.compile(r"true|false|null|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?")
_DULL = 5
"""Characters of a number (or literal) that is passed on unjudged."""
_LONGEST_TOKEN = 256
"""Characters of a number and the space behind it; with more it is no number."""
_DEEPEST = 100_000

_NAME_OR_END, _NAME, _COLON, _VALUE_OR_END, _VALUE, _AFTER = range(6)
"""What may come next."""


class Judged(Protocol):
    """A text under judgement (`guardrails/text.py`)."""

    def feed(self, text: str, spelled: list[tuple[int, str]] = ..., final: bool = ...) -> str: ...
    def finish(self) -> str: ...
    def held(self) -> int: ...


class Opens(Protocol):
    """Makes the machine for a text that begins at `origin` of the document. `name`: it is a member's name."""

    def __call__(self, origin: int, *, name: bool = False, quoted: bool = False) -> Judged: ...

    def clean(self, text: str) -> bool:
        """Whether a glance shows that nothing is found in a whole string, which then needs no machine."""
        ...


class Stop(Protocol):
    """Whether nothing more may pass."""

    @property
    def blocked(self) -> bool: ...
    @property
    def breathe(self) -> Callable[[], None] | None:
        """Called now and then in a long document."""
        ...


class JsonText:
    """A document that grows. Without an object or array at its begin it is plain text."""

    __slots__ = ("_at", "_carry", "_expect", "_open", "_plain", "_stack", "_stop", "_string", "document")

    def __init__(self, opens: Opens, stop: Stop) -> None:
        self._open = opens
        self._stop = stop
        self._stack = bytearray()
        self._expect = _VALUE
        self._carry = ""
        """Taken and not understood yet: the beginning of an escape, or of a number."""
        self._at = 0
        """Where in the document `carry` begins."""
        self._string: Judged | None = None
        self._plain: Judged | None = None
        self.document = False
        """It began as JSON."""

    def held(self) -> int:
        """Characters taken and not passed on; an escape counts as what it stands for."""
        current = self._plain or self._string
        return len(self._carry) + (current.held() if current is not None else 0)

    def feed(self, text: str) -> str:
        """Take more of the document; returns what is certain by now."""
        return self._run(text, False)

    def finish(self) -> str:
        """The document is complete, though perhaps cut off: the rest of it."""
        certain = self._run("", True)
        current = self._plain or self._string
        if current is None or self._stop.blocked:
            return certain
        return certain + current.finish()

    def _run(self, text: str, final: bool) -> str:
        if self._plain is not None:
            return self._plain.feed(text) if text else ""
        if self._carry:
            text = self._carry + text
            self._carry = ""
        out: list[str] = []
        at = 0
        start, breathe = self._at, self._stop.breathe
        while at < len(text) and not self._stop.blocked:
            if breathe is not None:
                breathe()
            if self._string is not None:
                at = self._inside(self._string, text, at, out, final)
            else:
                at = self._outside(text, at, out, final, start)
        if not self._stop.blocked:
            self._at = start + len(text) - len(self._carry)
        return "".join(out)

    def _inside(self, string: Judged, text: str, at: int, out: list[str], final: bool) -> int:
        """Take a string's characters up to its end or the end of what is there."""
        stop = _matched_end(_BODY, text, at)
        closed = stop < len(text) and text[stop] == '"'
        end = stop
        if not closed:
            end = len(text) if final else _open_escape(text, at)
            self._carry = text[end:]
        decoded: list[str] = []
        spelled: list[tuple[int, str]] = []
        size, breathe = 0, self._stop.breathe
        for found in _ESCAPE.finditer(text, at, end):
            if breathe is not None and not len(spelled) & 1023:
                breathe()
            start, after = found.span()
            raw = text[start:after]
            size += start - at
            spelled.append((size, raw))
            decoded += (text[at:start], _ONE.get(raw) or _unit(found))
            size += 1
            at = after
        decoded.append(text[at:end])
        out.append(string.feed("".join(decoded), spelled, closed))
        if not closed:
            return len(text)
        self._string = None
        if not self._stop.blocked:
            out.append('"')
        return stop + 1

    def _outside(self, text: str, at: int, out: list[str], final: bool, start: int) -> int:
        """Take what stands between strings."""
        char = text[at]
        if char in " \t\r\n":
            begin = _matched_end(_SPACE, text, at)
            out.append(text[at:begin])
            if begin == len(text):
                return begin
            at = begin
            char = text[at]
        expect = self._expect
        if not self._stack and expect == _VALUE and char not in "{[":
            return self._broken(text, at, out, start)
        if char == '"' and expect != _AFTER and expect != _COLON:
            name = expect in (_NAME, _NAME_OR_END)
            self._expect = _COLON if name else _AFTER
            end = self._glance(text, at)
            if end:
                out.append(text[at:end])
                return end
            self._string = self._open(start + at + 1, name=name, quoted=True)
        elif char in "{[" and expect in (_VALUE, _VALUE_OR_END) and len(self._stack) < _DEEPEST:
            self.document = True
            self._stack.append(ord(char))
            self._expect = _NAME_OR_END if char == "{" else _VALUE_OR_END
        elif char == ":" and expect == _COLON:
            self._expect = _VALUE
        elif char == "," and expect == _AFTER and self._stack:
            self._expect = _NAME if self._stack[-1] == ord("{") else _VALUE
        elif char in "}]" and self._closes(char):
            self._stack.pop()
            self._expect = _AFTER
        elif expect in (_VALUE, _VALUE_OR_END):
            return self._number(text, at, out, final, start)
        else:
            return self._broken(text, at, out, start)
        out.append(char)
        return at + 1

    def _glance(self, text: str, at: int) -> int:
        """The end of a string that is all there and clean, decoded at the speed of C; else 0. Arguments are mostly
        that, and full of escapes: each costs a microsecond where one must know how it was written."""
        if text.find('"', at + 1) < 0:
            return 0
        try:
            value, end = _decode(text, at)
        except ValueError:
            return 0
        return end if self._open.clean(value) else 0

    def _closes(self, char: str) -> bool:
        if not self._stack:
            return False
        if char == "}":
            return self._stack[-1] == ord("{") and self._expect in (_AFTER, _NAME_OR_END)
        return self._stack[-1] == ord("[") and self._expect in (_AFTER, _VALUE_OR_END)

    def _number(self, text: str, at: int, out: list[str], final: bool, start: int) -> int:
        """Take a number or literal once what follows it is seen: digits and spaces that are no JSON must not have lost
        their first group when that comes out."""
        end = _matched_end(_TOKEN, text, at)
        after = _matched_end(_SPACE, text, end)
        if after - at > _LONGEST_TOKEN:
            return self._broken(text, at, out, start)
        if after == len(text) and not final:
            self._carry = text[at:]
            return after
        if not _LITERAL.fullmatch(text, at, end) or (after < len(text) and text[after] not in ",]}"):
            return self._broken(text, at, out, start)
        written = number = text[at:end]
        if len(number) > _DULL:
            written = self._open(start + at, quoted=True).feed(number, [], True)
        if self._stop.blocked:
            return after
        out += (number if written == number else f'"{written}"', text[end:after])
        self._expect = _AFTER
        return after

    def _broken(self, text: str, at: int, out: list[str], start: int) -> int:
        """This is no JSON: the rest is plain text."""
        self._plain = self._open(start + at)
        out.append(self._plain.feed(text[at:]))
        return len(text)


def _matched_end(pattern: re.Pattern[str], text: str, at: int) -> int:
    found = pattern.match(text, at)
    return at if found is None else found.end()


def _open_escape(text: str, begin: int) -> int:
    """Where the escape begins that the end of the text cuts; the text's length when it cuts none."""
    found = _OPEN_ESCAPE.search(text, max(begin, len(text) - _LONGEST_ESCAPE))
    while found is not None and not _is_escape(text, begin, found.start()):
        found = _OPEN_ESCAPE.search(text, found.start() + 1)
    return len(text) if found is None else found.start()


def _is_escape(text: str, begin: int, at: int) -> bool:
    """Whether the backslash at `at` begins an escape of the string's part that begins at `begin`: an odd number of
    them stands there."""
    before = at
    while before > begin and text[before - 1] == "\\":
        before -= 1
    return (at - before) % 2 == 0


def _unit(found: re.Match[str]) -> str:
    """The character that one or two UTF-16 units stand for; a surrogate alone is judged as U+FFFD."""
    if found["high"] is None:
        code = int(found["unit"], 16)
        return "\ufffd" if 0xD800 <= code <= 0xDFFF else chr(code)
    return chr(0x10000 + ((int(found["high"], 16) - 0xD800) << 10) + int(found["low"], 16) - 0xDC00)
