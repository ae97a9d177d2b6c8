"""A job is booked once, whoever sees its end."""

import os
from pathlib import Path

from gateway.ledger.bills import KEPT, MOST, SWEEP, Bills


def test_one_process_of_all_claims_a_job(tmp_path: Path) -> None:
    one, other = Bills(tmp_path / "bills"), Bills(tmp_path / "bills")
    assert [bills.claim("openai", "resp_1", 1.0) for bills in (one, other, one)] == [True, False, False]
    assert other.claim("azure", "resp_1", 1.0)
    assert other.claim("openai", "../../resp_2", 1.0)
    assert len(os.listdir(tmp_path / "bills")) == 3


def test_what_cannot_be_written_is_remembered_up_to_a_bound(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for bills in (Bills(None), Bills(tmp_path / "file" / "bills")):
        assert [bills.claim("p", "first", 1.0), bills.claim("p", "first", 1.0)] == [True, False]
        for n in range(MOST):
            assert bills.claim("p", str(n), 1.0)
        assert bills.claim("p", "first", 1.0)


def test_old_claims_are_forgotten(tmp_path: Path) -> None:
    now = tmp_path.stat().st_mtime
    bills = Bills(tmp_path)
    bills.claim("p", "old", now - SWEEP - 1)
    for file in tmp_path.iterdir():
        os.utime(file, (now - KEPT - 1, now - KEPT - 1))
    bills.claim("p", "new", now)
    assert len(os.listdir(tmp_path)) == 1
