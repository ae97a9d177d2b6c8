"""`tollway guardrails review` and `mark`: go through what guardrails found on live traffic, and say what it is."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from gateway.cli.admin_client import AdminError, KeyOption, UrlOption
from gateway.cli.asking import JsonOption, answering, gateway_of, in_ledger, print_json
from gateway.cli.options import DEFAULT_CONFIG, ConfigOption

if TYPE_CHECKING:
    from gateway.admin.review_shapes import ReviewQueue, RulePrecision, ValueView
    from gateway.admin.reviewing import Reviewing

T = TypeVar("T")
LIST = "/admin/v1/guardrails/findings"
MARK = "/admin/v1/guardrails/reviews"
COMMAND = "guardrails"


def register(guardrails: typer.Typer) -> None:
    """Add the commands to `tollway guardrails`."""
    guardrails.command("review")(review)
    guardrails.command("mark")(mark)


def review(
    since: Annotated[str, typer.Option(help="Found since: an age (30m, 12h, 7d, 2w), a UTC date or a time.")] = "7d",
    state: Annotated[str, typer.Option(help="open, later, false_positive, true_positive or all.")] = "open",
    team: Annotated[str | None, typer.Option(help="Only this team's.")] = None,
    rule: Annotated[str | None, typer.Option(help="Only this rule's.")] = None,
    type_: Annotated[str | None, typer.Option("--type", help="Only of this type, such as EMAIL_ADDRESS.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=500, help="At most so many values.")] = 50,
    config: ConfigOption = DEFAULT_CONFIG,
    admin_url: UrlOption = None,
    admin_key: KeyOption = None,
    json: JsonOption = False,
) -> None:
    """List values that guardrails found on live traffic and nobody has judged, the most frequent first; and the
    precision of every rule that was judged.

    A value is a rule and a keyed digest: no text is kept. The findings log is on with `ledger: {findings: {}}`.

    \b
    tollway guardrails review --rule standard.pii.1 --since 30d
    tollway guardrails mark standard.pii.1 3f2a9c0b1d4e5f60 false_positive
    """
    from gateway.admin.review_shapes import ReviewQueue
    from gateway.admin.reviewing import Asked

    narrowed = {name: value for name, value in (("team", team), ("rule", rule), ("type", type_)) if value}
    with answering(COMMAND, json):
        if (client := gateway_of(config, admin_url, admin_key)) is not None:
            found = client.get(LIST, ReviewQueue, since=since, state=state, limit=str(limit), **narrowed)
        else:
            asked = Asked(since=since, state=state, filters=narrowed, most=limit)
            found = in_findings(config, lambda reviewing: reviewing.queue(asked))
    if json:
        print_json(found)
    else:
        _print_queue(found, narrowed)


def mark(
    rule: Annotated[str, typer.Argument(metavar="RULE", help="Id of the rule, as listed.")],
    digest: Annotated[str, typer.Argument(metavar="DIGEST", help="Digest of the value, as listed.")],
    verdict: Annotated[str, typer.Argument(metavar="VERDICT", help="false_positive, true_positive, later or open.")],
    config: ConfigOption = DEFAULT_CONFIG,
    admin_url: UrlOption = None,
    admin_key: KeyOption = None,
    json: JsonOption = False,
) -> None:
    """Say what a value is that a rule found; open takes that back. In the audit log.

    Marking changes no policy: for a false positive, the line of YAML that allows it is printed.
    """
    import msgspec

    from gateway.admin.review_shapes import Marked, MarkValue
    from gateway.ledger.reviews import UNDO, VERDICTS

    with answering(COMMAND, json):
        if verdict not in (*VERDICTS, UNDO):
            raise AdminError(f"VERDICT: allowed are {', '.join((*VERDICTS, UNDO))}", 400)
        asked = msgspec.convert({"rule": rule, "digest": digest.lower(), "verdict": verdict}, MarkValue)
        if (client := gateway_of(config, admin_url, admin_key)) is not None:
            marked = client.post(MARK, Marked, asked)
        else:
            marked = in_findings(config, lambda reviewing: reviewing.mark(asked))
    if json:
        print_json(marked)
        return
    print(f"{marked.rule} {marked.digest}: {marked.verdict.replace('_', ' ')}")
    if marked.allow:
        print(f"To allow what was marked, in rule {marked.rule}:\n  {marked.allow}")


def in_findings(config: Path, work: Callable[[Reviewing], T]) -> T:
    """Work on the findings log of the configured ledger. Raises `ConfigError`, `LedgerError`."""
    from gateway.admin.reviewing import Reviewing
    from gateway.cli.who import actor
    from gateway.clock import SystemClock

    return in_ledger(
        config,
        "findings",
        lambda engine, written: work(Reviewing(engine, written, SystemClock(), actor())),
    )


def _print_queue(found: ReviewQueue, narrowed: dict[str, str]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(width=None if sys.stdout.isatty() else 180, highlight=False)
    if not found.logging:
        console.print("The findings log is off: turn it on with ledger: {findings: {}}.")
    elif found.sample < 1:
        console.print(f"{found.sample * 100:g} % of exchanges with findings are logged.")
    if not found.values:
        of = "".join(f" of {name} {value}" for name, value in narrowed.items())
        state = "judged or open" if found.state == "all" else found.state.replace("_", " ")
        console.print(Text(f"No value{of} since {found.since} is {state}."))
    else:
        table = Table(title=f"since {found.since}", title_justify="left", box=None, pad_edge=False, header_style="bold")
        for column in ("rule, digest", "type, where", "found", "teams", "score", "last seen"):
            # A digest is copied into `mark`: it stays in one piece however narrow the terminal is.
            whole = column not in ("type, where", "teams")
            table.add_column(column, justify="right" if column == "found" else "left", overflow="fold", no_wrap=whole)
        if found.state == "all":
            table.add_column("state", overflow="fold")
        for value in found.values:
            table.add_row(*(Text(cell) for cell in _cells(value)[: len(table.columns)]))
        console.print(table)
        if found.more:
            console.print("There are more; see --limit.")
    _print_rules(console.print, found.rules)


def _cells(value: ValueView) -> tuple[str, ...]:
    low, high = value.least_score, value.most_score
    return (
        f"{value.rule}\n{value.digest}",
        f"{value.type}\n{value.place} ({value.role}) {value.start}–{value.end}",
        f"{value.findings:,}\n{value.acted:,} acted",
        ", ".join(f"{team or '(none)'} {count:,}" for team, count in list(value.teams.items())[:4]),
        f"{low:.2f}" if low == high else f"{low:.2f}–{high:.2f}",
        value.last_seen[:19].replace("T", "\n"),
        value.verdict.replace("_", " "),
    )


def _print_rules(print_: Callable[..., None], rules: list[RulePrecision]) -> None:
    from rich.table import Table
    from rich.text import Text

    from gateway.cli.guardrails_show import spoken_share

    if not rules:
        return
    table = Table(title="judged so far", title_justify="left")
    for column in ("rule", "true", "false", "later", "precision"):
        table.add_column(column, justify="left" if column in ("rule", "precision") else "right")
    for each in rules:
        counts = (f"{each.true_values:,}", f"{each.false_values:,}", f"{each.later_values:,}")
        interval = None if each.interval is None else (each.interval[0], each.interval[1])
        table.add_row(Text(each.rule), *counts, spoken_share(each.precision, interval))
    print_(table)
    for each in rules:
        if each.allow:
            print_(Text(f"To allow the false positives of {each.rule}: {each.allow}"), soft_wrap=True)
