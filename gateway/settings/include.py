"""`include:` read and merged: several files become one tree of nodes, each still knowing its own place.

Mappings of the same name are merged, so that teams may live in a file each. Any other name that two files write is an
error naming both places: no file silently overrides another. `version` may stand in each.
"""

import glob
from collections.abc import Callable
from collections.abc import Mapping as MappingABC
from pathlib import Path

from gateway.settings.sources import Sources
from gateway.settings.yaml_marks import Mapping, Node, Place, Problem, Scalar, Sequence, YamlError, parse

MAX_FILES = 1000

Text = Callable[[Scalar], str | None]
"""Resolves a scalar's variables; None when it has a problem (which it has noted itself)."""


class Tree:
    """The configuration file and what it includes."""

    def __init__(
        self, path: Path, sources: Sources, problems: list[Problem], instead: MappingABC[Path, bytes] | None = None
    ) -> None:
        """`instead`: what is read in place of these (resolved) files."""
        self._sources = sources
        self._instead = instead or {}
        self._problems = problems
        self.files: list[Path] = []
        """Every file read or asked for, in order."""
        self.texts: dict[Path, bytes] = {}
        """What stood in those that could be read."""
        self._seen = {path.resolve()}
        self.root = self._read(path, Place(str(path)))

    def include(self, text: Text) -> Mapping:
        """Follow every `include:` and merge. `text` resolves variables in file names."""
        if self.root is None:
            return Mapping({}, {}, Place(str(self.files[0])))
        return self._followed(self.root, self.files[0], (self.files[0].resolve(),), text)

    def _followed(self, root: Mapping, path: Path, above: tuple[Path, ...], text: Text) -> Mapping:
        merged = root
        for pattern, place in self._patterns(root, text):
            for found in self._matches(path.parent, pattern):
                real = found.resolve()
                if real in self._seen and (real not in above or glob.has_magic(pattern)):
                    continue  # a pattern may match the including file, and two files may include a third
                if real in above:
                    chain = " → ".join(str(file.name) for file in (*above, real))
                    self._wrong(place, f"this file includes itself: {chain}; allowed is a tree of files")
                    continue
                if len(self.files) >= MAX_FILES:
                    self._wrong(place, f"too many files are included; allowed are {MAX_FILES}")
                    return merged
                self._seen.add(real)
                included = self._read(found, place)
                if included is not None:
                    included = self._followed(included, found, (*above, real), text)
                    merged = self._merged(merged, included, top=True)
        return merged

    def content(self, path: Path) -> bytes:
        """What stands in a file. Raises `OSError`."""
        self._sources.note(path)
        data = self._instead.get(path.resolve())
        data = self.texts[path] = path.read_bytes() if data is None else data
        return data

    def _read(self, path: Path, place: Place) -> Mapping | None:
        self.files.append(path)
        try:
            node = parse(self.content(path), str(path), self._problems)
        except YamlError as error:
            self._problems.append(error.problem)
            return None
        except OSError as error:
            self._wrong(place, f"this file cannot be read: {error.strerror}; allowed is a readable YAML file")
            return None
        if isinstance(node, Mapping):
            return node
        what = "is empty" if isinstance(node, Scalar) and node.text is None else "does not hold a mapping"
        self._wrong(node.place, f"the file {what}; allowed is a mapping such as 'version: 1' with providers and models")
        return None

    def _patterns(self, root: Mapping, text: Text) -> list[tuple[str, Place]]:
        node = root.entries.get("include")
        items = node.items if isinstance(node, Sequence) else (node,)
        patterns: list[tuple[str, Place]] = []
        for item in items:
            if isinstance(item, Scalar) and item.text is not None:
                if (name := text(item)) is not None:
                    patterns.append((name, item.place))
            elif item is not None and not (isinstance(item, Scalar) and item is node):
                self._wrong(item.place, "this is not a file name; allowed are names and patterns such as teams/*.yaml")
        return patterns

    def _matches(self, directory: Path, pattern: str) -> list[Path]:
        """Files that a name or pattern means, sorted. A pattern may match none; a plain name must exist."""
        if not glob.has_magic(pattern):
            return [directory / pattern]
        return self._sources.matches(directory, pattern)

    def _merged(self, left: Mapping, right: Mapping, *, top: bool = False) -> Mapping:
        entries, keys = dict(left.entries), dict(left.keys)
        for name, value in right.entries.items():
            if top and name == "include":
                continue
            mine = entries.get(name)
            if mine is None or _nothing(mine):
                entries[name], keys[name] = value, right.keys[name]
            elif isinstance(mine, Mapping) and isinstance(value, Mapping):
                entries[name] = self._merged(mine, value)
            elif not (top and name == "version" and _same(mine, value)) and not _nothing(value):
                self._wrong(
                    right.keys[name], f"'{name[:80]}' is already written at {keys[name]}; allowed is each name once"
                )
        return Mapping(entries, keys, left.place, left.size + right.size)

    def _wrong(self, place: Place, message: str) -> None:
        self._problems.append(Problem(place, message))


def _nothing(node: Node) -> bool:
    return isinstance(node, Scalar) and node.text is None


def _same(one: Node, other: Node) -> bool:
    return isinstance(one, Scalar) and isinstance(other, Scalar) and one.text == other.text
