"""Instances conform to their schemas, whatever pydantic can write as one."""

from enum import Enum
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from loadtest.mock.instance import instance_of


class Colour(Enum):
    RED = "red"


class Node(BaseModel):
    value: int
    children: list["Node"] = []
    parent: "Node | None" = None


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")
    colour: Colour
    level: Literal["low", "high"]
    name: Annotated[str, Field(min_length=9, max_length=12)]
    ratio: Annotated[float, Field(gt=0, lt=0.7)]
    even: Annotated[int, Field(ge=5, multiple_of=2)]
    pair: tuple[int, str]
    many: Annotated[list[bool], Field(min_length=3)]
    either: int | str
    maybe: str | None
    mail: Annotated[str, Field(json_schema_extra={"format": "email"})]
    tree: Node
    table: dict[str, int]


@pytest.mark.parametrize("kind", [Strict, Node, list[Strict], dict[str, Node], Colour, int | None, tuple[int, int]])
def test_the_instance_validates(kind: Any) -> None:
    adapter = TypeAdapter(kind)
    adapter.validate_python(instance_of(adapter.json_schema()), strict=False)


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


_LEAF = st.one_of(
    st.integers(-50, 50).flatmap(
        lambda low: st.integers(low, 60).map(lambda high: {"type": "integer", "minimum": low, "maximum": high})
    ),
    st.integers(0, 20).map(lambda n: {"type": "string", "minLength": n, "maxLength": n + 1}),
    st.sampled_from([{"type": "boolean"}, {"type": "null"}, {"type": "number"}, {"const": 3}, {"enum": ["a", 1]}]),
)
_SCHEMA = st.recursive(
    _LEAF,
    lambda below: st.one_of(
        st.dictionaries(st.text(max_size=4), below, max_size=3).map(_object),
        st.tuples(below, st.integers(0, 3)).map(lambda p: {"type": "array", "items": p[0], "minItems": p[1]}),
        st.lists(below, min_size=1, max_size=3).map(lambda options: {"anyOf": options}),
    ),
    max_leaves=8,
)


def _conforms(value: Any, schema: dict[str, Any]) -> bool:
    if "anyOf" in schema:
        return any(_conforms(value, option) for option in schema["anyOf"])
    if "const" in schema:
        return value == schema["const"]
    if "enum" in schema:
        return value in schema["enum"]
    match schema["type"]:
        case "object":
            return set(schema["required"]) <= set(value) and all(
                _conforms(value[k], below) for k, below in schema["properties"].items()
            )
        case "array":
            return len(value) >= schema["minItems"] and all(_conforms(item, schema["items"]) for item in value)
        case "integer":
            return type(value) is int and schema["minimum"] <= value <= schema["maximum"]
        case "string":
            return schema["minLength"] <= len(value) <= schema["maxLength"]
        case kind:
            return isinstance(value, {"boolean": bool, "null": type(None), "number": float}[kind])


@given(_SCHEMA)
def test_any_schema_of_the_supported_keywords_is_met(schema: dict[str, Any]) -> None:
    assert _conforms(instance_of(schema), schema)
