"""The ledger's tables, for SQLite and PostgreSQL alike. What changes here needs a migration.

Times are integer nanoseconds since the epoch (UTC) in `*_ns`, integer seconds in `hour`; money is integer nano-dollars.
Text is never NULL (empty means: not known), so that it can be part of a key.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)

METERS = (
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_5m_tokens",
    "cache_write_1h_tokens",
    "reasoning_tokens",
    "input_audio_tokens",
    "cache_read_audio_tokens",
    "output_audio_tokens",
    "input_image_tokens",
    "output_image_tokens",
    "tool_input_tokens",
    "web_searches",
)
"""The integer meters of `pricing.usage.Usage` that are summed."""

OUTCOMES = (
    "ok",
    "refused",
    "blocked",
    "upstream_status",
    "upstream_error",
    "upstream_timeout",
    "client_left",
    "cut",
    "shutdown",
    "interrupted",
    "error",
)
"""`gateway.errors.Outcome`, a test keeps it so; an outcome a later release invented counts as `error`."""

WASTED = tuple(name for name in OUTCOMES if name not in ("ok", "refused"))
"""Outcomes of requests that may have cost something and came to nothing. (What was refused reached no provider.)"""

DIMENSIONS = ("team", "key_id", "model", "provider", "operation", "tags_hash")
"""What a roll-up is kept by, beside the hour."""

SUMS = (
    "requests",
    *METERS,
    "usage_millis",
    "cost_nanos",
    "unpriced_requests",
    "estimated_requests",
    *(f"outcome_{name}" for name in OUTCOMES),
    *(f"cost_{name}" for name in WASTED),
    "unpriced_tokens",
    "retried_requests",
)
"""What a roll-up adds up. `cost_…` is the part of `cost_nanos` that went to requests of that outcome;
`unpriced_tokens` are the input and output tokens of requests without a price; `retried_requests` took more than one
try."""

metadata = MetaData()

events = Table(
    "events",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("request_id", Text, nullable=False),
    Column("received_ns", BigInteger, nullable=False),
    Column("first_byte_ns", BigInteger),
    Column("finished_ns", BigInteger, nullable=False),
    Column("team", Text, nullable=False),
    Column("key_id", Text, nullable=False),
    Column("tags_hash", String(32), nullable=False),
    Column("operation", Text, nullable=False),
    Column("asked", Text, nullable=False),
    Column("provider", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("stream", Boolean, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("status", Integer, nullable=False),
    *(Column(name, BigInteger, nullable=False) for name in METERS),
    Column("usage_millis", BigInteger, nullable=False),
    Column("estimated", Boolean, nullable=False),
    Column("cost_nanos", BigInteger),
    Column("unpriced", Boolean, nullable=False),
    Column("price_version", Text, nullable=False),
    Column("service_tier", Text, nullable=False),
    Column("attempts", Text, nullable=False),
    Column("guardrails", Text, nullable=False),
    Column("stages", Text, nullable=False),
    Column("trace_id", Text, nullable=False, server_default=""),
    Column("downgraded", Text, nullable=False, server_default=""),
    Column("judged", Text, nullable=False, server_default=""),
    Index("events_listing", "received_ns", "outcome", "team", "key_id", "model", "provider", "operation"),
)
"""One row per exchange. `attempts`, `guardrails`, `stages` and `downgraded` (empty: it was not) are JSON as the
journal has them; `usage_millis` is
audio or GPU time in milliseconds; `cost_nanos` NULL means not known; `trace_id` empty: the exchange's own;
`judged`: of a guardrail's judgement, the operation of the request. The one
index beside the id is by time, and holds what lists are filtered by, so that what does not fit is passed over without
its row being read."""

rollups = Table(
    "rollups",
    metadata,
    Column("hour", BigInteger, primary_key=True, autoincrement=False),
    *(Column(name, Text, primary_key=True) for name in DIMENSIONS),
    *(Column(name, BigInteger, nullable=False) for name in SUMS),
)
"""Sums of `events` per hour (of receipt) and dimension; kept when raw events are pruned."""

days = Table(
    "rollup_days",
    metadata,
    Column("day", BigInteger, primary_key=True, autoincrement=False),
    *(Column(name, Text, primary_key=True) for name in ("team", "key_id", "model", "provider")),
    Column("tagged", Integer, primary_key=True, autoincrement=False),
    *(Column(name, BigInteger, nullable=False) for name in SUMS),
)
"""Sums of `rollups` per day (UTC, its beginning in seconds), kept in the same transactions: a month of them is read in
milliseconds, however many tags, operations and hours there are. `tagged`: 1 with any tag, else 0."""

tags = Table(
    "tags",
    metadata,
    Column("hash", String(32), primary_key=True),
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
)
"""What each `tags_hash` stands for. The empty hash is the empty set and has no row."""

segments = Table(
    "journal_segments",
    metadata,
    Column("name", Text, primary_key=True),
    Column("loaded_bytes", BigInteger, nullable=False),
    Column("rejected", BigInteger, nullable=False),
    Column("updated_ns", BigInteger, nullable=False),
)
"""How far each journal segment is loaded; written in the transaction that loads."""

counters = Table(
    "counters",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", BigInteger, nullable=False),
)
"""`keys_version`: grows with every change of `keys`. `pruned_before_ns`: no raw event received before it is kept.
`ledger_id`: chosen once, at random."""

keys = Table(
    "keys",
    metadata,
    Column("id", Text, primary_key=True),
    Column("team", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("digest", String(64), nullable=False, unique=True),
    Column("prefix", Text, nullable=False),
    Column("last4", Text, nullable=False),
    Column("models", Text),
    Column("tags", Text, nullable=False),
    Column("created_ns", BigInteger, nullable=False),
    Column("expires_ns", BigInteger),
    Column("revoked_ns", BigInteger),
    Column("rotated_from", Text, ForeignKey("keys.id")),
    Column("overlap_until_ns", BigInteger),
)
"""Virtual keys made with `tollway keys create`: digests (HMAC-SHA-256, hex), never a secret. `models` is a JSON array
or NULL for all; `tags` a JSON object."""

audit = Table(
    "audit",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("at_ns", BigInteger, nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("object", Text, nullable=False),
    Column("before", Text, nullable=False),
    Column("after", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("previous", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
)
"""Every change of keys, budgets and configuration, in one chain of hashes (`gateway/ledger/audit.py`). `before` and
`after` are JSON. Triggers refuse to change or delete a row."""

audit_head = Table(
    "audit_head",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("seq", BigInteger, nullable=False),
    Column("hash", String(64), nullable=False),
)
"""One row: the newest entry of `audit`. Whoever appends locks it, so that there is one chain."""

limit_adjustments = Table(
    "limit_adjustments",
    metadata,
    Column("id", Text, primary_key=True),
    Column("bound_key", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("extra", BigInteger, nullable=False),
    Column("from_ns", BigInteger, nullable=False),
    Column("until_ns", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    Column("made_by", Text, nullable=False),
    Column("ended_ns", BigInteger),
    Index("limit_adjustments_until", "until_ns"),
)
"""What is allowed beyond a limit for a while: `raise`, or `reset` (as much as was used, until the window ends).
`extra` is in the measure's unit (nano-dollars, tokens, requests). `ended_ns`: taken back before its time."""

