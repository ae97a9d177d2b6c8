"""The route and forward stages: what a model name means, and the walk over its targets until one serves.

An attempt (`gateway/attempt.py`) is over only when its answer may be committed. Until then a time-out, a 429 or a 5xx
can still move on to the next target without the client noticing.
"""

import asyncio
import difflib
import math
from collections.abc import Generator

from gateway import errors
from gateway.attempt import Answer, EmptyStream, ErrorAnswer, FirstEventTimeout, Outgoing, UnservedAnswer, ask
from gateway.errors import CircuitOpen, Forbidden, NotFound, Refusal, TransportError, UpstreamBroken, UpstreamTimeout
from gateway.facts import Attempt, Exchange, ModelScope
from gateway.limits.turnstile import Place
from gateway.routing.plan import Failed, Try, first_try, moves_on, order, tries
from gateway.routing.retry_after import retry_after
from gateway.routing.switches import Switches
from gateway.routing.table import Provider, Route, RouteTable, Target
from gateway.telemetry.logs import alert
from gateway.world import World

LONGEST_HINT = 60
"""Seconds; the largest `retry-after` of a provider at capacity, which is a guess."""


def find_route(routes: RouteTable, allowed: ModelScope, model: str) -> Route:
    """The route of the model asked for, if it is among the allowed ones."""
    route = routes.find(model)
    if route is None:
        raise NotFound(
            f"The model '{model[:200]}' does not exist here.{_nearest(routes, allowed, model)}", param="model"
        )
    if not allowed.allows(model):
        raise Forbidden(f"This key may not use the model '{model[:200]}'.", param="model")
    return route


def _nearest(routes: RouteTable, allowed: ModelScope, model: str) -> str:
    """Names that were probably meant, among those this caller may use."""
    names = [name for name in routes.names() if allowed.allows(name)]
    close = difflib.get_close_matches(model[:200], names, 3, 0.5)
    return f" Did you mean {' or '.join(repr(name) for name in close)}?" if close else ""


async def forward(
    world: World, routes: RouteTable, x: Exchange, out: Outgoing, switches: Switches | None = None
) -> Answer:
    """The answer of the first target that serves. Raises a `Refusal` when none did and none had anything to say; the
    last HTTP answer of a provider, whatever its status, is preferred to that."""
    if switches is None or not switches.routed:
        targets = order(out.route, routes, world.health, world.chance, world.clock.monotonic())
    else:
        targets = _running(world, routes, x, out.route, switches)
    circuits = world.circuits
    if circuits.watching:
        targets = circuits.choose(targets, world.clock.monotonic())
    walk: Generator[Try, Failed] | None = None  # only needed once a try has failed
    step = first_try(out.route, targets)
    spoken: Answer | None = None
    broken: TransportError | None = None
    while True:
        if step.wait:
            await asyncio.sleep(step.wait)
        provider = step.target.provider
        attempt = Attempt(provider=provider.name, model=step.target.model)
        pause: float | None = None
        try:
            if out.limits is not None:
                await out.limits.enter(provider.name)
            if provider.capacity is not None:
                out.place = await enter(world, x, provider)
            ticket = 0
            if circuits.watching:
                must = len(targets) == 1 or (step.last and not x.attempts)
                ticket = circuits.enter(step.target, must, world.clock.monotonic())
            # Not before: who leaves while waiting for a place has cost the provider nothing.
            x.attempts = [*x.attempts, attempt] if x.attempts else [attempt]
            answer = await ask(world, x, out, step.target, attempt, ticket)
        except TransportError as error:
            _note_failure(world, x, out, attempt, error)
            broken = broken if broken is not None and isinstance(error, CircuitOpen) else error
        else:
            status = answer.response.status
            if answer.whole:
                out.leave()
            if not moves_on(status) and not _is_error(answer):
                if status < 400:
                    world.health.answered(step.target, status, None, world.clock.monotonic())
                if circuits.watching:
                    circuits.answered(step.target, answer.ticket, status, world.clock.monotonic())
                return answer
            pause = _note_refusal(world, answer)
            spoken = answer
        if world.traces is not None and x.attempts and x.attempts[-1] is attempt:
            x.failed_at = [*(x.failed_at or ()), x.forwarded_at]
        if step.last:
            break
        if spoken is not None:
            spoken.response.close()
            out.failed()
        if walk is None:
            walk = tries(out.route, targets)
            next(walk)
        try:
            step = walk.send(Failed(attempt, pause))
        except StopIteration:
            break
    if spoken is not None:
        return _presentable(spoken)
    assert broken is not None
    raise refusal_of(broken, step.target.provider, stream=out.reading.stream) from broken


def _is_error(answer: Answer) -> bool:
    """Whether what came under a status of success is an error of the provider's, so that another may serve."""
    return answer.failed or (answer.stream is not None and answer.stream.reader.failed)


