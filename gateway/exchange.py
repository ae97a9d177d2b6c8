"""The way of one request, top to bottom.

    accept → authenticate → read → admit → inspect request → route → forward → inspect response → settle → record

`drive` is the frame every request passes, whatever becomes of it: it opens the notebook, walks the road, turns
refusals and interruptions into answers, and closes the books. `Trip.road` is the walk itself. The books never await:
once an exchange has begun, exactly one settlement and one record follow, in `drive`'s `finally`.
"""

import asyncio
import contextlib
from functools import partial

from gateway.admission import Admission, admit_quietly, ticket_of
from gateway.attempt import Answer, Outgoing
from gateway.auth.keys import authenticate
from gateway.client import Client, ClientLeft
from gateway.delivery import SSE_BLOCK, Delivery
from gateway.dialects import for_operation
from gateway.dialects.outline import LONG
from gateway.errors import (
    LATE_BODY,
    Blocked,
    BodyTimeout,
    BudgetExhausted,
    GuardrailUnavailable,
    Overloaded,
    Refusal,
    UpstreamBroken,
    UpstreamTimeout,
)
from gateway.facts import ANYTHING, Caller, Engine, Exchange, ModelScope
from gateway.forward import at_work, find_route, forward
from gateway.guard import SHORT, Guard, header_of
from gateway.held import answer_held
from gateway.listing import answer_models
from gateway.look import request_passes
from gateway.operations import accept, upgrade, wire_of
from gateway.outside import Outside
from gateway.passage import stream_error
from gateway.passthrough import pass_through
from gateway.pseudonyms.naming import HEADER as CONVERSATION
from gateway.reading import read_long
from gateway.ride import Live
from gateway.routing.table import Route
from gateway.seams import Headers
from gateway.settings.snapshot import Snapshot
from gateway.settle import NO_COST, complete, estimate_unanswered, merged_tags, reserve, settle_stream
from gateway.tape import keep_request
from gateway.telemetry.logs import alert
from gateway.wire.canned import canned
from gateway.wire.envelopes import error_body
from gateway.wire.head import Head
from gateway.wire.headers import split_fields
from gateway.wire.unpack import coding_of, unpacked
from gateway.world import World

JSON: Headers = [(b"content-type", b"application/json")]
"""Header fields of a body of ours."""


async def drive(world: World, client: Client, head: Head, live: Live) -> None:
    """Serve one request below /v1. Never raises: every end has an answer, a settlement and a record."""
    snapshot = world.snapshot
    clock = world.clock
    head.bind(snapshot)
    now_ns = clock.now_ns()
    id_ = world.ids.uuid7(now_ns)
    x = Exchange(id_, head.request_id or id_, now_ns, clock.monotonic())
    x.cost = NO_COST
    if world.traces is not None:
        x.parent = head.parent
    trip = Trip(world, snapshot, x, client, head, live)
    world.live.add(live)
    try:
        try:
            await trip.road()
        except Refusal as refusal:
            await _refuse(x, client, refusal)
        except ClientLeft:
            x.outcome, x.status = "client_left", 499
        except MemoryError:
            alert("out_of_memory", exchange=x.id)
            await _refuse(x, client, _crowded())
        except Exception as error:
            world.defect(x, error)
            await _refuse(x, client, Refusal("The gateway failed to handle this request.", code="internal_error"))
            x.outcome = "error"
    except asyncio.CancelledError:
        await live.recovered()
        await _interrupted(trip, live)
    finally:
        world.live.discard(live)
        x.finished_at = clock.monotonic()
        trip.close()


