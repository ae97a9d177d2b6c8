"""An answer is the JSON that was asked for, or it is said where not."""

# ruff: noqa: E501 (cases are read line by line)
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardrails.injection.schema import MOST_STEPS, fault, validity

CITY = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "minLength": 1, "maxLength": 9},
        "size": {"type": "integer", "minimum": 0, "exclusiveMaximum": 100},
        "kind": {"enum": ["town", "village"]},
        "tags": {"type": "array", "items": {"type": "string"}, "maxItems": 2},
        "twin": {"anyOf": [{"$ref": "#/$defs/city"}, {"type": "null"}]},
    },
    "required": ["name"],
    "additionalProperties": False,
}
SCHEMA = {"$defs": {"city": CITY}, "$ref": "#/$defs/city"}


@pytest.mark.parametrize(
    "answer",
    [
        '{"name": "Oslo"}',
        '{"name": "A", "size": 5.0, "kind": "town", "tags": ["x"], "twin": {"name": "B", "twin": null}}',
    ],
)
def test_valid(answer: str) -> None:
    assert fault(answer, SCHEMA) == ""
    assert validity(answer, SCHEMA) == []


@pytest.mark.parametrize(
    ("answer", "where"),
    [
        ("", "$"), ("{", "$"), ("[]", "$"), ("{}", "name"), ('{"name": ""}', "$.name"), ('{"name": "0123456789"}', "$.name"),
        ('{"name": 5}', "$.name"), ('{"name": "A", "size": true}', "$.size"), ('{"name": "A", "size": 1.5}', "$.size"),
        ('{"name": "A", "size": 100}', "$.size"), ('{"name": "A", "size": -1}', "$.size"), ('{"name": "A", "kind": "city"}', "$.kind"),
        ('{"name": "A", "tags": ["x", 1]}', "$.tags[1]"), ('{"name": "A", "tags": ["x", "y", "z"]}', "$.tags"),
        ('{"name": "A", "twin": {}}', "$.twin"), ('{"name": "A", "secret9": 1}', "$"),
    ],
)  # fmt: skip
def test_invalid_says_where_and_never_what(answer: str, where: str) -> None:
    said = fault(answer, SCHEMA)
    assert where in said
    assert "secret9" not in said
    [match] = validity(answer, SCHEMA)
    assert (match.type, match.rule, match.end) == ("INVALID_JSON", "schema.invalid", len(answer))


@pytest.mark.parametrize(
    ("value", "schema", "valid"),
    [
        (1, True, True), (1, False, False), (1, {"const": 1}, True), (True, {"const": 1}, False), (1, {"oneOf": [{"type": "number"}, {"type": "integer"}]}, False),
        (1.5, {"oneOf": [{"type": "number"}, {"type": "integer"}]}, True), (1, {"not": {"type": "string"}}, True), ("a", {"not": {"type": "string"}}, False),
        ([1, "a"], {"prefixItems": [{"type": "integer"}], "items": {"type": "string"}}, True), ([1, 2], {"prefixItems": [{}], "items": False}, False),
        (3, {"allOf": [{"minimum": 2}, {"maximum": 4}]}, True), (5, {"exclusiveMinimum": 5}, False), (None, {"type": ["null", "string"]}, True),
        ({"a": 1}, {"additionalProperties": {"type": "string"}}, False), ({}, {"minProperties": 1}, False),
        (1, {"$ref": "https://e.example/schema"}, False), (1, {"$ref": "#/nowhere"}, False),
    ],
)  # fmt: skip
def test_keywords(value: object, schema: dict[str, object] | bool, valid: bool) -> None:
    assert (fault(json.dumps(value), schema) == "") is valid


def test_no_schema_means_any_object() -> None:
    assert fault("{}", None) == ""
    assert fault("5", None)


def test_hostile_schemas_and_answers_end() -> None:
    assert fault("1", {"$ref": "#"})
    assert fault("[" * 100_000, {})
    branching: dict[str, object] = {"anyOf": [{"$ref": "#"}, {"$ref": "#"}], "type": "string"}
    assert fault("1", branching)
    wide = {"items": {"anyOf": [{"type": "string"}] * 50}}
    assert fault(json.dumps([1] * (MOST_STEPS // 10)), wide)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=12,
)


@given(JSON, JSON)
def test_never_raises_and_its_own_value_is_valid(value: object, schema: object) -> None:
    """ "Why the answer is not JSON of this schema …, "" if it is": a value is what is const to itself."""
    assert fault(json.dumps(value), {"const": json.loads(json.dumps(value))}) == ""
    assert isinstance(fault(json.dumps(value), schema if isinstance(schema, dict) else {}), str)
