"""`tollway slo`: objectives checked, and made into rules, routes and dashboards."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

if TYPE_CHECKING:
    from gateway.settings.schema_slo import SloRoot

DEFAULT = Path("config/slo.yaml")
_HELP = """Service level objectives: what is promised, and how one learns that it is not kept.

`check` says whether a file of objectives is right, `render` makes Prometheus rules, Alertmanager routes and Grafana
dashboards of it. Exit status: 0 fine, 1 rendered files are out of date or cannot be written, 2 wrong use.
"""
SloOption = Annotated[Path, typer.Option("--config", "-c", metavar="FILE", help="File of objectives.")]
OutOption = Annotated[
    Path | None, typer.Option("--out", metavar="DIR", help="Where rendered files are. Default: beside FILE.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    group = typer.Typer(help=_HELP, no_args_is_help=True)
    group.command("check")(check)
    group.command("render")(render)
    app.add_typer(group, name="slo")


def check(
    config: SloOption = DEFAULT,
    rendered: Annotated[bool, typer.Option("--rendered", help="Compare the rendered files too.")] = False,
    out: OutOption = None,
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON Schema for editors, and stop.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Validate a file of objectives.

    Prints every problem as file:line:column: what is wrong; what is allowed. With --rendered, exit status 1 when
    the rendered files are not what `tollway slo render` makes of it.
    """
    from gateway.settings.json_schema import slo_json_schema
    from gateway.settings.slo import duration_text
    from gateway.slo.render import render as make
    from gateway.slo.render import stale
    from gateway.slo.rules import unreachable

    if schema:
        return print(json.dumps(slo_json_schema(), indent=2, ensure_ascii=False))
    root = _load(config, as_json)
    old = stale(make(root, config.name), out or config.parent) if rendered or out is not None else []
    warnings = [
        f"{name}: a target of {round(100 * objective.target, 5):g} % is never missed {burn.factor:g} times faster than "
        f"allowed; its windows of {burn.long} and {burn.short} are left out"
        for name, objective in root.objectives.items()
        for burn in unreachable(objective)
    ]
    if as_json:
        objectives = {
            name: {"sli": each.sli, "target": each.target, "within_seconds": each.within}
            for name, each in root.objectives.items()
        }
        print(json.dumps({"ok": not old, "config": str(config), "objectives": objectives, "stale": old,
                          "warnings": warnings}))  # fmt: skip
    else:
        print(f"{config}: ok ({len(root.objectives)} objectives)")
        for name, each in root.objectives.items():
            within = f" within {duration_text(each.within)}" if each.within is not None else ""
            print(f"  {name}: {each.sli}{within}, {round(100 * each.target, 5):g} % over 30 days")
        for warning in warnings:
            print(f"warning: {warning}")
        for name in old:
            print(f"out of date: {name}; run `tollway slo render`", file=sys.stderr)
    if old:
        raise typer.Exit(1)


def render(config: SloOption = DEFAULT, out: OutOption = None, as_json: JsonOption = False) -> None:
    """Make Prometheus rules, Alertmanager routes and Grafana dashboards.

    Writes prometheus/, alertmanager/ and grafana/dashboards/ below DIR. The same file of objectives always gives the
    same files, so they can be kept in version control.
    """
    from gateway.slo.render import render as make
    from gateway.slo.render import write

    root = _load(config, as_json)
    place = out or config.parent
    files = make(root, config.name)
    try:
        changed = write(files, place)
    except OSError as error:
        print(f"tollway slo: {place} cannot be written: {error.strerror}", file=sys.stderr)
        raise typer.Exit(1) from None
    if as_json:
        print(json.dumps({"out": str(place), "files": list(files), "changed": changed}))
        return
    for name in files:
        print(f"{place / name}{'' if name in changed else ' (as it was)'}")


def _load(config: Path, as_json: bool) -> "SloRoot":
    from gateway.errors import ConfigError
    from gateway.settings.slo import load_slo

    try:
        return load_slo(config)
    except ConfigError as error:
        _refuse(config, error.problems, as_json)


def _refuse(config: Path, problems: list[str], as_json: bool) -> NoReturn:
    if as_json:
        print(json.dumps({"ok": False, "config": str(config), "problems": problems}, ensure_ascii=False))
    else:
        print("\n".join(problems), file=sys.stderr)
    raise typer.Exit(2)
