"""Savings: where money could be saved, as `tollway spend savings` says it; each with exchanges that show it."""

from starlette.responses import Response

from gateway.admin.savings import savings_of
from gateway.console.visit import Visit


async def show(visit: Visit) -> Response:
    found = await savings_of(visit.world)
    context: dict[str, object] = {
        "savings": found.found,
        "since_ns": found.since_ns,
        "monthly": found.monthly,
    }
    return await visit.page("savings.html", context)
