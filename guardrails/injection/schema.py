"""Whether an answer is the JSON that `response_format` asked for.

A subset of JSON Schema 2020-12, the one that providers accept for structured output: type, enum, const, properties,
required, additionalProperties, items, prefixItems, anyOf, oneOf, allOf, not, local `$ref`, and the bounds of numbers,
lengths and counts. Not judged: pattern, format, uniqueItems, dependent and conditional keywords (a schema's own
regular expression may take exponential time).
"""

import json
from collections.abc import Mapping, Sequence
from typing import cast

from guardrails.detector import Match

DEEPEST = 64
"""Levels of an answer and steps of references that are followed; deeper is invalid."""
MOST_STEPS = 200_000
"""Comparisons of a value with a schema; an answer that needs more is invalid."""

Schema = Mapping[str, object] | bool
_TYPES: Mapping[str, tuple[type, ...]] = {
    "object": (dict,), "array": (list,), "string": (str,), "boolean": (bool,), "null": (type(None),),
    "number": (int, float), "integer": (int,),
}  # fmt: skip


class _Invalid(Exception):
    """Where and why; the message never holds a value of the answer."""


class _Judge:
    def __init__(self, root: Schema) -> None:
        self._root = root
        self._steps = 0

    def check(self, value: object, schema: Schema, path: str, depth: int) -> None:
        """Raises _Invalid."""
        self._steps += 1
        if depth > DEEPEST or self._steps > MOST_STEPS:
            raise _Invalid(f"{path}: too deep or too large")
        if isinstance(schema, bool):
            if not schema:
                raise _Invalid(f"{path}: nothing is allowed here")
            return
        if isinstance(reference := schema.get("$ref"), str):
            self.check(value, self._resolve(reference, path), path, depth + 1)
        self._check_plain(value, schema, path)
        self._check_combined(value, schema, path, depth)
        if isinstance(value, dict):
            self._check_object(cast("dict[str, object]", value), schema, path, depth)
        elif isinstance(value, list):
            self._check_array(cast("list[object]", value), schema, path, depth)

    def _resolve(self, reference: str, path: str) -> Schema:
        place: object = self._root
        if reference != "#" and not reference.startswith("#/"):
            raise _Invalid(f"{path}: the schema refers to another document")
        for step in reference[2:].split("/") if len(reference) > 1 else []:
            known = _object(place)
            name = step.replace("~1", "/").replace("~0", "~")
            if name not in known:
                raise _Invalid(f"{path}: the schema refers to what is not there")
            place = known[name]
        return _schema(place)

    def _check_plain(self, value: object, schema: Mapping[str, object], path: str) -> None:
        if "type" in schema and not any(_is(value, name) for name in _names(schema["type"])):
            raise _Invalid(f"{path}: not of type {' or '.join(_names(schema['type']))}")
        if isinstance(allowed := schema.get("enum"), list) and not any(
            _same(value, one) for one in cast("list[object]", allowed)
        ):
            raise _Invalid(f"{path}: not one of the allowed values")
        if "const" in schema and not _same(value, schema["const"]):
            raise _Invalid(f"{path}: not the one allowed value")
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            _bounds(value, schema, path, "minimum", "maximum")
            if _number(low := schema.get("exclusiveMinimum")) is not None and value <= cast(float, low):
                raise _Invalid(f"{path}: too small")
            if _number(high := schema.get("exclusiveMaximum")) is not None and value >= cast(float, high):
                raise _Invalid(f"{path}: too large")
        elif isinstance(value, str):
            _bounds(len(value), schema, path, "minLength", "maxLength")

    def _check_combined(self, value: object, schema: Mapping[str, object], path: str, depth: int) -> None:
        for part in _list(schema.get("allOf")):
            self.check(value, _schema(part), path, depth + 1)
        options = _list(schema.get("anyOf"))
        if options and not any(self._fits(value, _schema(part), path, depth) for part in options):
            raise _Invalid(f"{path}: fits none of the alternatives")
        options = _list(schema.get("oneOf"))
        if options and sum(self._fits(value, _schema(part), path, depth) for part in options) != 1:
            raise _Invalid(f"{path}: does not fit exactly one of the alternatives")
        if "not" in schema and self._fits(value, _schema(schema["not"]), path, depth):
            raise _Invalid(f"{path}: is what it must not be")

    def _fits(self, value: object, schema: Schema, path: str, depth: int) -> bool:
        try:
            self.check(value, schema, path, depth + 1)
        except _Invalid:
            if self._steps > MOST_STEPS:
                raise
            return False
        return True

    def _check_object(self, value: dict[str, object], schema: Mapping[str, object], path: str, depth: int) -> None:
        for name in _list(schema.get("required")):
            if name not in value:
                raise _Invalid(f"{path}: the required {name!r} is missing")
        _bounds(len(value), schema, path, "minProperties", "maxProperties")
        properties = _object(schema.get("properties"))
        other = _schema(schema.get("additionalProperties", True))
        for name, part in value.items():
            if name in properties:
                self.check(part, _schema(properties[name]), f"{path}.{name}", depth + 1)
            elif other is False:
                raise _Invalid(f"{path}: a property that is not allowed")
            else:
                self.check(part, other, f"{path}.*", depth + 1)

    def _check_array(self, value: list[object], schema: Mapping[str, object], path: str, depth: int) -> None:
        _bounds(len(value), schema, path, "minItems", "maxItems")
        first = _list(schema.get("prefixItems"))
        rest = _schema(schema.get("items", True))
        for place, part in enumerate(value):
            self.check(part, _schema(first[place]) if place < len(first) else rest, f"{path}[{place}]", depth + 1)


def _is(value: object, name: str) -> bool:
    if isinstance(value, bool):
        return name == "boolean"
    if name == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, _TYPES.get(name, ()))


def _same(one: object, other: object) -> bool:
    """JSON's equality: 1 is 1.0, but true is not 1."""
    return isinstance(one, bool) == isinstance(other, bool) and one == other


def _names(kinds: object) -> list[str]:
    return [kinds] if isinstance(kinds, str) else [name for name in _list(kinds) if isinstance(name, str)]


def _list(value: object) -> Sequence[object]:
    return cast("list[object]", value) if isinstance(value, list) else ()


def _schema(value: object) -> Schema:
    return cast("Schema", value) if isinstance(value, (bool, Mapping)) else True


def _object(value: object) -> Mapping[str, object]:
    return cast("dict[str, object]", value) if isinstance(value, dict) else {}


def _number(value: object) -> float | None:
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _bounds(size: float, schema: Mapping[str, object], path: str, low: str, high: str) -> None:
    least, most = _number(schema.get(low)), _number(schema.get(high))
    if (least is not None and size < least) or (most is not None and size > most):
        raise _Invalid(f"{path}: outside of {low} and {high}")


def fault(answer: str, schema: Schema | None) -> str:
    """Why the answer is not JSON of this schema (None: any JSON object), "" if it is. Names places, never values."""
    try:
        value: object = json.loads(answer)
        if schema is None:
            return "" if isinstance(value, dict) else "$: not an object"
        _Judge(schema).check(value, schema, "$", 0)
    except _Invalid as invalid:
        return str(invalid)
    except (ValueError, RecursionError):
        return "$: not JSON"
    return ""


def validity(answer: str, schema: Schema | None) -> list[Match]:
    """The same as a match of the whole answer: type INVALID_JSON, rule `schema.invalid`."""
    return [Match("INVALID_JSON", 0, len(answer), 1.0, "schema.invalid", "checksum")] if fault(answer, schema) else []
