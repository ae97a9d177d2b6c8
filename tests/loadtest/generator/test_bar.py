"""What the terminal shows."""

from loadtest.generator.bar import comparison_table, table_of
from loadtest.generator.result import Result


def test_tables_can_be_drawn(result: Result) -> None:
    assert table_of(result).row_count == 2
    assert comparison_table([], stream=True).row_count == 0
