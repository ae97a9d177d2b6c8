"""Roll-ups per day, made of those per hour."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

SUMS = (
    "requests",
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cost_nanos",
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


def upgrade() -> None:
    op.create_table(
        "rollup_days",
        sa.Column("day", sa.BigInteger, primary_key=True, autoincrement=False),
        *(sa.Column(name, sa.Text, primary_key=True) for name in ("team", "key_id", "model", "provider")),
        sa.Column("tagged", sa.Integer, primary_key=True, autoincrement=False),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in SUMS),
    )
    key = "hour / 86400 * 86400, team, key_id, model, provider, CASE WHEN tags_hash <> '' THEN 1 ELSE 0 END"
    op.execute(
        f"INSERT INTO rollup_days (day, team, key_id, model, provider, tagged, {', '.join(SUMS)})"
        f" SELECT {key}, {', '.join(f'SUM({name})' for name in SUMS)} FROM rollups GROUP BY {key}"
    )


def downgrade() -> None:
    op.drop_table("rollup_days")
