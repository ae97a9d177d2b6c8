"""The admit stage: may this request go on, by every limit and budget that holds for it?

What it may use at most is taken before anything is forwarded, and replaced by what it did use when the books are closed
(`World.record`), so requests at work together cannot pass a limit that each of them alone would keep. The reservation
is an upper bound: a token stands for at least one byte of the body, an answer is no longer than its maximum, and the
price is the dearest of every target that may serve. `limits.reserve: p95` or `p99` takes what such answers have come to
instead, and a stream that outgrows it takes more while it runs.
"""

from collections.abc import Callable

import msgspec

from gateway.attempt import Outgoing
from gateway.errors import BudgetExhausted, Overloaded, ProviderLimited, RateLimited, Refusal
from gateway.facts import ANYTHING, Caller, Downgraded, Exchange
from gateway.forward import find_route
from gateway.limits.program import lenient
from gateway.limits.words import dollars, refusal_headers, sentence, standings
from gateway.quota import Admitted, Bound, Charge, Decision, Refused
from gateway.seams import StreamReader
from gateway.settings.snapshot import Snapshot
from gateway.tickets import NO_RATE, Ticket, targets_of
from gateway.world import World

PASSED_THROUGH = 3600.0
"""Seconds the hold of an operation lives that is passed through: an upload may take long."""
LOOK_EVERY = 64
"""Events of a stream between two looks at how much of its reservation is left."""
SLICE = 512
"""Output tokens by which a reservation grows, at least."""
NEVER = 1 << 62
Cut = Callable[[], None]
"""Ends a stream whose limit is used up."""

_FREE = Charge()
_UNLIMITED = Admitted()


def ticket_of(world: World, snapshot: Snapshot, x: Exchange, caller: Caller, out: Outgoing) -> Ticket:
    """The ticket of a request; its head has it, if the last request with this head asked the same."""
    head, model = out.head, out.reading.model
    ticket = head.ticket
    if (
        isinstance(ticket, Ticket)
        and ticket.route is out.route
        and ticket.model == model
        and ticket.operation is out.operation
    ):
        return ticket
    ticket = head.ticket = world.tickets.of(snapshot, caller, model, out.operation, out.route, x.tags)
    return ticket


