"""The ledger's first tables: events, roll-ups, tags, segment offsets, counters, keys."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

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
    "usage_millis",
)
COUNTS = (
    "unpriced_requests",
    "estimated_requests",
    "outcome_ok",
    "outcome_refused",
    "outcome_blocked",
    "outcome_upstream_status",
    "outcome_upstream_error",
    "outcome_upstream_timeout",
    "outcome_client_left",
    "outcome_shutdown",
    "outcome_interrupted",
    "outcome_error",
)


def _number(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=False)


def _words(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=False)


def upgrade() -> None:
    _events()
    _keys()
    op.bulk_insert(
        sa.table("counters", sa.column("name", sa.Text), sa.column("value", sa.BigInteger)),
        [{"name": "keys_version", "value": 0}, {"name": "pruned_before_ns", "value": 0}],
    )


def _events() -> None:
    """Events, what is summed of them, and how far they are loaded."""
    op.create_table(
        "events",
        sa.Column("id", sa.String(64), primary_key=True),
        _words("request_id"),
        _number("received_ns"),
        sa.Column("first_byte_ns", sa.BigInteger),
        _number("finished_ns"),
        _words("team"),
        _words("key_id"),
        sa.Column("tags_hash", sa.String(32), nullable=False),
        _words("operation"),
        _words("asked"),
        _words("provider"),
        _words("model"),
        sa.Column("stream", sa.Boolean, nullable=False),
        _words("outcome"),
        sa.Column("status", sa.Integer, nullable=False),
        *(_number(name) for name in METERS),
        sa.Column("estimated", sa.Boolean, nullable=False),
        sa.Column("cost_nanos", sa.BigInteger),
        sa.Column("unpriced", sa.Boolean, nullable=False),
        _words("price_version"),
        _words("service_tier"),
        _words("attempts"),
        _words("guardrails"),
        _words("stages"),
    )
    op.create_index("events_received", "events", ["received_ns"])
    op.create_table(
        "rollups",
        sa.Column("hour", sa.BigInteger, primary_key=True, autoincrement=False),
        *(
            sa.Column(name, sa.Text, primary_key=True)
            for name in ("team", "key_id", "model", "provider", "operation", "tags_hash")
        ),
        _number("requests"),
        *(_number(name) for name in METERS),
        _number("cost_nanos"),
        *(_number(name) for name in COUNTS),
    )
    op.create_table(
        "tags",
        sa.Column("hash", sa.String(32), primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        _words("value"),
    )
    op.create_table(
        "journal_segments",
        sa.Column("name", sa.Text, primary_key=True),
        _number("loaded_bytes"),
        _number("rejected"),
        _number("updated_ns"),
    )
    op.create_table("counters", sa.Column("name", sa.Text, primary_key=True), _number("value"))


def _keys() -> None:
    op.create_table(
        "keys",
        sa.Column("id", sa.Text, primary_key=True),
        _words("team"),
        _words("name"),
        sa.Column("digest", sa.String(64), nullable=False, unique=True),
        _words("prefix"),
        _words("last4"),
        sa.Column("models", sa.Text),
        _words("tags"),
        _number("created_ns"),
        sa.Column("expires_ns", sa.BigInteger),
        sa.Column("revoked_ns", sa.BigInteger),
        sa.Column("rotated_from", sa.Text, sa.ForeignKey("keys.id")),
        sa.Column("overlap_until_ns", sa.BigInteger),
    )
