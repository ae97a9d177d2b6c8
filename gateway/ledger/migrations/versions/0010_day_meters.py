"""Roll-ups per day hold every meter that those per hour do.

They are made anew of the roll-ups per hour, which are kept for good and hold the sums since the first day.
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

ADDED = (
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
KEPT = ("requests", "input_tokens", "output_tokens", "cache_read_tokens", "cost_nanos", "unpriced_requests",
        "estimated_requests", "unpriced_tokens", "retried_requests")  # fmt: skip
OUTCOMES = ("ok", "refused", "blocked", "upstream_status", "upstream_error", "upstream_timeout", "client_left", "cut",
            "shutdown", "interrupted", "error")  # fmt: skip
SUMS = (
    *KEPT,
    *ADDED,
    *(f"outcome_{name}" for name in OUTCOMES),
    *(f"cost_{name}" for name in OUTCOMES if name not in ("ok", "refused")),
)


def upgrade() -> None:
    for name in ADDED:
        op.add_column("rollup_days", sa.Column(name, sa.BigInteger, nullable=False, server_default="0"))
    key = "hour / 86400 * 86400, team, key_id, model, provider, CASE WHEN tags_hash <> '' THEN 1 ELSE 0 END"
    op.execute("DELETE FROM rollup_days")
    op.execute(
        f"INSERT INTO rollup_days (day, team, key_id, model, provider, tagged, {', '.join(SUMS)})"
        f" SELECT {key}, {', '.join(f'SUM({name})' for name in SUMS)} FROM rollups GROUP BY {key}"
    )
