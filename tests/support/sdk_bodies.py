"""Bodies of the official SDKs' own types, in which every string is a mark that says where it stands.

From a type of parameters or of answers come a few hundred small bodies: each kind of message, part, item, block and
tool that the SDK knows is in one of them, with all of its members.
"""

import sys
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal, NotRequired, Required, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel
from typing_extensions import TypeAliasType, is_typeddict

_DEPTH = 9
_WRAPPERS = (Annotated, Required, NotRequired)
_LISTS = (list, Iterable, Sequence)
_NAMES = {**vars(typing), "ConfigDict": dict}


def bodies(kind: Any, mark: Callable[[str], str]) -> list[dict[str, Any]]:
    """Bodies of a type. `mark` gives the string for a place such as `.messages[].content[].text`."""
    return _values(kind, mark, "", ())


def _values(kind: Any, mark: Callable[[str], str], where: str, around: tuple[Any, ...]) -> list[Any]:
    """Values of a type, the fullest first; none of one that holds itself, or that nothing is known about."""
    origin = get_origin(kind)
    if isinstance(kind, TypeAliasType):
        return _values(kind.__value__, mark, where, around)
    if origin in _WRAPPERS:
        return _values(get_args(kind)[0], mark, where, around)
    if origin in (Union, types.UnionType):
        choices = [each for each in get_args(kind) if each is not type(None)]
        return [value for each in choices for value in _values(each, mark, where, around)]
    if origin in _LISTS:
        return [[value] for value in _values(get_args(kind)[0], mark, where + "[]", around)]
    if origin in (dict, Mapping):
        inner = _values(get_args(kind)[1], mark, where + "{}", around)
        return [*({"member": value} for value in inner), {mark(where + "{name}"): True}]
    if origin is Literal:
        return [get_args(kind)[0]]
    if kind in (object, Any, dict):
        return [mark(where), {"free": mark(where + ".free")}]
    if is_typeddict(kind) or (isinstance(kind, type) and issubclass(kind, BaseModel)):
        return [] if kind in around or len(around) >= _DEPTH else _objects(kind, mark, where, (*around, kind))
    return {str: [mark(where)], int: [1], float: [0.5], bool: [True]}.get(kind, [])


def _objects(kind: Any, mark: Callable[[str], str], where: str, around: tuple[Any, ...]) -> list[dict[str, Any]]:
    """One object with all members, and one for each other value that a member may have."""
    least: dict[str, Any] = {}
    full: dict[str, Any] = {}
    others: list[tuple[str, Any]] = []
    for name, (inner, required) in _members(kind).items():
        values = _values(inner, mark, f"{where}.{name}", around)
        if not values:
            if required:
                return []
            continue
        if required or name in ("type", "role"):
            least[name] = values[0]
        full[name] = values[0]
        others += [(name, value) for value in values[1:]]
    return [full, *({**least, name: value} for name, value in others)]


def _members(kind: Any) -> dict[str, tuple[Any, bool]]:
    hints = get_type_hints(kind, vars(sys.modules[kind.__module__]), _NAMES, include_extras=True)
    if not is_typeddict(kind):
        return {field.alias or name: (hints[name], field.is_required()) for name, field in kind.model_fields.items()}
    members: dict[str, tuple[Any, bool]] = {}
    for name, hint in hints.items():
        told = name
        if get_origin(hint) is Required:
            hint = get_args(hint)[0]
        if get_origin(hint) is Annotated:
            told = next((alias for each in hint.__metadata__ if (alias := getattr(each, "alias", None))), name)
        members[told] = (hint, name in kind.__required_keys__)
    return members
