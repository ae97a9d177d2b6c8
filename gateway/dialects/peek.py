"""Finds the models in the beginning of a body that is otherwise not read (JSON fields or a multipart form field), and
what a short JSON body asks that is priced by the piece."""

import re
from collections.abc import Callable
from typing import Any

import msgspec

_JSON_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?+|[{}\[\]]', re.DOTALL)
"""The string that does not end is one too: else every quote in it would be tried as a beginning."""
_JSON_VALUE = re.compile(rb'\s*+:\s*+"([^"\\]*+(?:\\.[^"\\]*+)*+)"', re.DOTALL)
_FORM_NAME = re.compile(rb'(?<![\w*-])name="?model"?(?!\w)', re.IGNORECASE)
_FORM_VALUE = re.compile(rb"([^\r\n]{1,512})\r\n")
_STRAY = re.compile(rb"\r(?!\n)|(?<!\r)\n")
_LONGEST = 512
_OFTEN = 4096
"""Tokens between two places where others may go first."""
_MOST = 10_000
"""Models looked at in one body: more than Anthropic takes in a part of a batch that fits the beginning."""


class Peeked(msgspec.Struct, frozen=True):
    """A model name and where its bytes stand in the opening."""

    model: str
    start: int
    end: int
    quoted: bool
    """It stands in a JSON string."""

    def replaced(self, opening: bytes, model: str) -> bytes:
        """The opening with another model name in that place."""
        if model == self.model:
            return opening
        name = msgspec.json.encode(model)[1:-1] if self.quoted else model.encode()
        return opening[: self.start] + name + opening[self.end :]


class Asked(msgspec.Struct, frozen=True, gc=False):
    """Members of a JSON body that speech and images are priced by, of whatever type the client wrote."""

    input: Any = None
    """Of speech: the text."""
    n: Any = None
    """Of images: how many; nothing or null is one."""
    size: Any = None
    quality: Any = None


_asked = msgspec.json.Decoder(Asked).decode


def find_asked(content_type: bytes, body: bytes) -> Asked | None:
    """What a whole JSON object asks; None: it is none. Of a member that is written twice the last counts, as it does to
    providers. Never raises."""
    if b"json" not in content_type[:40].lower():
        return None
    try:
        return _asked(body)
    except (ValueError, RecursionError):
        return None


def find_models(content_type: bytes, opening: bytes, breathe: Callable[[], None] = lambda: None) -> list[Peeked]:
    """The models named in `opening` (the body's first bytes), in order. `breathe` is called now and then, where JSON is
    long.

    In JSON these are the members `model` of the outermost object; where there is none, those of objects within it, such
    as the requests of a batch. A text that quotes a body cannot be mistaken for one, because quotes inside strings are
    escaped.
    """
    kind = content_type[:40].lower()
    if b"json" in kind:
        return _in_json(opening, breathe)
    if kind.startswith(b"multipart/form-data"):
        match = _in_form(opening)
        found = _peeked(match, quoted=False) if match is not None else None
        return [found] if found is not None else []
    return []


def _in_form(opening: bytes) -> "re.Match[bytes] | None":
    """The line after the blank one that ends the first part's head with this name."""
    begun = 0
    while (blank := opening.find(b"\r\n\r\n", begun)) >= 0:
        head = opening[begun:blank]
        strays = [stray.end() for stray in _STRAY.finditer(head)]
        if _FORM_NAME.search(head, strays[-1] if strays else 0):
            value = _FORM_VALUE.match(opening, blank + 4)
            if value is not None:
                return value
        begun = blank + 2
    return None


def _in_json(opening: bytes, breathe: Callable[[], None]) -> list[Peeked]:
    depth: int = 0
    own: list[Peeked] = []
    inner: list[Peeked] = []
    for number, token in enumerate(_JSON_TOKEN.finditer(opening), 1):
        if not number % _OFTEN:
            breathe()
        text = bytes(token[0])
        if text[0] in b"{[":
            depth += 1
        elif text[0] in b"}]":
            depth -= 1
        elif _is_model(text) and (match := _JSON_VALUE.match(opening, token.end())) is not None:
            found = _peeked(match, quoted=True)
            if found is not None:
                (own if depth == 1 else inner).append(found)
    return (own or inner)[:_MOST]


def _is_model(text: bytes) -> bool:
    if b"\\" not in text:
        return text == b'"model"'
    try:
        return len(text) <= len(b'"model"') * 6 and msgspec.json.decode(text) == "model"
    except msgspec.DecodeError:
        return False


def _peeked(match: "re.Match[bytes]", *, quoted: bool) -> Peeked | None:
    raw = match.group(1)
    if not 0 < len(raw) <= _LONGEST:
        return None
    try:
        model = msgspec.json.decode(b'"' + raw + b'"', type=str) if quoted else raw.decode()
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return Peeked(model, match.start(1), match.end(1), quoted)
