"""`tollway spend`: requests, tokens and cost, by team or any other dimension."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from gateway.cli import spend_savings
from gateway.cli.options import DEFAULT_CONFIG, ConfigOption

if TYPE_CHECKING:
    from rich.console import Console

    from gateway.ledger.spend import Filters, Report

FORMATS = ("table", "json", "csv", "parquet", "focus", "focus-parquet")
PERIODS = ("day", "hour")
_Url = Annotated[
    str | None,
    typer.Option(help="Ledger database (sqlite:///PATH or postgresql://…) instead of the configuration's."),
]

_EXAMPLES = """Examples:

  tollway spend                                    the last seven days, by team
  tollway spend --by team,day --since 2026-11-01   per team and day of November
  tollway spend --by tag:app --team search         one team's applications
  tollway spend --format csv --out spend.csv       for a spreadsheet
  tollway spend --format focus --since 2026-11-01  in the columns of FOCUS 1.2
  tollway spend savings                            where money could be saved
"""


def register(app: typer.Typer) -> None:
    """Add the command, and the one below it, to `app`."""
    group = typer.Typer(invoke_without_command=True, help=f"Show spend and tokens from the ledger.\n\n\b\n{_EXAMPLES}")
    group.callback()(spend)
    group.command("savings")(spend_savings.savings)
    app.add_typer(group, name="spend")


def spend(
    context: typer.Context,
    by: Annotated[
        str,
        typer.Option(
            help="Group by: team, key, model, provider, operation, hour, day, month, tag:NAME (comma-separated)."
        ),
    ] = "team",
    since: Annotated[str, typer.Option(help="From: an age (30m, 12h, 7d, 2w), a UTC date or a time.")] = "7d",
    until: Annotated[str, typer.Option(help="Up to, not including: as --since, or now.")] = "now",
    team: Annotated[list[str] | None, typer.Option(help="Only this team (may be repeated).")] = None,
    key: Annotated[list[str] | None, typer.Option(help="Only this key id (may be repeated).")] = None,
    model: Annotated[list[str] | None, typer.Option(help="Only this model (may be repeated).")] = None,
    provider: Annotated[list[str] | None, typer.Option(help="Only this provider (may be repeated).")] = None,
    tag: Annotated[
        list[str] | None,
        typer.Option(help="Only requests with this tag, NAME=VALUE (may be repeated: all must match)."),
    ] = None,
    form: Annotated[str, typer.Option("--format", help=f"One of {', '.join(FORMATS)}.")] = "table",
    json: Annotated[bool, typer.Option("--json", help="Short for --format json.")] = False,
    period: Annotated[str, typer.Option(help="Charge period of the focus formats: day or hour.")] = "day",
    out: Annotated[Path | None, typer.Option(help="Write to this file instead of standard output.")] = None,
    config: ConfigOption = DEFAULT_CONFIG,
    url: _Url = None,
) -> None:
    """Read the ledger and print a report."""
    written = _written(context)
    if context.invoked_subcommand is not None:
        if written:
            wrong(f"{context.invoked_subcommand} takes no options of spend; write its own after its name")
        return
    from gateway.cli import spend_prices
    from gateway.errors import ConfigError, LedgerError
    from gateway.ledger import spend as ledger
    from gateway.ledger.charges import charges
    from gateway.ledger.store import ledger_at

    form = _form(form, json, written)
    if period not in PERIODS:
        wrong(f"--period {period!r} is not known; allowed are {', '.join(PERIODS)}")
    if form.endswith("parquet") and out is None and sys.stdout.isatty():
        wrong("Parquet is binary: give --out FILE, or send standard output to a file")
    try:
        at_ns = now_ns()
        groups = ledger.check_groups([name.strip() for name in by.split(",") if name.strip()])
        filters = _filters(team, key, model, provider, tag)
        _check_text(by, *(team or ()), *(key or ()), *(model or ()), *(provider or ()), *(tag or ()))
        since_ns, until_ns = _moment("--since", since, at_ns), _moment("--until", until, at_ns)
        if since_ns >= until_ns:
            raise LedgerError("the range is empty: --since must be before --until")
        ledger_url, journal = (url, None) if url is not None else ledger_of_config(config)
    except (LedgerError, ConfigError) as error:
        wrong(str(error))
    try:
        if form.startswith("focus"):
            cards = spend_prices.of_url() if url is not None else spend_prices.of_config(config)
            asked = since_ns, until_ns, *cards, "hour" if period == "hour" else "day", filters
            with ledger_at(ledger_url) as engine:
                spend_prices.write_focus(charges(engine, *asked), form, out)
            return
        with ledger_at(ledger_url) as engine:
            report = ledger.report(engine, groups, since_ns, until_ns, filters)
        _write(report, form, out, journal)
    except (LedgerError, OSError) as error:
        told = f"{out} cannot be written: {error.strerror}" if isinstance(error, OSError) else error
        print(f"tollway spend: {told}", file=sys.stderr)
        raise typer.Exit(1) from None


def _check_text(*texts: str) -> None:
    """No database takes bytes that are no UTF-8, which a shell passes on as lone surrogates."""
    from gateway.errors import LedgerError

    for text in texts:
        try:
            text.encode()
        except UnicodeEncodeError:
            raise LedgerError(f"{text!r} is not valid UTF-8") from None


def _moment(option: str, text: str, at_ns: int) -> int:
    from gateway.errors import LedgerError
    from gateway.ledger.periods import moment_ns

    try:
        return moment_ns(text, at_ns)
    except LedgerError as error:
        raise LedgerError(f"{option}: {error}") from None


def _written(context: typer.Context) -> set[str]:
    """Names of the parameters that the command line gives, defaults and variables left out."""
    sources = ((name, context.get_parameter_source(name)) for name in context.params)
    return {name for name, source in sources if source is not None and source.name == "COMMANDLINE"}


def _form(form: str, json: bool, written: set[str]) -> str:
    """The format that is asked for; what does not go with it is wrong use, because it would have no effect."""
    if form not in FORMATS:
        wrong(f"--format {form!r} is not known; allowed are {', '.join(FORMATS)}")
    if json and "form" in written and form != "json":
        wrong(f"--json is short for --format json, and --format is {form}; give one of them")
    form = "json" if json else form
    if form.startswith("focus") and "by" in written:
        wrong(f"--by does not go with --format {form}: its rows are charges, by day or hour (--period)")
    if not form.startswith("focus") and "period" in written:
        wrong(f"--period is for the focus formats; with {form}, group by day or hour (--by)")
    return form


def ledger_of_config(path: Path) -> tuple[str, Path]:
    """The ledger's URL and journal directory that a configuration names.

    Raises `ConfigError`, or `LedgerError` when it keeps no ledger.
    """
    from gateway.errors import LedgerError
    from gateway.settings.load import load_config

    ledger = load_config(path).ledger
    if ledger is None:
        raise LedgerError(f"{path} says `ledger: off`: no spend is recorded")
    return ledger.url, Path(ledger.journal)


def now_ns() -> int:
    """Wall clock, nanoseconds since the epoch."""
    from gateway.clock import SystemClock

    return SystemClock().now_ns()


def wrong(message: str) -> NoReturn:
    """Wrong use: say what, and exit with 2."""
    print(f"tollway spend: {message}", file=sys.stderr)
    raise typer.Exit(2)


def _filters(
    team: list[str] | None,
    key: list[str] | None,
    model: list[str] | None,
    provider: list[str] | None,
    tag: list[str] | None,
) -> Filters:
    from gateway.errors import LedgerError
    from gateway.ledger.spend import Filters

    pairs: list[tuple[str, str]] = []
    for text in tag or ():
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise LedgerError(f"--tag {text!r} is not NAME=VALUE, such as app=shop")
        pairs.append((name.strip(), value.strip()))
    return Filters(
        team=tuple(team or ()),
        key=tuple(key or ()),
        model=tuple(model or ()),
        provider=tuple(provider or ()),
        tags=tuple(pairs),
    )


def _write(report: Report, form: str, out: Path | None, journal: Path | None) -> None:
    from gateway.ledger import export, parquet

    if form == "table":
        _print_table(report, out, journal)
        return
    writers = {"json": export.json_bytes, "csv": export.csv_bytes, "parquet": parquet.parquet_bytes}
    data = writers[form](report)
    if out is not None:
        out.write_bytes(data)
    else:
        sys.stdout.buffer.write(data)
        sys.stdout.flush()


def _print_table(report: Report, out: Path | None, journal: Path | None) -> None:
    from rich.console import Console

    from gateway.cli.tables import PIPED, console_for_people

    if out is None:
        _show(console_for_people(), report, journal)
        return
    with out.open("w", encoding="utf-8") as file:
        _show(Console(file=file, width=PIPED, highlight=False), report, journal)


def _minute(ns: int) -> str:
    """A time as people read it; the JSON has it exactly."""
    from gateway.ledger.spend import iso

    return iso(ns // (60 * 10**9) * 60 * 10**9)[:-4].replace("T", " ")


def _show(console: Console, report: Report, journal: Path | None) -> None:
    from gateway.cli.tables import Column, Row, Sheet, print_sheet
    from gateway.ledger.spend import usd

    counts = ("requests", "input_tokens", "output_tokens", "cache_read_tokens")
    columns = [
        *(Column(name) for name in report.by),
        *(
            Column(name.replace("cache_read", "cached").replace("_", "\n"), "number", name == counts[-1])
            for name in counts
        ),
        Column("cost USD", "number"),
    ]
    rows = [
        Row(
            (
                *(row.names[name] or "(none)" for name in report.by),
                *(f"{row.sums[name]:,}" for name in counts),
                row.cost_usd,
            )
        )
        for row in report.rows
    ]
    sums = (*(f"{report.total[name]:,}" for name in counts), usd(report.total["cost_nanos"]))
    total = ("total", *("" for _ in report.by[1:]), *sums)
    title = f"Spend from {_minute(report.since_ns)} to {_minute(report.until_ns)} UTC"
    print_sheet(console, Sheet(columns, rows, title, total), heads=len(report.by))
    for style, note in _notes(report, journal):
        console.print(note, style=style, markup=False, highlight=False)


def _notes(report: Report, journal: Path | None) -> list[tuple[str, str]]:
    """Lines under the table: style and text."""
    from gateway.ledger.spend import MOST_NAMES, usd, wasted

    total = report.total
    notes: list[tuple[str, str]] = []
    if total["unpriced_requests"]:
        names = ", ".join(name or "(none)" for name in report.unpriced_models)
        names += ", …" if len(report.unpriced_models) >= MOST_NAMES else ""
        count = f"{total['unpriced_requests']:,} request" + ("s" if total["unpriced_requests"] > 1 else "")
        notes.append(("yellow", f"Warning: not in the total: {count} of models without a price ({names})."))
    lost = wasted(total)
    if nanos := sum(each.nanos for each in lost):
        part = f", {nanos * 100 / total['cost_nanos']:.1f} % of the total" if total["cost_nanos"] else ""
        ways = ", ".join(f"{each.outcome} {usd(each.nanos)} ({each.requests:,})" for each in lost)
        notes.append(("", f"Paid for requests that came to nothing: {usd(nanos)}{part}: {ways}."))
    if total["retried_requests"]:
        notes.append(("", f"{total['retried_requests']:,} requests took more than one try; failed tries cost nothing."))
    if total["estimated_requests"]:
        notes.append(("", f"{total['estimated_requests']:,} requests have estimated usage."))
    notes.append(("dim", _freshness(report, journal)))
    return notes


def _freshness(report: Report, journal: Path | None) -> str:
    from gateway.ledger.spend import iso
    from gateway.ledger.status import read_status

    status = read_status(journal) if journal is not None else None
    if status is None:
        if report.loaded_until_ns is None:
            return "The ledger has not been loaded yet."
        return f"Ledger last loaded {iso(report.loaded_until_ns // 10**9 * 10**9)}."
    age = max(now_ns() - status.updated_ns, 0) / 1e9
    if age > 30:
        last = iso(status.updated_ns // 10**9 * 10**9)
        return f"No loader has reported since {last} ({age:,.0f} s ago): figures may be old."
    if status.lag_bytes:
        return f"The ledger is {status.lag_seconds:,.1f} s behind ({status.lag_bytes:,} journal bytes not loaded)."
    return "The ledger is up to date."
