import sys
from decimal import Decimal
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from gateway.errors import LedgerError
from gateway.ledger.parquet import parquet_bytes
from gateway.ledger.spend import Report


def test_parquet_holds_the_same_with_exact_money(two_teams: Report, tmp_path: Path):
    path = tmp_path / "spend.parquet"
    path.write_bytes(parquet_bytes(two_teams))
    table = pq.read_table(path)
    assert [row["team"] for row in table.to_pylist()] == ["search", "=cmd()"]
    assert table["cost_usd"][0].as_py() == Decimal("0.005615000")
    assert str(table.schema.field("cost_usd").type) == "decimal128(38, 9)"
    assert table.schema.metadata[b"since"] == b"2025-10-09T08:00:00Z"


def test_parquet_without_its_extra_says_how_to_install_it(two_teams: Report, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(LedgerError, match=r"pip install 'tollway\[parquet\]'"):
        parquet_bytes(two_teams)
