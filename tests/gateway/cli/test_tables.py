"""Tables for people: nothing in them is ever cut, however narrow the terminal."""

import io

from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from gateway.cli.tables import Column, Row, Sheet, print_sheet

SPEND = (Column("team"), Column("model"), Column("requests", "number"), Column("cached", "number", True))


def printed(sheet: Sheet, width: int, heads: int = 1) -> str:
    file = io.StringIO()
    print_sheet(Console(file=file, width=width, highlight=False), sheet, heads)
    return file.getvalue()


def test_a_table_where_there_is_room() -> None:
    sheet = Sheet(SPEND, [Row(("search", "gpt-4o", "1,234", "7"))], "Spend", ("total", "", "1,234", "7"))
    lines = [line.rstrip() for line in printed(sheet, 80).splitlines()]
    assert lines[:2] == ["Spend", "team    model   requests  cached"]
    assert lines[3] == "search  gpt-4o     1,234       7"
    assert lines[-1] == "total              1,234       7"


def test_optional_columns_go_first_and_it_is_said() -> None:
    text = printed(Sheet(SPEND, [Row(("search", "gpt-4o", "1,234", "7"))]), 26)
    assert "cached" not in text.splitlines()[0]
    assert "1,234" in text
    assert "This terminal is too" in text


def test_entries_where_a_table_would_break_names() -> None:
    """An entry has its first cells as heading, and leaves out what is empty."""
    sheet = Sheet(SPEND, [Row(("search", "claude-opus-4-1", "1,234", ""))])
    lines = [line.rstrip() for line in printed(sheet, 25, heads=2).splitlines()]
    assert lines == ["search · claude-opus-4-1", "  requests  1,234", ""]


def test_names_are_text() -> None:
    """A client's words are never markup: `[red]` is printed as it is."""
    assert "[red]x[/]" in printed(Sheet((Column("tag"),), [Row(("[red]x[/]",))]), 80)


@given(
    cells=st.lists(st.text("abc019.-", min_size=1, max_size=30), min_size=3, max_size=3),
    width=st.integers(34, 120),
)
def test_nothing_is_cut(cells: list[str], width: int) -> None:
    """ "Never cut": each name and each number stands in the output whole where a line can hold it."""
    columns = (Column("a"), Column("b", "number"), Column("c"))
    shown = printed(Sheet(columns, [Row(cells)], total=cells), width)
    unfolded = "".join(line.strip() for line in shown.splitlines())
    assert "…" not in shown
    assert all(shown.count(cell) >= 1 or cell in unfolded for cell in cells)
