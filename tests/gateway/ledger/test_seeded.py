"""The made-up ledger that figures are measured on is one that the gateway could have written."""

import subprocess
import sys
from pathlib import Path

from sqlalchemy import func, select

from gateway.ledger.store import open_engine
from gateway.ledger.tables import days, events, rollups

TOOL = Path(__file__).resolve().parents[3] / "tools" / "seed_ledger.py"


def test_roll_ups_are_the_sums_of_the_events(tmp_path: Path) -> None:
    """And the tool knows every column there is."""
    url = f"sqlite:///{tmp_path}/seed.db"
    asked = [sys.executable, str(TOOL), url, "--events", "3000", "--days", "3", "--end", "1790000000"]
    subprocess.run(asked, check=True, timeout=120, capture_output=True)
    engine = open_engine(url)
    with engine.connect() as connection:
        raw = connection.execute(select(func.count(), func.sum(events.c.cost_nanos), func.sum(events.c.input_tokens)))
        total = tuple(raw.one())
        assert total[0] == 3000
        for table in (rollups, days):
            sums = select(func.sum(table.c.requests), func.sum(table.c.cost_nanos), func.sum(table.c.input_tokens))
            assert tuple(connection.execute(sums).one()) == total
        assert connection.execute(select(func.count(func.distinct(events.c.key_id)))).scalar_one() == 36
    engine.dispose()
