"""`tollway audit`: list who changed what, and prove that nobody changed the list."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from gateway.cli.asking import print_json
from gateway.cli.options import DEFAULT_CONFIG, ConfigOption

if TYPE_CHECKING:
    from gateway.admin.budget_shapes import AuditView
    from gateway.ledger.audit import Head
    from gateway.settings.snapshot import LedgerOptions

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]

_HELP = """Who changed keys, budgets and configuration, when, from what to what, and why.

Entries live in the ledger database, each with a hash over itself and the one before it.
"""


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    audit = typer.Typer(name="audit", help=_HELP, no_args_is_help=True)
    audit.command("list")(list_entries)
    audit.command("verify")(verify)
    app.add_typer(audit)


def list_entries(
    since: Annotated[str, typer.Option(help="From: an age (30m, 12h, 7d, 2w), a UTC date or a time.")] = "30d",
    limit: Annotated[int, typer.Option(min=1, max=1_000_000, help="At most so many, the newest.")] = 200,
    config: ConfigOption = DEFAULT_CONFIG,
    json: JsonOption = False,
) -> None:
    """List changes, oldest first.

    Example: tollway audit list --since 7d
    """
    from gateway.admin.audit import listed
    from gateway.clock import SystemClock
    from gateway.errors import LedgerError
    from gateway.ledger.periods import moment_ns

    ledger = _ledger(config, json)
    try:
        since_ns = moment_ns(since, SystemClock().now_ns())
    except LedgerError as error:
        _fail(f"--since: {error}", 2, json)
    try:
        found = listed(ledger.url, since_ns, limit)
    except LedgerError as error:
        _fail(str(error), 1, json)
    if json:
        print_json(found)
    else:
        _print_table(found.entries)


def verify(
    head: Annotated[
        str | None, typer.Option("--head", metavar="NUMBER:HASH", help="A head that was noted elsewhere before.")
    ] = None,
    config: ConfigOption = DEFAULT_CONFIG,
    json: JsonOption = False,
) -> None:
    """Check every link of the audit log; exit code 1 says where it is broken.

    Also that it was not cut off at its end, as far as can be known: against the head in the database, the newest one
    seen (kept beside the journal), and --head. Note the head it prints outside of this machine: who may write the
    database and that file could replace the end of the log, and only a head kept elsewhere would tell.
    """
    from gateway.errors import LedgerError
    from gateway.ledger.audit import parse_head, read_anchor, remember
    from gateway.ledger.audit import verify as verify_chain
    from gateway.ledger.store import current_ledger

    ledger = _ledger(config, json)
    remembered: list[Head] = []
    try:
        if head is not None:
            remembered.append(parse_head(head))
    except LedgerError as error:
        _fail(f"--head: {error}", 2, json)
    # Read before the chain, so that what is remembered is in it.
    if (anchor := read_anchor(ledger.journal)) is not None:
        remembered.append(anchor)
    try:
        with current_ledger(ledger.url) as engine:
            found = verify_chain(engine, remembered)
    except LedgerError as error:
        _fail(str(error), 2, json)
    if found.broken is None and found.head is not None:
        try:
            remember(ledger.journal, found.head)
        except OSError as error:
            print(
                f"tollway audit: the head cannot be remembered in {ledger.journal}: {error.strerror}", file=sys.stderr
            )
    if json:
        broken = None if found.broken is None else {"entry": found.broken.seq, "problem": found.broken.problem}
        answer = {"ok": broken is None, "entries": found.entries, "head": _spoken(found.head), "broken": broken}
        print_json({**answer, "remembered": [str(each) for each in remembered]})
    elif found.broken is not None:
        print(f"BROKEN at entry {found.broken.seq}: {found.broken.problem}.")
        before = "entry before it is" if found.entries == 1 else "entries before it are"
        print(f"The {found.entries:,} {before} right." if found.entries else "No entry before it is right.")
    else:
        entries = f"{found.entries:,} entr{'y' if found.entries == 1 else 'ies'}"
        heads = f"{len(remembered):,} remembered head{'' if len(remembered) == 1 else 's'}"
        print(f"{entries}, every link right; {heads} found in them.")
        print(f"Head: {_spoken(found.head) or 'none yet'}")
    if found.broken is not None:
        raise typer.Exit(1)


def _spoken(head: Head | None) -> str | None:
    return None if head is None else str(head)


def _ledger(config: Path, json: bool) -> LedgerOptions:
    from gateway.errors import ConfigError
    from gateway.settings.load import load_config

    try:
        written = load_config(config)
    except ConfigError as error:
        _fail(str(error), 2, json)
    if written.ledger is None:
        _fail("the configuration keeps no ledger (ledger: off), and the audit log lives in it", 2, json)
    return written.ledger


def _fail(message: str, code: int, json: bool) -> NoReturn:
    if json:
        print_json({"error": message})
    print(f"tollway audit: {message}", file=sys.stderr)
    raise typer.Exit(code)


def _print_table(entries: list[AuditView]) -> None:
    from gateway.cli.tables import Column, Row, Sheet, console_for_people, print_sheet

    console = console_for_people()
    if not entries:
        console.print("No changes.")
        return
    columns = [Column(name) for name in ("#", "at", "who", "action", "object")]
    rows: list[Row] = []
    for entry in entries:
        cells = (str(entry.seq), entry.at, entry.actor, entry.action, entry.object, _change(entry), entry.reason)
        rows.append(Row(cells))
    print_sheet(console, Sheet((*columns, Column("change", "prose"), Column("reason", "prose")), rows), heads=4)


def _change(entry: AuditView) -> str:
    """What differs, a line each; amounts of money and times as they are kept."""
    lines: list[str] = []
    for name in dict.fromkeys([*entry.before, *entry.after]):
        before, after = entry.before.get(name), entry.after.get(name)
        if before == after or (before is None and after in ("", None, {})):
            continue
        old = "" if before is None else f"{_value(name, before)} → "
        lines.append(f"{name.removesuffix('_ns')}: {old}{_value(name, after)}")
    return "\n".join(lines)


def _value(name: str, value: object) -> str:
    from gateway.admin.shapes import iso

    if value is None:
        return "none"
    if name.endswith("_ns") and isinstance(value, int):
        return iso(value)
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
