"""Tables for people: side by side where the terminal is wide enough, else one entry below the other; never cut."""

import sys
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from rich.text import Text

PIPED = 180
"""Columns where there is no terminal, such as in a pipe or a file."""
LEAST_PROSE = 20
"""Columns below which sentences are no longer worth a column of a table."""


class Column(NamedTuple):
    """A heading, and how its cells are set.

    `name`: stays in one piece. `number`: the same, to the right. `prose`: may be wrapped between words, and in long
    ones. What is `optional` is left out before a table that is too wide becomes entries.
    """

    heading: str
    kind: Literal["name", "number", "prose"] = "name"
    optional: bool = False


class Row(NamedTuple):
    """The cells of one entry, as many as there are columns, and a style of rich's for all of them."""

    cells: Sequence[str | Text]
    style: str = ""


class Sheet(NamedTuple):
    """What is to be printed: columns, rows, a title above them, and a `total` (a cell a column, or none) below."""

    columns: Sequence[Column]
    rows: Sequence[Row]
    title: str = ""
    total: Sequence[str] = ()


def console_for_people() -> Console:
    """Standard output: as wide as the terminal, or `PIPED` columns where there is none."""
    return Console(width=None if sys.stdout.isatty() else PIPED, highlight=False)


def print_sheet(console: Console, sheet: Sheet, heads: int = 1) -> None:
    """Print the rows under their headings.

    Where the table does not fit without breaking a name or a number it goes without its optional columns, which is
    said; where it still does not fit each row becomes an entry of its own: its first `heads` cells as heading, the
    others below it, those that are empty left out.
    """
    optional = [at for at, column in enumerate(sheet.columns) if column.optional]
    unbounded = console.options.update(max_width=100_000)
    for without in ([], optional) if optional else ([],):
        table = _table(sheet, without)
        if console.measure(table, options=unbounded).minimum <= console.width:
            console.print(table)
            if without:
                names = ", ".join(_words(sheet.columns[at].heading) for at in without)
                console.print(f"This terminal is too narrow for {names}.", style="dim")
            return
    if sheet.title:
        console.print(Text(sheet.title, style="bold"), end="\n\n")
    for row in (*sheet.rows, *([Row(sheet.total)] if sheet.total else [])):
        _print_entry(console, sheet.columns, row, heads)


def _table(sheet: Sheet, without: Iterable[int]) -> Table:
    table = Table(
        title=sheet.title or None,
        title_justify="left",
        box=SIMPLE,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1, 0, 0),
        show_footer=bool(sheet.total),
    )
    kept = [at for at in range(len(sheet.columns)) if at not in without]
    for at in kept:
        column = sheet.columns[at]
        table.add_column(
            column.heading,
            footer=sheet.total[at] if sheet.total else "",
            justify="right" if column.kind == "number" else "left",
            no_wrap=column.kind != "prose",
            min_width=LEAST_PROSE if column.kind == "prose" else None,
            overflow="fold",
        )
    for row in sheet.rows:
        table.add_row(*(_text(row.cells[at]) for at in kept), style=row.style)
    return table


def _print_entry(console: Console, columns: Sequence[Column], row: Row, heads: int) -> None:
    heading = " · ".join(plain for cell in row.cells[:heads] if (plain := _text(cell).plain))
    console.print(Text(heading, style=f"bold {row.style}".strip()))
    grid = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True, style="dim")
    grid.add_column(overflow="fold")
    for column, cell in list(zip(columns, row.cells, strict=True))[heads:]:
        if _text(cell).plain:
            grid.add_row(f"  {_words(column.heading)}", _text(cell))
    console.print(grid)
    console.print()


def _words(heading: str) -> str:
    return heading.replace("\n", " ")


def _text(cell: str | Text) -> Text:
    """Names are people's and clients' words: shown as text, never read as markup."""
    return cell if isinstance(cell, Text) else Text(cell)
