"""What `tollway spend` needs prices for: charges in the columns of FOCUS, and findings."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gateway.ledger.charges import Cards, Charge


def of_config(path: Path) -> tuple[Cards, Cards]:
    """Prices in force by a configuration, and the public ones. Raises `ConfigError`."""
    from gateway.admin.pricelists import named, nothing
    from gateway.settings.load import load_config
    from pricing.book import PriceBook

    written = load_config(path)
    if written.prices is None:
        return nothing, nothing
    known = {name: section.prices for name, section in written.root.providers.items()}
    book = PriceBook(written.prices)
    return named(book, known), named(book.public(), known)


def of_url() -> tuple[Cards, Cards]:
    """Without a configuration: the public prices, found by the model's name."""
    from gateway.admin.pricelists import named
    from pricing.book import PriceBook

    cards = named(PriceBook(), {})
    return cards, cards


def write_focus(found: Iterable[Charge], form: str, out: Path | None) -> None:
    """Write charges to a file or standard output. Raises `LedgerError` and `OSError`."""
    from gateway.ledger import focus, parquet

    file = sys.stdout.buffer if out is None else out.open("wb")
    try:
        if form == "focus":
            file.writelines(focus.csv_pieces(found))
        else:
            parquet.write_focus(found, file)
        file.flush()
    finally:
        if out is not None:
            file.close()
