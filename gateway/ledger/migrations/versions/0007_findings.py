"""The findings log of guardrails, and what people said of it."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    texts = ("team", "key_id", "operation", "direction", "policy", "rule", "detector", "type", "pattern", "place", "role")
    op.create_table(
        "guardrail_findings",
        sa.Column("event_id", sa.String(64), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("at_ns", sa.BigInteger, nullable=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in texts),
        sa.Column("start_at", sa.BigInteger, nullable=False),
        sa.Column("end_at", sa.BigInteger, nullable=False),
        sa.Column("score", sa.Double, nullable=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("evidence", "mode", "action", "enforced")),
        sa.Column("digest", sa.String(16), nullable=False),
    )
    op.create_index("guardrail_findings_at", "guardrail_findings", ["at_ns"])
    op.create_index("guardrail_findings_value", "guardrail_findings", ["digest", "rule", "at_ns", "team"])
    op.create_table(
        "guardrail_reviews",
        sa.Column("rule", sa.Text, primary_key=True),
        sa.Column("digest", sa.String(16), primary_key=True),
        sa.Column("verdict", sa.Text, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("at_ns", sa.BigInteger, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
    )
