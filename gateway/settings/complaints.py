"""What pydantic found, as problems with a place and with what is allowed. Never repeats a value."""

import types
from collections.abc import Iterator
from typing import Annotated, Any, Union, cast, get_args, get_origin

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from gateway.settings.interpolate import DataPath
from gateway.settings.nearest import hint, listed
from gateway.settings.schema_base import Duration, Percent, Section, Size
from gateway.settings.yaml_marks import Mapping, Node, Place, Problem, Sequence

_PLAIN = {
    "int_parsing": "this is not a whole number; allowed is a whole number",
    "int_type": "this is not a whole number; allowed is a whole number",
    "int_parsing_size": "this number is too large",
    "int_from_float": "this is not a whole number; allowed is a whole number",
    "float_parsing": "this is not a number; allowed is a number",
    "float_type": "this is not a number; allowed is a number",
    "bool_parsing": "this is not a switch; allowed are on and off",
    "bool_type": "this is not a switch; allowed are on and off",
    "string_type": "this is not text; allowed is text",
    "string_too_short": "this is empty; allowed is text",
    "list_type": "this is not a list; allowed is a list such as [a, b]",
    "dict_type": "this is not a mapping; allowed are names with values under them",
    "too_short": "this list is empty; allowed is a list with one value or more",
}
_BOUNDS = {
    "greater_than": "this is too small; allowed is more than {gt}",
    "greater_than_equal": "this is too small; allowed is {ge} or more",
    "less_than": "this is too large; allowed is less than {lt}",
    "less_than_equal": "this is too large; allowed is {le} or less",
}


def complaints(error: ValidationError, root: type[Section], tree: Mapping, failed: set[DataPath]) -> Iterator[Problem]:
    """Every problem of a validation. `failed`: values with a problem already, which are not complained of again."""
    for detail in error.errors(include_url=False, include_input=False):
        path = real_path(tree, detail["loc"])
        if path in failed:
            continue
        yield Problem(_place(tree, path, detail), _message(detail, root))


def real_path(tree: Node, loc: DataPath) -> DataPath:
    """pydantic's location without the steps that name a branch of a union or a mapping's key."""
    path: list[str | int] = []
    node: Node | None = tree
    for at, step in enumerate(loc):
        below = _below(node, step)
        if below is None and (at < len(loc) - 1 or (isinstance(step, str) and step[:1] in ("<", "["))):
            continue
        path.append(step)
        node = below
    return tuple(path)


def place_of(tree: Node, path: DataPath, *, key: bool = False) -> Place:
    """Where the value at `path` is written, or the nearest thing above it that is; `key`: where its name is."""
    node, place = tree, tree.place
    for step in path:
        below = _below(node, step)
        if below is None:
            return place
        named = isinstance(node, Mapping) and (key or isinstance(below, Mapping))
        # A block mapping begins at its first name; the line that names the mapping is what a person looks for.
        place = cast(Mapping, node).keys[cast(str, step)] if named else below.place
        node = below
    return place


def _below(node: Node | None, step: str | int) -> Node | None:
    if isinstance(node, Mapping) and isinstance(step, str):
        return node.entries.get(step)
    if isinstance(node, Sequence) and isinstance(step, int) and 0 <= step < len(node.items):
        return node.items[step]
    return None


def _place(tree: Mapping, path: DataPath, detail: ErrorDetails) -> Place:
    return place_of(tree, path, key=detail["type"] == "extra_forbidden" or detail["loc"][-1:] == ("[key]",))


