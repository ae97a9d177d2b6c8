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
WINDOWS = ("30m", "1h", "2h", "6h")
PERIOD = "30d"
LONG_WINDOWS = ("1d", "3d", PERIOD)
SLOWLY = "2m"
"""How often long windows are looked at: they hold a hundred thousand samples, and hardly change in two minutes."""


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
    """Two groups of rules for each objective, in the order of the file: what may page, and what takes its time."""
    groups: list[Group] = []
    for name, objective in root.objectives.items():
        fast = [*_recorded(root, name, objective), *_alerts(root, name, objective, "page")]
        slow = [*_recorded_slowly(name, objective), *_alerts(root, name, objective, "ticket")]
        groups.append({"name": f"tollway-slo-{name}", "rules": fast})
        groups.append({"name": f"tollway-slo-{name}-long", "interval": SLOWLY, "rules": slow})
    return groups


def unreachable(objective: ObjectiveSection) -> list[Burn]:
    """Burn rates that no failure reaches, because the target leaves a budget that is too large: 14.4 times a budget of
    10 % is more than everything. Their windows are left out."""
    return [burn for burns in BURNS.values() for burn in burns if burn.factor * _budget(objective) >= 1]


def _recorded(root: SloRoot, name: str, objective: ObjectiveSection) -> Iterator[Rule]:
    both = counted(root, objective, "rate", "5m")
    here = _here(name)
    yield _record(name, objective, EVENTS, both.events)
    yield _record(name, objective, ERRORS, both.bad)
    yield _record(name, objective, f"{RATIO}5m", f"{ERRORS}{here} / ({EVENTS}{here} > 0)")
    for over in WINDOWS:
        yield _ratio(name, objective, over)
    yield _record(name, objective, OBJECTIVE, f"vector({number(objective.target)})")


def _recorded_slowly(name: str, objective: ObjectiveSection) -> Iterator[Rule]:
    for over in LONG_WINDOWS:
        yield _ratio(name, objective, over)
    left = f"1 - {RATIO}{PERIOD}{_here(name)} / {number(_budget(objective))}"
    yield _record(name, objective, BUDGET_LEFT, left)


def _ratio(name: str, objective: ObjectiveSection, over: str) -> Rule:
    """A window is made of five-minute rates, as a sum over a sum, so that quiet hours weigh what they should."""
    here = _here(name)
    expr = f"sum_over_time({ERRORS}{here}[{over}]) / (sum_over_time({EVENTS}{here}[{over}]) > 0)"
    return _record(name, objective, f"{RATIO}{over}", expr)


def _record(name: str, objective: ObjectiveSection, metric: str, expr: str) -> Rule:
    return {"record": metric, "expr": expr, "labels": {"slo": name, "sli": objective.sli}}


def _here(name: str) -> str:
    return f"{{slo={quoted(name)}}}"


def _alerts(root: SloRoot, name: str, objective: ObjectiveSection, severity: str) -> Iterator[Rule]:
    """The alert of one severity; none when the target leaves a budget that no failure spends so fast."""
    reached = [burn for burn in BURNS[severity] if burn not in unreachable(objective)]
    if not reached:
        return
    alert = ALERTS[objective.sli]
    limits = " or ".join(f"{number(burn.factor)} times over {burn.long}" for burn in reached)
    yield {
        "alert": alert,
        "expr": "\nor\n".join(_condition(root, name, objective, burn) for burn in reached),
        # Its series have the label already; written out, two objectives of a kind are not one rule twice to promtool.
        "labels": {**root.labels, "severity": severity, "slo": name},
        "annotations": {
            "summary": f"{name}: {_SUMMARY[objective.sli]}",
            "description": (
                f"The budget of {number(100 * _budget(objective))} % bad events is being spent faster than 30 days "
                f"allow: more than {limits}. In the longer window {{{{ $value | humanizePercentage }}}} were bad."
                + (f" {objective.description}" if objective.description else "")
            ),
            "runbook_url": runbook(root, alert),
        },
    }


def _condition(root: SloRoot, name: str, objective: ObjectiveSection, burn: Burn) -> str:
    here = _here(name)
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
