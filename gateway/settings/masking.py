"""Texts of configuration files without their literal secrets, and back: what a history may keep, and how a file is made
of it again.

A literal at a secret place becomes `"[masked]"`; `${env:NAME}` and `${file:/path}` stay as they are, but for a default
that is written into one. Everything else keeps its bytes, so that comments and the order of things are kept. Back, each
mask is replaced by the literal that stands at the same place of the files as they are now: a secret that was changed
since stays changed, and none is ever kept.

A place is told by names, and in a list by an item's `id` or `name`. An item that has neither is only filled where its
whole list is, but for secrets, what it was: else a secret might go to somebody else.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

import yaml

from gateway.settings.yaml_marks import Place, hidden_runs, hide

MASK = "[masked]"
_TOKEN = re.compile(r"\$\{(env|file):([^{}]*?)(?::-([^{}]*))?\}")
_PROPERTIES = re.compile(r"(?:[&!][^\s]*\s+)+")
_DIGEST = re.compile(r"(?<![0-9A-Fa-f])[0-9A-Fa-f]{64}(?![0-9A-Fa-f])")

Step = str | int | tuple[str, str]
"""A name; or of a list's item its place in it, or its `id` or `name`."""


class Spot(NamedTuple):
    """One scalar value of a file."""

    path: tuple[Step, ...]
    place: tuple[int, int]
    """Line and column, from 1, of its beginning (of its anchor, if it has one)."""
    start: int
    """Where its text begins, in characters."""
    end: int
    value: str
    """What it says, variables as they are written."""


class Lost(Exception):
    """Masks that nothing can be put in place of. `places`: where they stand, such as `providers.openai.api_key`."""

    def __init__(self, places: list[str]) -> None:
        super().__init__(", ".join(places))
        self.places = places


def masked(text: str, secrets: Iterable[Place]) -> str:
    """`text` with what stands at these places masked. Its own text of a mask counts as a secret."""
    at = {(place.line, place.column) for place in secrets}
    pieces: list[str] = []
    done = 0
    for spot in spots(text):
        if (spot.place in at or spot.value == MASK) and (put := _masked(spot.value)) is not None:
            pieces += [text[done : spot.start], put]
            done = spot.end
    return "".join([*pieces, text[done:]])


def filled(texts: Mapping[str, str], now: Mapping[str, str]) -> dict[str, str]:
    """Masked files with secrets as the files have them `now`, both by name. Raises `Lost`."""
    wanted = {spot.path for text in texts.values() for spot in spots(text) if MASK in spot.value}
    literals: dict[tuple[Step, ...], str] = {}
    now_masked: dict[str, str] = {}
    for name, text in now.items():
        found = [spot for spot in spots(text) if spot.path in wanted]
        literals |= {spot.path: text[spot.start : spot.end] for spot in found}
        now_masked[name] = masked(text, (Place(name, *spot.place) for spot in found))
    shown = {spot.path: spot.value for text in now_masked.values() for spot in spots(text)}
    lists = _lists(spot for text in now_masked.values() for spot in spots(text))
    made: dict[str, str] = {}
    lost: list[str] = []
    for name, text in texts.items():
        pieces: list[str] = []
        done = 0
        found = spots(text)
        mine = _lists(found)
        for spot in found:
            if MASK not in spot.value:
                continue
            if shown.get(spot.path) != spot.value or not _settled(spot.path, mine, lists):
                lost.append(spoken(spot.path))
                continue
            pieces += [text[done : spot.start], literals[spot.path]]
            done = spot.end
        made[name] = "".join([*pieces, text[done:]])
    if lost:
        raise Lost(lost)
    return made


def for_eyes(text: str) -> str:
    """A kept text as it is shown: digests of keys cut out, because a weak key could be tried out against its digest."""
    return _DIGEST.sub("…", text)


def spoken(path: tuple[Step, ...]) -> str:
    """`providers.openai.api_key`, `teams.search.keys[search-dev].hash`."""
    text = ""
    for step in path:
        if isinstance(step, str):
            text += f".{step}" if text else step
        else:
            text += f"[{step if isinstance(step, int) else step[1]}]"
    return text


