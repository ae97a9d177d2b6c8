"""What configurations were in force, and what was refused."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "config_history",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("at_ns", sa.BigInteger, nullable=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("hash", "digest", "cause", "actor", "reason")),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("changes", "error")),
        sa.Column("files", sa.LargeBinary, nullable=False),
    )
    op.create_index("config_history_source", "config_history", ["source", "version"])
