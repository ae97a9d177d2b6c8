"""One incident: its timeline, who looks after it, and a draft of its postmortem."""

from datetime import datetime

from starlette.responses import PlainTextResponse, Response

from gateway.admin.incident_shapes import IncidentView
from gateway.admin.incidents import with_incidents
from gateway.console.pages.incidents import latest
from gateway.console.postmortem import draft
from gateway.console.visit import Visit
from gateway.incidents.advice import advice
from gateway.ledger.exchanges import ExchangeRow
from gateway.telemetry.logs import info

SECOND = 10**9
"""Nanoseconds."""
DAY = 86_400 * SECOND


async def show(visit: Visit) -> Response:
    incident_id = _id(visit)
    found = await with_incidents(visit, lambda incidents: incidents.show(incident_id))
    context = {"it": found.incident, "advice": advice(found.incident.signal), "timeline": found.timeline}
    return await visit.page("incident.html", {**context, "failed": await _failures(visit, found.incident)})


async def postmortem(visit: Visit) -> Response:
    """Markdown, as a file."""
    incident_id = _id(visit)
    found = await with_incidents(visit, lambda incidents: incidents.show(incident_id))
    name = "".join(letter for letter in found.incident.id if letter.isalnum() or letter in "-_")
    return PlainTextResponse(
        draft(found),
        headers={
            "content-type": "text/markdown; charset=utf-8",
            "content-disposition": f'attachment; filename="postmortem-{name}.md"',
        },
    )


async def acknowledge(visit: Visit) -> Response:
    fields = await visit.form()
    incident_id = _id(visit)
    await with_incidents(visit, lambda incidents: incidents.acknowledge(incident_id, fields.get("comment", "")))
    info("console_incident_acknowledged", admin_key_id=visit.admin_id, incident=incident_id)
    return visit.done(f"/console/incidents/{incident_id}", "acknowledged")


async def comment(visit: Visit) -> Response:
    fields = await visit.form()
    incident_id = _id(visit)
    await with_incidents(visit, lambda incidents: incidents.comment(incident_id, fields.get("comment", "")))
    return visit.done(f"/console/incidents/{incident_id}", "noted")


async def _failures(visit: Visit, it: IncidentView) -> list[ExchangeRow]:
    """What failed while it lasted, of its provider, team or model where it is about one; at most of a day."""
    since_ns, until_ns = (None if at is None else _ns(at) for at in (it.since, it.resolved_at))
    until_ns = visit.world.clock.now_ns() if until_ns is None else until_ns + SECOND
    root = visit.world.configuration.written.root
    kinds = (("provider", root.providers), ("team", root.teams), ("model", root.models))
    filters = dict([(kind, it.subject) for kind, names in kinds if it.subject in names][:1])
    return await latest(visit, max(since_ns or 0, until_ns - DAY), until_ns, filters)


def _ns(at: str) -> int:
    return int(datetime.fromisoformat(at).timestamp()) * SECOND


def _id(visit: Visit) -> str:
    found: str = visit.request.path_params["incident_id"]
    return found
