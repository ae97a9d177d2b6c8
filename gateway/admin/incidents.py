"""Incidents: listed, shown with their timelines, acknowledged and commented, over HTTP and for the command line."""

from collections.abc import Callable
from typing import TypeVar

from starlette.responses import Response

from gateway.admin.endpoint import Call, json_answer, on_ledger, read_json
from gateway.admin.incident_shapes import Comment, Happening, IncidentDetail, IncidentList, IncidentView
from gateway.admin.shapes import iso, iso_or_none
from gateway.errors import BadRequest, LedgerError, NotFound
from gateway.ledger.audit import MAX_REASON, Entry
from gateway.ledger.incidents import Incident, IncidentStore, Note
from gateway.ledger.periods import moment_ns
from gateway.seams import Clock
from gateway.telemetry.logs import info

T = TypeVar("T")
BEFORE_NS = 900 * 10**9
"""How much of what came before is on a timeline: causes come first."""
STATES = ("open", "all")
LOCKED = (
    "the ledger is locked by another program, so that nothing is written into it: this is what was known before that; "
    "alerts, the log and webhooks tell of what is new"
)


class Incidents:
    """The incidents of one ledger. Methods block, and raise `LedgerError` when the database is away."""

    def __init__(self, store: IncidentStore, clock: Clock, actor: str) -> None:
        self._store = store
        self._clock = clock
        self._actor = actor

    def list(self, state: str, since: str) -> IncidentList:
        """Raises `BadRequest`."""
        if state not in STATES:
            raise BadRequest(f"state: allowed are {' and '.join(STATES)}.", param="state")
        try:
            since_ns = moment_ns(since, self._clock.now_ns())
        except LedgerError as error:
            raise BadRequest(f"since: {error}.", param="since") from None
        found = self._store.list(since_ns, only_open=state == "open")
        return IncidentList([view(each) for each in found], LOCKED if self._store.is_locked() else "")

    def show(self, incident_id: str) -> IncidentDetail:
        """Raises `NotFound`."""
        found = self._store.find(incident_id)
        if found is None:
            raise _unknown(incident_id)
        since_ns = found.since_ns - BEFORE_NS
        until_ns = found.resolved_ns or self._clock.now_ns()
        notes = self._store.notes(incident_id, since_ns, until_ns)
        # Its acknowledgement is a note of its own.
        changes = [each for each in self._store.changes(since_ns, until_ns) if each.action != "incidents.acknowledge"]
        began = Happening(at=iso(found.since_ns), kind="began", actor="", text="first seen in the figures")
        timeline = [(found.since_ns, began)]
        timeline += [(each.at_ns, _of_note(each)) for each in notes]
        timeline += [(each.at_ns, _of_entry(each)) for each in changes]
        timeline.sort(key=lambda pair: pair[0])
        return IncidentDetail(incident=view(found), timeline=[each for _, each in timeline])

    def acknowledge(self, incident_id: str, comment: str) -> IncidentView:
        """Raises `BadRequest`, `NotFound`."""
        text = _words(comment) if comment.strip() else ""
        return self._told(incident_id, lambda at_ns: self._store.acknowledge(
            incident_id, at_ns=at_ns, actor=self._actor, comment=text
        ))  # fmt: skip

    def comment(self, incident_id: str, comment: str) -> IncidentView:
        """Raises `BadRequest`, `NotFound`."""
        text = _words(comment)
        return self._told(incident_id, lambda at_ns: self._store.comment(
            incident_id, at_ns=at_ns, actor=self._actor, text=text
        ))  # fmt: skip

    def _told(self, incident_id: str, tell: Callable[[int], Incident]) -> IncidentView:
        if self._store.find(incident_id) is None:
            raise _unknown(incident_id)
        return view(tell(self._clock.now_ns()))


def view(incident: Incident) -> IncidentView:
    """An incident as it is shown."""
    teams = incident.detail.get("teams", [])
    acknowledged = "open" if incident.acknowledged_ns is None else "acknowledged"
    return IncidentView(
        id=incident.id,
        state=acknowledged if incident.resolved_ns is None else "resolved",
        severity=incident.severity,
        signal=incident.signal,
        subject=incident.subject,
        title=incident.title,
        teams=teams if isinstance(teams, list) else [],
        detail={name: value for name, value in incident.detail.items() if name != "teams"},
        gateway=incident.gateway,
        since=iso(incident.since_ns),
        opened_at=iso(incident.opened_ns),
        updated_at=iso(incident.updated_ns),
        resolved_at=iso_or_none(incident.resolved_ns),
        acknowledged_at=iso_or_none(incident.acknowledged_ns),
        acknowledged_by=incident.acknowledged_by,
    )


async def list_incidents(call: Call) -> Response:
    query = call.request.query_params
    state, since = query.get("state", "open"), query.get("since", "7d")
    return json_answer(await with_incidents(call, lambda incidents: incidents.list(state, since)))


async def show_incident(call: Call) -> Response:
    incident_id: str = call.request.path_params["incident_id"]
    return json_answer(await with_incidents(call, lambda incidents: incidents.show(incident_id)))


async def acknowledge_incident(call: Call) -> Response:
    incident_id: str = call.request.path_params["incident_id"]
    asked = await read_json(call.request, Comment)
    done = await with_incidents(call, lambda incidents: incidents.acknowledge(incident_id, asked.comment))
    info("admin_incident_acknowledged", admin_key_id=call.admin_id, incident=done.id)
    return json_answer(done)


async def comment_incident(call: Call) -> Response:
    incident_id: str = call.request.path_params["incident_id"]
    asked = await read_json(call.request, Comment)
    return json_answer(await with_incidents(call, lambda incidents: incidents.comment(incident_id, asked.comment)))


async def with_incidents(call: Call, work: Callable[[Incidents], T]) -> T:
    """Run `work` on the ledger's incidents, on a thread. Raises `Conflict` or `LedgerError`."""
    return await on_ledger(
        call,
        "This gateway keeps no ledger (ledger: off), and incidents live in it.",
        lambda engine: work(Incidents(IncidentStore(engine), call.world.clock, call.actor)),
    )


def _of_note(note: Note) -> Happening:
    return Happening(at=iso(note.at_ns), kind=note.kind, actor=note.actor, text=note.text)


def _of_entry(entry: Entry) -> Happening:
    text = f"{entry.object}: {entry.reason}" if entry.reason else entry.object
    return Happening(at=iso(entry.at_ns), kind=entry.action, actor=entry.actor, text=text)


def _unknown(incident_id: str) -> NotFound:
    return NotFound(f"There is no incident '{incident_id[:100]}'.", code="unknown_incident")


def _words(text: str) -> str:
    text = text.strip()
    if not text or len(text) > MAX_REASON or not text.replace("\n", "").isprintable():
        raise BadRequest(f"comment: allowed is printable text of 1 to {MAX_REASON} characters.", param="comment")
    return text