class Trip(Delivery):
    """One walk down the road. Holds what must be closed or settled whatever happens; decisions stay in functions."""

    __slots__ = ("head", "out")

    def __init__(self, world: World, snapshot: Snapshot, x: Exchange, client: Client, head: Head, live: Live) -> None:
        super().__init__(world, snapshot, x, client, live)
        self.head = head
        self.out: Outgoing | None = None

    async def road(self) -> None:
        world, snapshot, x, client, head = self.world, self.snapshot, self.x, self.client, self.head

        # accept
        if client.method == "GET" and b"upgrade" in head.fields:
            upgrade(client.path, head.fields[b"upgrade"])
        operation = x.operation = accept(client.method, client.path)
        if world.draining:
            raise _leaving()

        # authenticate
        caller = head.caller
        if caller is None or (caller.expires_ns is not None and x.received_ns >= caller.expires_ns):
            caller = head.caller = authenticate(snapshot.keys, head.key, x.received_ns)
            head.ticket = None
        x.caller = caller
        x.tags = merged_tags(caller, head.tags())
        if (switches := snapshot.switches) is not None:
            switches.admit(caller, operation.name, x.received_ns)
        if operation.name == "models":
            return await answer_models(x, client, snapshot, caller)
        if not operation.reads_body:
            if caller.guardrails is not None:
                self.guard = Guard(world, snapshot, caller.guardrails, x, operation.name)
            return await pass_through(world, snapshot, x, client, head, caller, self.guard)

        # read
        body = None if b"content-encoding" in head.fields else client.take(snapshot.server.max_body)
        if body is None:
            body = await _read(client, head, snapshot.server.max_body)
        dialect = for_operation(operation.name)
        if len(body) <= LONG:
            reading, outline = dialect.read(operation, body), None
        else:
            work = partial(read_long, dialect, operation, body, snapshot.server.max_values)
            reading, outline = await world.slices.run(work)
        x.reading = reading
        route = _route(snapshot, x, caller.models, reading.model)

        # admit
        id_, path, most = x.request_id.encode(), operation.path.encode(), snapshot.server.max_event
        out = self.out = Outgoing(
            operation, route, head, id_, path, client.query, body, reading, dialect, most, outline
        )
        ticket = ticket_of(world, snapshot, x, caller, out)
        if snapshot.limits is not None:
            self.standing = admit_quietly(world, x, ticket, out)
            if self.standing is None:
                await self.admit(caller, out, snapshot.limits.by_provider)
        if world.journal is not None:
            reserve(x, snapshot, out, ticket)
            world.begin(x)
        x.read_at = world.clock.monotonic()

        # inspect request
        if caller.guardrails is not None and (guard := self.looked(caller.guardrails, out)) is not None:
            await self.inspect(guard, out)

        if world.traces is not None and (options := snapshot.telemetry.content) is not None:
            keep_request(x, options, out.body, self.guard)

        # route, forward
        answer = self.answer = await forward(world, snapshot.routes, x, out, switches)
        x.provider, x.model = answer.target.provider.name, answer.target.model

        # inspect response, answer; settle comes before the last byte, so that a client that saw the end is booked
        await self.deliver(out, answer)

    async def admit(self, caller: Caller, out: Outgoing, by_provider: bool) -> None:
        """Take what the request may use, waiting and downgrading as its limits say. Raises their refusal."""
        admission = self.admission = Admission(self.world, self.snapshot, self.x, caller, out)
        if not admission.now():
            await admission.ask()
        if by_provider:
            out.limits = admission

    def looked(self, engine: Engine, out: Outgoing) -> Guard | None:
        """Look at the request's text. Guardrails that have more to do with it; None: it may go on as it is."""
        guard = self.guard = Guard(self.world, self.snapshot, engine, self.x, out.operation.name)
        if not request_passes(guard, out.body):
            return guard
        if guard.reads_requests:
            self.x.inspected_at = self.world.clock.monotonic()
        return None

    async def inspect(self, guard: Guard, out: Outgoing) -> None:
        """Let guardrails pass, rewrite, reroute or block the request's text."""
        world, snapshot, x = self.world, self.snapshot, self.x
        if guard.pseudonyms is not None:
            await guard.recall(world.conversations, self.head.fields.get(CONVERSATION), out.skeleton)
        came = out.body
        if len(came) <= SHORT:
            out.body = guard.request(out.dialect, came)
        else:
            out.body = await guard.long_request(out.dialect, came, out.outline)
            if out.body is not came:
                out.outline = guard.outline
        if guard.outside is not None:
            judged = out.body
            out.body = await guard.outside.request(judged, out.dialect.prompt_segments, out.dialect)
            if out.body is not judged:
                out.outline = None
        if guard.talk is not None:
            await guard.talk.keep()
        if x.request_verdict.reroute:
            admission = self.admission
            if admission is None and snapshot.limits is not None and x.caller is not None:  # it was admitted quietly
                admission = Admission(world, snapshot, x, x.caller, out)
            out.route = _route(snapshot, x, ANYTHING, x.request_verdict.reroute)
            if admission is not None:
                await admission.rerouted(out)
        if guard.reads_requests:
            x.inspected_at = world.clock.monotonic()

    async def deliver(self, out: Outgoing, answer: Answer) -> None:
        """The way back: whole, event by event, or held until detectors outside have judged all of it."""
        try:
            if answer.stream is None:
                await self.answer_whole(out, answer)
            elif self.guard is not None and self.guard.outside is not None and self.guard.outside.holds:
                await answer_held(self, answer, answer.stream, self.guard, self.guard.outside)
            else:
                await self.answer_stream(answer, answer.stream)
        except (UpstreamBroken, UpstreamTimeout) as refusal:
            self.broke(answer, refusal)
            raise

    def close(self) -> None:
        """Give back the connection; settle what was not settled on the way; record. Synchronous, called once."""
        if self.answer is not None:
            self.answer.response.close()
        if self.out is not None:
            self.out.leave()
        outside = self.guard.outside if self.guard is not None else None
        if outside is None:
            return self.book()
        if outside.pending and self.x.outcome not in ("client_left", "shutdown"):
            self.world.tasks.start(self._book_with_verdicts(outside), "shadow verdicts")
            return None
        outside.close()
        return self.book()

    async def _book_with_verdicts(self, outside: Outside) -> None:
        """Book when guardrails that only measure have said what they found; within their deadline, and in any case."""
        try:
            await outside.finish()
        except Exception as error:
            self.world.defect(self.x, error)
        finally:
            outside.close()
            self.book()

    def book(self) -> None:
        """Settle what was not settled on the way, and record."""
        x, world, out, answer = self.x, self.world, self.out, self.answer
        if not x.provider and x.attempts:
            # Nobody served it: whoever was tried last is who failed.
            x.provider, x.model = x.attempts[-1].provider, x.attempts[-1].model
        if self.settled or out is None or not world.counts:
            return world.record(x)
        if answer is not None and answer.stream is not None:
            if complete(answer.stream.reader):
                return self.settle()
            return world.when_countable(x.model, self.settle)
        if answer is None and x.attempts and at_work(x.attempts[-1]) and x.outcome in ("client_left", "shutdown"):
            return world.when_countable(x.attempts[-1].model, self.settle)
        return world.record(x)

    def settle(self) -> None:
        """Settle and record a stream, or a request that a provider was at work on when it ended; perhaps a moment after
        that, when its tokens have to be counted. Whatever goes wrong, the record is written."""
        try:
            if self.out is not None and self.answer is not None:
                settle_stream(self.x, self.snapshot, self.world.tokens, self.out, self.answer)
            elif self.out is not None:
                estimate_unanswered(self.x, self.snapshot, self.world.tokens, self.out)
        except Exception as error:
            self.world.defect(self.x, error)
        finally:
            self.world.record(self.x)


