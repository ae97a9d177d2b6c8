"""Configuration: what is in force, what it leads to, what changed lately, and whether another one would do."""

import asyncio

import msgspec
from starlette.responses import Response

from gateway.admin import state
from gateway.admin.access import Conflict
from gateway.admin.audit import listed
from gateway.admin.budget_shapes import AuditView
from gateway.admin.config_history import with_versions
from gateway.admin.config_shapes import VersionView
from gateway.admin.shapes import ConfigView, ProviderList, ReloadView
from gateway.admin.workers import Report, read_report
from gateway.console.candidate import MOST, Judgement, judge
from gateway.console.visit import Visit
from gateway.errors import BadRequest, LedgerError
from gateway.routing.table import Route, RouteTable
from gateway.settings.state import running

HISTORY_NS = 90 * 86_400 * 10**9
MOST_ENTRIES = 30
MOST_SHOWN = 12
"""Entries of the history that are seen at once."""


class ModelLine(msgspec.Struct, frozen=True):
    """One model and where its requests go."""

    name: str
    targets: list[str]
    fallbacks: list[str]


class Change(msgspec.Struct, frozen=True):
    """The last reload of a worker that changed anything."""

    at_ns: int
    reason: str
    old_hash: str
    new_hash: str
    difference: list[str]


def _default(routes: RouteTable) -> str:
    """Where operations go that name no model."""
    found = (routes.passthrough_of("openai"), routes.passthrough_of("anthropic"))
    return " and ".join(dict.fromkeys(provider.name for provider in found if provider is not None))


class Configuring:
    """The page's actions. One candidate is judged at a time: building detectors takes seconds of CPU."""

    def __init__(self) -> None:
        self._busy = False

    async def show(self, visit: Visit) -> Response:
        return await visit.page("configuration.html", await _context(visit))

    async def reload(self, visit: Visit) -> Response:
        """As `tollway reload`: here and in the other workers, and into the audit log."""
        await visit.form()
        try:
            answer = await state.reload(visit)
        except Conflict as error:
            return await visit.page("configuration.html", await _context(visit, failure=str(error)), 409)
        changed = msgspec.json.decode(answer.body, type=ReloadView).changed
        return visit.done("/console/configuration", "reloaded" if changed else "unchanged")

    async def validate(self, visit: Visit) -> Response:
        """Nothing is applied, nothing is kept."""
        text = (await visit.form()).get("text", "").replace("\r\n", "\n")
        if not text.strip():
            raise BadRequest("Paste a configuration first.")
        if len(text) > MOST:
            raise BadRequest(f"The configuration is larger than {MOST} characters.")
        if self._busy:
            raise Conflict("Another candidate is being judged. Try again in a moment.")
        self._busy = True
        try:
            world = visit.world
            found = await asyncio.to_thread(judge, text, world.configuration.written, world.clock)
        finally:
            self._busy = False
        return await visit.page("configuration.html", await _context(visit, text=text, judgement=found))


async def _context(
    visit: Visit, text: str = "", judgement: Judgement | None = None, failure: str | None = None
) -> dict[str, object]:
    world = visit.world
    snapshot = world.configuration.snapshot
    shown = msgspec.json.decode((await state.show_config(visit)).body, type=ConfigView)
    providers = msgspec.json.decode((await state.list_providers(visit)).body, type=ProviderList)
    routes = snapshot.routes
    history, missing = await _history(visit)
    versions, versions_missing = await _versions(visit)
    return {
        "config": shown,
        "loaded_ns": snapshot.loaded_ns,
        "providers": providers.providers,
        "models": [_model(route) for route in (*routes.exact.values(), *routes.wildcards)],
        "passthrough": _default(routes),
        "teams": len(world.configuration.written.root.teams),
        "changes": await asyncio.to_thread(_changes, snapshot.server.runtime_dir),
        "versions": versions,
        "versions_missing": versions_missing,
        "numbers": [each.version for each in versions if each.version is not None],
        "most_shown": MOST_SHOWN,
        "home": f"{world.configuration.written.path.absolute().parent}/",
        "history": history,
        "history_missing": missing,
        "text": text,
        "judgement": judgement,
        "failure": failure,
    }


def _model(route: Route) -> ModelLine:
    targets: list[str] = []
    whole = sum(target.weight for target in route.targets)
    for target in route.targets:
        share = f" ({target.weight * 100 / whole:.0f} %)" if len(route.targets) > 1 and whole else ""
        targets.append(f"{target.provider.name}: {target.model or 'the same name'}{share}")
    return ModelLine(route.name, targets, list(route.fallbacks))


async def _history(visit: Visit) -> tuple[list[AuditView], str]:
    """Changes in the audit log, newest first; or why there are none to see."""
    if not visit.may("read_audit"):
        return [], "Your role does not read the audit log."
    ledger = visit.world.configuration.snapshot.ledger
    if ledger is None:
        return [], "This gateway keeps no ledger, so it has no audit log."
    try:
        since_ns = visit.world.clock.now_ns() - HISTORY_NS
        found = await asyncio.to_thread(listed, ledger.url, since_ns, MOST_ENTRIES)
    except LedgerError as error:
        return [], f"The audit log cannot be read: {error}."
    return found.entries[::-1], ""


async def _versions(visit: Visit) -> tuple[list[VersionView], str]:
    """Every entry of the configuration's history, newest first; or why there are none to see."""
    if not visit.may("read_audit"):
        return [], "Your role does not read earlier configurations."
    try:
        return (await with_versions(visit, lambda versions: versions.list())).versions, ""
    except (LedgerError, Conflict) as error:
        return [], str(error)


def _changes(runtime_dir: str) -> list[Change]:
    """What the last reload changed, from the workers' reports; the same change in several workers once."""
    reports: list[Report] = [read_report(runtime_dir, worker.pid) for worker in running(runtime_dir)]
    found: dict[str, Change] = {}
    for report in reports:
        change = report.change
        if change is not None:
            found[change.new_hash] = Change(
                report.changed_ns, change.reason, change.old_hash, change.new_hash, change.difference
            )
    return sorted(found.values(), key=lambda change: -change.at_ns)
