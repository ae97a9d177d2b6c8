"""YAML read into nodes that know their place, so that every complaint can name file, line and column.

Strategy: libyaml's event stream, composed here rather than by PyYAML, because a configuration needs what its composer
does not give: duplicate names are errors, depth and size are bounded (an alias bomb is refused, a cycle cannot be
written), and no scalar changes its type behind the writer's back. Every scalar stays text and the schema decides what
it means: `off`, `no`, `on` are words (YAML 1.1 would make booleans of them), `007` keeps its zeros, `1.10` its zero.
Only an empty plain scalar, `~` and `null` mean nothing (None).

`${…}` is hidden from the YAML scanner, since in `{api_key: ${env:X}}` its braces would end the mapping. `hide` moves
each of its characters to a private-use plane, one for one, so that columns stay true; `interpolate.py` brings it back.
"""

import re
from collections.abc import Iterator
from typing import TypeAlias

import msgspec
import yaml

MAX_BYTES = 16 * 1024 * 1024
MAX_DEPTH = 64
MAX_NODES = 500_000
"""Nodes of one file, counted with every use of an alias."""

_EXPRESSION = re.compile("\\$\\$?\\{[^{}\\x00-\\x1f\\x7f-\\x9f\u2028\u2029\ufeff\ufffe\uffff\U00010000-\U0010ffff]*\\}")
_PRIVATE = 0xF0000
_HIDDEN = re.compile("[\U000f0000-\U000fffff]+")
_NOTHING = frozenset({"", "~", "null", "Null", "NULL"})
_QUOTED = re.compile(r"(['\"]).{2,}\1", re.DOTALL)


class Place(msgspec.Struct, frozen=True, order=True):
    """Where something is written; line and column count from 1."""

    file: str
    line: int = 1
    column: int = 1

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


class Problem(msgspec.Struct, frozen=True, order=True):
    """One thing that is wrong, and what is allowed instead."""

    place: Place
    message: str

    def __str__(self) -> str:
        return f"{self.place}: {self.message}"


class YamlError(Exception):
    """A file that cannot be read as YAML at all."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


class Scalar(msgspec.Struct, frozen=True):
    """One written value. `text` is None for nothing; it may hold hidden `${…}`."""

    text: str | None
    place: Place
    plain: bool = True


class Sequence(msgspec.Struct, frozen=True):
    items: tuple["Node", ...]
    place: Place
    size: int = 1


class Mapping(msgspec.Struct, frozen=True):
    entries: dict[str, "Node"]
    keys: dict[str, Place]
    """Where each name is written."""
    place: Place
    size: int = 1


Node: TypeAlias = Scalar | Sequence | Mapping


def hide(text: str) -> str:
    """Move every `${…}` and `$${…}` to the private-use plane, one character for one."""
    return _EXPRESSION.sub(lambda found: "".join(chr(_PRIVATE + ord(c)) for c in found[0]), text)


def hidden_runs(text: str) -> Iterator[tuple[str, bool]]:
    """The pieces of a scalar's text in order: (piece, whether it was hidden), brought back to what was written."""
    at = 0
    for found in _HIDDEN.finditer(text):
        if found.start() > at:
            yield text[at : found.start()], False
        yield "".join(chr(ord(c) - _PRIVATE) for c in found[0]), True
        at = found.end()
    if at < len(text):
        yield text[at:], False


def size_of(node: Node) -> int:
    """Nodes in the tree under `node`, itself included, every alias counted."""
    return 1 if isinstance(node, Scalar) else node.size


def decode(data: bytes, file: str) -> str:
    """The text of a file. Raises `YamlError` when it is too long or not UTF-8."""
    if len(data) > MAX_BYTES:
        raise YamlError(Problem(Place(file), f"the file has {len(data)} bytes; allowed are {MAX_BYTES}"))
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        column = len(before[before.rfind(b"\n") + 1 :].decode("utf-8", "replace")) + 1
        place = Place(file, before.count(b"\n") + 1, column)
        raise YamlError(Problem(place, "this byte is not UTF-8; allowed is text in UTF-8")) from None
    if (found := _HIDDEN.search(text)) is not None:
        before_text = text[: found.start()]
        column = len(before_text) - before_text.rfind("\n")
        place = Place(file, before_text.count("\n") + 1, column)
        raise YamlError(Problem(place, "this character is of a private-use plane; allowed are ordinary characters"))
    return text


def parse(data: bytes, file: str, problems: list[Problem]) -> Node:
    """Read one YAML document. What can be read past (a name written twice, a tag) is added to `problems`; raises
    `YamlError` when the rest cannot be read."""
    text = hide(decode(data, file))
    try:
        return _Composer(text, file, problems).document()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Place(file, mark.line + 1, mark.column + 1) if mark else Place(file)
        raise YamlError(Problem(place, f"this is not valid YAML: {_explained(error, text, place)}")) from None
    except yaml.reader.ReaderError as error:
        before = text[: error.position]
        place = Place(file, before.count("\n") + 1, len(before) - before.rfind("\n"))
        raise YamlError(Problem(place, "this character is not allowed in YAML; allowed is printable text")) from None
    except yaml.YAMLError:
        raise YamlError(Problem(Place(file), "this is not valid YAML")) from None


