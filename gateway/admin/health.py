"""Liveness, readiness with reasons, and the Prometheus scrape."""

from starlette.responses import PlainTextResponse, Response

from gateway.admin.endpoint import Call, json_answer
from gateway.admin.shapes import Check, Ready
from gateway.admin.world import AdminWorld
from gateway.errors import NotFound, Overloaded
from gateway.ledger.status import read_status
from gateway.limits.stores import gauges_of

STALE = 30.0
"""Seconds without a word of the loader after which readiness mentions it."""


async def healthz(call: Call) -> Response:
    """Alive: the event loop turns. Says nothing about providers or the ledger, so that nobody restarts for those."""
    return PlainTextResponse("ok\n", headers={"cache-control": "no-store"})


async def readyz(call: Call) -> Response:
    ready = readiness(call.world)
    return json_answer(ready, 200 if ready.ready else 503)


async def metrics(call: Call) -> Response:
    figures = call.world.metrics
    if figures is None:
        raise NotFound("Metrics are off (telemetry.metrics).", code="metrics_off")
    try:
        body, content_type = await figures.expose(call.request.headers.get("accept", ""))
    except OSError as error:
        raise Overloaded(f"The other workers' figures cannot be read now: {error.strerror}.") from error
    return Response(body, 200, {"content-type": content_type, "cache-control": "no-store"})


def readiness(world: AdminWorld) -> Ready:
    """Whether this worker should be sent requests. Only its own state counts: a provider or a database that is away
    is no reason to send nobody here."""
    checks = {"serving": _serving(world)}
    error = world.configuration.last_error
    checks["configuration"] = Check(True, f"the last reload was refused: {_first_line(error)}" if error else "")
    if world.journal is not None:
        checks["journal"] = _journal(world)
        checks["ledger"] = Check(True, _ledger(world))
    store = gauges_of(world.limits)
    if store is not None:
        away = f"the limit store is away ({store.reason}): each rule does what its on_store_failure says"
        checks["limits"] = Check(True, "" if store.up else away)
    down = world.health.down(world.clock.monotonic())
    if down:
        checks["providers"] = Check(True, f"credential refused by: {', '.join(down)}")
    return Ready(all(check.ok for check in checks.values()), checks)


def _serving(world: AdminWorld) -> Check:
    if world.draining:
        return Check(False, "draining: the gateway is shutting down")
    return Check(False, "leaving: the gateway will shut down soon") if world.leaving else Check(True)


def _journal(world: AdminWorld) -> Check:
    journal = world.journal
    if journal is None or journal.healthy:
        return Check(True)
    ledger = world.configuration.snapshot.ledger
    if ledger is not None and ledger.on_full == "serve":
        return Check(True, f"requests are served unrecorded: {journal.reason}")
    return Check(False, f"the journal cannot be written: {journal.reason}")


def _ledger(world: AdminWorld) -> str:
    """What is worth knowing of the database; never a reason to refuse, because the journal waits for it."""
    status = read_status(world.journal.directory) if world.journal is not None else None
    if status is None:
        return "no loader has reported yet"
    age = (world.clock.now_ns() - status.updated_ns) / 1e9
    if age > STALE:
        return f"no loader has reported for {age:.0f} s"
    if status.database == "away":
        return f"the database is away; {status.lag_bytes} journal bytes wait"
    return ""


def _first_line(text: str) -> str:
    return text.partition("\n")[0]
