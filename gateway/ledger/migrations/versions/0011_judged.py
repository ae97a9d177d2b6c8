"""Events of guardrails' models say which operation they judged, for budgets that count by operation.

What was booked before does not say, and counts to no such budget.
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("events", sa.Column("judged", sa.Text, nullable=False, server_default=""))
