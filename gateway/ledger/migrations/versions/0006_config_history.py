"""What configurations were in force, and what was refused; the trace that an exchange belongs to."""

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
    # A column with a constant default is added without writing any row anew.
    if "events" in sa.inspect(op.get_bind()).get_table_names():
        op.add_column("events", sa.Column("trace_id", sa.Text, nullable=False, server_default=""))
