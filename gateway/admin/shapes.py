"""The JSON of the admin API as types: what requests are read into, answers are written from, and OpenAPI is made of."""

from datetime import UTC, datetime
from typing import Literal

import msgspec

KeyState = Literal["active", "replaced", "expired", "revoked"]


class Check(msgspec.Struct, frozen=True):
    """One condition of readiness. `reason` says why it is not met, or what is worth knowing though it is."""

    ok: bool
    reason: str = ""


class Ready(msgspec.Struct, frozen=True):
    """Whether this worker takes requests, and why."""

    ready: bool
    checks: dict[str, Check]


class ConfigView(msgspec.Struct, frozen=True, kw_only=True):
    """The configuration that is in force in the answering worker."""

    hash: str
    loaded_at: str
    source: str
    last_error: str | None
    """Why the last reload was refused; null when it was not."""
    warnings: list[str]
    models: list[str]


class ReloadView(msgspec.Struct, frozen=True, kw_only=True):
    """What a reload changed. `signalled` counts the other workers of this gateway that were told to reload too."""

    old_hash: str
    new_hash: str
    changed: bool
    difference: list[str]
    restart: list[str]
    """Options that changed and only count after a restart."""
    signalled: int


class KeyView(msgspec.Struct, frozen=True, kw_only=True):
    """One virtual key, without its secret. Times are UTC; null: never, or not yet."""

    id: str
    team: str
    name: str
    prefix: str
    last4: str
    state: KeyState
    models: list[str] | None
    """null: every model its team may use."""
    tags: dict[str, str]
    created_at: str
    expires_at: str | None
    revoked_at: str | None
    replaced_until: str | None
    """It was rotated, and works until then."""
    rotated_from: str | None
    """The key it replaces."""


class KeyList(msgspec.Struct, frozen=True):
    """Keys made with `tollway keys` or this API, oldest first; those written in the configuration are not listed."""

    keys: list[KeyView]


class NewKeyView(KeyView, frozen=True, kw_only=True):
    """A key just made. Its secret is shown this once and stored nowhere."""

    secret: str


class CreateKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a new key is to be. `expires` is an age such as 90d, or a UTC date or time."""

    team: str
    name: str = ""
    expires: str | None = None
    models: list[str] | None = None
    tags: dict[str, str] = {}


class RotateKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long the old key works on beside the new one, such as 24h or 0."""

    overlap: str = "24h"


class PoolView(msgspec.Struct, frozen=True):
    """Connections of the answering worker to one provider. `in_use` counts those being opened too."""

    open: int
    idle: int
    in_use: int
    waiting: int


class ProviderView(msgspec.Struct, frozen=True, kw_only=True):
    """One provider as the answering worker sees it."""

    name: str
    dialect: str
    base_url: str
    transport: str
    credential_down: bool
    """It refused this gateway's credential a short time ago; other targets are tried first."""
    pool: PoolView | None
    open_circuits: list[str] = []
    """Its models whose circuit breaker is open or tries them again, sorted."""


class ProviderList(msgspec.Struct, frozen=True):
    """Every provider that a route leads to."""

    providers: list[ProviderView]


class WasteView(msgspec.Struct, frozen=True):
    """Requests of one outcome that came to nothing, and what they cost all the same."""

    outcome: str
    requests: int
    cost_usd: str


class SpendTotal(msgspec.Struct, frozen=True):
    """Sums over all rows; amounts are decimal strings. `wasted_usd` is the part of `cost_usd` that `waste` tells."""

    requests: int
    input_tokens: int
    output_tokens: int
    cost_usd: str
    unpriced_requests: int
    estimated_requests: int
    retried_requests: int
    wasted_usd: str
    waste: list[WasteView]


class SpendView(msgspec.Struct, frozen=True):
    """Spend per group. Each row has the names it is grouped by, requests, tokens per meter and `cost_usd`."""

    since: str
    until: str
    rows: list[dict[str, str | int]]
    total: SpendTotal


class SavingView(msgspec.Struct, frozen=True):
    """Where money could be saved. Amounts are decimal strings, USD a month; a saving of null: none, or not known."""

    kind: str
    title: str
    saving_usd_per_month: str | None
    at_stake_usd_per_month: str
    team: str
    key: str
    model: str
    why: str
    evidence: dict[str, str]
    samples: list[str]
    """Ids of exchanges that show it."""
    how: str
    """YAML for the configuration, or words."""


class SavingsView(msgspec.Struct, frozen=True):
    """All that was found, the largest saving first. `since` is where raw events were looked at from.

    `saving_usd_per_month` counts of the same key and model the largest saving alone: they are about the same requests.
    """

    since: str
    until: str
    saving_usd_per_month: str
    savings: list[SavingView]


class ErrorDetail(msgspec.Struct, frozen=True):
    """OpenAI's error fields."""

    message: str
    type: str
    param: str | None
    code: str | None


class ErrorView(msgspec.Struct, frozen=True):
    """Every refusal has this body."""

    error: ErrorDetail


def iso(ns: int) -> str:
    """UTC time of nanoseconds since the epoch, to the second."""
    return datetime.fromtimestamp(ns // 1_000_000_000, UTC).isoformat().replace("+00:00", "Z")


def iso_or_none(ns: int | None) -> str | None:
    return None if ns is None else iso(ns)
