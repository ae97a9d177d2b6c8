"""Incidents: the state now, what has been switched, how providers do, and where requests failed in the last day."""

from collections.abc import Callable, Iterable
from typing import TypeVar

import msgspec
from starlette.responses import Response

from gateway.admin import state
from gateway.admin.access import Conflict
from gateway.admin.endpoint import read_ledger
from gateway.admin.incident_shapes import IncidentView
from gateway.admin.incidents import with_incidents
from gateway.admin.shapes import ProviderList, ProviderView
from gateway.admin.switch_shapes import SwitchView
from gateway.admin.switches import with_switching
from gateway.admin.switching import Switching, request_of
from gateway.console.figures import Figures, figures_of
from gateway.console.heat import HOUR_NS, SHOWN, Row, failures_by_hour, speeds_by_hour
from gateway.console.pulse import Heart
from gateway.console.visit import Visit
from gateway.errors import LedgerError, Refusal
from gateway.incidents.detect import BURN
from gateway.incidents.watch import worded
from gateway.ledger.exchanges import ExchangeRow, listing
from gateway.ledger.overview import first_bytes, hours
from gateway.routing.switches import SCOPES
from gateway.telemetry.logs import info

T = TypeVar("T")
BURNS = ("5m", "1h", "30m", "6h")
"""Windows of the error budget that are shown, as the incident detector pairs them."""
RECENT_HOURS = 6
"""Of so long the latest failures are listed: more would be read from a large ledger than is looked at."""
MOST_FAILURES = 8
RECENT = "14d"
"""Resolved incidents of so long are listed."""
LASTING = ("15m", "1h", "4h", "24h")


class ProviderLine(msgspec.Struct, frozen=True):
    """One provider: what it is now, and its answers since the workers began."""

    view: ProviderView
    stopped: bool
    open_circuits: list[str]
    """Its models that are left alone, or tried again, by some worker."""
    attempts: int
    throttled: int
    """Answered with 429."""
    failed: int
    """Answered with 5xx, or not at all."""


class Latency(msgspec.Struct, frozen=True):
    """Seconds of one operation and mode since the workers began; None: nothing was observed."""

    operation: str
    mode: str
    requests: int
    p50: float | None
    p95: float | None
    p99: float | None
    first_p95: float | None
    """To the first byte."""
    overhead_p95: float | None


class Board:
    """The page and its switches."""

    def __init__(self, heart: Heart) -> None:
        self._heart = heart

    async def show(self, visit: Visit) -> Response:
        return await visit.page("incidents.html", await self._context(visit))

    async def switch(self, visit: Visit) -> Response:
        """Set a kill switch. What is wrong with it is said beside the form, which keeps what was typed."""
        fields = await visit.form()
        target = fields.get("target", "")
        kind, _, scope = target.partition(":")
        try:
            asked = request_of(
                lasting=fields.get("for") or "1h",
                kind=kind,
                scope=scope,
                name=fields.get("name", "").strip(),
                to=fields.get("to", "").strip() if kind != "stop" else "",
                reason=fields.get("reason", "").strip(),
            )
            made = await _switching(visit, lambda switching: switching.set(asked))
        except Refusal as error:
            context = await self._context(visit, str(error), fields)
            return await visit.page("incidents.html", context, error.status)
        info("console_switch_set", admin_key_id=visit.admin_id, switch=made.id, kind=made.kind, scope=made.scope)
        return visit.done("/console/incidents", "switched")

    async def clear(self, visit: Visit) -> Response:
        fields = await visit.form()
        switch_id: str = visit.request.path_params["switch_id"]
        await _switching(visit, lambda switching: switching.clear(switch_id, fields.get("reason", "")))
        info("console_switch_cleared", admin_key_id=visit.admin_id, switch=switch_id)
        return visit.done("/console/incidents", "cleared")

    async def _context(self, visit: Visit, wrong: str = "", typed: dict[str, str] | None = None) -> dict[str, object]:
        pulse = await self._heart.pulse(fresh=True)
        try:
            figures = await figures_of(visit.world.metrics)
        except OSError:
            figures = Figures({})
        switches, missing = await _switches(visit)
        recently = visit.world.clock.now_ns() - RECENT_HOURS * HOUR_NS
        failed, slow = await _heat(visit)
        incidents = [] if missing else await _recent(visit)
        return {
            "incidents": [each for each in incidents if each.state != "resolved"],
            "resolved": [each for each in incidents if each.state == "resolved"],
            "pulse": pulse,
            "switches": [each for each in switches if each.state == "holds"],
            "past": [each for each in reversed(switches) if each.state != "holds"][:10],
            "missing": missing,
            "targets": [
                (f"{kind}:{scope}", _worded(kind, scope)) for kind, scopes in SCOPES.items() for scope in scopes
            ],
            "lasting": LASTING,
            "names": _names(visit),
            "wrong": wrong,
            "typed": typed or {},
            "providers": await _providers(visit, figures, switches),
            "latencies": latencies(figures),
            "burn": burn(figures),
            "judged_by": visit.world.configuration.snapshot.incidents,
            "heat": failed,
            "slow": slow,
            "failed": await latest(visit, recently),
            "blocked": await latest(visit, recently, outcome="blocked"),
            "recent_hours": RECENT_HOURS,
        }


