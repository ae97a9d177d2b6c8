"""The JSON of incidents."""

from typing import Literal

import msgspec

from gateway.ledger.incidents import Value


class IncidentView(msgspec.Struct, frozen=True, kw_only=True):
    """One incident. Times are UTC."""

    id: str
    state: Literal["open", "acknowledged", "resolved"]
    severity: Literal["page", "ticket"]
    signal: str
    """What was found: availability, provider, provider_limited, credential, guardrail_blocks, guardrail_shadow,
    guardrail_demoted, spend, ledger_lag, loader, journal, limit_store."""
    subject: str
    """Of whom: a provider, a rule, a team."""
    title: str
    teams: list[str]
    """Whom it meets, most first."""
    detail: dict[str, Value]
    """Figures of when it last got worse or was updated."""
    gateway: str
    """Which one saw it; empty: all that share the ledger."""
    since: str
    opened_at: str
    updated_at: str
    resolved_at: str | None
    acknowledged_at: str | None
    acknowledged_by: str


class IncidentList(msgspec.Struct, frozen=True, omit_defaults=True):
    """Newest first."""

    incidents: list[IncidentView]
    stale: str = ""
    """Why there may be newer ones that are not here; not there where nothing speaks for it."""


class Happening(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of a timeline."""

    at: str
    kind: str
    """opened, worsened, reopened, resolved, acknowledged, comment: of this incident. config, credential, store: of the
    gateway. Else the action of the audit log, such as switches.stop, keys.revoke, budgets.raise."""
    actor: str
    """Empty: the gateway itself."""
    text: str


class IncidentDetail(msgspec.Struct, frozen=True, kw_only=True):
    """An incident and what happened from a quarter of an hour before it to its end, oldest first."""

    incident: IncidentView
    timeline: list[Happening]


class Comment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Words for the timeline."""

    comment: str = ""
