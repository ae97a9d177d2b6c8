"""Findings: where money could be saved, as `tollway spend findings` says it; each with exchanges that show it."""

from starlette.responses import Response

from gateway.admin.savings import findings_of
from gateway.console.visit import Visit


async def show(visit: Visit) -> Response:
    found = await findings_of(visit.world)
    context: dict[str, object] = {
        "findings": found.found,
        "since_ns": found.since_ns,
        "saving": sum(each.saving or 0 for each in found.found),
    }
    return await visit.page("savings.html", context)
