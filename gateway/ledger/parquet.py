"""A spend report as Parquet, for notebooks and warehouses; needs the `parquet` extra."""

# pyarrow carries no type information.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

from gateway.errors import LedgerError
from gateway.ledger.export import columns, row_values, wasted_nanos
from gateway.ledger.spend import Report, iso, usd_decimal


def parquet_bytes(report: Report) -> bytes:
    """A Parquet file: names as strings, counts as int64, `cost_usd` as decimal(38, 9).

    Raises `LedgerError` when the `parquet` extra is not installed.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ModuleNotFoundError as error:
        raise LedgerError("Parquet needs the extra: pip install 'tollway[parquet]'") from error
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
