"""`tollway price`: what a usage costs, meter by meter, by the very arithmetic that the ledger books."""

import sys
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import msgspec
import typer

if TYPE_CHECKING:
    from pricing.book import PriceBook
    from pricing.overlay import Overlay
    from pricing.rates import MeterLine
    from pricing.usage import Usage

_ONE_BY_ONE = ("web_search", "file_search", "request", "page", "image", "second")
"""Meters shown by the piece, not by the million."""
_HELP = """Show what a usage costs, and from which price version.

The usage is an object in OpenAI's, Anthropic's or Gemini's own shape (or a whole answer that holds one). Without one,
the rates themselves are shown. Exit status: 0 priced, 1 no price known, 2 wrong use.
"""
_EXAMPLES = """Examples:

  tollway price gpt-4o --usage '{"prompt_tokens": 2006, "completion_tokens": 9}'
  tollway price claude-sonnet-4-5 --at 2026-11-01      the rates on that day
  tollway price gpt-5-nano --tier flex --json          for scripts
  curl … | tollway price gpt-4o --usage -              of a whole answer
"""


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("price", help=f"{_HELP}\n\n\b\n{_EXAMPLES}")(price)


def price(
    model: Annotated[str, typer.Argument(help="Model name, as sent to the provider.")],
    provider: Annotated[
        str | None,
        typer.Option(help="Provider in the catalogue (openai, anthropic, google, …) or in your prices."),
    ] = None,
    usage: Annotated[str | None, typer.Option(metavar="JSON", help="Usage object, or - for standard input.")] = None,
    tier: Annotated[
        str | None, typer.Option(help="Service tier that served: flex, priority, batch, … Default: the usage's own.")
    ] = None,
    at: Annotated[
        str | None,
        typer.Option(metavar="DATE", help="Price at this UTC date or time, such as 2026-11-01. Default: now."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON; amounts are decimal strings in USD.")] = False,
    config: Annotated[
        Path | None, typer.Option(envvar="TOLLWAY_CONFIG", help="Configuration whose `prices` count too.")
    ] = None,
    prices: Annotated[Path | None, typer.Option(help="Own prices (YAML) over the public catalogue.")] = None,
) -> None:
    """Find the card, price the usage, print the bill."""
    from pricing.book import PriceBook
    from pricing.usage import Usage

    at_ns = _instant(at)
    used, told_tier = _usage(usage)
    tier = tier or told_tier
    book = PriceBook(_overlay(config, prices))
    card = book.card(provider, model)
    if card is None:
        _unknown(book, model, provider, json)
    if provider is None:
        # Found by its name alone. What is shown is said to be of a provider, so that provider's own prices hold.
        card = book.card(card.provider, model) or card
    if tier is not None and tier.lower() not in (*card.tiers, *_standard()):
        print(f"tollway price: {card.model} has no {tier} price; this is the standard one", file=sys.stderr)
    cost = card.cost(used or Usage(requests=0), tier=tier, at_ns=at_ns)
    if cost.nanos is None:
        _fail(f"no price of {model!r} is in force at {_iso(at_ns)}", json)
    bill = Bill(
        model=card.model,
        provider=card.provider,
        price_version=cost.price_version,
        tier=tier if tier is not None and tier.lower() in card.tiers else "standard",
        total_usd=_plain(Decimal(cost.nanos).scaleb(-9)),
        meters=list(map(_line, card.rates(tier, at_ns) if used is None else card.meters(used, tier, at_ns))),
    )
    if json:
        print(msgspec.json.format(msgspec.json.encode(bill)).decode())
    else:
        _table(bill, card.thresholds(tier, at_ns) if used is None else ())


class Line(msgspec.Struct):
    """One meter of a bill; `tokens` counts what the meter counts (a decimal string when it is not whole)."""

    meter: str
    tokens: int | str
    usd_per_token: str
    usd: str


class Bill(msgspec.Struct):
    """The contract's JSON."""

    model: str
    provider: str
    price_version: str
    tier: str
    total_usd: str
    meters: list[Line]


def _line(line: "MeterLine") -> Line:
    tokens = line.tokens if isinstance(line.tokens, int) else _plain(line.tokens)
    return Line(meter=line.meter, tokens=tokens, usd_per_token=_plain(line.usd_per_token), usd=_plain(line.usd))


def _table(bill: Bill, thresholds: tuple[int, ...]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    console = Console()
    console.print(f"{bill.model} by {bill.provider}, {bill.tier} tier; prices: {bill.price_version}")
    table = Table(box=SIMPLE_HEAD, show_footer=True)
    table.add_column("meter", footer="total")
    table.add_column("tokens", justify="right")
    table.add_column("USD per million", justify="right")
    table.add_column("USD", justify="right", footer=bill.total_usd)
    for line in bill.meters:
        rate = round(Decimal(line.usd_per_token), 15)
        shown = f"{_plain(rate)} each" if line.meter in _ONE_BY_ONE else _plain(rate * 1_000_000)
        tokens = f"{line.tokens:,}" if isinstance(line.tokens, int) else line.tokens
        table.add_row(line.meter, tokens, shown, line.usd)
    console.print(table)
    for threshold in thresholds:
        console.print(f"Other rates hold for requests of more than {threshold:,} input tokens: give --usage.")


def _usage(text: str | None) -> "tuple[Usage | None, str | None]":
    if text is None:
        return None, None
    from pricing.shapes import UsageError, parse_usage

    try:
        return parse_usage(sys.stdin.buffer.read() if text == "-" else text.encode("utf-8", "replace"))
    except UsageError as error:
        _wrong(f"--usage: {error}")


def _overlay(config: Path | None, prices: Path | None) -> "Overlay | None":
    """Prices of `--prices`, else of the configuration; None: the catalogue alone."""
    from gateway.errors import ConfigError
    from pricing.overlay import OverlayError, parse_overlay

    try:
        if prices is not None:
            return parse_overlay(_read_yaml(prices))
        if config is not None:
            from gateway.settings.load import load_config

            return load_config(config).prices
    except OverlayError as error:
        _wrong("\n".join(f"{prices}: {'.'.join(map(str, path)) or 'prices'}: {what}" for path, what in error.problems))
    except ConfigError as error:
        _wrong(str(error))
    return None


def _read_yaml(path: Path) -> object:
    import yaml

    try:
        return yaml.safe_load(path.read_bytes())
    except OSError as error:
        _wrong(f"{path}: {error.strerror}")
    except (yaml.YAMLError, ValueError) as error:  # ValueError: a date that is not in the calendar
        _wrong(f"{path}: not valid YAML: {' '.join(str(error).split())}")


def _instant(text: str | None) -> int:
    from gateway.clock import SystemClock

    if text is None:
        return SystemClock().now_ns()
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        _wrong(f"--at {text!r} is not a date; write 2026-11-01 or 2026-11-01T12:30")
    moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return int(moment.timestamp()) * 10**9


def _iso(at_ns: int) -> str:
    return datetime.fromtimestamp(at_ns // 10**9, UTC).isoformat()


def _standard() -> tuple[str, ...]:
    from pricing.card import STANDARD_TIERS

    return STANDARD_TIERS


def _plain(value: Decimal) -> str:
    """A decimal without an exponent or trailing zeros."""
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _unknown(book: "PriceBook", model: str, provider: str | None, json: bool) -> NoReturn:
    where = f" of provider {provider!r}" if provider is not None else ""
    others = book.nearest_providers(provider) if provider is not None else []
    if provider is None and (own := book.own_providers(model)):
        _fail(
            f"no price is known for model {model!r} of any provider; own prices have it with --provider {own[0]}", json
        )
    near = others or book.nearest(model)
    hint = f"; the nearest known {'providers' if others else 'names'} are {', '.join(near)}" if near else ""
    _fail(f"no price is known for model {model!r}{where}{hint}", json)


def _fail(message: str, json: bool) -> NoReturn:
    print(
        msgspec.json.encode({"error": message}).decode() if json else f"tollway price: {message}",
        file=None if json else sys.stderr,
    )
    raise typer.Exit(1)


def _wrong(message: str) -> NoReturn:
    print(f"tollway price: {message}", file=sys.stderr)
    raise typer.Exit(2)
