"""A JSON instance that conforms to a JSON schema: the smallest one that shows every declared property.

Covers what structured output and tool parameters use: `type` (also a list), `enum`, `const`, `default` is ignored,
`properties`, `required`, `additionalProperties`, `items`, `prefixItems`, `minItems`, `anyOf`, `oneOf`, `allOf`, `$ref`
into `$defs`/`definitions`, string lengths and the common formats, numeric bounds and `multipleOf`. `pattern` and
`not` are not solved. A recursive reference is cut at depth 4 by leaving optional properties and array items out.
"""

import math
from typing import Any, cast

Schema = dict[str, Any]
_DEPTH = 4
_FORMATS = {
    "date-time": "2024-06-01T12:00:00Z",
    "date": "2024-06-01",
    "time": "12:00:00Z",
    "duration": "PT1H",
    "email": "user@example.com",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
}


def instance_of(schema: object) -> Any:
    """An instance of `schema`; `{}` for a schema that says nothing about itself."""
    if not isinstance(schema, dict):
        return {}
    root = cast(Schema, schema)
    return _make(root, root, 0) if root else {}


def _make(schema: Any, root: Schema, depth: int) -> Any:
    if not isinstance(schema, dict):
        return "text"
    node = cast(Schema, schema)
    if "$ref" in node:
        return _make(_resolve(str(node["$ref"]), root), root, depth + 1)
    if "const" in node:
        return node["const"]
    if node.get("enum"):
        return node["enum"][0]
    if node.get("allOf"):
        return _make(_merged(node, root), root, depth)
    for key in ("anyOf", "oneOf"):
        if node.get(key):
            return _make(_chosen(node[key], depth), root, depth + 1)
    kind = node.get("type")
    if isinstance(kind, list):
        kinds = cast(list[str], kind)
        kind = "null" if depth > _DEPTH and "null" in kinds else next((k for k in kinds if k != "null"), "null")
    return _typed(str(kind) if kind else _guessed(node), node, root, depth)


def _typed(kind: str, node: Schema, root: Schema, depth: int) -> Any:
    match kind:
        case "object":
            return _object(node, root, depth)
        case "array":
            return _array(node, root, depth)
        case "integer":
            return int(_number(node, whole=True))
        case "number":
            return _number(node, whole=False)
        case "boolean":
            return True
        case "null":
            return None
        case _:
            return _string(node)


def _guessed(node: Schema) -> str:
    if "properties" in node or "additionalProperties" in node:
        return "object"
    if "items" in node or "prefixItems" in node:
        return "array"
    if "minimum" in node or "maximum" in node:
        return "number"
    return "string"


def _object(node: Schema, root: Schema, depth: int) -> dict[str, Any]:
    properties = cast(Schema, node.get("properties") or {})
    required = cast(list[str], node.get("required") or [])
    shown = properties if depth <= _DEPTH else {k: v for k, v in properties.items() if k in required}
    made = {name: _make(below, root, depth + 1) for name, below in shown.items()}
    for name in required:
        made.setdefault(name, "text")
    return made


def _array(node: Schema, root: Schema, depth: int) -> list[Any]:
    least = int(node.get("minItems", 0))
    most = int(node.get("maxItems", 1 << 30))
    prefix = cast(list[Any], node.get("prefixItems") or [])
    made = [_make(below, root, depth + 1) for below in prefix[:most]]
    items: Any = node.get("items")
    if items is False:
        return made
    wanted = max(least, min(most, 1)) if depth <= _DEPTH and (items or not prefix) else least
    while len(made) < wanted:
        made.append(_make(items, root, depth + 1) if isinstance(items, dict) else "text")
    return made


def _number(node: Schema, whole: bool) -> float:
    step = float(node.get("multipleOf") or (1 if whole else 0))
    low = float(node["minimum"]) if "minimum" in node else -math.inf
    high = float(node["maximum"]) if "maximum" in node else math.inf
    nudge = step or 0.5
    if "exclusiveMinimum" in node:
        low = max(low, float(node["exclusiveMinimum"]) + nudge)
    if "exclusiveMaximum" in node:
        high = min(high, float(node["exclusiveMaximum"]) - nudge)
    value = min(max(1.0, low), high)
    if not step:
        return value
    return math.ceil(value / step) * step if math.ceil(value / step) * step <= high else math.floor(value / step) * step


def _string(node: Schema) -> str:
    text = _FORMATS.get(str(node.get("format", "")), "text")
    least, most = int(node.get("minLength", 0)), int(node.get("maxLength", 1 << 30))
    if len(text) < least:
        text += "x" * (least - len(text))
    return text[:most]


def _chosen(options: list[Any], depth: int) -> Any:
    """The first option that is not null; null when a recursion must end and it is allowed."""
    nulls: list[Any] = [o for o in options if isinstance(o, dict) and cast(Schema, o).get("type") == "null"]
    if depth > _DEPTH and nulls:
        return nulls[0]
    return next((o for o in options if o not in nulls), options[0])


def _merged(node: Schema, root: Schema) -> Schema:
    merged: Schema = {k: v for k, v in node.items() if k != "allOf"}
    for part in cast(list[Any], node["allOf"]):
        below = cast(Schema, part) if isinstance(part, dict) else {}
        if "$ref" in below:
            below = _resolve(str(below["$ref"]), root)
        if "allOf" in below:
            below = _merged(below, root)
        for key, value in below.items():
            if key == "properties":
                merged[key] = {**merged.get(key, {}), **value}
            elif key == "required":
                merged[key] = [*merged.get(key, []), *value]
            else:
                merged.setdefault(key, value)
    return merged


def _resolve(reference: str, root: Schema) -> Schema:
    node: Any = root
    for step in reference.lstrip("#").strip("/").split("/"):
        if not step:
            continue
        key = step.replace("~1", "/").replace("~0", "~")
        node = cast(Schema, node).get(key) if isinstance(node, dict) else None
    return cast(Schema, node) if isinstance(node, dict) else {}
