"""Roll-ups hold the cost of what came to nothing, tokens without a price and retried requests; the index by time holds
what lists are filtered by.

What the raw events still know is filled in; of those that are pruned it stays 0.
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

WASTED = (
    "blocked",
    "upstream_status",
    "upstream_error",
    "upstream_timeout",
    "client_left",
    "cut",
    "shutdown",
    "interrupted",
    "error",
)
COLUMNS = (*(f"cost_{name}" for name in WASTED), "unpriced_tokens", "retried_requests")
HOUR = "received_ns / 3600000000000 * 3600"
KEYS = {
    "rollups": {
        "hour": HOUR,
        **{name: name for name in ("team", "key_id", "model", "provider", "operation", "tags_hash")},
    },
    "rollup_days": {
        "day": f"{HOUR} / 86400 * 86400",
        **{name: name for name in ("team", "key_id", "model", "provider")},
        "tagged": "CASE WHEN tags_hash <> '' THEN 1 ELSE 0 END",
    },
}
SUMS = {
    **{name: f"SUM(CASE WHEN outcome = '{name[5:]}' THEN COALESCE(cost_nanos, 0) ELSE 0 END)" for name in COLUMNS[:-2]},
    "unpriced_tokens": "SUM(CASE WHEN unpriced THEN input_tokens + output_tokens ELSE 0 END)",
    "retried_requests": "SUM(CASE WHEN attempts LIKE '%},{%' THEN 1 ELSE 0 END)",
}
BATCH = 5000


def upgrade() -> None:
    connection = op.get_bind()
    for table, key in KEYS.items():
        for name in COLUMNS:
            op.add_column(table, sa.Column(name, sa.BigInteger, nullable=False, server_default="0"))
        _fill(connection, table, key)
    op.drop_index("events_received", "events")
    op.create_index(
        "events_listing", "events", ["received_ns", "outcome", "team", "key_id", "model", "provider", "operation"]
    )


def _fill(connection: sa.Connection, table: str, key: dict[str, str]) -> None:
    chosen = ", ".join(f"{sql} AS {name}" for name, sql in {**key, **SUMS}.items())
    found = connection.execute(
        sa.text(
            f"SELECT {chosen} FROM events WHERE outcome NOT IN ('ok', 'refused') OR unpriced"
            f" OR attempts LIKE '%}},{{%' GROUP BY {', '.join(key.values())}"
        )
    ).mappings()
    rows = [{name: str(value) if name in TEXTS else int(value) for name, value in row.items()} for row in found]
    update = sa.text(
        f"UPDATE {table} SET {', '.join(f'{name} = :{name}' for name in SUMS)}"
        f" WHERE {' AND '.join(f'{name} = :{name}' for name in key)}"
    )
    for at in range(0, len(rows), BATCH):
        connection.execute(update, rows[at : at + BATCH])


TEXTS = frozenset({"team", "key_id", "model", "provider", "operation", "tags_hash"})
