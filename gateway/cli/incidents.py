"""`tollway incidents`: what is wrong, since when and for whom; with the timeline, and who looks after it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from gateway.cli.admin_client import KeyOption, UrlOption, path_of
from gateway.cli.asking import JsonOption, answering, gateway_of, in_ledger, print_json
from gateway.cli.options import DEFAULT_CONFIG, ConfigOption

if TYPE_CHECKING:
    from gateway.admin.incident_shapes import IncidentDetail, IncidentView
    from gateway.admin.incidents import Incidents

T = TypeVar("T")
EverythingOption = Annotated[bool, typer.Option("--all", help="Those that are resolved, too.")]
SinceOption = Annotated[str, typer.Option(help="With --all: from an age (30m, 12h, 7d, 2w), a UTC date or a time.")]
IdArgument = Annotated[str, typer.Argument(metavar="ID", help="Id of the incident, as listed.")]
API = "/admin/v1/incidents"

_HELP = """What is wrong now: since when, for whom, and what happened around it.

Reads the ledger, which the gateway's incident detector writes; with an admin key, the running gateway is asked.
"""


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    incidents = typer.Typer(name="incidents", help=_HELP, invoke_without_command=True)
    incidents.callback()(list_default)
    incidents.command("list")(list_incidents)
    incidents.command("show")(show)
    incidents.command("ack")(acknowledge)
    incidents.command("comment")(comment)
    app.add_typer(incidents)


def list_default(
    context: typer.Context,
    everything: EverythingOption = False,
    since: SinceOption = "7d",
    config: ConfigOption = DEFAULT_CONFIG,
    admin_url: UrlOption = None,
    admin_key: KeyOption = None,
    json: JsonOption = False,
) -> None:
    """What is wrong now."""
    if context.invoked_subcommand is None:
        list_incidents(everything, since, config, admin_url, admin_key, json)


def list_incidents(
    everything: EverythingOption = False,
    since: SinceOption = "7d",
    config: ConfigOption = DEFAULT_CONFIG,
    admin_url: UrlOption = None,
    admin_key: KeyOption = None,
    json: JsonOption = False,
) -> None:
    """Incidents, newest first."""
    from gateway.admin.incident_shapes import IncidentList

    state = "all" if everything else "open"
    with answering("incidents", json):
        if (client := gateway_of(config, admin_url, admin_key)) is not None:
            found = client.get(API, IncidentList, state=state, since=since)
        else:
            found = _in_ledger(config, lambda incidents: incidents.list(state, since))
    if json:
        print_json(found)
    else:
        if found.stale:
            print(f"tollway incidents: this may be old: {found.stale}", file=sys.stderr)
        _print_table(found.incidents)


def show(
    incident: IdArgument,
    config: ConfigOption = DEFAULT_CONFIG,
    admin_url: UrlOption = None,
    admin_key: KeyOption = None,
    json: JsonOption = False,
) -> None:
    """One incident with its timeline."""
    from gateway.admin.incident_shapes import IncidentDetail

    with answering("incidents", json):
        if (client := gateway_of(config, admin_url, admin_key)) is not None:
            found = client.get(f"{API}/{path_of(incident)}", IncidentDetail)
        else:
            found = _in_ledger(config, lambda incidents: incidents.show(incident))
    if json:
        print_json(found)
    else:
        _print_detail(found)


def acknowledge(
    incident: IdArgument,
    comment: Annotated[str, typer.Option(help="For the timeline.")] = "",
    config: ConfigOption = DEFAULT_CONFIG,
    admin_url: UrlOption = None,
    admin_key: KeyOption = None,
    json: JsonOption = False,
) -> None:
    """Say that you look after it."""
    _tell("acknowledge", incident, comment, config, admin_url, admin_key, json)


def comment(
    incident: IdArgument,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="For the timeline.")],
    config: ConfigOption = DEFAULT_CONFIG,
    admin_url: UrlOption = None,
    admin_key: KeyOption = None,
    json: JsonOption = False,
) -> None:
    """Add to the timeline."""
    _tell("comment", incident, text, config, admin_url, admin_key, json)


def _tell(what: str, incident: str, text: str, config: Path, url: str | None, key: str | None, json: bool) -> None:
    from gateway.admin.incident_shapes import Comment, IncidentView

    with answering("incidents", json):
        if (client := gateway_of(config, url, key)) is not None:
            done = client.post(f"{API}/{path_of(incident)}/{what}", IncidentView, Comment(comment=text))
        elif what == "comment":
            done = _in_ledger(config, lambda incidents: incidents.comment(incident, text))
        else:
            done = _in_ledger(config, lambda incidents: incidents.acknowledge(incident, text))
    if json:
        print_json(done)
    else:
        print(f"{done.id}: {done.state}{f' by {done.acknowledged_by}' if done.acknowledged_by else ''}.")


def _in_ledger(config: Path, work: Callable[[Incidents], T]) -> T:
    from gateway.admin.incidents import Incidents
    from gateway.cli.who import actor
    from gateway.clock import SystemClock
    from gateway.ledger.incidents import IncidentStore

    return in_ledger(
        config, "incidents", lambda engine, _: work(Incidents(IncidentStore(engine), SystemClock(), actor()))
    )


def _print_table(found: list[IncidentView]) -> None:
    from gateway.cli.tables import Column, Row, Sheet, console_for_people, print_sheet

    console = console_for_people()
    if not found:
        console.print("No incident.")
        return
    columns = [Column(name) for name in ("id", "severity", "state", "since")]
    rows: list[Row] = []
    for each in found:
        style = "" if each.state == "resolved" else "red" if each.severity == "page" else "yellow"
        cells = (each.id, each.severity, each.state, each.since, each.title, ", ".join(each.teams))
        rows.append(Row(cells, style))
    print_sheet(console, Sheet((*columns, Column("what", "prose"), Column("for whom", "prose")), rows))


def _print_detail(found: IncidentDetail) -> None:
    from rich.text import Text

    from gateway.cli.tables import Column, Row, Sheet, console_for_people, print_sheet
    from gateway.incidents.advice import advice

    console = console_for_people()
    incident = found.incident
    console.print(Text(incident.title, style="bold"))
    figures = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in incident.detail.items())
    for name, value in (
        ("id", incident.id),
        ("severity", incident.severity),
        ("state", f"{incident.state}{f' by {incident.acknowledged_by}' if incident.acknowledged_by else ''}"),
        ("since", incident.since),
        ("resolved", incident.resolved_at or ""),
        ("for whom", ", ".join(incident.teams)),
        ("figures", figures),
        ("to do", advice(incident.signal) if incident.state != "resolved" else ""),
    ):
        if value:
            console.print(Text(f"{name:>10}  {value}"))
    columns = (Column("at"), Column("what"), Column("who"), Column("details", "prose"))
    rows = [Row((each.at, each.kind, each.actor, each.text)) for each in found.timeline]
    console.print()
    print_sheet(console, Sheet(columns, rows, "Timeline"), heads=2)
