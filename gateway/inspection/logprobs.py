"""Log-probabilities, which repeat a text token by token, taken apart and written again.

Three ways to write them: `{"content": [{"token", "bytes"}], "refusal": …}` beside a choice, `{"tokens": […],
"token_logprobs": […], …}` beside a completion's text, and a bare array beside a part of a response. Token ids are
written as numbers, and say no text that could be compared. Source: platform.openai.com/docs/api-reference/chat,
…/completions, …/responses.

What a token is told with, and is no text, stays. The alternatives to it are words of the model's that nobody judged: of
those only the token itself stays where rules may change a text. So do all other strings, and names that are none.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import cast

import msgspec

from gateway.inspection.scan import text_of

_NAME = re.compile("[a-z_]{1,32}")
"""Members of a token that may stay."""
_LARGEST = 10_000_000
"""Numbers below this stay: probabilities, ids, ranks. Larger ones may say more."""
_ESCAPED = re.compile(rb"\\x([0-9a-fA-F]{2})")
_OFFSETS = "text_offset"
_encode = msgspec.json.encode
_BYTE = rb"(?:0|[1-9][0-9]{0,2})"
# No possessive groups: before Python 3.11.5 one takes what it had read when it fails (gh-106052): `-1.` was a number.
_USUAL = re.compile(
    rb'\{"content":\[\{"token":("[^"\\\x00-\x1f]*(?:\\.[^"\\\x00-\x1f]*)*")'
    rb',"logprob":(-?(?:0|[1-9][0-9]{0,6})(?:\.[0-9]{1,20})?(?:[eE]-[0-9]{1,3})?)'
    rb',"bytes":\[((?:' + _BYTE + rb"(?:," + _BYTE + rb')*)?)\],"top_logprobs":\[\]\}\](,"refusal":null)?\}'
).fullmatch
"""One token without alternatives, as most events of a stream tell it: nothing of it can be given twice, or say more."""


class Token(msgspec.Struct, eq=False):
    """A token of a text."""

    said: bytes
    """The part of the text that it is, which may end within a character."""
    told: dict[str, object]
    """What is told of it, as it may go on."""

    def moved(self, by: int) -> "Token":
        """The token, told of a text that has so many characters more before it."""
        offset = self.told.get(_OFFSETS)
        return Token(self.said, self.told | {_OFFSETS: offset + by}) if by and isinstance(offset, int) else self


class Told(msgspec.Struct):
    """Log-probabilities beside one or more texts."""

    lists: dict[str, list[Token]]
    """Tokens by the member that has them; the name of a bare array, or one of columns, is empty."""
    names: tuple[str, ...]
    """All members, in order; none of a bare array."""
    columns: bool = False
    whole: bool = True
    """Everything that was told may go on."""

    def written(self, lists: Mapping[str, Sequence[Token]]) -> bytes:
        """JSON of others in the same form: null (of a bare array `[]`) if there are none, also of a list that is not
        given."""
        if not any(lists.values()):
            return b"null" if self.names else b"[]"
        if self.columns:
            tokens = lists.get("", ())
            given = {name: [each.told[name] for each in tokens if name in each.told] for name in self.names}
            return _json({name: column or None for name, column in given.items()})
        if not self.names:
            return _json([token.told for token in lists.get("", ())])
        found = {name: lists.get(name) for name in self.names}
        return _json({name: None if each is None else [token.told for token in each] for name, each in found.items()})


def nothing_told(first: int) -> Told:
    """In place of what cannot be read, and begins with the byte `first`: none, as a bare array or as an object."""
    return Told({}, () if first == 0x5B else ("content",))


def read(raw: bytes, judged: bool = True) -> Told | None:
    """What the JSON `raw` tells. None: it is not written in one of these ways, or says anything twice or differently.
    `judged`: rules may change the text, and what nobody can judge is left out. Raises nothing."""
    try:
        usual = read_usual(raw)
        if usual is not None:
            return usual
        return _told(_decode(raw.decode("utf-8", "surrogatepass")), judged)
    except (ValueError, RecursionError, TypeError):
        return None


def read_usual(raw: bytes) -> Told | None:
    """The same for one token without alternatives, written as most providers do; None: it is not that. Raises
    `ValueError` for what is no Unicode, or no token."""
    found = _USUAL(raw)
    if found is None:
        return None
    token, number, listed, refusal = found.groups()
    logprob = int(number) if number.lstrip(b"-").isdigit() else float(number)
    each = [int(byte) for byte in listed.split(b",")] if listed else []
    told: dict[str, object] = {"token": text_of(token), "logprob": logprob, "bytes": each, "top_logprobs": []}
    names = ("content",) if refusal is None else ("content", "refusal")
    return Told({"content": [Token(_said(told), told)]}, names)


def _told(value: object, judged: bool) -> Told:
    told = Told({}, ())
    if isinstance(value, list):
        told.lists[""] = _entries(cast(list[object], value), told, judged)
        return told
    members = _object(value)
    told.names = tuple(members)
    if "tokens" in members:
        _columns(members, told, judged)
        return told
    if not members.keys() <= {"content", "refusal"}:
        raise ValueError
    for name, member in members.items():
        if member is not None:
            told.lists[name] = _entries(_list(member), told, judged)
    return told


def _entries(values: list[object], told: Told, judged: bool) -> list[Token]:
    """The tokens of `[{"token", "logprob", "bytes", "top_logprobs"}]`."""
    tokens: list[Token] = []
    for value in values:
        given = _object(value)
        said = _said(given)
        kept = given
        if judged:
            kept = _plain(given, said)
            if isinstance(given.get("top_logprobs"), list):
                others = [_object(each) for each in _list(given["top_logprobs"])]
                same = [each for each in others if each.get("token") == given["token"] and _said(each) == said]
                kept["top_logprobs"] = [_plain(each, said) for each in same]
            kept = {name: kept[name] for name in given if name in kept}
            told.whole = told.whole and kept == given
        tokens.append(Token(said, kept))
    return tokens


def _plain(given: dict[str, object], said: bytes) -> dict[str, object]:
    """What is told of a token and says no more than it."""
    return {
        name: value
        for name, value in given.items()
        if name == "token" or (name == "bytes" and value == [*said]) or (_NAME.fullmatch(name) and _is_plain(value))
    }


def _columns(members: dict[str, object], told: Told, judged: bool) -> None:
    """The tokens of `{"tokens": […], "token_logprobs": […], "top_logprobs": [{…}], "text_offset": […]}`."""
    given = {name: _list(member) for name, member in members.items() if member is not None}
    size = len(given["tokens"])
    if any(len(column) != size for column in given.values()):
        raise ValueError
    if judged:
        kept = {name: column for name, column in given.items() if _NAME.fullmatch(name)}
        told.whole = kept.keys() == given.keys()
        for name, column in kept.items():
            if name != "tokens":
                kept[name] = [_narrowed(value, token) for value, token in zip(column, given["tokens"], strict=True)]
                told.whole = told.whole and kept[name] == column
        given = kept
        told.names = tuple([name for name in told.names if name in given])
    told.columns = True
    told.lists[""] = [
        Token(_text(given["tokens"][at]), {name: column[at] for name, column in given.items()}) for at in range(size)
    ]


def _narrowed(value: object, token: object) -> object:
    """A value of a column, or of alternatives by their token the one that is there."""
    if isinstance(value, dict):
        others = cast(dict[str, object], value)
        return {name: each for name, each in others.items() if name == token and _is_plain(each)}
    return value if _is_plain(value) else None


def _said(given: dict[str, object]) -> bytes:
    """A token's bytes, which say more than its text, that cannot be a part of a character. Raises `ValueError` if they
    are not of that text."""
    written = given.get("bytes")
    token = given.get("token")
    if written is None:
        return _text(token)
    said = bytes(cast(list[int], _list(written)))
    text = _text(token)
    if text == said or token == said.decode("utf-8", "replace"):
        return said
    named = _ESCAPED.sub(lambda found: bytes((int(found[1], 16),)), text.removeprefix(b"bytes:"))
    if named != said:
        raise ValueError
    return said


def _is_plain(value: object) -> bool:
    return value is None or (isinstance(value, int | float) and abs(value) < _LARGEST)


def _text(value: object) -> bytes:
    if not isinstance(value, str):
        raise ValueError
    return value.encode("utf-8", "surrogatepass")


def _list(value: object) -> list[object]:
    if not isinstance(value, list):
        raise ValueError
    return cast(list[object], value)


def _object(value: object) -> dict[str, object]:
    if not isinstance(value, dict):
        raise ValueError
    return cast(dict[str, object], value)


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """An object whose names are all given once."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError
    return found


_decode = json.JSONDecoder(object_pairs_hook=_once).decode


def _json(value: object) -> bytes:
    try:
        return _encode(value)
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":")).encode()
