"""Spend reports and charges as Parquet, for notebooks and warehouses; needs the `parquet` extra."""

# pyarrow carries no type information.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import islice
from typing import BinaryIO

from gateway.errors import LedgerError
from gateway.ledger import focus
from gateway.ledger.charges import Charge
from gateway.ledger.export import columns, row_values, wasted_nanos
from gateway.ledger.spend import Report, iso, usd_decimal

_ROWS = 10_000


def parquet_bytes(report: Report) -> bytes:
    """A Parquet file: names as strings, counts as int64, `cost_usd` as decimal(38, 9).

    Raises `LedgerError` when the `parquet` extra is not installed.
    """
    _check()
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = {"text": pa.string(), "number": pa.int64(), "money": pa.decimal128(38, 9), "seconds": pa.decimal128(38, 3)}
    schema = pa.schema([(name, kinds[kind]) for name, kind in columns(report).items()])
    rows: list[dict[str, object]] = [
        {
            **row_values(row),
            "cost_usd": usd_decimal(row.sums["cost_nanos"]),
            "wasted_usd": usd_decimal(wasted_nanos(row.sums)),
            "usage_seconds": usd_decimal(row.sums["usage_millis"]).scaleb(6),
        }
        for row in report.rows
    ]
    table = pa.Table.from_pylist(rows, schema=schema)
    table = table.replace_schema_metadata({"since": iso(report.since_ns), "until": iso(report.until_ns)})
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    return sink.getvalue().to_pybytes()


def write_focus(found: Iterable[Charge], file: BinaryIO) -> None:
    """Charges in the columns of FOCUS, a group of rows at a time: money as decimal(38, 9), other numbers as decimal(38,
    21), times as timestamps in UTC.

    Raises `LedgerError` when the `parquet` extra is not installed.
    """
    _check()
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = {
        "text": pa.string(),
        "time": pa.timestamp("us", tz="UTC"),
        "money": pa.decimal128(38, 9),
        "number": pa.decimal128(38, focus.PLACES),
        "count": pa.int64(),
    }
    schema = pa.schema([(name, kinds[kind]) for name, kind in focus.COLUMNS.items()])
    with pq.ParquetWriter(file, schema, compression="zstd") as writer:
        for rows in _batches(found):
            columns: dict[str, list[object]] = {name: [each[name] for each in rows] for name in focus.COLUMNS}
            for name, kind in focus.COLUMNS.items():
                if kind == "time":
                    columns[name] = [datetime.fromisoformat(str(value)) for value in columns[name]]
            writer.write_table(pa.Table.from_pydict(columns, schema=schema))


def _batches(found: Iterable[Charge]) -> Iterator[list[dict[str, focus.Value]]]:
    rows = map(focus.row, found)
    while batch := list(islice(rows, _ROWS)):
        yield batch


def _check() -> None:
    try:
        import pyarrow
    except ModuleNotFoundError as error:
        raise LedgerError("Parquet needs the extra: pip install 'tollway[parquet]'") from error
    del pyarrow
