"""`tollway spend savings`: where money could be saved, how much a month, what shows it, and what to do."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.options import DEFAULT_CONFIG, ConfigOption

if TYPE_CHECKING:
    from gateway.ledger.savings import Savings
    from gateway.ledger.savings_rules import Saving


def savings(
    json: Annotated[bool, typer.Option("--json", help="Print JSON; amounts are decimal strings, USD a month.")] = False,
    config: ConfigOption = DEFAULT_CONFIG,
    url: Annotated[
        str | None, typer.Option(help="Ledger database instead of the configuration's; public prices then.")
    ] = None,
) -> None:
    """Say where money could be saved: with the saving a month, the evidence, and what to change.

    Looks through the sums of the last 30 days and the newest raw events. Says nothing without evidence, and nothing
    that is worth less than a dollar a month.
    """
    from gateway.cli import spend_prices
    from gateway.cli.spend import ledger_of_config, now_ns, wrong
    from gateway.errors import ConfigError, LedgerError
    from gateway.ledger.savings import as_json, find
    from gateway.ledger.store import ledger_at

    try:
        cards, _ = spend_prices.of_url() if url is not None else spend_prices.of_config(config)
        ledger_url = url if url is not None else ledger_of_config(config)[0]
    except (LedgerError, ConfigError) as error:
        wrong(str(error))
    try:
        with ledger_at(ledger_url) as engine:
            found = find(engine, cards, now_ns())
    except LedgerError as error:
        print(f"tollway spend savings: {error}", file=sys.stderr)
        raise typer.Exit(1) from None
    if json:
        import msgspec

        print(msgspec.json.format(msgspec.json.encode(as_json(found))).decode())
    else:
        _show(found)


def _show(found: Savings) -> None:
    from rich.console import Console

    from gateway.ledger.spend import iso

    console = Console(width=None if sys.stdout.isatty() else 120)
    for saving in found.found:
        for style, text in _lines(saving):
            console.print(text, style=style, markup=False, highlight=False)
    if not found.found:
        console.print("Nothing is found that would save a dollar a month.")
    since = iso(found.since_ns // 10**9 * 10**9)
    console.print(f"Raw events since {since} and the sums of 30 days were looked at.", style="dim", highlight=False)


def _lines(saving: Saving) -> list[tuple[str, str]]:
    """One saving: style and text of its lines."""
    from gateway.ledger.spend import usd

    amount = "      –      " if saving.monthly is None else f"${usd(saving.monthly)[:-7]} a month"
    found = [("bold", f"{amount}  {saving.title}"), ("", f"  {saving.why}")]
    found.append(("", "  " + "; ".join(f"{name}: {value}" for name, value in saving.evidence.items())))
    if saving.samples:
        found.append(("dim", f"  for example {', '.join(saving.samples)}"))
    found += [("cyan", f"    {line}") for line in saving.how.splitlines()]
    return [*found, ("", "")]
