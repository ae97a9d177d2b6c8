"""Writes the reference tables of `docs/configuration.md` from the schema: `python tools/config_reference.py [--check]`.

Everything below the marker line of that page is made here; what stands above it is written by hand.
"""

import sys
from pathlib import Path
from typing import Any, get_args, get_origin

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pydantic.fields import FieldInfo

from gateway.settings.complaints import options
from gateway.settings.schema import Root
from gateway.settings.schema_base import Section
from gateway.settings.units import COUNT_HINT, DATE_HINT, DURATION_HINT, MONEY_HINT, PERCENT_HINT, SIZE_HINT

PAGE = Path(__file__).resolve().parents[1] / "docs" / "configuration.md"
MARKER = "<!-- everything below is written by tools/config_reference.py -->"
UNITS = {"parse_size": "size", "parse_duration": "duration", "parse_money": "money", "parse_percent": "percentage",
         "parse_moment": "date", "parse_count": "count",
         "parse_share": "`on`, `off` or percentage",
         "_interval": "duration or `off`"}  # fmt: skip


def reference() -> str:
    """Units, then a table for every section, in the order of the file."""
    parts = ["## Reference", "", "### Values", "", "| value | written |", "|---|---|"]
    for name, hint in (("size", SIZE_HINT), ("duration", DURATION_HINT), ("money", MONEY_HINT),
                       ("count", COUNT_HINT),
                       ("percentage", PERCENT_HINT), ("date", DATE_HINT)):  # fmt: skip
        parts.append(f"| {name} | {hint.removeprefix('allowed is ')} |")
    parts += ["| switch | `on` or `off` (`yes`, `no`, `true`, `false` are understood too) |"]
    parts += ["| name | letters, digits, `.`, `_` and `-`, at most 128 |"]
    parts += ["| secret | text that is never printed; best drawn from `${env:…}` or `${file:…}` |", ""]
    for title, section in sections():
        parts += [
            f"### {title}",
            "",
            " ".join((section.__doc__ or "").split()),
            "",
            "| option | value | default | what it is |",
        ]
        parts += ["|---|---|---|---|", *rows(section), ""]
    return "\n".join(parts)


def sections() -> list[tuple[str, type[Section]]]:
    """Every section with the path of its place, outer ones before inner ones; one used twice stands once."""
    found: dict[type[Section], str] = {Root: "The whole file"}

    def walk(path: str, section: type[Section]) -> None:
        for name, field in section.model_fields.items():
            for suffix, inner in inside(field.annotation):
                place = f"{path}.{field.alias or name}{suffix}".lstrip(".")
                if inner not in found:
                    found[inner] = f"`{place}`"
                    walk(place, inner)

    walk("", Root)
    return [(title, section) for section, title in found.items()]


def inside(annotation: Any) -> list[tuple[str, type[Section]]]:
    """Sections that an annotation holds, with how one gets to them: `.NAME` in a mapping, `[]` in a list."""
    found: list[tuple[str, type[Section]]] = []
    for option in options(annotation):
        if isinstance(option, type) and issubclass(option, Section):
            found.append(("", option))
        elif get_origin(option) in (dict, list):
            step = ".NAME" if get_origin(option) is dict else "[]"
            found += [(step + rest, section) for rest, section in inside(get_args(option)[-1])]
    return found


def rows(section: type[Section]) -> list[str]:
    return [
        f"| `{field.alias or name}` | {kind(field)} | {default(field)} | {escaped(field.description or '')} |"
        for name, field in section.model_fields.items()
    ]


def default(field: FieldInfo) -> str:
    if field.is_required():
        return "**required**"
    extra = field.json_schema_extra
    value = extra["default"] if isinstance(extra, dict) and "default" in extra else field.default
    if value is None or value in ({}, []) or field.default_factory is not None:
        return ""
    if isinstance(value, bool):
        return "`on`" if value else "`off`"
    return escaped(f"`[{', '.join(value)}]`" if isinstance(value, list) else f"`{value}`")


def kind(field: FieldInfo) -> str:
    nested = [mark for part in get_args(field.annotation) for mark in getattr(part, "__metadata__", ())]
    for mark in [*field.metadata, *nested]:
        function = getattr(mark, "func", None)
        if getattr(function, "__name__", "") in UNITS:
            return UNITS[function.__name__]
        closure = getattr(function, "__closure__", None) or ()
        for cell in closure:
            name = getattr(cell.cell_contents, "__name__", "")
            if name in UNITS:
                return UNITS[name]
    return escaped(spoken(field.annotation))


def spoken(annotation: Any) -> str:
    """A type in words."""
    words: list[str] = []
    for option in options(annotation):
        origin = get_origin(option)
        if option is type(None):
            continue
        if isinstance(option, type) and issubclass(option, Section):
            words.append("mapping")
        elif origin is list:
            words.append(f"list of {plural(spoken(get_args(option)[0]))}")
        elif origin is dict:
            words.append(f"mapping of names to {plural(spoken(get_args(option)[1]))}")
        elif origin is not None:
            words += [f"`{value}`" for value in get_args(option)]
        else:
            words.append({"str": "text", "int": "whole number", "float": "number", "bool": "switch", "object": "prices",
                          "SecretStr": "secret"}[option.__name__])  # fmt: skip
    return " or ".join(dict.fromkeys(words)) if len(words) < 3 else ", ".join(dict.fromkeys(words))


def plural(words: str) -> str:
    if words.startswith("`") or words in ("prices", "text"):
        return words if words != "text" else "texts"
    return words + "s" if " of " not in words else words.replace("list of", "lists of")


def escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")


def page(current: str) -> str:
    """The page with its reference made anew."""
    written, marker, _ = current.partition(MARKER)
    if not marker:
        raise SystemExit(f"{PAGE}: the marker line is missing: {MARKER}")
    return f"{written}{MARKER}\n\n{reference()}"


def main() -> None:
    current = PAGE.read_text("utf-8")
    made = page(current)
    if "--check" in sys.argv[1:]:
        if made != current:
            raise SystemExit(f"{PAGE.name} is not up to date: run python tools/config_reference.py")
    else:
        PAGE.write_text(made, "utf-8")


if __name__ == "__main__":
    main()
