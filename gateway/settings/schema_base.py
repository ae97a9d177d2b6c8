"""What every section of the written configuration is made of: strict sections, and fields with units.

Values arrive as text (see `yaml_marks.py`); pydantic reads numbers and switches from it. A complaint of ours never
repeats the value, which may have come from a variable that holds a secret.
"""

import re
from collections.abc import Callable
from typing import Annotated, Any, Literal, TypeVar, cast

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    WithJsonSchema,
    model_validator,
)

from gateway.quota import MOST
from gateway.settings.units import (
    parse_count,
    parse_duration,
    parse_moment,
    parse_money,
    parse_percent,
    parse_share,
    parse_size,
)

T = TypeVar("T")

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
MOST_TAGS = 32
MOST_OF_A_TAG = 200
"""Characters of name and value."""
ALLOWED_IN_TAGS = (
    "allowed are printable names and values without comma and equals sign, together at most 200 characters"
)
_LABEL = re.compile(r"[^\x00-\x20\x7f,*]{1,256}\*?|\*")


class Section(BaseModel):
    """A mapping of the configuration. Unknown names are errors; a name with nothing behind it counts as not written."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_by_name=False, hide_input_in_errors=True)

    @model_validator(mode="before")
    @classmethod
    def _without_nothing(cls, data: object) -> object:
        if data is None:
            return {}
        if isinstance(data, dict):
            known = {field.alias or name for name, field in cls.model_fields.items()}
            written = cast(dict[str, object], data)
            return {name: value for name, value in written.items() if value is not None or name not in known}
        return data


def _read(parse: Callable[[str], T]) -> BeforeValidator:
    def validate(value: object) -> object:
        # A list or a mapping is refused in the words of what should stand there, not of what that is read into.
        return parse(value if isinstance(value, str) else "[]") if isinstance(value, str | list | dict) else value

    return BeforeValidator(validate)


def _countable(amount: int) -> int:
    if amount > MOST:
        raise ValueError(f"this is more than can be counted exactly; allowed is {MOST} or less")
    return amount


def _spendable(nanos: int) -> int:
    if nanos <= 0:
        raise ValueError("this amount is nothing; allowed is more than 0 USD, such as 500 USD or 0.25 USD")
    if nanos > MOST:
        raise ValueError(f"this is more than can be counted exactly; allowed is {MOST // 10**9} USD or less")
    return nanos


def _unit(pattern: str, example: str) -> WithJsonSchema:
    return WithJsonSchema({"type": ["string", "integer"], "pattern": pattern, "examples": [example]})


Size = Annotated[int, _read(parse_size), _unit(r"^[0-9.]+ ?([kKmMgG][iI]?)?[bB]?$", "20MiB")]
"""Bytes."""
Duration = Annotated[float, _read(parse_duration), _unit(r"^(0|([0-9.]+ ?(ms|s|m|h|d|w) ?)+)$", "30s")]
"""Seconds."""
Money = Annotated[int, _read(parse_money), _unit(r"^([0-9.]+ ?USD|USD ?[0-9.]+)$", "500 USD")]
"""Nano-dollars."""
Budget = Annotated[Money, AfterValidator(_spendable)]
"""Nano-dollars, more than 0 and no more than a rule can hold."""
Count = Annotated[int, _read(parse_count), AfterValidator(_countable), _unit(r"^[0-9.]+ ?[kKM]?$", "200k")]
"""A number of requests, tokens or things under way."""
Percent = Annotated[float, _read(parse_percent), _unit(r"^[0-9.]+ ?%$", "80%")]
"""A fraction from 0 to 1."""
Share = Annotated[float, _read(parse_share), WithJsonSchema({"type": ["string", "boolean"], "examples": ["off", "1%"]})]
"""on, off, or a percentage, as a fraction from 0 to 1."""
Moment = Annotated[int, _read(parse_moment), _unit(r"^[0-9]{4}-[0-9]{2}-[0-9]{2}", "2027-01-31")]
"""Nanoseconds since the epoch."""


def _switch(value: object) -> object:
    words = {"on": True, "off": False, "yes": True, "no": False, "true": True, "false": False}
    return words.get(value.lower(), value) if isinstance(value, str) else value


Switch = Annotated[bool, BeforeValidator(_switch), WithJsonSchema({"enum": [True, False, "on", "off", "yes", "no"]})]
"""on or off; yes, no, true and false are understood too."""


def check_name(text: str) -> str:
    """A provider's, team's, policy's or key's name. It stands in headers, metrics and addresses, so it is plain."""
    if not _NAME.fullmatch(text):
        raise ValueError("this is not a usable name; allowed are letters, digits, '.', '_' and '-', at most 128")
    return text


def check_model(text: str) -> str:
    """A model's name as clients write it; `*` may only end it."""
    if not _LABEL.fullmatch(text):
        raise ValueError("this is not a model name; allowed is text without spaces or commas, with * only at its end")
    return text


