"""Everything that objectives become: file names and texts, always the same for the same file of objectives."""

import json
from pathlib import Path

import yaml

from gateway.settings.schema_slo import SloRoot
from gateway.slo.alertmanager import alertmanager
from gateway.slo.alerts import alert_groups
from gateway.slo.boards import BOARDS
from gateway.slo.panels import dashboard
from gateway.slo.rules import slo_groups

RULES = "prometheus/tollway-slo.yaml"
ALERTS = "prometheus/tollway-alerts.yaml"
ROUTES = "alertmanager/alertmanager.yaml"
BOARD = "grafana/dashboards/{}.json"
_NOTE = "# Made by `tollway slo render` from {source}; edit that file, not this one.\n"


def render(root: SloRoot, source: str = "slo.yaml") -> dict[str, str]:
    """File names below the output directory, and what is in each. `source` is named in the files."""
    note = _NOTE.format(source=source)
    files = {
        RULES: note + _yaml({"groups": slo_groups(root)}),
        ALERTS: note + _yaml({"groups": alert_groups(root)}),
        ROUTES: note + _yaml(alertmanager(root)),
    }
    for board in BOARDS:
        files[BOARD.format(board.uid)] = json.dumps(dashboard(board), indent=1, ensure_ascii=False) + "\n"
    return files


def write(files: dict[str, str], out: Path) -> list[str]:
    """Write what is not there yet or differs; returns its names. Raises `OSError`."""
    changed = stale(files, out)
    for name in changed:
        path = out / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(files[name], encoding="utf-8")
    return changed


def stale(files: dict[str, str], out: Path) -> list[str]:
    """Names of files that are missing in `out` or say something else. Raises `OSError`."""
    return [name for name, text in files.items() if _read(out / name) != text]


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except UnicodeDecodeError:
        return ""


class _Dumper(yaml.SafeDumper):
    """Block style, texts of several lines as they are, no anchors."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return yaml.ScalarNode("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


def _yaml(data: object) -> str:
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100000)
