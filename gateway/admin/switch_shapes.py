"""The JSON of kill switches."""

from typing import Literal

import msgspec

from gateway.routing.switches import Kind, Scope


class SetSwitch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to switch, why, and until when: `for` (a duration, 1h unless told otherwise), `until` (a UTC date or time),
    or `permanent`."""

    kind: Kind
    scope: Scope
    name: str = ""
    """Empty for the whole gateway."""
    to: str = ""
    """fallback: the model that serves instead; guardrail: shadow."""
    reason: str
    """Shown to clients that are refused."""
    for_: str | None = msgspec.field(default=None, name="for")
    until: str | None = None
    permanent: bool = False


class ClearSwitch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why it is taken back."""

    reason: str = ""


class SwitchView(msgspec.Struct, frozen=True, kw_only=True):
    """One switch."""

    id: str
    kind: str
    scope: str
    name: str
    to: str
    reason: str
    made_by: str
    since: str
    until: str | None
    """null: until it is cleared."""
    ended_at: str | None
    state: Literal["holds", "expired", "cleared"]


class SwitchList(msgspec.Struct, frozen=True):
    """Oldest first."""

    switches: list[SwitchView]