def at_work(attempt: Attempt) -> bool:
    """Whether the provider of an exchange's last attempt is still at work on it. It is not when the attempt has failed,
    and the exchange waits for a place at the next provider, or for another round."""
    return not attempt.error and not moves_on(attempt.status)


def _running(world: World, routes: RouteTable, x: Exchange, route: Route, switches: Switches) -> list[Target]:
    """The targets to try, without what an operator has stopped. Raises `Stopped`."""
    without = switches.stopped_models([*routes.exact, *route.fallbacks], x.received_ns)
    found = order(route, routes, world.health, world.chance, world.clock.monotonic(), without)
    return switches.running(found, x.received_ns)


async def enter(world: World, x: Exchange, provider: Provider) -> Place:
    """A place at a provider of limited capacity, perhaps after a wait. Raises `AtCapacity`."""
    caller = x.caller
    assert caller is not None
    turnstile = world.turnstiles.at(provider.name)
    place = turnstile.enter_now(caller.team, caller.weight, caller.priority)
    if place is None:
        place = await turnstile.enter(caller.team, caller.weight, caller.priority)
    return place


def _note_failure(world: World, x: Exchange, out: Outgoing, attempt: Attempt, error: TransportError) -> None:
    """What an attempt held is given back. One that the provider was not asked for is among the attempts too."""
    out.failed()
    attempt.error = type(error).__name__
    if isinstance(error, errors.AtCapacity | errors.ProviderLimited):
        x.attempts = [*(x.attempts or ()), attempt]
    elif not isinstance(error, CircuitOpen):
        world.troubles.note(attempt.provider, error, world.clock.monotonic())


def _note_refusal(world: World, answer: Answer) -> float | None:
    """Tell health and the circuit breaker what a provider refused with, or that its stream began with an error; returns
    its `retry-after`, seconds."""
    target, response, now = answer.target, answer.response, world.clock.monotonic()
    pause = retry_after(response.headers, world.clock.now_ns())
    if world.health.answered(target, response.status, pause, now):
        alert("provider_credential_refused", provider=target.provider.name, status=response.status)
    if answer.failed:
        told = ErrorAnswer(f"it answered {response.status} with an error", sent=True)
        world.troubles.note(target.provider.name, told, now)
    if answer.stream is not None or answer.failed:
        world.circuits.failed(target, answer.ticket, now)
    else:
        world.circuits.answered(target, answer.ticket, response.status, now)
    return pause


def _presentable(answer: Answer) -> Answer:
    """What may be shown of the last refusal. A provider's 401 speaks of the gateway's key, which is not the client's
    business, and may quote a part of it."""
    if answer.response.status == 401:
        answer.response.close()
        raise credential_refused(answer.target.provider)
    return answer


def credential_refused(provider: Provider) -> UpstreamBroken:
    """What the client is told of a 401."""
    return UpstreamBroken(
        f"The provider '{provider.name}' refused this gateway's credential.", code="provider_credential_refused"
    )


def refusal_of(error: TransportError, provider: Provider, *, stream: bool = False) -> Refusal:
    """The one place where a transport failure becomes an answer to the client. `stream`: it had asked for one, which
    must begin sooner."""
    name = provider.name
    limits = provider.stream_timeouts if stream else provider.timeouts
    match error:
        case errors.PoolTimeout():
            return errors.Overloaded(
                f"Every connection to the provider '{name}' is busy; none came free within {limits.queue:g} s.",
                headers=((b"retry-after", b"1"),),
            )
        case errors.ProviderLimited():
            return error.refusal
        case errors.AtCapacity():
            return errors.Overloaded(
                f"The provider '{name}' is at work on as many requests as it may be sent at one time: {error}.",
                code="provider_capacity",
                headers=((b"retry-after", b"%d" % min(max(math.ceil(error.retry_after), 1), LONGEST_HINT)),),
            )
        case errors.ConnectTimeout():
            return UpstreamTimeout(f"The provider '{name}' took no connection within {limits.connect:g} s.")
        case errors.HeaderTimeout():
            return UpstreamTimeout(f"The provider '{name}' did not begin to answer within {limits.header:g} s.")
        case FirstEventTimeout():
            return UpstreamTimeout(f"The provider '{name}' sent no event within {limits.first_event:g} s.")
        case errors.DeadlineExceeded():
            return UpstreamTimeout(f"The provider '{name}' did not finish its answer in time.")
        case errors.ConnectFailed():
            return UpstreamBroken(f"The provider '{name}' cannot be reached.")
        case EmptyStream():
            return UpstreamBroken(f"The provider '{name}' ended the stream before its first event.")
        case UnservedAnswer():
            return UpstreamBroken(f"The provider '{name}' sent no answer of its API: {error}.")
        case errors.UnreadableStream():
            return UpstreamBroken(f"The provider '{name}' sent a stream that cannot be read: {error}.")
        case errors.ProtocolBroken():
            return UpstreamBroken(f"The provider '{name}' sent an answer that is not valid HTTP.")
        case _:
            return UpstreamBroken(f"The provider '{name}' closed the connection before its answer was complete.")
