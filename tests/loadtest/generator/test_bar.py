"""What the terminal shows."""

import io

from rich.console import Console

from loadtest.generator.bar import comparison_table, table_of
from loadtest.generator.result import Result


def test_a_run_fits_into_80_columns(result: Result) -> None:
    for stage in result.stages:
        stage.rps = stage.latency_ms.p50 = stage.latency_ms.p99 = stage.latency_ms.p99_9 = 12345.678
    console = Console(width=80, file=io.StringIO())
    console.print(table_of(result))
    assert isinstance(console.file, io.StringIO)
    shown = console.file.getvalue()
    assert "…" not in shown
    assert "12,346" in shown


def test_tables_can_be_drawn(result: Result) -> None:
    assert table_of(result).row_count == 2
    assert comparison_table([], stream=True).row_count == 0
