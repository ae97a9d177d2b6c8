"""Written configurations as a history keeps them, compared, and made into files again.

A version is the YAML files of a configuration (prices that stand in a file of their own included, files of terms not),
by their name relative to the main file, with literal secrets masked (`masking.py`).
"""

import difflib
import os
import posixpath
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import cast

from pydantic import SecretStr

from gateway.ledger.config_history import KeptFile
from gateway.settings.diff import MOST_LINES, data_difference
from gateway.settings.interpolate import Data, DataPath
from gateway.settings.load import Written, leaves
from gateway.settings.masking import for_eyes, masked
from gateway.settings.yaml_marks import Mapping as MappingNode
from gateway.settings.yaml_marks import Node, Place, Problem, Scalar, YamlError, decode, hidden_runs, parse
from gateway.settings.yaml_marks import Sequence as SequenceNode

CONTEXT = 3
"""Lines around a change in a difference of texts."""


def source_of(path: Path | str) -> str:
    """What the history of a configuration goes by."""
    return os.path.abspath(path)


def kept_files(written: Written) -> list[KeptFile]:
    """A configuration's files with their literal secrets masked. Raises `YamlError` for a text that is none."""
    secrets = list(_secret_places(written))
    kept: list[KeptFile] = []
    for path, data in written.texts.items():
        name = relative(written.path, path)
        here = [place for place in secrets if place.file == str(path)]
        kept.append(KeptFile(name, masked(decode(data, name), here)))
    return kept


def relative(main: Path, path: Path) -> str:
    """A file's name as a history has it: from the directory of the main file, with slashes."""
    return os.path.relpath(os.path.abspath(path), os.path.dirname(os.path.abspath(main))).replace(os.sep, posixpath.sep)


def text_difference(old: Sequence[KeptFile], new: Sequence[KeptFile], old_name: str, new_name: str) -> list[str]:
    """A unified difference of all files, without line ends; digests of keys are cut out of it."""
    before, after = ({file.name: file.text for file in files} for files in (old, new))
    lines: list[str] = []
    for name in dict.fromkeys([*before, *after]):
        one, other = before.get(name), after.get(name)
        if one == other:
            continue
        titles = (
            f"{name} ({old_name})" if one is not None else "/dev/null",
            f"{name} ({new_name})" if other is not None else "/dev/null",
        )
        made = difflib.unified_diff(_lines(one), _lines(other), *titles, lineterm="", n=CONTEXT)
        lines += [for_eyes(line) for line in made]
    return lines


def meaning_difference(old: Sequence[KeptFile], new: Sequence[KeptFile]) -> list[str]:
    """What it means, as `diff.difference` words it, variables as they are written; at most 200 lines. A literal secret
    that changed is not among them: both are masked."""
    lines = list(data_difference(_data(old), _data(new)))
    more = len(lines) - MOST_LINES
    return lines if more <= 0 else [*lines[:MOST_LINES], f"and {more} more"]


def _lines(text: str | None) -> list[str]:
    return [] if text is None else text.splitlines()


def _secret_places(written: Written) -> Iterator[Place]:
    """Where the values of secret fields are written."""
    for path, value in leaves(written.root):
        if isinstance(value, SecretStr) and written.nodes is not None:
            node = _at(written.nodes, path)
            if isinstance(node, Scalar):
                yield node.place


def _at(node: Node | None, path: DataPath) -> Node | None:
    for step in path:
        if isinstance(node, MappingNode) and isinstance(step, str):
            node = node.entries.get(step)
        elif isinstance(node, SequenceNode) and isinstance(step, int) and step < len(node.items):
            node = node.items[step]
        else:
            return None
    return node


def _data(files: Sequence[KeptFile]) -> dict[str, Data]:
    """All files as one tree. They were one when they were kept, so that no name stands in two of them."""
    main = _parsed(files[0]) if files else {}
    prices = main.get("prices")
    for file in files[1:]:
        tree = _parsed(file)
        if isinstance(prices, str) and posixpath.normpath(prices) == file.name:
            main["prices"] = tree
        else:
            _merge(main, tree)
    return main


def _merge(into: dict[str, Data], tree: Mapping[str, Data]) -> None:
    for name, value in tree.items():
        mine = into.get(name)
        if isinstance(mine, dict) and isinstance(value, dict):
            _merge(mine, value)
        elif mine is None:
            into[name] = value


def _parsed(file: KeptFile) -> dict[str, Data]:
    problems: list[Problem] = []
    try:
        found = _plain(parse(file.text.encode(), file.name, problems))
    except YamlError:
        return {}
    return cast("dict[str, Data]", found) if isinstance(found, dict) else {}


def _plain(node: Node) -> Data:
    if isinstance(node, MappingNode):
        return {name: _plain(value) for name, value in node.entries.items()}
    if isinstance(node, SequenceNode):
        return [_plain(item) for item in node.items]
    return None if node.text is None else "".join(piece for piece, _ in hidden_runs(node.text))
