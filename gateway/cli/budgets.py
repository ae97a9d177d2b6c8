"""`tollway budgets`: where budgets stand; raise, reset and rebuild them."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.admin_client import AdminError, KeyOption, UrlOption, path_of
from gateway.cli.asking import JsonOption, Signed, answering, gateway_of, print_json
from gateway.cli.options import DEFAULT_CONFIG, ConfigOption

if TYPE_CHECKING:
    from gateway.admin.budget_shapes import AdjustmentView
    from gateway.admin.budgeting import Budgeting
    from gateway.settings.load import Written

RuleArgument = Annotated[str, typer.Argument(metavar="RULE", help="Counter as listed, such as teams.search.budget.")]
ReasonOption = Annotated[str, typer.Option(help="Why; goes into the audit log.")]
API = "/admin/v1/budgets"
WRONG = (400, 404)
"""Statuses of what was asked wrongly: a budget nobody has is a word mistyped."""

_HELP = """Show budgets; raise and reset them for a while; rebuild their counters.

With an admin key the running gateway is asked, whose counters decide. Without one, the command reads the ledger, where
what requests under way hold is not known, and writes changes into it; running gateways take these within a second.
Every change is in the audit log.
"""


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    budgets = typer.Typer(name="budgets", help=_HELP, invoke_without_command=True)
    budgets.callback()(show)
    budgets.command("raise", cls=Signed)(raise_budget)
    budgets.command("reset", cls=Signed)(reset)
    budgets.command("adjustments")(adjustments)
    budgets.command("end", cls=Signed)(end)
    budgets.command("rebuild")(rebuild)
    app.add_typer(budgets)


def show(
    context: typer.Context,
    team: Annotated[str | None, typer.Option(help="Only this team's.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Rate, token and concurrency limits too.")] = False,
    config: ConfigOption = DEFAULT_CONFIG,
    admin_url: UrlOption = None,
    admin_key: KeyOption = None,
    json: JsonOption = False,
) -> None:
    """Limit, used, reserved, remaining, forecast and reset time of every budget.

    The forecast is linear: what was used, by the share of the calendar window that is over; none in its first
    twentieth.
    """
    if context.invoked_subcommand is not None:
        return
    from gateway.admin.budget_shapes import BudgetList
    from gateway.admin.shapes import iso
    from gateway.clock import SystemClock

    with answering("budgets", json, WRONG):
        client = gateway_of(config, admin_url, admin_key)
        why = "no gateway runs with this configuration" if admin_key else "a running gateway tells with --admin-key"
        try:
            found = None if client is None else client.get(API, BudgetList, team=team, all=str(everything).lower())
            if found is not None:
                why = "the gateway's limit store is away"
        except AdminError as error:
            if error.status or admin_url is not None:
                raise
            found, why = None, str(error)
        if found is None:
            with _budgeting(config) as (budgeting, written):
                _check_team(team, written)
                bounds = budgeting.bounds(team, everything)
                views = budgeting.views(bounds, budgeting.used(bounds))
                found = BudgetList(at=iso(SystemClock().now_ns()), source="ledger", budgets=views)
    if json:
        print_json(found)
    else:
        from gateway.cli.budgets_show import print_budgets

        print_budgets(found, why)


def raise_budget(
    rule: RuleArgument,
    amount: Annotated[str, typer.Argument(help="By how much: '50 USD', or of tokens and requests 200k.")],
    reason: ReasonOption,
    until: Annotated[str | None, typer.Option(help="Until a UTC date or time, such as 2027-01-31.")] = None,
    lasting: Annotated[str | None, typer.Option("--for", help="For a duration, such as 12h or 7d.")] = None,
    config: ConfigOption = DEFAULT_CONFIG,
    admin_url: UrlOption = None,
    admin_key: KeyOption = None,
    json: JsonOption = False,
) -> None:
    """Allow more for a while.

    Example: tollway budgets raise teams.search.budget '50 USD' --for 7d --reason 'launch week'
    """
    from gateway.admin.budget_shapes import AdjustmentView, RaiseBudget

    with answering("budgets", json, WRONG):
        if (client := gateway_of(config, admin_url, admin_key)) is not None:
            asked = RaiseBudget(amount=amount, reason=reason, until=until, for_=lasting)
            made = client.post(f"{API}/{path_of(rule)}/raise", AdjustmentView, asked)
        else:
            with _budgeting(config) as (budgeting, _):
                made = budgeting.raise_limit(rule, amount, until, lasting, reason)
    _print_made(made, json)


def reset(
    rule: RuleArgument,
    reason: ReasonOption,
    config: ConfigOption = DEFAULT_CONFIG,
    admin_url: UrlOption = None,
    admin_key: KeyOption = None,
    json: JsonOption = False,
) -> None:
    """Begin a calendar window anew: what was used so far is added to the limit until the window ends.

    Example: tollway budgets reset teams.search.budget --reason 'runaway job, stopped'
    """
    from gateway.admin.budget_shapes import AdjustmentView, Because

    with answering("budgets", json, WRONG):
        if (client := gateway_of(config, admin_url, admin_key)) is not None:
            made = client.post(f"{API}/{path_of(rule)}/reset", AdjustmentView, Because(reason=reason))
        else:
            with _budgeting(config) as (budgeting, _):
                made = budgeting.reset(rule, reason)
    _print_made(made, json)


def adjustments(
    everything: Annotated[bool, typer.Option("--all", help="Those that are over, too.")] = False,
    config: ConfigOption = DEFAULT_CONFIG,
    json: JsonOption = False,
) -> None:
    """Raises and resets that hold, with their reasons."""
    from gateway.admin.budget_shapes import AdjustmentList

    with answering("budgets", json, WRONG), _budgeting(config) as (budgeting, _):
        found = AdjustmentList(budgeting.adjustments(everything))
    if json:
        print_json(found)
    else:
        from gateway.cli.budgets_show import print_adjustments

        print_adjustments(found.adjustments)


def end(
    adjustment: Annotated[str, typer.Argument(metavar="ID", help="Id of the adjustment, as listed.")],
    reason: ReasonOption,
    config: ConfigOption = DEFAULT_CONFIG,
    admin_url: UrlOption = None,
    admin_key: KeyOption = None,
    json: JsonOption = False,
) -> None:
    """Take a raise or reset back now."""
    from gateway.admin.budget_shapes import AdjustmentView, Because

    with answering("budgets", json, WRONG):
        if (client := gateway_of(config, admin_url, admin_key)) is not None:
            path = f"{API}/adjustments/{path_of(adjustment)}/end"
            ended = client.post(path, AdjustmentView, Because(reason=reason))
        else:
            with _budgeting(config) as (budgeting, _):
                ended = budgeting.end(adjustment, reason)
    if json:
        print_json(ended)
    else:
        print(f"{ended.id} of {ended.counter} ended at {ended.ended_at}.")


def rebuild(
    team: Annotated[str | None, typer.Option(help="Only this team's.")] = None,
    reason: Annotated[str, typer.Option(help="Why; goes into the audit log.")] = "",
    config: ConfigOption = DEFAULT_CONFIG,
    admin_url: UrlOption = None,
    admin_key: KeyOption = None,
    json: JsonOption = False,
) -> None:
    """Set the running gateway's counters to what the ledger says was used, such as after a lost Redis.

    Needs an admin key: the counters are the gateway's.
    """
    from gateway.admin.budget_shapes import RebuildBudgets, RebuiltList

    with answering("budgets", json, WRONG):
        client = gateway_of(config, admin_url, admin_key)
        if client is None:
            raise AdminError(
                "rebuilding needs a running gateway and an admin key (--admin-key, or TOLLWAY_ADMIN_KEY)", 400
            )
        done = client.post(f"{API}/rebuild", RebuiltList, RebuildBudgets(team=team, reason=reason))
    if json:
        print_json(done)
        return
    print(rebuilt_line(done.counters, len(done.changed)))
    for each in done.changed:
        print(f"  {each.counter}: {each.before} → {each.used}")


def rebuilt_line(counters: int, changed: int) -> str:
    """What came of a rebuild; the counters that were set follow, a line each."""
    compared = f"{counters} counter{'' if counters == 1 else 's'} compared with the ledger"
    return f"{compared}, {changed} set:" if changed else f"{compared}, none had to be set."


@contextmanager
def _budgeting(config: Path) -> Generator[tuple[Budgeting, Written]]:
    """The budgets of the configured ledger."""
    from gateway.admin.budgeting import Budgeting
    from gateway.cli.who import actor
    from gateway.clock import SystemClock
    from gateway.errors import ConfigError
    from gateway.ledger.store import current_ledger
    from gateway.settings.compile_limits import compile_limits
    from gateway.settings.load import load_config

    written = load_config(config)
    if written.ledger is None:
        raise ConfigError(["the configuration keeps no ledger (ledger: off), so its budgets have no books"])
    with current_ledger(written.ledger.url) as engine:
        journal = Path(written.ledger.journal)
        yield Budgeting(engine, compile_limits(written.root), SystemClock(), actor(), journal), written


def _check_team(team: str | None, written: Written) -> None:
    from gateway.admin.keyring import check_team

    if team is not None:
        check_team(team, written.root.teams)


def _print_made(made: AdjustmentView, json: bool) -> None:
    if json:
        print_json(made)
        return
    from gateway.cli.budgets_show import shown

    what = "raised" if made.kind == "raise" else "reset"
    print(f"{made.counter} {what}: {shown(made.extra)} more until {made.until} ({made.id}).")
    print("Running gateways take it within a second.")
