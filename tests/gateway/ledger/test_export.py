import csv
import io
import json

from gateway.ledger.export import csv_bytes, json_bytes
from gateway.ledger.spend import Report


def test_json_has_the_contracts_shape(two_teams: Report):
    data = json.loads(json_bytes(two_teams))
    assert list(data) == ["since", "until", "rows", "total"]
    assert (data["since"], data["until"]) == ("2025-10-09T08:00:00Z", "2025-10-09T09:00:00Z")
    assert data["total"] == {
        "requests": 2,
        "input_tokens": 160,
        "output_tokens": 40,
        "cost_usd": "0.005615000",
        "unpriced_requests": 1,
        "estimated_requests": 1,
        "retried_requests": 0,
        "wasted_usd": "0.000000000",
        "waste": [{"outcome": "client_left", "requests": 1, "cost_usd": "0.000000000"}],
    }
    row = data["rows"][0]
    assert list(row)[:5] == ["team", "requests", "input_tokens", "output_tokens", "cost_usd"]
    assert row["team"] == "search"
    assert row["cache_read_tokens"] == 0
    assert row["outcome_ok"] == 1


def test_csv_holds_the_same_and_no_formula(two_teams: Report):
    rows = list(csv.DictReader(io.StringIO(csv_bytes(two_teams).decode())))
    assert [row["team"] for row in rows] == ["search", "'=cmd()"]
    assert [row["cost_usd"] for row in rows] == ["0.005615000", "0.000000000"]
    assert rows[1]["outcome_client_left"] == "1"
