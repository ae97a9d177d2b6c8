"""The JSON of the findings log: values that wait for a judgement, judgements, precision of rules."""

from typing import Literal

import msgspec


class MarkValue(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the findings of one value by one rule are."""

    rule: str
    digest: str
    verdict: Literal["false_positive", "true_positive", "later", "open"]
    """open: take back what was said before."""


class ValueView(msgspec.Struct, frozen=True, kw_only=True):
    """All findings of one value by one rule: never the value."""

    rule: str
    digest: str
    """As `allow: {digests: …}` takes it."""
    policy: str
    detector: str
    type: str
    pattern: str
    """Id of the detector's own rule, as `without:` takes it."""
    findings: int
    exchanges: int
    acted: int
    """Findings that something was done about; the others were in shadow or warn."""
    teams: dict[str, int]
    """Findings by team."""
    first_seen: str
    last_seen: str
    least_score: float
    most_score: float
    exchange: str
    """The newest exchange, and of its finding:"""
    direction: str
    place: str
    role: str
    start: int
    end: int
    mode: str
    action: str
    verdict: str
    """open, later, false_positive or true_positive."""
    reviewed_by: str
    reviewed_at: str | None


class RulePrecision(msgspec.Struct, frozen=True, kw_only=True):
    """What people said of one rule."""

    rule: str
    true_values: int
    false_values: int
    later_values: int
    true_findings: int
    false_findings: int
    """Of judged values, in the time asked for."""
    precision: float | None
    """Share of judged values that are true, 0 to 1; null: none is judged."""
    interval: list[float] | None
    """Its two ends, at 95 % (Wilson)."""
    allow: str
    """Line of YAML for this rule, with its false positives and what it allows already; empty: nothing to add."""


class ReviewQueue(msgspec.Struct, frozen=True, kw_only=True):
    """Values, the most frequent first, and every rule that was judged."""

    since: str
    state: str
    logging: bool
    """The findings log is on."""
    sample: float
    """Share of exchanges that are logged; 0: it is off."""
    values: list[ValueView]
    more: bool
    """There are more values than these."""
    rules: list[RulePrecision]


class Marked(msgspec.Struct, frozen=True, kw_only=True):
    """What is now said of a value. `allow`: line of YAML for its rule, where it has false positives."""

    rule: str
    digest: str
    verdict: str
    allow: str


class FindingView(msgspec.Struct, frozen=True, kw_only=True):
    """One finding of the log: never the value."""

    direction: str
    policy: str
    rule: str
    detector: str
    type: str
    pattern: str
    place: str
    role: str
    start_at: int
    end_at: int
    """Characters of the text it stands in."""
    score: float
    mode: str
    action: str
    enforced: str
    digest: str


class DirectionVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """What guardrails concluded on the request, or on the answer."""

    direction: str
    enforced: str
    """What was done; allow: nothing."""
    action: str
    """What would have been done, were all rules enforced."""
    rules: list[str]
    """That decided it, five at most."""
    types: list[str]
    failed: list[str]
    """Detectors that failed."""


class JudgedExchange(msgspec.Struct, frozen=True, kw_only=True):
    """One exchange and what guardrails did with it."""

    exchange: str
    received: str
    team: str
    key: str
    operation: str
    model: str
    """That the client named."""
    outcome: str
    status: int
    verdicts: list[DirectionVerdict]
    findings: list[FindingView]
    """As far as the findings log has them."""


class Reasons(msgspec.Struct, frozen=True, kw_only=True):
    """Why requests met what they met, the newest first."""

    request_id: str
    since: str
    logging: bool
    """The findings log is on."""
    exchanges: list[JudgedExchange]
    more: bool