def check_tag_text(text: str) -> str:
    """A name or a value of a cost attribution tag: as `--tags k=v,k=v` and the header can write it."""
    if len(text) > MOST_OF_A_TAG or not text.isprintable() or "," in text or "=" in text:
        raise ValueError(f"this cannot be in a tag; {ALLOWED_IN_TAGS}")
    return text


def check_tags(tags: dict[str, str]) -> dict[str, str]:
    """Cost attribution tags, of a team or of a key, wherever they are written."""
    if len(tags) > MOST_TAGS:
        raise ValueError(f"{len(tags)} are too many; allowed are {MOST_TAGS}")
    for name, value in tags.items():
        if not name or len(name) + len(value) > MOST_OF_A_TAG:
            wrong = "is too long" if name else "has no name"
            raise ValueError(f"a tag {wrong}; {ALLOWED_IN_TAGS}")
    return tags


def _blank(value: object) -> object:
    return None if isinstance(value, str) and not value.strip() else value


Name = Annotated[str, BeforeValidator(lambda value: check_name(value) if isinstance(value, str) else value)]
ModelName = Annotated[str, BeforeValidator(lambda value: check_model(value) if isinstance(value, str) else value)]
_TagText = Annotated[str, AfterValidator(check_tag_text)]
Tags = Annotated[dict[_TagText, _TagText], AfterValidator(check_tags)]
"""Cost attribution tags, values by name."""
Secret = Annotated[SecretStr, WithJsonSchema({"type": "string", "examples": ["${env:NAME}", "${file:/run/secrets/x}"]})]
"""Text that is never printed."""
OptionalSecret = Annotated[SecretStr | None, BeforeValidator(_blank), WithJsonSchema({"type": "string"})]
"""Empty counts as not written, so that `${env:NAME:-}` may be left unset."""
Off = Literal["off"]


def _field(description: str, default: Any, written: str, **constraints: Any) -> Any:
    return Field(default, description=description, json_schema_extra={"default": written}, **constraints)


def duration(written: str, description: str, **constraints: Any) -> Any:
    """A `Duration` field with a default."""
    return _field(description, parse_duration(written), written, **constraints)


def size(written: str, description: str, **constraints: Any) -> Any:
    """A `Size` field with a default."""
    return _field(description, parse_size(written), written, **constraints)


def percent(written: str, description: str, **constraints: Any) -> Any:
    """A `Percent` field with a default."""
    return _field(description, parse_percent(written), written, **constraints)


def is_text(value: object) -> bool:
    """Tells the branches of a union apart that is text or something else."""
    return isinstance(value, str)


def kind_of(value: object) -> str:
    """The branch of a union of text, such as off, and a section."""
    return "<text>" if is_text(value) else "<mapping>"


def url_of(*schemes: str, example: str) -> AfterValidator:
    """A secret that is a URL of one of these schemes."""
    pattern = re.compile(rf"({'|'.join(map(re.escape, schemes))})://\S*")

    def check(url: SecretStr) -> SecretStr:
        if not pattern.fullmatch(url.get_secret_value()):
            raise ValueError(f"this is not a URL of a known kind; allowed are {example}")
        return url

    return AfterValidator(check)


def secret(written: str, description: str) -> Any:
    """A `Secret` field whose default is no secret."""
    return _field(description, SecretStr(written), written)


def section(kind: type[Section], description: str) -> Any:
    """A field for a section that may be left out."""
    return Field(default_factory=lambda: kind.model_validate({}), description=description)