def _explained(error: yaml.MarkedYAMLError, text: str, place: Place) -> str:
    """The library's reason without the words it quotes from the file, which may be a secret's."""
    lines = text.split("\n")
    if place.line <= len(lines) and lines[place.line - 1][place.column - 1 : place.column] == "\t":
        return "a tab cannot indent or start a value; allowed are spaces"
    reasons = [_QUOTED.sub("a word", _HIDDEN.sub("", reason)) for reason in (error.problem, error.context) if reason]
    return " ".join(reasons) or "it cannot be parsed"


class _Composer:
    """Builds nodes from events."""

    def __init__(self, text: str, file: str, problems: list[Problem]) -> None:
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        self._events: Iterator[yaml.Event] = yaml.parse(text, loader)
        self._file = file
        self._problems = problems
        self._anchors: dict[str, Node] = {}

    def document(self) -> Node:
        root: Node | None = None
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                if root is not None:
                    raise self._error(event, "this is a second document; allowed is one per file")
                root = self._node(next(self._events), 1)
        return root if root is not None else Scalar(None, Place(self._file))

    def _node(self, event: yaml.Event, depth: int) -> Node:
        if depth > MAX_DEPTH:
            raise self._error(event, f"this is nested too deeply; allowed are {MAX_DEPTH} levels")
        if isinstance(event, yaml.AliasEvent):
            found = self._anchors.get(event.anchor or "")
            if found is None:
                raise self._error(event, "this alias has no anchor before it; allowed is *NAME after &NAME is complete")
            return found
        if not isinstance(event, yaml.ScalarEvent | yaml.SequenceStartEvent | yaml.MappingStartEvent):
            raise self._error(event, "this is not a value")
        if event.tag is not None and event.tag != "!":
            self._note(event, "this has a YAML tag; tags are not allowed (quote a value that starts with !)")
        if isinstance(event, yaml.ScalarEvent):
            node: Node = self._scalar(event)
        elif isinstance(event, yaml.SequenceStartEvent):
            node = self._sequence(event, depth)
        else:
            node = self._mapping(event, depth)
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        return node

    def _scalar(self, event: yaml.ScalarEvent) -> Scalar:
        plain = event.style in (None, "")
        nothing = plain and event.value in _NOTHING
        return Scalar(None if nothing else event.value, self._place(event), plain)

    def _sequence(self, start: yaml.SequenceStartEvent, depth: int) -> Sequence:
        items: list[Node] = []
        size = 1
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            items.append(self._node(event, depth + 1))
            size = self._bounded(size + size_of(items[-1]), event)
        return Sequence(tuple(items), self._place(start), size)

    def _mapping(self, start: yaml.MappingStartEvent, depth: int) -> Mapping:
        entries: dict[str, Node] = {}
        keys: dict[str, Place] = {}
        merged: list[Mapping] = []
        size = 1
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key = self._node(event, depth + 1)
            below = next(self._events)
            value = self._node(below, depth + 1)
            size = self._bounded(size + size_of(key) + size_of(value), event)
            if not isinstance(key, Scalar) or key.text is None:
                raise self._error(event, "this name is empty or not a single word; allowed are names such as openai")
            if _HIDDEN.search(key.text):
                self._note(event, "a name cannot come from a variable; allowed is ${…} in values")
                continue
            if key.text == "<<" and key.plain:
                merged += self._merged(value, below)
                continue
            if key.text in keys:
                self._note(
                    event, f"'{key.text[:80]}' is already written at {keys[key.text]}; allowed is each name once"
                )
                continue
            entries[key.text] = value
            keys[key.text] = self._place(event)
        for source in merged:
            for name, value in source.entries.items():
                if name not in entries:
                    entries[name] = value
                    keys[name] = source.keys[name]
        return Mapping(entries, keys, self._place(start), size)

    def _merged(self, value: Node, event: yaml.Event) -> list[Mapping]:
        """The mappings that `<<` names; the first wins (https://yaml.org/type/merge.html)."""
        sources = value.items if isinstance(value, Sequence) else (value,)
        found = [source for source in sources if isinstance(source, Mapping)]
        if len(found) != len(sources):
            raise self._error(event, "<< needs a mapping; allowed is an alias of a mapping, or a list of them")
        return found

    def _bounded(self, size: int, event: yaml.Event) -> int:
        if size > MAX_NODES:
            raise self._error(event, f"aliases make this file too large; allowed are {MAX_NODES} values")
        return size

    def _place(self, event: yaml.Event) -> Place:
        mark = event.start_mark
        return Place(self._file, mark.line + 1, mark.column + 1) if mark is not None else Place(self._file)

    def _note(self, event: yaml.Event, message: str) -> None:
        self._problems.append(Problem(self._place(event), message))

    def _error(self, event: yaml.Event, message: str) -> YamlError:
        return YamlError(Problem(self._place(event), message))