def _message(detail: ErrorDetails, root: type[Section]) -> str:
    kind, loc, context = detail["type"], detail["loc"], detail.get("ctx", {})
    name = str(loc[-1]) if loc else ""
    if kind == "extra_forbidden":
        known = fields_at(root, loc[:-1])
        if name == "true" and "on" in known:
            return "unknown key 'true', which programs that read YAML 1.1 make of on; write on, or \"on\" there"
        return f"unknown key '{name[:80]}'; {hint(name, known)}"
    if kind == "missing":
        described = fields_at(root, loc[:-1]).get(name, "") or "it has no default"
        acronym = described[:2].isupper()
        return f"'{name}' is missing; {described if acronym else described[0].lower() + described[1:]}"
    if kind == "literal_error":
        words = str(context.get("expected", "")).replace(" or ", ", ")
        names = fields_at(root, loc)
        mapping = f" and a mapping of {', '.join(names)}" if names else ""
        return f"this value is not known; allowed are {words}{mapping}"
    if kind == "value_error":
        return str(context.get("error", "this value is not allowed"))
    if kind in _BOUNDS:
        return _BOUNDS[kind].format(**{of: _spelt(bound, _unit_at(root, loc)) for of, bound in context.items()})
    if kind in ("model_type", "model_attributes_type", "dataclass_type"):
        return f"this is not a mapping; allowed are the names {listed(fields_at(root, loc))}"
    if kind == "list_type" and (names := fields_at(root, (*loc, 0))):
        return f"this is not a list; allowed is a list of mappings with the names {listed(names)}"
    return _PLAIN.get(kind, "this value is not allowed here")


def fields_at(root: type[Section], loc: DataPath) -> dict[str, str]:
    """Names and descriptions of the section that stands at a pydantic location; empty when none does."""
    kind: Any = root
    for step in loc:
        if isinstance(step, str) and step[:1] in ("<", "["):
            continue
        kind = _inside(kind, step)
    section = _section(kind)
    if section is None:
        return {}
    return {field.alias or name: field.description or "" for name, field in section.model_fields.items()}


def _unit_at(root: type[Section], loc: DataPath) -> Any:
    """`Percent`, `Duration` or `Size`, if that is what stands at a pydantic location."""
    kind: Any = root
    marks: list[Any] = []
    for step in loc:
        if isinstance(step, str) and step[:1] in ("<", "["):
            continue
        section = _section(kind)
        field = (
            None
            if section is None
            else next((field for name, field in section.model_fields.items() if step in (name, field.alias)), None)
        )
        if field is not None:
            marks = [*field.metadata, *_marks(field.annotation)]
        kind = _inside(kind, step)
    return next((unit for unit in (Percent, Duration, Size) if get_args(unit)[1] in marks), None)


def _marks(kind: Any) -> Iterator[Any]:
    """What `Annotated` says within an annotation."""
    if get_origin(kind) is Annotated:
        yield from get_args(kind)[1:]
    for part in get_args(kind):
        yield from _marks(part) if get_origin(part) is not None else ()


def _spelt(bound: Any, unit: Any) -> str:
    """A bound as one writes it: 50%, 1m, 1MiB."""
    if unit is Percent:
        return f"{bound * 100:g}%"
    if unit is Duration:
        sizes = ((1e-3, "ms"), (1, "s"), (60, "m"), (3600, "h"), (86_400, "d"))
        size, name = next(((s, n) for s, n in reversed(sizes) if bound and (bound / s).is_integer()), (1, "s"))
        return f"{bound / size:g}{name}"
    if unit is Size:
        size, name = next(
            ((1 << p, n) for p, n in ((30, "GiB"), (20, "MiB"), (10, "KiB")) if bound and not bound % (1 << p)),
            (1, "B"),
        )
        return f"{bound // size}{name}"
    return str(bound)


def _inside(kind: Any, step: str | int) -> Any:
    section = _section(kind)
    if section is not None and isinstance(step, str):
        for name, field in section.model_fields.items():
            if step in (name, field.alias):
                return field.annotation
        return None
    for option in options(kind):
        if get_origin(option) in (list, dict):
            return get_args(option)[-1]
    return None


def _section(kind: Any) -> type[Section] | None:
    return next((o for o in options(kind) if isinstance(o, type) and issubclass(o, Section)), None)


def options(kind: Any) -> list[Any]:
    """The types that an annotation allows, with `Annotated` and unions opened."""
    origin = get_origin(kind)
    if origin is Annotated:
        return options(get_args(kind)[0])
    if origin in (Union, types.UnionType):
        return [option for part in get_args(kind) for option in options(part)]
    return [kind]
