"""`tollway switch`: stop something now, force a fallback or a guardrail mode, and take it back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from gateway.cli.admin_client import KeyOption, UrlOption, path_of
from gateway.cli.asking import JsonOption, Signed, answering, gateway_of, in_ledger, print_json
from gateway.cli.options import DEFAULT_CONFIG, ConfigOption

if TYPE_CHECKING:
    from gateway.admin.switch_shapes import SwitchView
    from gateway.admin.switching import Switching

T = TypeVar("T")
API = "/admin/v1/switches"

_HELP = """Kill switches: stop a team, a model or a provider within a second, for an hour unless you say otherwise.

With an admin key the running gateway is asked; without one, the command writes into the ledger itself, and running
gateways take it within a second. Every change is in the audit log.
"""


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    switch = typer.Typer(name="switch", help=_HELP, no_args_is_help=True)
    switch.command("set", cls=Signed)(set_switch)
    switch.command("list")(list_switches)
    switch.command("clear", cls=Signed)(clear)
    app.add_typer(switch)


def set_switch(
    kind: Annotated[str, typer.Argument(metavar="KIND", help="stop, fallback or guardrail.")],
    scope: Annotated[
        str,
        typer.Argument(
            metavar="SCOPE",
            help="stop: gateway, team, key, model, provider, operation; fallback: model; guardrail: policy.",
        ),
    ],
    reason: Annotated[str, typer.Option(help="Why; shown to clients that are refused, so no secrets.")],
    name: Annotated[str, typer.Argument(metavar="[NAME]", help="Whose; a model may end with *.")] = "",
    to: Annotated[str, typer.Option(help="fallback: the model that serves instead; guardrail: shadow.")] = "",
    lasting: Annotated[str | None, typer.Option("--for", help="For a duration, such as 30m. Default: 1h.")] = None,
    until: Annotated[str | None, typer.Option(help="Until a UTC date or time.")] = None,
    permanent: Annotated[bool, typer.Option("--permanent", help="Until it is cleared.")] = False,
    config: ConfigOption = DEFAULT_CONFIG,
    admin_url: UrlOption = None,
    admin_key: KeyOption = None,
    json: JsonOption = False,
) -> None:
    """Switch something, for an hour unless told otherwise.

    \b
    tollway switch set stop provider openai --for 30m --reason 'leaks prompts'
    tollway switch set stop gateway --reason 'wrong prices'
    tollway switch set fallback model gpt-4o --to claude-sonnet --reason 'slow since 14:00'
    tollway switch set guardrail policy pii --to shadow --reason 'blocks every invoice'
    """
    from gateway.admin.switch_shapes import SwitchView
    from gateway.admin.switching import request_of

    with answering("switch", json):
        asked = request_of(
            kind=kind,
            scope=scope,
            name=name,
            to=to,
            reason=reason,
            lasting=lasting,
            until=until,
            permanent=permanent,
        )
        if (client := gateway_of(config, admin_url, admin_key)) is not None:
            made = client.post(API, SwitchView, asked)
        else:
            made = _in_ledger(config, lambda switching: switching.set(asked))
    if json:
        print_json(made)
    else:
        until_text = "until it is cleared" if made.until is None else f"until {made.until}"
        print(f"{made.id}: {_said(made)} {until_text}. Take it back: tollway switch clear {made.id}")


def list_switches(
    everything: Annotated[bool, typer.Option("--all", help="Those that ended in the last 30 days, too.")] = False,
    config: ConfigOption = DEFAULT_CONFIG,
    admin_url: UrlOption = None,
    admin_key: KeyOption = None,
    json: JsonOption = False,
) -> None:
    """Switches that hold, with their reasons."""
    from gateway.admin.switch_shapes import SwitchList

    with answering("switch", json):
        if (client := gateway_of(config, admin_url, admin_key)) is not None:
            found = client.get(API, SwitchList, all=str(everything).lower())
        else:
            found = SwitchList(_in_ledger(config, lambda switching: switching.list(everything)))
    if json:
        print_json(found)
    else:
        _print_table(found.switches)


def clear(
    switch: Annotated[str, typer.Argument(metavar="ID", help="Id of the switch, as listed.")],
    reason: Annotated[str, typer.Option(help="Why; goes into the audit log.")] = "",
    config: ConfigOption = DEFAULT_CONFIG,
    admin_url: UrlOption = None,
    admin_key: KeyOption = None,
    json: JsonOption = False,
) -> None:
    """Take a switch back now."""
    from gateway.admin.switch_shapes import ClearSwitch, SwitchView

    with answering("switch", json):
        if (client := gateway_of(config, admin_url, admin_key)) is not None:
            ended = client.post(f"{API}/{path_of(switch)}/clear", SwitchView, ClearSwitch(reason=reason))
        else:
            ended = _in_ledger(config, lambda switching: switching.clear(switch, reason))
    if json:
        print_json(ended)
    else:
        print(f"{ended.id}: {_said(ended)} ended at {ended.ended_at}.")


def _said(switch: SwitchView) -> str:
    return " ".join(part for part in (switch.kind, switch.scope, switch.name, switch.to and f"to {switch.to}") if part)


def _in_ledger(config: Path, work: Callable[[Switching], T]) -> T:
    from gateway.admin.switching import Switching
    from gateway.cli.who import actor
    from gateway.clock import SystemClock

    return in_ledger(
        config,
        "kill switches",
        lambda engine, written: work(Switching(engine, written.root, SystemClock(), actor())),
    )


def _print_table(switches: list[SwitchView]) -> None:
    from gateway.cli.tables import Column, Row, Sheet, console_for_people, print_sheet

    console = console_for_people()
    if not switches:
        console.print("No switch is on.")
        return
    columns = [Column(name) for name in ("id", "what", "state", "until", "who")]
    rows: list[Row] = []
    for each in switches:
        cells = (each.id, _said(each), each.state, each.until or "cleared by hand", each.made_by, each.reason)
        rows.append(Row(cells))
    print_sheet(console, Sheet((*columns, Column("reason", "prose")), rows))
