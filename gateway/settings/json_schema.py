"""The JSON Schema of the configuration file, for editors that complete and check YAML."""

from gateway.settings.schema import Root
from gateway.settings.schema_base import Section
from gateway.settings.schema_slo import SloRoot

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def json_schema() -> dict[str, object]:
    """JSON Schema 2020-12 with the description of every field. A place for a number or switch also takes a variable."""
    return _schema(Root, "Tollway configuration")


def slo_json_schema() -> dict[str, object]:
    """The same for a file of objectives."""
    return _schema(SloRoot, "Tollway objectives")


def _schema(root: type[Section], title: str) -> dict[str, object]:
    found = root.model_json_schema(by_alias=True)
    _with_variables(found)
    return {"$schema": DIALECT, **found, "title": title}


def _with_variables(schema: object) -> None:
    """Let `${…}` stand where a number or switch is wanted, as the file allows."""
    if isinstance(schema, list):
        for item in schema:  # pyright: ignore[reportUnknownVariableType]
            _with_variables(item)  # pyright: ignore[reportUnknownArgumentType]
    elif isinstance(schema, dict):
        entries: dict[str, object] = schema  # pyright: ignore[reportUnknownVariableType]
        entries.pop("title", None) if isinstance(entries.get("title"), str) else None
        for value in entries.values():
            _with_variables(value)
        kind = entries.get("type")
        if kind in ("integer", "number", "boolean") or (isinstance(kind, list) and "pattern" in entries):
            bounds = {name: entries.pop(name) for name in list(entries) if name not in ("description", "default")}
            entries["anyOf"] = [bounds, {"type": "string", "pattern": "^\\$\\{.*\\}$"}]
