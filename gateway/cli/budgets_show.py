"""Budgets and adjustments as tables for people."""

from decimal import Decimal

from rich.text import Text

from gateway.admin.budget_shapes import AdjustmentView, Amount, BudgetList, BudgetView
from gateway.cli.tables import Column, Row, Sheet, console_for_people, print_sheet

_STYLES = {"soft": "yellow", "exhausted": "bold red", "unknown": "dim", "ok": ""}


def print_budgets(found: BudgetList, why: str) -> None:
    """The table of `tollway budgets`. `why`: for what reason the figures are the ledger's."""
    console = console_for_people()
    if not found.budgets:
        console.print("No budgets. (Limits without money: --all.)")
        return
    numbers = (Column(name, "number") for name in ("limit", "used", "reserved", "remaining", "forecast"))
    columns = (Column("budget"), Column("window"), *numbers, Column("resets"), Column("state"))
    print_sheet(console, Sheet(columns, [Row(_cells(budget)) for budget in found.budgets]))
    if found.source == "ledger":
        told = f"From the ledger, without what requests under way hold: {why}."
        console.print(told, style="dim", highlight=False, markup=False)


def print_adjustments(found: list[AdjustmentView]) -> None:
    """The table of `tollway budgets adjustments`."""
    console = console_for_people()
    if not found:
        console.print("No adjustments.")
        return
    columns = [Column(name) for name in ("id", "budget", "kind", "extra", "since", "until", "state", "by")]
    columns[3] = Column("extra", "number")
    rows: list[Row] = []
    for each in found:
        state = f"ended {each.ended_at}" if each.ended_at is not None else each.state
        cells = (each.id, each.counter, each.kind, shown(each.extra), each.since, each.until, state, each.made_by)
        rows.append(Row((*cells, each.reason)))
    print_sheet(console, Sheet((*columns, Column("reason", "prose")), rows))


def _cells(budget: BudgetView) -> list[Text]:
    limit = shown(budget.limit)
    if budget.extra not in (0, "0.000000000"):
        limit += f" (+{shown(budget.extra)})"
    over = budget.forecast is not None and Decimal(budget.forecast) > Decimal(budget.limit)
    return [
        Text(budget.counter),
        Text(budget.window),
        Text(limit),
        Text(shown(budget.used)),
        Text(shown(budget.reserved)),
        Text(shown(budget.remaining)),
        Text(shown(budget.forecast), style="yellow" if over else ""),
        Text(budget.resets_at or "–"),
        Text(budget.state, style=_STYLES[budget.state]),
    ]


def shown(amount: Amount | None) -> str:
    """Dollars to the cent, or as exact as what is below a cent needs; numbers with thousands apart; – for unknown."""
    if amount is None:
        return "–"
    if isinstance(amount, int):
        return f"{amount:,}"
    exact = Decimal(amount)
    plain = f"{exact:,.2f}"
    if Decimal(plain.replace(",", "")) != exact and abs(exact) < 1:
        plain = f"{exact.normalize():,f}"
    return f"${plain}"
