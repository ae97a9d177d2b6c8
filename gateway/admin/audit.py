"""The audit log over HTTP, and its entries of what is no change of the ledger itself."""

import asyncio
from collections.abc import Mapping

import msgspec
from starlette.responses import Response

from gateway.admin.access import Conflict
from gateway.admin.budget_shapes import AuditList, AuditView
from gateway.admin.endpoint import Call, json_answer
from gateway.admin.shapes import iso
from gateway.errors import BadRequest, LedgerError
from gateway.ledger.audit import Entry, Plain, append, entries, head
from gateway.ledger.periods import moment_ns
from gateway.ledger.store import current_ledger, writing
from gateway.seams import Clock
from gateway.telemetry.logs import alert

MOST = 1000


async def show_audit(call: Call) -> Response:
    ledger = call.world.configuration.snapshot.ledger
    if ledger is None:
        raise Conflict("This gateway keeps no ledger (ledger: off), so it has no audit log.", code="ledger_off")
    query = call.request.query_params
    try:
        since_ns = moment_ns(query.get("since", "30d"), call.world.clock.now_ns())
    except LedgerError as error:
        raise BadRequest(f"since: {error}.", param="since") from None
    limit = query.get("limit", "100")
    if not (limit.isascii() and limit.isdigit() and 1 <= int(limit[:9]) <= MOST):
        raise BadRequest(f"limit: allowed is a number from 1 to {MOST}.", param="limit")
    return json_answer(await asyncio.to_thread(listed, ledger.url, since_ns, int(limit)))


def listed(url: str, since_ns: int, limit: int | None) -> AuditList:
    """The newest entries since a time, oldest first. Blocks. Raises `LedgerError`."""
    with current_ledger(url) as engine:
        return AuditList([view(entry) for entry in entries(engine, since_ns, limit)], str(head(engine)))


def view(entry: Entry) -> AuditView:
    """An entry as it is shown."""
    return AuditView(
        seq=entry.seq,
        at=iso(entry.at_ns),
        actor=entry.actor,
        action=entry.action,
        object=entry.object,
        before=msgspec.json.decode(entry.before),
        after=msgspec.json.decode(entry.after),
        reason=entry.reason,
        hash=entry.hash,
    )


def note(
    url: str,
    clock: Clock,
    *,
    actor: str,
    action: str,
    object: str,
    before: Mapping[str, Plain] | None = None,
    after: Mapping[str, Plain] | None = None,
    reason: str = "",
) -> None:
    """Append an entry for something that has happened outside the ledger, in a transaction of its own. Blocks. What was
    done stays done when the database is away: then the log of the gateway says that the entry is missing."""
    try:
        with current_ledger(url) as engine, writing(engine) as connection:
            append(
                connection,
                at_ns=clock.now_ns(),
                actor=actor,
                action=action,
                object=object,
                before=before,
                after=after,
                reason=reason,
            )
    except LedgerError as error:
        alert("audit_entry_missing", actor=actor, action=action, object=object, reason=str(error))
