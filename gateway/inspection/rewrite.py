"""Replaces the strings at given JSON paths in a body; every other byte stays as it is.

Nothing is decoded and encoded again. The paths become a tree, the raw body is walked along it, and whatever no path
leads into is skipped token by token. What is found is a list of places, and the body is put together around them.
One pass, linear in the body; depth costs no recursion.
"""

import json
import re
from collections.abc import Iterator, Sequence

import msgspec

from gateway.errors import TollwayError
from gateway.facts import Segment
from gateway.inspection.scan import REPEATED
from gateway.wire.surfaces import Step, sound, steps

_BLANK = re.compile(rb"[ \t\r\n]*")
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_SCALAR = re.compile(rb"[^\s,\]}\[{\":]+")
_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[\[{]|[\]}]', re.DOTALL)
_NAMES = "{}"
_encode = msgspec.json.encode

Edit = tuple[int, int, bytes]
"""Start, end (exclusive) and the new bytes of one place."""


class NotRewritable(TollwayError):
    """A rewrite that cannot be carried out: the caller must block. `path` is where; the message repeats no text."""

    def __init__(self, path: str, why: str) -> None:
        super().__init__(f"The text at '{path}' cannot be rewritten: {why}.")
        self.path = path


class Rewritten(msgspec.Struct, frozen=True):
    """A body with texts replaced."""

    body: bytes
    logprobs_dropped: int = 0
    """Members `logprobs` and `token_ids` that were emptied, because they repeat a replaced text token by token."""


class _Node:
    """A place that paths lead to or through."""

    __slots__ = ("inner", "names", "path", "taken", "texts")

    def __init__(self) -> None:
        self.inner: dict[Step, _Node] = {}
        self.names: list[list[str]] = []
        """New names of the members, for each time the object is given."""
        self.path = ""
        self.texts: list[str] = []
        self.taken = 0


def rewrite_segments(body: bytes, rewrites: Sequence[Segment]) -> bytes:
    """`body` with the text of each of `rewrites` at its path; `body` itself if there are none.

    A path given several times stands for a name given several times, in order. A number becomes a string. The text
    of a path of member names (`{}`) has as many lines as the object has members. Raises `NotRewritable` where it has
    not, for paths that are not in the body, and for names given more often than there are texts for them.
    """
    return _rewritten(body, rewrites, answer=False).body if rewrites else body


def rewrite_answer(body: bytes, rewrites: Sequence[Segment]) -> Rewritten:
    """As `rewrite_segments`, for a complete answer: every `logprobs` and `token_ids` of an object around a replaced
    text (a choice, a content part) becomes null, or `[]` where it was an array. Texts beside them keep theirs."""
    return _rewritten(body, rewrites, answer=True) if rewrites else Rewritten(body)


def encoded(text: str) -> bytes:
    """A JSON string. Lone surrogates, which cannot be UTF-8, are escaped."""
    try:
        return _encode(text)
    except UnicodeEncodeError:
        return json.dumps(text).encode()


