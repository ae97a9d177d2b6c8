"""A spend report as data: the contract's JSON, and CSV. Money is exact in both. (Parquet: `parquet.py`.)"""

import csv
import io
from collections.abc import Mapping

import msgspec

from gateway.ledger.spend import Report, SpendRow, iso, usd, wasted
from gateway.ledger.tables import METERS, OUTCOMES

_FIRST = ("requests", "input_tokens", "output_tokens")
_COUNTS = (
    *(name for name in METERS if name not in _FIRST),
    "unpriced_requests",
    "estimated_requests",
    *(f"outcome_{name}" for name in OUTCOMES),
    "unpriced_tokens",
    "retried_requests",
)
"""After cost, every other sum under its own name."""


def row_values(row: SpendRow) -> dict[str, str | int]:
    """A row as the JSON has it: names, requests, tokens, `cost_usd` as a decimal string, then the finer figures."""
    return {
        **row.names,
        **{name: row.sums[name] for name in _FIRST},
        "cost_usd": row.cost_usd,
        **{name: row.sums[name] for name in _COUNTS},
        "wasted_usd": usd(wasted_nanos(row.sums)),
        "usage_seconds": f"{row.sums['usage_millis'] // 1000}.{row.sums['usage_millis'] % 1000:03d}",
    }


def as_json(report: Report) -> dict[str, object]:
    """The shape scripts rely on: since, until, rows, total."""
    total = report.total
    return {
        "since": iso(report.since_ns),
        "until": iso(report.until_ns),
        "rows": [row_values(row) for row in report.rows],
        "total": {
            **{name: total[name] for name in _FIRST},
            "cost_usd": usd(total["cost_nanos"]),
            "unpriced_requests": total["unpriced_requests"],
            "estimated_requests": total["estimated_requests"],
            "retried_requests": total["retried_requests"],
            "wasted_usd": usd(wasted_nanos(total)),
            "waste": [
                {"outcome": each.outcome, "requests": each.requests, "cost_usd": usd(each.nanos)}
                for each in wasted(total)
            ],
        },
    }


def wasted_nanos(sums: Mapping[str, int]) -> int:
    """What went to requests that came to nothing, nano-dollars."""
    return sum(each.nanos for each in wasted(sums))


def json_bytes(report: Report) -> bytes:
    return msgspec.json.format(msgspec.json.encode(as_json(report)), indent=2) + b"\n"


def csv_bytes(report: Report) -> bytes:
    """A header line and one line per row (RFC 4180); no total line, so that a sheet can add up itself."""
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(columns(report)))
    writer.writeheader()
    writer.writerows([{name: inert(value) for name, value in row_values(row).items()} for row in report.rows])
    return text.getvalue().encode()


def columns(report: Report) -> Mapping[str, str]:
    """Every column of a flat file in order, and its kind: text, number, money (USD) or seconds."""
    return {
        **dict.fromkeys(report.by, "text"),
        **dict.fromkeys(_FIRST, "number"),
        "cost_usd": "money",
        **dict.fromkeys(_COUNTS, "number"),
        "wasted_usd": "money",
        "usage_seconds": "seconds",
    }


def inert(value: str | int) -> str | int:
    """A name a client chose must not become a formula when the file is opened in a spreadsheet (CWE-1236)."""
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")) else value
