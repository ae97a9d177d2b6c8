"""`tollway check`: is this configuration right, and if not, where exactly?"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.options import DEFAULT_CONFIG, ConfigOption

if TYPE_CHECKING:
    from gateway.settings.load import Written
    from gateway.settings.snapshot import Snapshot


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("check")(check)


def check(
    config: ConfigOption = DEFAULT_CONFIG,
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON Schema for editors, and stop.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Validate a configuration without running it.

    Reads the file, what it includes and the variables it uses, and prints every problem as
    file:line:column: what is wrong; what is allowed. Nothing secret is printed.
    Exit code 0 when it can be used, 2 when not.
    """
    from gateway.clock import SystemClock
    from gateway.errors import ConfigError
    from gateway.settings.compile import compile_snapshot
    from gateway.settings.gate_files import GateFiles
    from gateway.settings.json_schema import json_schema
    from gateway.settings.load import load_config
    from gateway.settings.reload import gates_of
    from gateway.settings.workshop import Workshop

    if schema:
        print(json.dumps(json_schema(), indent=2, ensure_ascii=False))
        return
    try:
        written = load_config(config)
        workshop = Workshop(GateFiles(gates_of(written), write=False))
        snapshot = compile_snapshot(written, clock=SystemClock(), workshop=workshop)
    except ConfigError as error:
        if as_json:
            print(json.dumps({"ok": False, "config": str(config), "problems": error.problems}, ensure_ascii=False))
        else:
            print(error, file=sys.stderr)
        raise typer.Exit(2) from None
    summary = _summary(written, snapshot)
    if as_json:
        print(json.dumps(summary, ensure_ascii=False))
        return
    counted = ["providers", "models", "teams", "keys", *(["limits"] if snapshot.limits is not None else [])]
    counts = ", ".join(f"{summary[name]} {name.removesuffix('s') if summary[name] == 1 else name}" for name in counted)
    guardrails = snapshot.guardrails
    if guardrails is not None:
        policies = len(guardrails.policies)
        engine = f" on {guardrails.backend}" if guardrails.backend else ""
        counts += f", {policies} guardrail polic{'y' if policies == 1 else 'ies'}{engine}"
    print(f"{config}: ok ({counts}; hash {snapshot.hash})")
    for warning in snapshot.warnings:
        print(f"warning: {warning}")


def _summary(written: Written, snapshot: Snapshot) -> dict[str, object]:
    root = written.root
    return {
        "ok": True,
        "config": str(written.path),
        "hash": snapshot.hash,
        "providers": len(root.providers),
        "models": len(root.models),
        "teams": len(root.teams),
        "limits": len(snapshot.limits.rules) if snapshot.limits is not None else 0,
        "keys": sum(len(team.keys) for team in root.teams.values()),
        "guardrails": {
            "policies": len(root.guardrails),
            "rules": sum(map(len, root.guardrails.values())),
            "backend": snapshot.guardrails.backend if snapshot.guardrails is not None else "",
        },
        "warnings": list(snapshot.warnings),
    }
