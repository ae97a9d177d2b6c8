"""Events say by which model's name they counted on limits, and which counters had sent them there.

What was downgraded before is not known any more, and counts by the name that was asked for, as it did.
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("events", sa.Column("downgraded", sa.Text, nullable=False, server_default=""))