switches = Table(
    "switches",
    metadata,
    Column("id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("scope", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("value", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("made_by", Text, nullable=False),
    Column("from_ns", BigInteger, nullable=False),
    Column("until_ns", BigInteger),
    Column("ended_ns", BigInteger),
)
"""Kill switches (`gateway/routing/switches.py`). `until_ns` NULL: until it is taken back; `ended_ns`: when it was."""

incidents = Table(
    "incidents",
    metadata,
    Column("id", Text, primary_key=True),
    Column("gateway", Text, nullable=False),
    Column("signal", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("severity", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("since_ns", BigInteger, nullable=False),
    Column("opened_ns", BigInteger, nullable=False),
    Column("updated_ns", BigInteger, nullable=False),
    Column("resolved_ns", BigInteger),
    Column("acknowledged_ns", BigInteger),
    Column("acknowledged_by", Text, nullable=False),
    Index("incidents_resolved", "resolved_ns"),
)
"""What the incident detector found: one row per incident. `signal` and `subject` say what of whom, `gateway` which
one saw it (empty: all that share this ledger); `detail` is JSON."""

incident_notes = Table(
    "incident_notes",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("incident", Text, nullable=False),
    Column("at_ns", BigInteger, nullable=False),
    Column("actor", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("text", Text, nullable=False),
    Index("incident_notes_incident", "incident", "at_ns"),
    Index("incident_notes_at", "at_ns"),
)
"""Timeline entries. `incident` empty: of the whole gateway (a reload, a credential going down or up)."""

config_history = Table(
    "config_history",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("source", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("at_ns", BigInteger, nullable=False),
    Column("hash", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("cause", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("changes", Text, nullable=False),
    Column("error", Text, nullable=False),
    Column("files", LargeBinary, nullable=False),
    Index("config_history_source", "source", "version"),
)
"""Configurations that were in force (`version` 1, 2, 3, … of a `source`, its main file), and refused ones (`version` 0,
with `error`). `changes` is a JSON list of lines; `files` is compressed JSON of texts with secrets masked
(`gateway/ledger/config_history.py`), empty when they were too large."""
findings = Table(
    "guardrail_findings",
    metadata,
    Column("event_id", String(64), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("at_ns", BigInteger, nullable=False),
    Column("team", Text, nullable=False),
    Column("key_id", Text, nullable=False),
    Column("operation", Text, nullable=False),
    Column("direction", Text, nullable=False),
    Column("policy", Text, nullable=False),
    Column("rule", Text, nullable=False),
    Column("detector", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("pattern", Text, nullable=False),
    Column("place", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("start_at", BigInteger, nullable=False),
    Column("end_at", BigInteger, nullable=False),
    Column("score", Double, nullable=False),
    Column("evidence", Text, nullable=False),
    Column("mode", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("enforced", Text, nullable=False),
    Column("digest", String(16), nullable=False),
    Index("guardrail_findings_at", "at_ns"),
    Index("guardrail_findings_value", "digest", "rule", "at_ns", "team"),
)
"""The findings log: one row per finding of an exchange that was logged. No text, ever: kinds, offsets (code points) and
the keyed digest of the value. `action` is what the rule demanded, `enforced` what came of it: `allow` in shadow and
warn."""

reviews = Table(
    "guardrail_reviews",
    metadata,
    Column("rule", Text, primary_key=True),
    Column("digest", String(16), primary_key=True),
    Column("verdict", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("at_ns", BigInteger, nullable=False),
    Column("actor", Text, nullable=False),
)
"""What people said of a rule's findings of one value: `false_positive`, `true_positive` or `later`."""