def is_sound(text: str) -> bool:
    """Whether a text has no lone surrogates."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def splice(body: bytes, edits: Sequence[Edit]) -> bytes:
    """`body` with the edits made, which must be in order and apart."""
    parts: list[bytes] = []
    at = 0
    for start, end, new in edits:
        parts += body[at:start], new
        at = end
    parts.append(body[at:])
    return b"".join(parts)


def _rewritten(body: bytes, rewrites: Sequence[Segment], *, answer: bool) -> Rewritten:
    root, nodes = _tree(rewrites)
    try:
        walk = _Walk(body, answer)
        walk.run(root)
    except (IndexError, ValueError):
        raise NotRewritable(rewrites[0].path, "the body is not valid JSON") from None
    for node in nodes:
        if node.names or node.taken != len(node.texts):
            raise NotRewritable(node.path, "the body has no such text, or its name is given more often")
    walk.edits.sort()
    return Rewritten(splice(body, walk.edits), walk.dropped)


def _tree(rewrites: Sequence[Segment]) -> tuple[_Node, list[_Node]]:
    root = _Node()
    nodes: list[_Node] = []
    for rewrite in rewrites:
        way = steps(rewrite.path.removesuffix(_NAMES)) if rewrite.path != _NAMES else []
        if way is None:
            raise NotRewritable(rewrite.path, "it is no path")
        node = root
        for step in way:
            node = node.inner.setdefault(step, _Node())
        if not node.path:
            node.path = rewrite.path
            nodes.append(node)
        if rewrite.path.endswith(_NAMES):
            node.names.append(rewrite.text.split("\n"))
        else:
            node.texts.append(rewrite.text)
    return root, nodes


class _Open:
    """A container on the way."""

    __slots__ = ("before", "index", "logprobs", "names", "node")

    def __init__(self, node: _Node, index: int, before: int) -> None:
        self.node = node
        self.index = index
        """Place of the next item; -1: an object."""
        self.before = before
        """Texts replaced when it was opened."""
        self.logprobs: list[tuple[int, int]] = []
        self.names = node.names.pop(0)[::-1] if index < 0 and node.names else None
        """New names of the members to come, the last one first."""


class _Walk:
    """One walk through a body, which raises `IndexError` or `ValueError` where that is not JSON."""

    def __init__(self, body: bytes, answer: bool) -> None:
        self.body = body
        self.answer = answer
        self.edits: list[Edit] = []
        self.taken = 0
        self.dropped = 0

    def run(self, root: _Node) -> None:
        opened: list[_Open] = []
        at = self._value(_skip_blanks(self.body, 0), root, opened)
        while opened:
            at = self._member(at, opened[-1], opened)

    def _value(self, at: int, node: _Node, opened: list[_Open]) -> int:
        """Take the value at `at`: where it ends, or where its first member begins if it was opened."""
        body = self.body
        kind = body[at]
        if kind in b"{[":
            if node.inner or node.names:
                opened.append(_Open(node, -1 if kind == 0x7B else 0, self.taken))
                return at + 1
            return _skip(body, at)
        end = _skip(body, at)
        if node.texts and (kind == 0x22 or kind in b"-0123456789"):
            # A text replaced with nothing left to replace it by is caught by the count.
            if node.taken < len(node.texts):
                self.edits.append((at, end, encoded(sound(node.texts[node.taken]))))
            node.taken += 1
            self.taken += 1
        return end

    def _member(self, at: int, around: _Open, opened: list[_Open]) -> int:
        """Take one member or item of the innermost open container, or its end."""
        body = self.body
        at = _skip_blanks(body, at)
        mark = body[at]
        if mark in b"}]":
            self._close(opened.pop())
            return at + 1
        if mark == 0x2C:
            at = _skip_blanks(body, at + 1)
        if around.index >= 0:
            node = around.node.inner.get(around.index)
            around.index += 1
        else:
            start = at
            name, at = _name(body, at)
            if around.names is not None:
                self._rename(start, name, around.names)
            node = around.node.inner.get(name)
            if node is None and self.answer and name in REPEATED:
                end = _skip(body, at)
                around.logprobs.append((at, end))
                return end
        return _skip(body, at) if node is None else self._value(at, node, opened)

    def _rename(self, at: int, name: str, names: list[str]) -> None:
        new = names.pop() if names else ""
        if new != name:
            quoted = _STRING.match(self.body, at)
            if not new or quoted is None:
                raise ValueError
            self.edits.append((at, quoted.end(), encoded(new)))

    def _close(self, closed: _Open) -> None:
        if closed.names:
            raise ValueError
        if closed.before == self.taken:
            return
        for start, end in closed.logprobs:
            empty = b"[]" if self.body[start] == 0x5B else b"null"
            if self.body[start:end] not in (b"null", b"[]"):
                self.edits.append((start, end, empty))
                self.dropped += 1


def _name(body: bytes, at: int) -> tuple[str, int]:
    """A member's name, and where its value begins."""
    quoted = _STRING.match(body, at)
    if quoted is None:
        raise ValueError
    at = _skip_blanks(body, quoted.end())
    if body[at] != 0x3A:
        raise ValueError
    return sound(json.loads(quoted[0])), _skip_blanks(body, at + 1)


def _skip_blanks(body: bytes, at: int) -> int:
    if body[at] > 0x20:
        return at
    blank = _BLANK.match(body, at)
    return blank.end() if blank is not None else at


def _skip(body: bytes, at: int) -> int:
    """Where the value that begins at `at` ends."""
    kind = body[at]
    if kind in b"{[":
        return _skip_container(body, at)
    token = (_STRING if kind == 0x22 else _SCALAR).match(body, at)
    if token is None:
        raise ValueError
    return token.end()


def _skip_container(body: bytes, at: int) -> int:
    depth = 0
    for token in _tokens(body, at):
        mark = body[token]
        if mark in b"{[":
            depth += 1
        elif mark in b"}]":
            depth -= 1
            if not depth:
                return token + 1
    raise ValueError


def _tokens(body: bytes, at: int) -> Iterator[int]:
    """Where strings and brackets begin."""
    for found in _TOKEN.finditer(body, at):
        yield found.start()