def spots(text: str) -> list[Spot]:
    """Every scalar value of a file that can be read as YAML; of one that cannot, those before the mistake."""
    found: list[Spot] = []
    try:
        for spot in _Walk(hide(text)).values():
            found.append(spot)
    except (yaml.YAMLError, StopIteration, RuntimeError):
        return found
    return found


def _masked(value: str) -> str | None:
    """What is written in place of a secret; None: it is made of references, which may be seen."""
    pieces: list[str] = []
    done = 0
    for token in _TOKEN.finditer(value):
        if token.start() > done:
            pieces.append(MASK)
        source, name, default = token.groups()
        pieces.append(token[0] if not default else f"${{{source}:{name}:-{MASK}}}")
        done = token.end()
    if done < len(value):
        pieces.append(MASK)
    return f'"{"".join(pieces)}"' if any(MASK in piece for piece in pieces) else None


def _settled(
    path: tuple[Step, ...], mine: Mapping[tuple[Step, ...], object], now: Mapping[tuple[Step, ...], object]
) -> bool:
    """Whether every list on the way whose items have no name is, but for secrets, what it was."""
    around = [path[:at] for at, step in enumerate(path) if isinstance(step, int)]
    return all(mine[each] == now.get(each) for each in around)


def _lists(found: Iterable[Spot]) -> dict[tuple[Step, ...], list[tuple[tuple[Step, ...], str]]]:
    """What every list with nameless items holds."""
    lists: dict[tuple[Step, ...], list[tuple[tuple[Step, ...], str]]] = {}
    for spot in found:
        for at, step in enumerate(spot.path):
            if isinstance(step, int):
                lists.setdefault(spot.path[:at], []).append((spot.path[at:], spot.value))
    return lists


class _Walk:
    """One pass over the events of a text."""

    def __init__(self, hidden: str) -> None:
        self._text = hidden
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        self._events: Iterator[yaml.Event] = yaml.parse(hidden, loader)

    def values(self) -> Iterator[Spot]:
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                yield from self._node(next(self._events), ())

    def _node(self, event: yaml.Event, path: tuple[Step, ...]) -> Iterator[Spot]:
        if isinstance(event, yaml.ScalarEvent):
            yield self._spot(event, path)
        elif isinstance(event, yaml.MappingStartEvent):
            while not isinstance(key := next(self._events), yaml.MappingEndEvent):
                name = key.value if isinstance(key, yaml.ScalarEvent) else ""
                if not isinstance(key, yaml.ScalarEvent):
                    for _ in self._node(key, path):
                        pass
                yield from self._node(next(self._events), (*path, name))
        elif isinstance(event, yaml.SequenceStartEvent):
            at = 0
            while not isinstance(item := next(self._events), yaml.SequenceEndEvent):
                yield from _named(list(self._node(item, (*path, at))), len(path))
                at += 1

    def _spot(self, event: yaml.ScalarEvent, path: tuple[Step, ...]) -> Spot:
        start, end = event.start_mark, event.end_mark
        if start is None or end is None:  # libyaml always says where
            return Spot(path, (0, 0), 0, 0, "")
        before = _PROPERTIES.match(self._text, start.index, end.index) if event.anchor or event.tag else None
        begin = start.index if before is None else before.end()
        stop = begin + len(self._text[begin : end.index].rstrip())
        value = "".join(piece for piece, _ in hidden_runs(event.value))
        return Spot(path, (start.line + 1, start.column + 1), begin, stop, value)


def _named(item: list[Spot], depth: int) -> list[Spot]:
    """The values of one item of a list, by its `id` or `name` where it has one."""
    own = {spot.path[-1]: spot.value for spot in item if len(spot.path) == depth + 2}
    for field in ("id", "name"):
        value = own.get(field)
        if value and MASK not in value:
            step: Step = (field, value)
            return [spot._replace(path=(*spot.path[:depth], step, *spot.path[depth + 1 :])) for spot in item]
    return item
