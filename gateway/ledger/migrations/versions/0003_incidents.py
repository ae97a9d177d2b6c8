"""Kill switches, and incidents with their timelines."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def _words(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text, nullable=False) for name in names]


def upgrade() -> None:
    op.create_table(
        "switches",
        sa.Column("id", sa.Text, primary_key=True),
        *_words("kind", "scope", "name", "value", "reason", "made_by"),
        sa.Column("from_ns", sa.BigInteger, nullable=False),
        sa.Column("until_ns", sa.BigInteger),
        sa.Column("ended_ns", sa.BigInteger),
    )
    op.create_table(
        "incidents",
        sa.Column("id", sa.Text, primary_key=True),
        *_words("gateway", "signal", "subject", "severity", "title", "detail"),
        sa.Column("since_ns", sa.BigInteger, nullable=False),
        sa.Column("opened_ns", sa.BigInteger, nullable=False),
        sa.Column("updated_ns", sa.BigInteger, nullable=False),
        sa.Column("resolved_ns", sa.BigInteger),
        sa.Column("acknowledged_ns", sa.BigInteger),
        *_words("acknowledged_by"),
    )
    op.create_index("incidents_resolved", "incidents", ["resolved_ns"])
    op.create_table(
        "incident_notes",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("incident", sa.Text, nullable=False),
        sa.Column("at_ns", sa.BigInteger, nullable=False),
        *_words("actor", "kind", "text"),
    )
    op.create_index("incident_notes_incident", "incident_notes", ["incident", "at_ns"])
    op.create_index("incident_notes_at", "incident_notes", ["at_ns"])
