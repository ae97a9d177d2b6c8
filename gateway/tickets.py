"""What admission and the start record ask of a configuration, found once for the requests that ask the same.

A caller asks for the same model thousands of times: which bounds hold, which prices, and how long a hold may live do
not change between two reloads. A `Ticket` is all of that in one look-up; what a request brings itself (its length, its
maximum, its service tier) is not in it. A head that comes again has its last ticket with it.
"""

from collections.abc import Iterator, Mapping

from gateway.facts import Caller, Operation
from gateway.limits.program import Kept, values_of
from gateway.operations import FREE
from gateway.quota import Bound
from gateway.routing.table import Route, RouteTable, Target
from gateway.settings.snapshot import Snapshot
from pricing.card import RateCard
from pricing.tokens import HIDDEN_PROMPT

USUAL_OUTPUT = 4096
"""Output tokens reserved for a request whose maximum nobody knows."""
SLACK = 60.0
"""Seconds a hold outlives the longest time its exchange may take."""
NO_RATE = (0, 0, 0, 1)

Rate = tuple[int, int, int, int]
"""`RateCard.flat` or `plain`: numerators of an input token, an output token and a request, and their denominator."""


class Ticket:
    """What holds for every request of one key for one model, by one operation and with the same tags."""

    __slots__ = (
        "bounds",
        "card",
        "counts",
        "generates",
        "hidden",
        "model",
        "operation",
        "plain",
        "quick",
        "rate",
        "route",
        "seconds",
        "usual",
    )

    def __init__(
        self,
        snapshot: Snapshot,
        caller: Caller,
        model: str,
        operation: Operation,
        route: Route,
        tags: Mapping[str, str] | None,
    ) -> None:
        program = snapshot.limits
        by_provider = program is not None and program.by_provider
        self.model = model
        self.operation = operation
        self.route = route
        self.bounds: tuple[Bound, ...] = ()
        """Counted on when the request is admitted."""
        if program is not None:
            self.bounds = program.bounds(caller.key_id, caller.team, model, operation.name, tags)
        self.counts = operation.name not in FREE and (bool(self.bounds) or by_provider)
        """It takes more than its turn, and some rule looks at that."""
        self.generates = operation.generates
        self.hidden = HIDDEN_PROMPT if route.targets[0].provider.wire == "anthropic" else 0
        """Input tokens beside those that the body's bytes stand for."""
        self.usual = route.max_output or USUAL_OUTPUT
        """Output tokens of a choice for which the client sets no maximum."""
        self.seconds = route.longest * 2 + SLACK
        """How long the hold lives if nobody settles it."""
        self.rate: Rate | None = _rate(snapshot, route)
        """What it costs at most in the standard tier; None: to be asked of every target's card."""
        self.quick = (
            self.counts and not by_provider and self.rate is not None and snapshot.limit_options.reserve == "upper"
        )
        """Nothing but its length, its maximum and its bounds decides whether a request is admitted."""
        first = route.targets[0]
        self.card: RateCard | None = None
        if snapshot.prices is not None:
            self.card = snapshot.prices.card(first.provider.prices, first.model)
        """Prices of the target that is asked first; None: there are none."""
        self.plain: Rate | None = None if self.card is None else self.card.plain
        """What an estimate of its cost is reckoned with; None: `card` is asked."""


class Tickets:
    """The tickets of the configuration that was asked last."""

    def __init__(self) -> None:
        self._snapshot: Snapshot | None = None
        self._tags: tuple[str, ...] = ()
        self._kept: Kept[Ticket] = Kept()

    def of(
        self,
        snapshot: Snapshot,
        caller: Caller,
        model: str,
        operation: Operation,
        route: Route,
        tags: Mapping[str, str] | None,
    ) -> Ticket:
        """The ticket of a request for `model`, whose route in this snapshot is `route`."""
        if snapshot is not self._snapshot:
            self._follow(snapshot)
        values = values_of(self._tags, tags) if self._tags else ()
        asked = (caller.key_id, caller.team, model, operation.name, values)
        ticket = self._kept.get(asked)
        if ticket is None or ticket.route is not route:  # an operator may have sent this model another way
            ticket = Ticket(snapshot, caller, model, operation, route, tags)
            self._kept.keep(asked, (model, *values), ticket)
        return ticket

    def _follow(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._tags = () if snapshot.limits is None else snapshot.limits.tags
        self._kept = Kept()


def targets_of(route: Route, routes: RouteTable) -> Iterator[Target]:
    """Every target that may serve a request of this route, its fallbacks' too."""
    seen: set[str] = set()
    names = [route]
    while names:
        current = names.pop()
        if current.name not in seen:
            seen.add(current.name)
            yield from current.targets
            names += [found for name in current.fallbacks if (found := routes.find(name)) is not None]


def _rate(snapshot: Snapshot, route: Route) -> Rate | None:
    """The rate of every target that has a price, if it is one and the same and always holds."""
    if snapshot.prices is None:
        return NO_RATE
    rates: set[Rate | None] = set()
    for target in targets_of(route, snapshot.routes):
        card = snapshot.prices.card(target.provider.prices, target.model)
        if card is not None:
            rates.add(card.flat)
    return NO_RATE if not rates else rates.pop() if len(rates) == 1 else None
