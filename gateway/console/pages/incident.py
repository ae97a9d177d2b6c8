"""One incident: its timeline, who looks after it, and a draft of its postmortem."""

from starlette.responses import PlainTextResponse, Response

from gateway.admin.incidents import with_incidents
from gateway.console.postmortem import draft
from gateway.console.visit import Visit
from gateway.telemetry.logs import info


async def show(visit: Visit) -> Response:
    incident_id = _id(visit)
    found = await with_incidents(visit, lambda incidents: incidents.show(incident_id))
    return await visit.page("incident.html", {"it": found.incident, "timeline": found.timeline})


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
    info("console_incident_acknowledged", admin_key=visit.admin_id, incident=incident_id)
    return visit.done(f"/console/incidents/{incident_id}", "acknowledged")


async def comment(visit: Visit) -> Response:
    fields = await visit.form()
    incident_id = _id(visit)
    await with_incidents(visit, lambda incidents: incidents.comment(incident_id, fields.get("comment", "")))
    return visit.done(f"/console/incidents/{incident_id}", "noted")


def _id(visit: Visit) -> str:
    found: str = visit.request.path_params["incident_id"]
    return found
