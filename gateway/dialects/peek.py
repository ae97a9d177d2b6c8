"""Finds the model in the beginning of a body that is otherwise not read: a JSON field or a multipart form field."""

import re

import msgspec

_JSON_MODEL = re.compile(rb'"model"\s*:\s*"((?:[^"\\]|\\.){1,512})"')
_FORM_MODEL = re.compile(rb'name="?model"?[^\r\n]*\r\n(?:[^\r\n]+\r\n)*\r\n([^\r\n]{1,512})\r\n', re.IGNORECASE)


class Peeked(msgspec.Struct, frozen=True):
    """A model name and where its bytes stand in the opening."""

    model: str
    start: int
    end: int
    length: int
    """Bytes of the opening it was found in."""
    quoted: bool
    """It stands in a JSON string."""

    def replaced(self, opening: bytes, model: str) -> bytes:
        """The opening with another model name in that place."""
        if model == self.model:
            return opening
        name = msgspec.json.encode(model)[1:-1] if self.quoted else model.encode()
        return opening[: self.start] + name + opening[self.end :]


def find_model(content_type: bytes, opening: bytes) -> Peeked | None:
    """The model named in `opening` (the body's first bytes), or None. Only the first occurrence counts; a JSON string's
    text cannot be mistaken for the field, because quotes inside strings are escaped."""
    kind = content_type[:40].lower()
    if b"json" in kind:
        return _found(_JSON_MODEL.search(opening), opening, quoted=True)
    if kind.startswith(b"multipart/form-data"):
        return _found(_FORM_MODEL.search(opening), opening, quoted=False)
    return None


def _found(match: "re.Match[bytes] | None", opening: bytes, *, quoted: bool) -> Peeked | None:
    if match is None:
        return None
    raw = match.group(1)
    try:
        model = msgspec.json.decode(b'"' + raw + b'"', type=str) if quoted else raw.decode()
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return Peeked(model, match.start(1), match.end(1), len(opening), quoted)
