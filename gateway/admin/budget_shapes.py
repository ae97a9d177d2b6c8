"""The JSON of budgets and the audit log. Money is a decimal string in US dollars, all else a number."""

from typing import Literal

import msgspec

Amount = str | int
Changed = str | int | bool | list[str] | dict[str, str] | None

BudgetState = Literal["ok", "soft", "exhausted", "unknown"]


class BudgetView(msgspec.Struct, frozen=True, kw_only=True):
    """One counter: a rule applied to whom it counts."""

    counter: str
    """What raise and reset take: the rule's id, and what it is counted apart by."""
    rule: str
    team: str | None
    measure: str
    unit: str
    window: str
    limit: Amount
    """What is allowed now, adjustments included."""
    extra: Amount
    """How much of it comes from adjustments."""
    used: Amount | None
    """null: not known without the gateway's counters."""
    reserved: Amount | None
    """Held by requests under way; null: not known."""
    remaining: Amount | None
    soft: Amount | None
    forecast: Amount | None
    """When the window ends, if it goes on as since it began; null: rolls, or too early to say."""
    resets_at: str | None
    """In the rule's time zone; null: it rolls."""
    state: BudgetState
    when_exhausted: str


class BudgetList(msgspec.Struct, frozen=True, kw_only=True):
    """Where budgets stand. `source`: `store` (the counters that decide) or `ledger` (what is booked)."""

    at: str
    source: Literal["store", "ledger"]
    budgets: list[BudgetView]


class RaiseBudget(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """By how much (`50 USD`, `200k`), until when (`until`, a UTC date or time, or `for`, a duration), and why."""

    amount: str
    reason: str
    until: str | None = None
    for_: str | None = msgspec.field(default=None, name="for")


class Because(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why."""

    reason: str


class RebuildBudgets(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of which team; null: all."""

    team: str | None = None
    reason: str = ""


class AdjustmentView(msgspec.Struct, frozen=True, kw_only=True):
    """One adjustment of a limit."""

    id: str
    counter: str
    kind: Literal["raise", "reset"]
    extra: Amount
    """In the counter's unit."""
    since: str
    until: str
    ended_at: str | None
    state: Literal["holds", "over", "ended"]
    reason: str
    made_by: str


class AdjustmentList(msgspec.Struct, frozen=True):
    """Adjustments, oldest first."""

    adjustments: list[AdjustmentView]


class RebuiltView(msgspec.Struct, frozen=True):
    """One counter that was set to what the ledger says."""

    counter: str
    before: Amount
    used: Amount


class RebuiltList(msgspec.Struct, frozen=True):
    """What a rebuild changed, and how many counters it looked at."""

    counters: int
    changed: list[RebuiltView]


class AuditView(msgspec.Struct, frozen=True, kw_only=True):
    """One change. `before` and `after` hold the values that changed; money in nano-dollars, times in nanoseconds."""

    seq: int
    at: str
    actor: str
    """`key:ID` of an admin key, or `cli:USER`."""
    action: str
    object: str
    before: dict[str, Changed]
    after: dict[str, Changed]
    reason: str
    hash: str


class AuditList(msgspec.Struct, frozen=True):
    """Entries of the audit log, oldest first, and its newest link as `tollway audit verify --head` takes it."""

    entries: list[AuditView]
    head: str
