"""The schema that editors get: complete, and agreeing with what the loader accepts."""

import json
import re
from pathlib import Path

import yaml

from gateway.settings.json_schema import json_schema

ROOT = Path(__file__).parents[3]
SCHEMA = json_schema()


def definitions() -> dict[str, dict]:
    return {"Root": SCHEMA, **SCHEMA["$defs"]}


def test_every_field_has_a_description_and_no_section_takes_more() -> None:
    for name, section in definitions().items():
        assert section["additionalProperties"] is False, name
        assert section["properties"], name
        for field, schema in section["properties"].items():
            # pydantic leaves out a description that the section itself has word for word.
            same = SCHEMA["$defs"].get(schema.get("$ref", "").rpartition("/")[2], {})
            assert schema.get("description", same.get("description", "")).endswith("."), f"{name}.{field}"


def test_nothing_secret_or_internal_is_in_it() -> None:
    text = json.dumps(SCHEMA)
    assert "*****" not in text
    assert "from_" not in text
    assert '"title"' not in json.dumps(SCHEMA["$defs"])


def test_defaults_are_as_one_writes_them() -> None:
    server = definitions()["ServerSection"]["properties"]
    assert (server["drain"]["default"], server["max_body"]["default"]) == ("30s", "20MiB")


def conforms(value: object, schema: dict) -> bool:
    """As much of JSON Schema as ours uses."""
    if "$ref" in schema:
        return conforms(value, SCHEMA["$defs"][schema["$ref"].rsplit("/", 1)[1]])
    for any_of in ("anyOf", "oneOf"):
        if any_of in schema and not any(conforms(value, option) for option in schema[any_of]):
            return False
    if "const" in schema and value != schema["const"]:
        return False
    if "enum" in schema and value not in schema["enum"]:
        return False
    kinds = schema.get("type", [])
    names = {"string": str, "integer": int, "number": (int, float), "boolean": bool, "object": dict, "array": list}
    wanted = [kinds] if isinstance(kinds, str) else kinds
    if wanted and not any(
        (kind == "null" and value is None) or (kind in names and isinstance(value, names[kind])) for kind in wanted
    ):
        return False
    if isinstance(value, str) and "pattern" in schema and not re.search(schema["pattern"], value):
        return False
    if isinstance(value, list) and "items" in schema:
        return all(conforms(item, schema["items"]) for item in value)
    if isinstance(value, dict):
        known, rest = schema.get("properties", {}), schema.get("additionalProperties", True)
        if not set(schema.get("required", ())) <= value.keys():
            return False
        for name, below in value.items():
            inner = known.get(name, rest)
            if inner is False or (isinstance(inner, dict) and not conforms(below, inner)):
                return False
    return True


def as_editors_see(path: Path) -> object:
    """Editors read YAML 1.2: no variables in flow mappings, and `on`, `off`, `no` are words."""
    text = re.sub(r"(?<![\"'\w/])\$\{([^{}]*)\}([^\s,}]*)", r"'${\1}\2'", path.read_text("utf-8"))

    class Loader(yaml.SafeLoader):
        pass

    resolvers = yaml.SafeLoader.yaml_implicit_resolvers
    Loader.yaml_implicit_resolvers = {
        first: [(tag, found) for tag, found in rules if not tag.endswith(("bool", "timestamp")) or first in "tT"]
        for first, rules in resolvers.items()
    }
    return yaml.load(text, Loader)


def test_the_examples_conform_and_mistakes_do_not() -> None:
    for name in ("config/gateway.yaml", "gateway/settings/defaults/demo.yaml", "tests/gateway/settings/contract.yaml"):
        data = as_editors_see(ROOT / name)
        assert isinstance(data, dict)
        assert conforms(data, SCHEMA), name
        assert not conforms({**data, "modells": {}}, SCHEMA)
        assert not conforms({**data, "server": {"drain": "soon"}}, SCHEMA)
        assert not conforms({**data, "server": {"port": "x"}}, SCHEMA)
    assert conforms({"server": {"port": "${env:PORT:-1}", "drain": "${env:D}"}}, SCHEMA)
