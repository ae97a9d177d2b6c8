"""YAML files checked against msgspec types, with every complaint at its `file:line:column`."""

import re
from collections.abc import Callable
from difflib import get_close_matches
from pathlib import Path
from types import UnionType
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin

import msgspec
import yaml

T = TypeVar("T")
_AT = re.compile(r" - at `\$(?P<path>[^`]*)`$")
_STEP = re.compile(r"\.(?P<key>[A-Za-z_][\w-]*)|\[(?P<index>\d+|\.\.\.)\]")
_UNKNOWN = re.compile(r"unknown field `(?P<name>[^`]*)`")


class ScenarioError(ValueError):
    """A scenario file that cannot be used; the message starts with `file:line:column:`."""


def read_file(path: Path, kind: type[T], dec_hook: Callable[[type, Any], Any]) -> T:
    """Read `path` as `kind`. Raises ScenarioError when the file is missing, is not YAML, or does not fit."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ScenarioError(f"{path}: cannot be read: {error}") from None
    return read_text(text, kind, dec_hook, source=str(path))


def read_text(text: str, kind: type[T], dec_hook: Callable[[type, Any], Any], source: str = "<text>") -> T:
    """Read YAML `text` as `kind`; `source` names it in errors. Raises ScenarioError."""
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        data: Any = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{mark.line + 1}:{mark.column + 1}" if mark else "1:1"
        raise ScenarioError(f"{source}:{place}: not valid YAML: {error.problem}") from None
    except yaml.YAMLError as error:
        raise ScenarioError(f"{source}:1:1: not valid YAML: {error}") from None
    try:
        return msgspec.convert(data if data is not None else {}, kind, dec_hook=dec_hook, strict=True)
    except msgspec.ValidationError as error:
        raise ScenarioError(_locate(source, root, kind, str(error))) from None


def _locate(source: str, root: yaml.Node | None, kind: type, message: str) -> str:
    found = _AT.search(message)
    path = found["path"] if found else ""
    text = message[: found.start()] if found else message
    node = root
    for step in _STEP.finditer(path):
        below = _child(node, step["key"], step["index"])
        if below is None:
            break
        node = below
    if text.startswith("Invalid enum value") and (allowed := _allowed(kind, path)):
        text += f"; allowed are {', '.join(map(str, allowed))}"
    if unknown := _UNKNOWN.search(text):
        node = _key(node, unknown["name"]) or node
        near = get_close_matches(unknown["name"], _names(kind), n=1, cutoff=0.6)
        text += f"; did you mean `{near[0]}`?" if near else ""
    line, column = (node.start_mark.line + 1, node.start_mark.column + 1) if node else (1, 1)
    where = f" (at {path.lstrip('.')})" if path else ""
    return f"{source}:{line}:{column}: {text}{where}"


def _child(node: yaml.Node | None, key: str | None, index: str | None) -> yaml.Node | None:
    if isinstance(node, yaml.MappingNode):
        for name, value in node.value:
            if name.value == key:
                return value
    if isinstance(node, yaml.SequenceNode) and index is not None and index.isdigit() and int(index) < len(node.value):
        return node.value[int(index)]
    return None


def _key(node: yaml.Node | None, name: str) -> yaml.Node | None:
    if isinstance(node, yaml.MappingNode):
        for key, _ in node.value:
            if key.value == name:
                return key
    return None


def _allowed(kind: Any, path: str) -> list[object]:
    """The literals that may stand at `path` below `kind`."""
    kinds: list[Any] = [kind]
    for step in _STEP.finditer(path):
        below: list[Any] = []
        for item in _parts(kinds):
            if isinstance(item, type) and issubclass(item, msgspec.Struct):
                below += [field.type for field in msgspec.structs.fields(item) if field.encode_name == step["key"]]
            else:
                below += [a for a in get_args(item) if not isinstance(a, (str, int, float))]
        kinds = below
    return [value for item in _parts(kinds) if get_origin(item) is Literal for value in get_args(item)]


def _parts(kinds: list[Any]) -> list[Any]:
    """The kinds, with those that unions are made of in their place."""
    return [part for kind in kinds for part in (get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,))]


def _names(kind: Any) -> list[str]:
    """Every field name reachable from `kind`: the candidates for a misspelt one."""
    seen: set[Any] = set()
    names: set[str] = set()
    todo = [kind]
    while todo:
        item = todo.pop()
        if item in seen:
            continue
        seen.add(item)
        if isinstance(item, type) and issubclass(item, msgspec.Struct):
            for field in msgspec.structs.fields(item):
                names.add(field.encode_name)
                todo.append(field.type)
        else:
            arguments: tuple[Any, ...] = getattr(cast(Any, item), "__args__", ())
            todo.extend(a for a in arguments if not isinstance(a, (str, int, float)))
    return sorted(names)