async def _read(client: Client, head: Head, limit: int) -> bytes:
    """The whole body, decoded. What it is encoded with is looked at before it is sent."""
    coding = coding_of(head.headers)
    return await unpacked(await client.read(limit), coding, limit)


def _route(snapshot: Snapshot, x: Exchange, allowed: ModelScope, model: str) -> Route:
    """The route of a model, or of the one that an operator has serve in its place."""
    route = find_route(snapshot.routes, allowed, model)
    return route if snapshot.switches is None else snapshot.switches.route(snapshot.routes, route, x.received_ns)


async def _refuse(x: Exchange, client: Client, refusal: Refusal) -> None:
    """Answer with an error envelope; mid-stream, with an error event."""
    x.outcome, x.status = refusal.outcome, refusal.status
    wire = x.operation.wire if x.operation is not None else wire_of(client.path)
    with contextlib.suppress(ClientLeft):
        if x.committed:
            if x.reading is not None and x.reading.stream:
                return await client.write(stream_error(refusal, x), more=False)
            return client.abort()
        answer = _instead(x, refusal) if isinstance(refusal, Blocked) else None
        kind, body = answer or (JSON, error_body(refusal, wire, x.request_id))
        headers = [
            *kind,
            (b"content-length", b"%d" % len(body)),
            (b"x-request-id", x.request_id.encode()),
            *([(b"request-id", x.request_id.encode())] if wire == "anthropic" else ()),
            *refusal.headers,
        ]
        if isinstance(refusal, Blocked | GuardrailUnavailable) and (told := header_of(x)):
            headers.append((b"x-tollway-guardrails", told))
        await client.answer(x.status, headers, body)


def _instead(x: Exchange, refusal: Blocked) -> tuple[Headers, bytes] | None:
    """Header fields and body of the answer that a rule has the client get; None: it gets the error."""
    if not refusal.answer or x.reading is None or x.operation is None:
        return None
    body = canned(x.operation.name, x.reading, refusal.answer, x.id, x.received_ns // 1_000_000_000)
    if body is None:
        return None
    x.status = 200
    return split_fields(SSE_BLOCK) if x.reading.stream else JSON, body


async def _interrupted(trip: Trip, live: Live) -> None:
    """The exchange was stopped from outside: the client left, its body was late, or the drain time is over."""
    x, client = trip.x, trip.client
    if trip.answered:
        return
    if live.reason == "client_left":
        x.outcome, x.status = "client_left", 499
        return
    late = live.reason == "body_timeout"
    used_up = live.reason == "used_up"
    if used_up:
        refusal = BudgetExhausted("A limit or budget was used up while this answer was streamed; it ends here.")
    else:
        refusal = BodyTimeout(LATE_BODY) if late else _leaving()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(1.0):
            await _refuse(x, client, refusal)
    if not late:
        x.outcome = "cut" if used_up else "shutdown"


def _crowded() -> Refusal:
    """Not of our making, and over when others have ended: as with limits of a container on a huge body."""
    retry = ((b"retry-after", b"2"),)
    return Overloaded("This gateway has no memory left for this request.", code="out_of_memory", headers=retry)


def _leaving() -> Refusal:
    return Overloaded("This gateway is shutting down.", headers=((b"retry-after", b"1"),))
