"""What an indicator counts, in PromQL: events, and those of them that were bad.

An indicator is a ratio of counters, so that windows and instances can be added up before it is divided
(Beyer et al., The Site Reliability Workbook, chapter 2). Freshness is the exception: a gauge, sampled, whose
samples are its events.
"""

from collections.abc import Mapping
from types import MappingProxyType

import msgspec

from gateway.settings.schema_slo import Indicator, ObjectiveSection, SloRoot
from gateway.settings.slo import teams_of
from gateway.slo.promql import number, one_of, selector

_HISTOGRAMS: Mapping[Indicator, str] = MappingProxyType(
    {
        "first_byte": "tollway_time_to_first_byte_seconds",
        "overhead": "tollway_overhead_seconds",
        "guardrails": "tollway_stage_seconds",
    }
)
AVAILABILITY = "tollway_availability_requests_total"
LAG = "tollway_ledger_lag_seconds"


class Counted(msgspec.Struct, frozen=True):
    """Two expressions without labels in their result. `bad` has a value whenever `events` has one."""

    events: str
    bad: str


def counted(root: SloRoot, objective: ObjectiveSection, function: str, over: str) -> Counted:
    """Events of an objective by `function` (`rate` or `increase`) over the window `over`.

    For the ledger neither counts: its events are the gateways that say how far behind they are, now.
    """
    matchers = _matchers(root, objective)
    if objective.sli == "ledger":
        within = number(objective.within or 0.0)
        return Counted(f"count({LAG})", f"sum({LAG} > bool {within})")

    def summed(metric: str, more: Mapping[str, str]) -> str:
        return f"sum({function}({selector(metric, {**matchers, **more})}[{over}]))"

    if objective.sli == "availability":
        return Counted(summed(AVAILABILITY, {}), summed(AVAILABILITY, {"fault": '!="none"'}))
    name = _HISTOGRAMS[objective.sli]
    events = summed(f"{name}_count", {})
    # The text format writes bounds as Python does, and so does Prometheus 3, which rewrites what others send.
    good = summed(f"{name}_bucket", {"le": f'="{float(objective.within or 0.0)}"'})
    return Counted(events, f"{events} - {good}")


def _matchers(root: SloRoot, objective: ObjectiveSection) -> dict[str, str]:
    found: dict[str, str] = {}
    for label, names in (
        ("team", teams_of(root, objective)),
        ("model", objective.models),
        ("provider", objective.providers),
        ("operation", objective.operations),
    ):
        if names:
            found[label] = one_of(names)
    mode = objective.mode or ("stream" if objective.sli == "first_byte" else None)
    if mode is not None:
        found["mode"] = f'="{mode}"'
    if objective.sli == "guardrails":
        found["stage"] = '="inspect"'
    return found
