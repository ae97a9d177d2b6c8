"""Objectives to render, and the names of every metric the gateway exposes."""

import re
from pathlib import Path

from gateway.admin import gauges, limit_gauges
from gateway.settings.schema_slo import SloRoot
from gateway.settings.slo import load_slo
from gateway.telemetry import process
from gateway.telemetry.exposition import expose
from gateway.telemetry.page import Family, Page, Waits

ROOT = Path(__file__).resolve().parents[3]
SHIPPED = ROOT / "config/slo.yaml"
NAME = re.compile(r"\b(?:tollway|process)[:_][a-z0-9_:]+")


def shipped() -> SloRoot:
    return load_slo(SHIPPED, env={})


def objectives(**written: dict[str, object]) -> SloRoot:
    """A file of these objectives, by name."""
    return SloRoot.model_validate({"version": 1, "objectives": written})


def exposed() -> set[str]:
    """Names of series, as they are asked for: counters with `_total`, histograms by their parts."""
    found: set[str] = set()
    for name, kind in re.findall(r"^# TYPE (\w+) (\w+)$", expose(Page())[0].decode(), re.MULTILINE):
        found |= {f"{name}_bucket", f"{name}_count", f"{name}_sum"} if kind == "histogram" else {name}
    for module in (gauges, limit_gauges, process):
        for value in vars(module).values():
            if isinstance(value, Family):
                found.add(value.name + ("_total" if value.kind == "counter" else ""))
            elif isinstance(value, Waits):
                found |= {f"{value.name}_bucket", f"{value.name}_count", f"{value.name}_sum"}
    return found


def asked(expr: str) -> set[str]:
    """Names of metrics in an expression, those of label values left out."""
    return set(NAME.findall(re.sub(r'"(\\.|[^"\\])*"', '""', expr)))
