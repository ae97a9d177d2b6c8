"""What a secret rule is, and the list of all of them.

Formats are written from the services' public documentation and the shape of the keys they hand out. Two kinds:

- `Token`: recognisable by itself. Its pattern begins with a fixed head, which the gate looks for, and holds no blank.
- `Assigned`: a shape that many things have (32 hexadecimal digits), a secret only where a name says so:
  `DATADOG_API_KEY = "..."`.
"""

import msgspec


class Token(msgspec.Struct, frozen=True):
    """A format that is recognised by itself."""

    id: str
    """`secret.SERVICE.KIND`."""
    pattern: str
    """What follows the left edge of a token. Masked is the group `secret` if there is one, else the whole."""
    check: str = ""
    """Name of a further check, see `guardrails/secrets/checks.py`."""
    score: float = 0.95


class Assigned(msgspec.Struct, frozen=True):
    """A format that is a secret when it is assigned to a name with one of `names` in it."""

    id: str
    names: str
    """Regular expression, searched in the lower-case name with `-`, `.` and blanks as `_`."""
    value: str
    """Regular expression for the whole value."""
    score: float = 0.9


_UUID = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"


def _fields(rows: str) -> list[list[str]]:
    return [line.replace("<uuid>", _UUID).split() for line in rows.strip().splitlines() if line.strip()]


def table(rows: str) -> tuple[Token, ...]:
    """Tokens from lines of `SERVICE.KIND PATTERN [CHECK]`; `<uuid>` stands for one."""
    return tuple(Token(f"secret.{row[0]}", row[1], row[2] if len(row) > 2 else "") for row in _fields(rows))


def assigned_table(rows: str) -> tuple[Assigned, ...]:
    """Assigned formats from lines of `SERVICE.KIND NAMES VALUE`; `<uuid>` stands for one."""
    return tuple(Assigned(f"secret.{service}", names, value) for service, names, value in _fields(rows))


def tokens() -> tuple[Token, ...]:
    """Every Token rule."""
    from guardrails.secrets.tables import build, data, machines, people

    return build.TOKENS + machines.TOKENS + data.TOKENS + people.TOKENS


def assigned() -> tuple[Assigned, ...]:
    """Every Assigned rule, specific services first."""
    from guardrails.secrets.tables import names

    return names.ASSIGNED
