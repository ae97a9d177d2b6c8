"""Recording rules and multi-window, multi-burn-rate alerts of every objective.

The burn rate is how many times faster than allowed the error budget of 30 days is being spent. An alert asks two
windows: the longer says that enough is spent to matter, the shorter that it is still being spent (Beyer et al., The
Site Reliability Workbook, chapter 5, table 5-8).
"""

from collections.abc import Iterator

import msgspec

from gateway.settings.schema_slo import Indicator, ObjectiveSection, SloRoot
from gateway.slo.indicators import counted
from gateway.slo.promql import number, quoted

Rule = dict[str, object]
Group = dict[str, object]

EVENTS = "tollway:slo_events:rate5m"
ERRORS = "tollway:slo_errors:rate5m"
RATIO = "tollway:slo_error_ratio:rate"
"""… and the window, such as 1h."""
OBJECTIVE = "tollway:slo_objective:ratio"
BUDGET_LEFT = "tollway:slo_budget_left:ratio"
WINDOWS = ("5m", "30m", "1h", "2h", "6h", "1d", "3d", "30d")
PERIOD = "30d"


class Burn(msgspec.Struct, frozen=True):
    """One pair of windows: spending at `factor` times the allowed rate empties the budget in 30 days / factor."""

    factor: float
    long: str
    short: str


BURNS: dict[str, tuple[Burn, Burn]] = {
    "page": (Burn(14.4, "1h", "5m"), Burn(6, "6h", "30m")),
    "ticket": (Burn(3, "1d", "2h"), Burn(1, "3d", "6h")),
}
ALERTS: dict[Indicator, str] = {
    "availability": "TollwayAvailabilityBurn",
    "first_byte": "TollwayFirstByteBurn",
    "overhead": "TollwayOverheadBurn",
    "guardrails": "TollwayGuardrailsBurn",
    "ledger": "TollwayLedgerBurn",
}
_SUMMARY: dict[Indicator, str] = {
    "availability": "too many requests are not answered",
    "first_byte": "too many answers begin too late",
    "overhead": "the gateway itself is too slow",
    "guardrails": "guardrails take too long",
    "ledger": "the ledger's database is too far behind",
}


def slo_groups(root: SloRoot) -> list[Group]:
    """A group of rules for each objective, in the order of the file."""
    return [
        {"name": f"tollway-slo-{name}", "rules": [*_recorded(root, name, objective), *_alerts(root, name, objective)]}
        for name, objective in root.objectives.items()
    ]


def unreachable(objective: ObjectiveSection) -> list[Burn]:
    """Burn rates that no failure reaches, because the target leaves a budget that is too large: 14.4 times a budget of
    10 % is more than everything. Their windows are left out."""
    return [burn for burns in BURNS.values() for burn in burns if burn.factor * _budget(objective) >= 1]


def _recorded(root: SloRoot, name: str, objective: ObjectiveSection) -> Iterator[Rule]:
    """Windows are made of the five-minute rates, as sums over sums, so that quiet hours weigh what they should."""
    labels = {"slo": name, "sli": objective.sli}
    here = f"{{slo={quoted(name)}}}"
    both = counted(root, objective, "rate", "5m")

    def record(metric: str, expr: str) -> Rule:
        return {"record": metric, "expr": expr, "labels": labels}

    yield record(EVENTS, both.events)
    yield record(ERRORS, both.bad)
    yield record(f"{RATIO}5m", f"{ERRORS}{here} / ({EVENTS}{here} > 0)")
    for over in WINDOWS[1:]:
        yield record(
            f"{RATIO}{over}", f"sum_over_time({ERRORS}{here}[{over}]) / (sum_over_time({EVENTS}{here}[{over}]) > 0)"
        )
    yield record(OBJECTIVE, f"vector({number(objective.target)})")
    yield record(BUDGET_LEFT, f"1 - {RATIO}{PERIOD}{here} / {number(_budget(objective))}")


def _alerts(root: SloRoot, name: str, objective: ObjectiveSection) -> Iterator[Rule]:
    for severity, burns in BURNS.items():
        reached = [burn for burn in burns if burn not in unreachable(objective)]
        if not reached:
            continue
        alert = ALERTS[objective.sli]
        long = " or ".join(f"{number(burn.factor)} times over {burn.long}" for burn in reached)
        yield {
            "alert": alert,
            "expr": "\nor\n".join(_condition(root, name, objective, burn) for burn in reached),
            "labels": {**root.labels, "severity": severity},
            "annotations": {
                "summary": f"{name}: {_SUMMARY[objective.sli]}",
                "description": (
                    f"The error budget of {number(100 * objective.target)} % over 30 days is spent at more than {long} "
                    "its allowed rate; {{ $value | humanizePercentage }} of events were bad in the longer window."
                    + (f" {objective.description}" if objective.description else "")
                ),
                "runbook_url": runbook(root, alert),
            },
        }


def _condition(root: SloRoot, name: str, objective: ObjectiveSection, burn: Burn) -> str:
    here = f"{{slo={quoted(name)}}}"
    bound = f"{number(burn.factor)} * {number(_budget(objective))}"
    lines = [
        f"{RATIO}{burn.long}{here} > {bound}",
        f"and {RATIO}{burn.short}{here} > {bound}",
    ]
    if objective.sli != "ledger":
        enough = counted(root, objective, "increase", burn.long).bad
        lines.append(f"and on () ({enough}) >= {objective.at_least}")
    return "(\n  " + "\n  ".join(lines) + "\n)"


def _budget(objective: ObjectiveSection) -> float:
    return round(1 - objective.target, 9)


def runbook(root: SloRoot, alert: str) -> str:
    """Where the page says what to do about an alert."""
    return f"{root.runbooks}#{alert.lower()}"