async def _recent(visit: Visit) -> list[IncidentView]:
    try:
        return (await with_incidents(visit, lambda incidents: incidents.list("all", RECENT))).incidents
    except LedgerError:
        return []


async def _switching(visit: Visit, work: Callable[[Switching], T]) -> T:
    """Run `work` on a thread, because it waits for the database."""
    missing = "This gateway keeps no ledger (ledger: off), and kill switches live in it."
    return await with_switching(visit, missing, work)


async def _switches(visit: Visit) -> tuple[list[SwitchView], str]:
    """All of the last 30 days, or why they cannot be seen: the page must come when the database does not."""
    try:
        return await _switching(visit, lambda switching: switching.list(everything=True)), ""
    except (LedgerError, Conflict) as error:
        return [], str(error)


def _worded(kind: str, scope: str) -> str:
    if kind == "stop":
        return (
            "Stop the whole gateway" if scope == "gateway" else f"Stop {'an' if scope[0] in 'aeiou' else 'a'} {scope}"
        )
    if kind == "fallback":
        return "Serve a model by another one"
    return "Put a guardrail policy in shadow"


def _names(visit: Visit) -> list[str]:
    """What the form offers while one types."""
    root = visit.world.configuration.written.root
    keys = [key.id for team in root.teams.values() for key in team.keys]
    return sorted({*root.teams, *keys, *root.models, *root.providers, *root.guardrails})


async def _providers(visit: Visit, figures: Figures, switches: Iterable[SwitchView]) -> list[ProviderLine]:
    found = msgspec.json.decode((await state.list_providers(visit)).body, type=ProviderList)
    stopped = {each.name for each in switches if each.state == "holds" and each.scope == "provider"}
    lines: list[ProviderLine] = []
    for view in found.providers:
        counts = figures.by("status_class", "tollway_upstream_attempts_total", provider=view.name)
        failed = int(counts.get("5xx", 0) + counts.get("error", 0))
        whole = int(sum(counts.values()))
        states = figures.of("tollway_breaker_state", provider=view.name)
        open_ = sorted({*view.open_circuits, *(labels["model"] for labels, state in states if state)})
        lines.append(ProviderLine(view, view.name in stopped, open_, whole, int(counts.get("429", 0)), failed))
    return lines


def burn(figures: Figures) -> list[tuple[str, float, str]]:
    """How fast the error budget is spent: window, burn rate, and what the detector makes of it ("", ticket, page)."""
    rates = {labels["window"]: rate for labels, rate in figures.of("tollway_error_burn_rate")}
    judged = dict.fromkeys(rates, "")
    for short, long, factor, severity in BURN:
        pair = worded(short), worded(long)
        if all(rates.get(window, 0.0) >= factor for window in pair):
            judged.update(dict.fromkeys(pair, severity))
    return [(window, rates[window], judged[window]) for window in BURNS if window in rates]


def latencies(figures: Figures) -> list[Latency]:
    """One line for each operation and mode, busiest first."""
    found: list[Latency] = []
    for labels, count in figures.of("tollway_request_seconds_count"):
        mode = {"operation": labels["operation"], "mode": labels["mode"]}
        p50, p95, p99 = (figures.quantile(q, "tollway_request_seconds", **mode) for q in (0.5, 0.95, 0.99))
        first = figures.quantile(0.95, "tollway_time_to_first_byte_seconds", **mode)
        overhead = figures.quantile(0.95, "tollway_overhead_seconds", **mode)
        if count:
            found.append(Latency(mode["operation"], mode["mode"], int(count), p50, p95, p99, first, overhead))
    return sorted(found, key=lambda each: -each.requests)


async def latest(
    visit: Visit,
    since_ns: int,
    until_ns: int | None = None,
    filters: dict[str, str] | None = None,
    outcome: str = "failed",
) -> list[ExchangeRow]:
    """The latest exchanges of a time that a provider or the gateway failed, or that ended in another way. Empty when
    the ledger cannot be read."""
    ledger = visit.world.configuration.snapshot.ledger
    if ledger is None:
        return []
    until_ns = visit.world.clock.now_ns() if until_ns is None else until_ns
    wanted = {**(filters or {}), "outcome": outcome}
    try:
        found = await read_ledger(
            ledger.url, lambda engine: listing(engine, since_ns, until_ns, wanted, most=MOST_FAILURES)
        )
        return found.rows
    except LedgerError:
        return []


async def _heat(visit: Visit) -> tuple[list[Row], list[Row]]:
    """Failures of the last day, and how soon answers began. Empty when the ledger cannot be read."""
    ledger = visit.world.configuration.snapshot.ledger
    if ledger is None:
        return [], []
    now_ns = visit.world.clock.now_ns()
    since_ns = (now_ns // HOUR_NS - SHOWN + 1) * HOUR_NS
    try:
        failed = await read_ledger(ledger.url, lambda engine: hours(engine, since_ns, now_ns))
        soon = await read_ledger(ledger.url, lambda engine: first_bytes(engine, since_ns, now_ns))
    except LedgerError:
        return [], []
    return failures_by_hour(failed, since_ns), speeds_by_hour(soon, since_ns)
