"""Values of limits and budgets, as they may be written: windows, time zones, tags, counters' stores, names or lists."""

import re
from functools import cache
from typing import Annotated
from urllib.parse import urlsplit
from zoneinfo import available_timezones

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, WithJsonSchema

from gateway.quota import MOST_SECONDS, SECONDS, Measure
from gateway.settings.nearest import hint, near
from gateway.settings.schema_base import Count, ModelName, Name
from gateway.settings.units import parse_duration

UNITS = tuple(SECONDS)
SHORT = ("second", "minute", "hour")
"""Units whose windows roll unless `rolling: off` is written; longer ones follow the calendar unless it is on."""
LONGEST_WINDOW = max(MOST_SECONDS.values())
AMOUNTS: tuple[Measure, ...] = (
    "requests",
    "tokens",
    "input_tokens",
    "output_tokens",
    "usd",
    "concurrent",
    "streams",
)
"""What a general rule may count, in the order of its fields."""
GOING_ON: tuple[Measure, ...] = ("concurrent", "streams")
ATTRIBUTES = ("team", "key", "model", "provider", "operation")
_TAG = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_PLACE = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[^\[\]:/?#\s]+)(?::([0-9]{1,5}))?")
_NUMBERED = re.compile(r"/?[0-9]{0,4}")
_PATHS = {
    "redis": _NUMBERED,
    "rediss": _NUMBERED,
    "redis+cluster": re.compile("/?"),
    "redis+sentinel": re.compile(r"/[^/]+(/[0-9]{0,4})?"),
}
"""What may follow the hosts: the number of a database; nothing; the name of the master."""
_STORES = (
    "allowed are memory://, redis://[USER:PASSWORD@]HOST[:PORT][/DB], rediss:// (TLS), redis+cluster://HOST,HOST and "
    "redis+sentinel://HOST,HOST/MASTER"
)


def _off(value: object) -> object:
    return 0 if isinstance(value, str) and value.lower() in ("off", "no", "false") else value


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


def check_zone(name: str) -> str:
    """An IANA time zone's name."""
    if name == "localtime":
        raise ValueError("this is another zone on every machine; allowed are UTC and IANA names such as Europe/Berlin")
    if name == "UTC" or name in _zones():
        return name
    if not _zones():
        raise ValueError("this machine has no time zones; allowed is UTC, or install tzdata")
    meant = near(name, _zones())
    allowed = f"did you mean '{meant}'?" if meant else "allowed are UTC and IANA names such as Europe/Berlin"
    raise ValueError(f"this time zone is not known; {allowed}")


def check_per(text: str) -> str:
    """A unit of time, or a duration in whole seconds."""
    allowed = f"allowed are {', '.join(UNITS)}, or a duration such as 90s"
    if text in UNITS:
        return text
    if text[:1].isdigit():
        seconds = parse_duration(text)
        if seconds != int(seconds) or not 1 <= seconds <= LONGEST_WINDOW:
            raise ValueError("a window of this length cannot be counted; allowed are whole seconds from 1s to 366d")
        return text
    meant = near(text, UNITS)
    raise ValueError(f"this is not a window; did you mean '{meant}'?" if meant else f"this is not a window; {allowed}")


def check_each(name: str) -> str:
    """What a rule may be counted apart by."""
    if name in ATTRIBUTES or (name.startswith("tag:") and _TAG.fullmatch(name[4:])):
        return name
    raise ValueError(f"a rule cannot be counted apart by this; {hint(name, (*ATTRIBUTES, 'tag:NAME'))}")


def check_tag(name: str) -> str:
    if not _TAG.fullmatch(name):
        raise ValueError("this is not a tag's name; allowed are letters, digits, '_', '.' and '-', at most 64")
    return name


def check_store(store: SecretStr) -> SecretStr:
    """memory:// or the URL of a Redis. Never repeats it: it may hold a password."""
    text = store.get_secret_value()
    if text.startswith("memory:"):
        if text != "memory://":
            raise ValueError("memory takes no address; allowed is memory://")
        return store
    try:
        parts = urlsplit(text)
    except ValueError:
        raise ValueError(f"this is not a Redis URL; {_STORES}") from None
    for place in parts.netloc.rpartition("@")[2].split(","):
        found = _PLACE.fullmatch(place)
        if found is None or not 1 <= int(found[1] or 1) <= 65535:
            raise ValueError(f"this Redis URL needs a host, and a port from 1 to 65535 if it has one; {_STORES}")
    if not _PATHS[parts.scheme].fullmatch(parts.path):
        raise ValueError(f"what follows the host of this Redis URL is not right; {_STORES}")
    return store


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _several(items: dict[str, object]) -> WithJsonSchema:
    return WithJsonSchema({"anyOf": [items, {"type": "array", "items": items, "minItems": 1}]})


_TEXT: dict[str, object] = {"type": "string"}
Zone = Annotated[str, AfterValidator(check_zone)]
Per = Annotated[
    str,
    AfterValidator(check_per),
    WithJsonSchema({"anyOf": [{"enum": list(UNITS)}, {"type": "string", "pattern": r"^[0-9]"}]}),
]
Names = Annotated[list[Name], BeforeValidator(_listed), Field(min_length=1), _several(_TEXT)]
Models = Annotated[list[ModelName], BeforeValidator(_listed), Field(min_length=1), _several(_TEXT)]
Values = Annotated[list[str], BeforeValidator(_listed), Field(min_length=1), _several(_TEXT)]
Each = Annotated[list[Annotated[str, AfterValidator(check_each)]], BeforeValidator(_listed), _several(_TEXT)]
TagName = Annotated[str, AfterValidator(check_tag)]
Limit = Annotated[
    Count | None,
    BeforeValidator(_off),
    WithJsonSchema({"type": ["string", "integer"], "pattern": r"^([0-9.]+ ?[kKM]?|off)$", "examples": ["200k"]}),
]
"""A count; off is 0."""
