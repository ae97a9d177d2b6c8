"""Finds every value of a small JSON document, with its path and its place in the bytes.

For streamed events, which are small (the SSE parser bounds them), so paths are built for all values.
"""

import json
import re
from collections.abc import Collection
from typing import NamedTuple

import msgspec

from gateway.wire.surfaces import CONTAINERS, Step, is_member

MAX_DEPTH = 64
"""Objects and arrays one inside the other; no provider comes near."""
MAX_VALUES = 20_000
"""Strings and numbers of one event, which bounds the time it can cost."""

REPEATED = frozenset(("logprobs", "token_ids"))
"""Members of known containers that repeat a text token by token."""
_KNOWN = CONTAINERS | frozenset(("delta", "content_block", "item", "part", "annotation", "response", "error"))
_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[\[\]{},:]|[^\s\[\]{},:"]+', re.DOTALL)
_raw = msgspec.json.Decoder(msgspec.Raw).decode

Path = tuple[Step, ...]


class Leaf(NamedTuple):
    """A string, a number, or a whole member of `REPEATED` (which is looked at no further)."""

    path: Path
    start: int
    end: int


class Scan(msgspec.Struct, gc=False):
    """What a document holds, in order."""

    leaves: list[Leaf]
    """Strings and numbers, and members of `REPEATED` that are objects or arrays; true, false and null are not among
    them."""
    names: list[tuple[Path, str]]
    """Every member name, with the path of its value;"""
    named: list[tuple[int, int]]
    """and where each stands, quotes included."""


def scan(data: bytes, repeated: Collection[str] = REPEATED, most: int = MAX_VALUES) -> Scan:
    """Every leaf of `data`. Raises `ValueError` for what is not JSON, is nested deeper than `MAX_DEPTH`, has more
    than `most`, or an object with a name given twice (of which clients take one or the other).
    `repeated`: names of members that are one value."""
    _check(data)
    path: list[Step] = []
    around: list[set[str] | None] = []
    found = Scan([], [], [])
    naming = False
    opaque = 0
    for token in _TOKEN.finditer(data):
        start, end = token.span()
        mark = data[start]
        if opaque:
            opaque += 1 if mark in b"{[" else -1 if mark in b"}]" else 0
            if not opaque:
                found.leaves[-1] = found.leaves[-1]._replace(end=end)
        elif mark in b"{[":
            if path and path[-1] in repeated and not is_free(tuple(path)):
                found.leaves.append(Leaf(tuple(path), start, end))
                opaque = 1
                continue
            if len(path) >= MAX_DEPTH:
                raise ValueError("nested too deeply")
            naming = mark == 0x7B
            around.append(set() if naming else None)
            path.append("" if naming else 0)
        elif mark in b"}]":
            around.pop()
            path.pop()
            naming = False
        elif mark == 0x2C:
            naming = around[-1] is not None
            if not naming:
                path[-1] = int(path[-1]) + 1
        elif naming and mark != 0x3A:
            path[-1] = _named(token[0], around[-1])
            found.names.append((tuple(path), path[-1]))
            found.named.append((start, end))
            naming = False
        elif mark != 0x3A and mark in b'"-0123456789':
            if len(found.leaves) >= most or len(found.names) >= 2 * most:
                raise ValueError("too many values")
            found.leaves.append(Leaf(tuple(path), start, end))
    return found


def is_free(path: Path) -> bool:
    """Whether a value is inside an object or array that is not a known container."""
    for at, step in enumerate(path[:-1]):
        if isinstance(step, str) and (step not in _KNOWN or (step == "input" and isinstance(path[at + 1], str))):
            return True
    return False


def is_open(path: Path, name: str) -> bool:
    """Whether a member's name may be text: any in an object that is not known, else what no API calls a member."""
    return not is_member(name) or is_free(path)


def text_of(raw: bytes) -> str:
    """A JSON string's text, lone surrogates included. Raises `ValueError` (also for invalid UTF-8)."""
    return json.loads(raw) if b"\\" in raw else raw[1:-1].decode()


def value_of(raw: bytes) -> str:
    """A string's text, or a number as it is written."""
    return text_of(raw) if raw[:1] == b'"' else raw.decode()


def _named(raw: bytes, names: set[str] | None) -> str:
    name = text_of(raw)
    if names is None or name in names:
        raise ValueError("a name is given twice")
    names.add(name)
    return name


def _check(data: bytes) -> None:
    try:
        _raw(data)
        data.decode()
    except msgspec.DecodeError:
        # Lone surrogates are JSON to Python, and to nobody else.
        try:
            json.loads(data)
        except RecursionError:
            raise ValueError("nested too deeply") from None
    except RecursionError:
        raise ValueError("nested too deeply") from None
