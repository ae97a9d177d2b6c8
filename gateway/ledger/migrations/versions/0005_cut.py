"""Roll-ups count the outcome `cut`: a limit or budget was used up while the answer was streamed."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    there = sa.inspect(op.get_bind()).get_table_names()
    for table in ("rollups", "rollup_days"):
        if table in there:
            # Both databases want a value for the rows that are there. What was counted stays as it was counted:
            # nothing that is kept tells the few that were cut from the other errors.
            op.add_column(table, sa.Column("outcome_cut", sa.BigInteger, nullable=False, server_default="0"))
