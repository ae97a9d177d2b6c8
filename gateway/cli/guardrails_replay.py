"""`tollway guardrails diff OLD NEW --shadow-log`: what a change would have done to what was found on live traffic."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from gateway.cli.asking import answering, print_json

if TYPE_CHECKING:
    from rich.table import Table

    from gateway.settings.load import Written
    from guardrails.replay import Replay, Side, Totals

ALWAYS = (
    "findings a rule would make that no rule made then, and texts behind one that was blocked: no text is kept",
    "patterns, word lists and models that changed under the same rule, and rules whose detector was renamed",
    "detectors that failed, texts longer than max_scan, and rules that were demoted or switched to shadow",
)
"""What no log can tell."""


def replay_log(old: Path, new: Path, *, since: str, team: str | None, policies: list[str] | None, json: bool) -> None:
    """Print it. Ends the command with exit code 1 when the ledger cannot be used, 2 for wrong use."""
    from gateway.clock import SystemClock
    from gateway.errors import ConfigError, LedgerError
    from gateway.ledger.periods import moment_ns
    from gateway.ledger.reviews import replayed
    from gateway.ledger.store import ensure_schema, open_existing
    from guardrails.replay import Replay, gaps

    now_ns = SystemClock().now_ns()
    with answering("guardrails", json):
        before, after = _loaded(old), _loaded(new)
        sides = _side(before, policies), _side(after, policies)
        ledger = before.ledger or after.ledger
        if ledger is None:
            raise ConfigError([f"{old} keeps no ledger (ledger: off), and the findings log lives in it"])
        _check_names(before, after, team, policies)
        try:
            since_ns = moment_ns(since, now_ns)
        except LedgerError as error:
            raise ConfigError([f"--since: {error}"]) from None
        replay = Replay(*sides)
        engine = open_existing(ledger.url)
        try:
            ensure_schema(ledger.url)
            for findings in replayed(engine, since_ns, now_ns, team or ""):
                replay.add(findings)
        finally:
            engine.dispose()
        untold = gaps(*sides)
        if team is not None:
            untold = {rule: {why: [team] for why, teams in reasons.items() if team in teams}
                      for rule, reasons in untold.items()}  # fmt: skip
            untold = {rule: reasons for rule, reasons in untold.items() if reasons}
        options = ledger.findings
        told: dict[str, object] = {"since": _iso(since_ns), "until": _iso(now_ns), "logging": options is not None,
                "sample": options.sample if options is not None else 0.0}  # fmt: skip
    if json:
        print_json({**told, **replay_data(replay), "cannot_replay": {"rules": untold, "always": list(ALWAYS)}})
    else:
        _show(replay, untold, told)


def replay_data(replay: Replay) -> dict[str, object]:
    """For scripts."""
    return {
        "exchanges": replay.exchanges,
        "findings": replay.findings,
        "changed": replay.changed,
        "old": msgspec.to_builtins(replay.old),
        "new": msgspec.to_builtins(replay.new),
        "rules": msgspec.to_builtins(replay.rules),
        "teams": msgspec.to_builtins(replay.teams),
        "examples": msgspec.to_builtins(replay.examples),
    }


def _loaded(path: Path) -> Written:
    from gateway.settings.load import load_config

    return load_config(path)


def _side(written: Written, chosen: list[str] | None) -> Side:
    """The policies of every team as they are written; of `chosen` alone, where some are. Makes no detector."""
    from gateway.errors import ConfigError
    from gateway.settings.compile_guardrails import digest_key
    from gateway.settings.guardrail_rules import place_rules
    from guardrails.policy import Policy
    from guardrails.replay import Side

    root = written.root
    placed, problems = place_rules(root.guardrails, written.terms)
    if problems:
        raise ConfigError([written.problem(path, message) for path, message in problems])
    policies = {
        name: Policy(name, tuple(each.rule for each in placed if each.policy == name)) for name in root.guardrails
    }
    keys = [
        b"" if secret is None else digest_key(secret.get_secret_value().encode())
        for secret in (root.secrets.key_hash, root.secrets.previous_key_hash)
    ]
    teams = {
        name: [policies[each] for each in team.policies if not chosen or each in chosen]
        for name, team in root.teams.items()
    }
    return Side(teams, *keys)


def _check_names(before: Written, after: Written, team: str | None, policies: list[str] | None) -> None:
    from gateway.errors import ConfigError
    from gateway.settings.nearest import hint

    known = {**before.root.guardrails, **after.root.guardrails}
    for name in policies or ():
        if name not in known:
            raise ConfigError([f"unknown guardrail policy {name!r}; {hint(name, known)}"])
    teams = {**before.root.teams, **after.root.teams}
    if team is not None and team not in teams:
        raise ConfigError([f"unknown team {team!r}; {hint(team, teams)}"])


def _iso(ns: int) -> str:
    from gateway.admin.shapes import iso

    return iso(ns)


def _show(replay: Replay, untold: dict[str, dict[str, list[str]]], told: dict[str, object]) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(width=None if sys.stdout.isatty() else 180, highlight=False)
    sample = told["sample"]
    if not told["logging"]:
        console.print("The findings log is off now: this is what was logged before.", style="yellow")
    elif isinstance(sample, float) and sample < 1:
        console.print(f"{sample * 100:g} % of exchanges with findings are logged: counts are of those.", style="yellow")
    console.print(
        f"{replay.exchanges:,} exchanges with {replay.findings:,} logged findings since {told['since']}: "
        f"{replay.changed:,} would meet something else",
        style="bold",
    )
    if replay.exchanges:
        console.print(_totals(replay.old, replay.new))
        console.print(_rules(replay))
        console.print(_teams(replay))
    if replay.examples:
        console.print(_examples(replay))
        if replay.changed > len(replay.examples):
            console.print(f"and {replay.changed - len(replay.examples):,} more")
    console.print("What this cannot tell:", style="bold")
    for rule, reasons in sorted(untold.items()):
        for reason, teams in reasons.items():
            console.print(Text(f"• {rule} (of {_few(teams)}): {reason}", "yellow"))
    for each in ALWAYS:
        console.print(Text(f"• {each}", "dim"))


def _few(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _totals(old: Totals, new: Totals) -> Table:
    table = _table("exchanges", "was", "would be")
    for what in ("blocked", "rewritten", "rerouted"):
        was, would = getattr(old, what), getattr(new, what)
        table.add_row(what, f"{was:,}", f"{would:,}", style="" if was == would else "yellow")
    return table


def _rules(replay: Replay) -> Table:
    table = _table("policy", "rule", "found", "would find", "acted on", "would act on", "exchanges", "would be")
    for rule, counts in sorted(replay.rules.items(), key=lambda item: (item[1].policy, item[0])):
        before = (counts.old_found, counts.old_acted, counts.old_exchanges)
        after = (counts.new_found, counts.new_acted, counts.new_exchanges)
        numbers = [f"{number:,}" for pair in zip(before, after, strict=True) for number in pair]
        table.add_row(counts.policy, rule, *numbers, style="" if before == after else "yellow")
    return table


def _teams(replay: Replay) -> Table:
    table = _table("team", "changed", "blocked", "would be", "rewritten", "would be")
    changed = sorted(replay.teams.items(), key=lambda item: (-item[1].changed, item[0]))
    for team, each in changed[:20]:
        numbers = (each.changed, each.old.blocked, each.new.blocked, each.old.rewritten, each.new.rewritten)
        table.add_row(team or "(none)", *(f"{number:,}" for number in numbers), style="yellow" if each.changed else "")
    return table


def _examples(replay: Replay) -> Table:
    table = _table("exchange", "team", "was", "would be", "by")
    for each in replay.examples:
        table.add_row(each.exchange, each.team, each.old, each.new, ", ".join(each.rules))
    return table


def _table(*columns: str) -> Table:
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    texts = {"policy", "rule", "team", "exchange", "was", "by"}
    for at, column in enumerate(columns):
        left = at == 0 or (column in texts and columns[0] not in ("exchanges",))
        table.add_column(column, justify="left" if left else "right", overflow="fold")
    return table