def admit_quietly(world: World, x: Exchange, ticket: Ticket, out: Outgoing) -> bytes | None:
    """Take what a request may use at most, where there is nothing to say of it but where its limits stand: what is
    returned are the header fields that do. So it is with nearly every request. None: nothing was taken, and an
    `Admission` has to look closer."""
    reading = out.reading
    most = reading.max_output_tokens
    if (
        not ticket.quick
        or reading.service_tier is not None
        or (most is None and reading.stream)  # it may outgrow what is reserved for it
        or world.waiting_room.lines
    ):
        return None
    inputs = len(out.body) + ticket.hidden
    outputs = (most or ticket.usual) * reading.choices if ticket.generates else 0
    per_input, per_output, per_request, denominator = ticket.rate or NO_RATE
    nanos = -(-(inputs * per_input + outputs * per_output + per_request) // denominator)
    told = world.limits.admit_quietly(x.id, ticket.bounds, inputs, outputs, nanos, reading.stream, ticket.seconds)
    if told is not None:
        x.holds = (x.id,)
        x.bounds = ticket.bounds
    return told


class Admission:
    """One exchange's place in the limits."""

    # Beginnings stand on the class: most of them never change.
    decision: Admitted | None = None
    downgraded_by: tuple[Bound, ...] = ()
    growing = False
    attempt_hold = ""

    def __init__(
        self, world: World, snapshot: Snapshot, x: Exchange, caller: Caller, out: Outgoing | None, model: str = ""
    ) -> None:
        """`out` is None for an operation that is passed through: nobody knows what it may use, so it takes its turn,
        and what it did use is counted when its answer tells. `model` is what it names."""
        self.world = world
        self.snapshot = snapshot
        self.x = x
        self.caller = caller
        self.out = out
        if out is not None:
            return self._look_up(out, out.reading.model)
        assert snapshot.limits is not None
        assert x.operation is not None
        self.bounds = snapshot.limits.bounds(caller.key_id, caller.team, model, x.operation.name, x.tags)
        self.charge = _FREE
        self.seconds = PASSED_THROUGH
        return None

    def expect(self, nanos: int) -> None:
        """What an operation that is passed through will cost, nano-dollars, where its request shows it."""
        if nanos:
            self.charge = Charge(nanos=nanos)

    def _look_up(self, out: Outgoing, model: str) -> None:
        """Which bounds hold for `model`, what the request takes of them, and for how long if nobody settles it
        (seconds)."""
        ticket = self.world.tickets.of(self.snapshot, self.caller, model, out.operation, out.route, self.x.tags)
        self.bounds = ticket.bounds
        self.seconds = ticket.seconds
        self.charge = self._most(out, ticket) if ticket.counts else _FREE

    def _most(self, out: Outgoing, ticket: Ticket) -> Charge:
        """What the request may use at most."""
        reading = out.reading
        inputs = len(out.body) + ticket.hidden
        outputs = 0
        if ticket.generates:
            outputs = (reading.max_output_tokens or ticket.usual) * reading.choices
            if self.snapshot.limit_options.reserve != "upper":
                outputs = self._likely(out, outputs)
        rate = ticket.rate
        if rate is None or reading.service_tier is not None:
            nanos = self._dearest(out, inputs, outputs)
        else:
            per_input, per_output, per_request, denominator = rate
            nanos = -(-(inputs * per_input + outputs * per_output + per_request) // denominator)
        return Charge(inputs, outputs, nanos, 1, reading.stream)

    def _dearest(self, out: Outgoing, inputs: int, outputs: int) -> int:
        """What so many tokens cost at most, whichever target serves; nano-dollars. 0 when nothing has a price."""
        prices, tier, at_ns = self.snapshot.prices, out.reading.service_tier, self.x.received_ns
        route = out.route
        nanos = 0
        if prices is not None:
            for target in targets_of(route, self.snapshot.routes):
                card = prices.card(target.provider.prices, target.model)
                if card is not None:
                    nanos = max(nanos, card.upper_nanos(inputs, outputs, tier=tier, at_ns=at_ns) or 0)
        return nanos

    def _likely(self, out: Outgoing, outputs: int) -> int:
        """What such answers have come to, where the configuration reserves that."""
        share = 0.95 if self.snapshot.limit_options.reserve == "p95" else 0.99
        learned = self.world.learned.expected(self.caller.team, out.reading.model, share)
        return outputs if learned is None else min(outputs, learned)

    # -- admission -------------------------------------------------------------------------------------------------

    def now(self) -> bool:
        """Take it, if that can be decided at once. False: `ask`."""
        bounds = self.bounds
        if not bounds:
            self.decision = _UNLIMITED
            return True
        x, world = self.x, self.world
        x.holds = (x.id,)
        x.bounds = bounds
        if world.waiting_room.lines:
            decision = world.waiting_room.admit_now(world.limits, x.id, bounds, self.charge, self.seconds)
        else:
            decision = world.limits.admit_now(x.id, bounds, self.charge, self.seconds)
        if type(decision) is not Admitted:
            return False
        self.decision = decision
        if decision.crossed or decision.over:
            world.limit_crossed(decision)
        return True

    async def ask(self) -> None:
        """Take it, waiting and downgrading as the rules say. Raises the refusal, with nothing taken."""
        while True:
            decision = await self._decided()
            if isinstance(decision, Admitted):
                self.decision = decision
                return self._tell(decision)
            self.x.holds = ()
            bound = decision.bound
            downgrades = bound.rule.when_exhausted == "downgrade" and not decision.store_away and not bound.lenient
            if self.out is None or not downgrades:
                self.world.limit_refused(bound, "refused")
                raise refusal_of(decision)
            self._downgrade(self.out, bound)

    async def _decided(self) -> Decision:
        x, store = self.x, self.world.limits
        x.holds = (x.id,)
        x.bounds = self.bounds
        return await self.world.waiting_room.admit(
            store,
            x.id,
            self.bounds,
            self.charge,
            self.seconds,
            self.caller.team,
            self.caller.weight,
            self.caller.priority,
        )

    def _downgrade(self, out: Outgoing, bound: Bound) -> None:
        """Go on with the model that the exhausted rule names; the rule counts on, and does not refuse again."""
        self.world.limit_refused(bound, "downgraded")
        self.downgraded_by = (*self.downgraded_by, bound)
        out.route = find_route(self.snapshot.routes, ANYTHING, bound.rule.downgrade_to)
        self._look_up(out, bound.rule.downgrade_to)
        self.x.downgraded = Downgraded(bound.rule.downgrade_to, tuple(each.key for each in self.downgraded_by))
        passed = {bound.key for bound in self.downgraded_by}
        kept = [lenient(each) if each.key in passed else each for each in self.bounds]
        known = {each.key for each in self.bounds}
        self.bounds = (*kept, *(lenient(each) for each in self.downgraded_by if each.key not in known))

    def _tell(self, decision: Admitted) -> None:
        """Of thresholds that were crossed. `now`, which nearly every request takes, asks for itself."""
        if decision.crossed or decision.over:
            self.world.limit_crossed(decision)

    async def rerouted(self, out: Outgoing) -> None:
        """A guardrail sends the request to another model: reserve what that may cost more. Raises `BudgetExhausted`
        when so much is not left; the rules that count are those of the model the client asked for."""
        charge = self.charge
        if charge is _FREE or not any(bound.rule.budget for bound in self.bounds):
            return
        more = self._dearest(out, charge.input_tokens, charge.output_tokens) - charge.nanos
        if more <= 0:
            return
        if not await self.world.limits.extend(self.x.id, Charge(nanos=more, requests=0), self.seconds):
            raise await self._too_dear(out.route.name, more)
        self.charge = msgspec.structs.replace(charge, nanos=charge.nanos + more)

    async def _too_dear(self, model: str, more: int) -> BudgetExhausted:
        budgets = [bound for bound in self.bounds if bound.rule.budget]
        levels = await self.world.limits.levels(budgets)
        left = [bound.rule.amount - level.used - level.reserved for bound, level in zip(budgets, levels, strict=True)]
        bound = budgets[left.index(min(left))]
        self.world.limit_refused(bound, "refused")
        return BudgetExhausted(
            f"A guardrail sends this request to the model '{model}', which may cost {dollars(more)} USD more than the "
            f"model that was asked for, and of the budget '{bound.rule.id}' not so much is left.",
            headers=((b"x-tollway-limit", bound.rule.id.encode("ascii", "replace")),),
        )

    # -- rules that look at the provider ---------------------------------------------------------------------------

    async def enter(self, provider: str) -> None:
        """Take an attempt's turn at a provider. Raises `ProviderLimited`, with nothing taken, and the next is asked."""
        limits, x, caller = self.snapshot.limits, self.x, self.caller
        assert limits is not None
        assert x.operation is not None
        model = x.reading.model if x.reading is not None else ""
        bounds = limits.provider_bounds(provider, caller.key_id, caller.team, model, x.operation.name, x.tags)
        if not bounds:
            return
        before = x.holds
        hold = self.attempt_hold = f"{x.id}/{provider}/{len(x.attempts or ())}"
        x.holds = (*before, hold)
        decision = self.world.limits.admit_now(hold, bounds, self.charge, self.seconds)
        if decision is None:
            decision = await self.world.limits.admit(hold, bounds, self.charge, self.seconds)
        if isinstance(decision, Refused):
            x.holds = before
            self.attempt_hold = ""
            self.world.limit_refused(decision.bound, "refused")
            raise ProviderLimited(refusal_of(decision))
        self._tell(decision)

    def leave(self) -> None:
        """The attempt that was let in has failed: it used nothing but its turn."""
        if self.attempt_hold:
            self.x.holds = tuple(hold for hold in self.x.holds if hold != self.attempt_hold)
            self.world.limits.settle(self.attempt_hold, _FREE)
            self.attempt_hold = ""

    # -- what clients see ------------------------------------------------------------------------------------------

    def block(self) -> bytes:
        """Header fields of an answer, each ended with CRLF: where the tightest limits stand."""
        decision = self.decision
        if decision is None or decision is _UNLIMITED:
            return b""
        block = standings(decision.requests, decision.tokens)
        if decision.soft or decision.over:
            named = {bound.rule.id: None for bound in (*decision.over, *decision.soft)}
            block += b"x-tollway-limit-warning: %b\r\n" % ", ".join(named).encode("ascii", "replace")
        if self.downgraded_by:
            sent = dict.fromkeys(bound.rule.id for bound in self.downgraded_by)
            block += b"x-tollway-downgraded: %b\r\n" % ", ".join(sent).encode("ascii", "replace")
        return block

    # -- while a stream runs ---------------------------------------------------------------------------------------

    def first_look(self) -> int:
        """The event of a stream at which to `look` first; most need no look, since no answer is longer than its
        maximum."""
        out = self.out
        if not self.bounds or out is None:
            return NEVER
        if out.reading.max_output_tokens is not None and self.snapshot.limit_options.reserve == "upper":
            return NEVER
        return min(LOOK_EVERY, self.charge.output_tokens // 2 + 1)

    def look(self, events: int, reader: StreamReader, cut: Cut) -> int:
        """Extend the reservation if the stream is about to outgrow it; says at which event to look again. `cut` is
        called when nothing is left and a rule says that the stream must end then."""
        told = max(events, reader.size() // 4)
        if not self.growing and told + LOOK_EVERY >= self.charge.output_tokens:
            self.growing = True
            self.world.tasks.start(self._grow(cut), "extend a reservation")
        return events + LOOK_EVERY

    async def _grow(self, cut: Cut) -> None:
        more = max(SLICE, self.charge.output_tokens // 2)
        assert self.out is not None
        while True:
            nanos = self._dearest(self.out, 0, more)
            extended = await self.world.limits.extend(
                self.x.id, Charge(output_tokens=more, nanos=nanos, requests=0), self.seconds
            )
            if extended or more <= LOOK_EVERY:
                break
            more = max(LOOK_EVERY, more // 4)  # What is left may still be enough until the next look.
        self.growing = False
        if extended:
            self.charge = msgspec.structs.replace(
                self.charge, output_tokens=self.charge.output_tokens + more, nanos=self.charge.nanos + nanos
            )
        elif any(bound.rule.on_overrun == "cut" and not bound.lenient for bound in self.bounds):
            cut()


def refusal_of(refused: Refused) -> Refusal:
    """The refusal a client gets: 402 for money, 429 for rates, 503 when a closed rule cannot be counted."""
    words, headers = sentence(refused), tuple(refusal_headers(refused))
    if refused.store_away:
        return Overloaded(words, code="limits_unavailable", headers=headers)
    if refused.bound.rule.budget:
        return BudgetExhausted(words, headers=headers)
    return RateLimited(words, headers=headers)
