"""Which target comes next: a negotiation as a generator (yield a try, be sent what came of it), without I/O.

A route is walked target by target; then its fallbacks' targets; then, if the route says so, all of it again after a
back-off. Only failures that another target might not have move on: connection trouble, time-outs, redirects, 408, 429,
5xx, and 401/403 from a provider (its credential is bad, not the client's). Every other answer is the client's.
"""

import random
from collections.abc import Collection, Generator

import msgspec

from gateway.facts import Attempt
from gateway.routing.health import Health
from gateway.routing.table import Route, RouteTable, Target

RETRYABLE = frozenset({401, 403, 408, 409, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524, 529})
"""409 and 425 are what OpenAI's SDK retries; 520 to 524 come from CDNs; 529 is Anthropic's overload."""


class Try(msgspec.Struct, frozen=True):
    """Next: wait this long, then ask this target. `last`: nothing comes after it."""

    target: Target
    wait: float = 0.0
    last: bool = False


class Failed(msgspec.Struct, frozen=True):
    """What came of a try that did not serve. `retry_after` is the provider's, in seconds."""

    attempt: Attempt
    retry_after: float | None = None


def moves_on(status: int) -> bool:
    """Whether an answer with this status lets the next target try. A redirect does: it is not followed, so nothing has
    served (an address of the provider that has moved, or a portal before it)."""
    return status in RETRYABLE or 300 <= status < 400


def order(
    route: Route,
    table: RouteTable,
    health: Health,
    chance: random.Random,
    now: float,
    without: Collection[str] = (),
) -> list[Target]:
    """Targets in the order to try them: weighted chance among a route's own, then its fallbacks' (each route once).
    Targets that health holds back go last, so that a route whose every target is held back is still tried.
    Fallbacks named in `without` are left out."""
    if len(route.targets) == 1 and not route.fallbacks:
        return [route.targets[0]]
    found: list[Target] = []
    seen: set[str] = set(without)
    seen.discard(route.name)
    names: list[Route] = [route]
    while names:
        current = names.pop(0)
        if current.name in seen:
            continue
        seen.add(current.name)
        found += _shuffled(current.targets, chance)
        names += [fallback for name in current.fallbacks if (fallback := table.find(name)) is not None]
    ready = [target for target in found if health.ready(target, now)]
    return ready + [target for target in found if not health.ready(target, now)]


def first_try(route: Route, targets: list[Target]) -> Try:
    """What `tries` yields first, without a generator: most requests need no second."""
    return Try(targets[0], last=len(targets) == 1 and route.retry.rounds == 0)


def tries(route: Route, targets: list[Target]) -> Generator[Try, Failed]:
    """Walk `targets` (from `order`). Send what came of a try to get the next one; ends when there is none.

    The provider's `retry-after` overrides the back-off between rounds; one that is longer than the route will wait
    ends the walk.
    """
    retry = route.retry
    last_target = len(targets) - 1
    pause = retry.backoff
    for round_ in range(retry.rounds + 1):
        wait = min(pause, retry.max_backoff) if round_ else 0.0
        asked: float | None = None
        for at, target in enumerate(targets):
            last = at == last_target and round_ == retry.rounds
            failed = yield Try(target, wait if at == 0 else 0.0, last)
            if failed.retry_after is not None:
                asked = failed.retry_after if asked is None else min(asked, failed.retry_after)
        if asked is not None and asked > retry.max_backoff:
            return
        pause = asked if asked is not None else retry.backoff * 2**round_


def _shuffled(targets: tuple[Target, ...], chance: random.Random) -> list[Target]:
    if len(targets) == 1:
        return [targets[0]]
    # Efraimidis and Spirakis (2006): sorting by u^(1/w) draws without replacement, proportional to the weights.
    return sorted(targets, key=lambda target: chance.random() ** (1.0 / target.weight), reverse=True)
