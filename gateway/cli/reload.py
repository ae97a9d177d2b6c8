"""`tollway reload`: have the running gateway take its configuration anew, and say what changed."""

from __future__ import annotations

import contextlib
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import msgspec
import typer

from gateway.cli.options import DEFAULT_CONFIG, ConfigOption

if TYPE_CHECKING:
    from gateway.admin.workers import Report
    from gateway.ledger.config_history import Origin
    from gateway.settings.load import Written
    from gateway.settings.state import State

POLL = 0.02
"""Seconds between two looks at the workers' reports."""
RECENT = 10.0
"""Seconds: the workers watch the file; a change they took so short a time ago is what the caller means."""


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("reload")(reload)


class Outcome(msgspec.Struct, kw_only=True):
    """What became of one worker."""

    pid: int
    ok: bool
    old_hash: str
    new_hash: str
    difference: list[str] = []
    restart: list[str] = []
    error: str | None = None


def reload(
    config: ConfigOption = DEFAULT_CONFIG,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds to wait for the workers.")] = 15.0,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Ask running gateways to reload; print the old and new configuration hash and what changed.

    Exit code 0 when every worker has the configuration, 1 when one kept the old one or none is running. Workers also
    reload by themselves when the file changes; this command waits until it is done.
    """
    outcomes = take_up(config, timeout)
    if not outcomes:
        runtime_dir = _runtime_dir(config)
        _fail(f"no gateway is running with {config} (no state file of a live process in {runtime_dir})", json)
    ok = all(outcome.ok for outcome in outcomes)
    _note(config, outcomes)
    if json:
        print(msgspec.json.format(msgspec.json.encode({"ok": ok, "workers": outcomes}), indent=2).decode())
    else:
        print_outcomes(outcomes)
    if not ok:
        raise typer.Exit(1)


def take_up(config: Path, timeout: float) -> list[Outcome]:
    """Have every running worker of a configuration reload, and wait for `timeout` seconds; none runs: an empty list."""
    from gateway.settings.state import running

    runtime_dir = _runtime_dir(config)
    states = [state for state in running(runtime_dir) if _serves(state, config)]
    return _reload_all(runtime_dir, states, timeout) if states else []


def _note(config: Path, outcomes: list[Outcome]) -> None:
    """Put what changed into the audit log, once for all workers, and who asked for it into the history."""
    from gateway.admin.audit import note
    from gateway.cli.who import actor
    from gateway.clock import SystemClock
    from gateway.errors import ConfigError
    from gateway.ledger.config_history import Origin
    from gateway.settings.load import load_config

    changed = next((outcome for outcome in outcomes if outcome.ok and outcome.old_hash != outcome.new_hash), None)
    if changed is None:
        return
    try:
        written = load_config(config)
    except ConfigError:
        return
    ledger = written.ledger
    if ledger is not None:
        remember(written, changed, Origin("tollway reload", actor()))
        before, after = {"hash": changed.old_hash}, {"hash": changed.new_hash}
        source = str(config.absolute())
        note(
            ledger.url, SystemClock(), actor=actor(), action="config.reload", object=source, before=before, after=after
        )


def remember(written: Written, changed: Outcome, origin: Origin) -> None:
    """Say in the history who brought what workers have just taken up; they tell it themselves, without a name. Without
    the database, the history stays without one."""
    from gateway.clock import SystemClock
    from gateway.errors import LedgerError
    from gateway.ledger.config_history import ConfigHistory
    from gateway.ledger.store import current_ledger
    from gateway.settings.versions import kept_files, source_of

    if written.ledger is None:
        return
    with contextlib.suppress(LedgerError), current_ledger(written.ledger.url) as engine:
        ConfigHistory(engine, source_of(written.path)).in_force(
            at_ns=SystemClock().now_ns(),
            hash=changed.new_hash,
            files=kept_files(written),
            origin=origin,
            changes=changed.difference,
        )


def _runtime_dir(config: Path) -> Path:
    """Where this configuration's workers leave their state. One that is not valid any more is told by them."""
    from gateway.errors import ConfigError
    from gateway.settings.load import load_config
    from gateway.settings.snapshot import ServerOptions

    try:
        return Path(load_config(config).root.server.runtime_dir)
    except ConfigError:
        return Path(_written_runtime_dir(config) or ServerOptions().runtime_dir)


def _written_runtime_dir(config: Path) -> str | None:
    """`server.runtime_dir` of a file that has mistakes elsewhere."""
    import yaml

    try:
        tree: object = yaml.safe_load(config.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return None
    for name in ("server", "runtime_dir"):
        tree = tree.get(name) if isinstance(tree, dict) else None  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    return tree if isinstance(tree, str) else None


def _serves(state: State, config: Path) -> bool:
    """Two gateways may share a runtime directory; only this file's workers are meant."""
    source = Path(state.source)
    return source == config.absolute() or source.resolve() == config.resolve()


def _reload_all(runtime_dir: Path, states: list[State], timeout: float) -> list[Outcome]:
    from gateway.admin.workers import read_report, tell

    before = {state.pid: read_report(runtime_dir, state.pid).number for state in states}
    began_ns = time.time_ns()
    waiting = {state.pid: state for state in states if tell(state)}
    outcomes = [_lost(state) for state in states if state.pid not in waiting]
    until = time.monotonic() + timeout
    while waiting and time.monotonic() < until:
        for pid, state in list(waiting.items()):
            report = read_report(runtime_dir, pid)
            if report.number > before[pid]:
                outcomes.append(_outcome(state, report, began_ns))
                del waiting[pid]
        alive = _alive(runtime_dir)
        for pid in [pid for pid in waiting if pid not in alive]:
            outcomes.append(_lost(waiting.pop(pid)))
        if waiting:
            time.sleep(POLL)
    for state in waiting.values():
        error = f"it did not report within {timeout:g} s; its log tells whether it reloaded"
        outcomes.append(Outcome(pid=state.pid, ok=False, old_hash=state.hash, new_hash=state.hash, error=error))
    return sorted(outcomes, key=lambda outcome: outcome.pid)


def _alive(runtime_dir: Path) -> set[int]:
    from gateway.settings.state import running

    return {state.pid for state in running(runtime_dir)}


def _lost(state: State) -> Outcome:
    return Outcome(pid=state.pid, ok=False, old_hash=state.hash, new_hash=state.hash, error="it has ended")


def _outcome(state: State, report: Report, began_ns: int) -> Outcome:
    """What this reload came to; or, if the file watch was faster, what that one did."""
    result = report.last
    if result is None:
        return Outcome(pid=state.pid, ok=False, old_hash=state.hash, new_hash=state.hash, error="it said nothing")
    recent = report.changed_ns > began_ns - RECENT * 1e9
    if result.ok and result.old_hash == result.new_hash and report.change is not None and recent:
        result = report.change
    return Outcome(
        pid=state.pid,
        ok=result.ok,
        old_hash=result.old_hash,
        new_hash=result.new_hash,
        difference=result.difference,
        restart=result.restart,
        error=result.error,
    )


def print_outcomes(outcomes: list[Outcome]) -> None:
    """One block for all workers that came to the same."""
    groups: dict[tuple[object, ...], list[Outcome]] = {}
    for outcome in outcomes:
        key = (outcome.ok, outcome.old_hash, outcome.new_hash, outcome.error)
        groups.setdefault(key, []).append(outcome)
    for group in groups.values():
        first = group[0]
        pids = ", ".join(str(outcome.pid) for outcome in group)
        who = f"{len(group)} worker{'s' * (len(group) > 1)} (pid {pids})"
        if not first.ok:
            print(f"{who} kept {first.old_hash}:", file=sys.stderr)
            for line in (first.error or "").splitlines():
                print(f"  {line}", file=sys.stderr)
        elif first.old_hash == first.new_hash:
            print(f"{who}: {first.new_hash}, nothing changed")
        else:
            print(f"{who}: {first.old_hash} → {first.new_hash}")
            for line in first.difference:
                print(f"  {line}")
        for line in first.restart:
            print(f"  after a restart only: {line}")


def _fail(message: str, json: bool) -> NoReturn:
    if json:
        print(msgspec.json.encode({"ok": False, "workers": [], "error": message}).decode())
    print(f"tollway reload: {message}", file=sys.stderr)
    raise typer.Exit(1)
