"""What a request reserves: an upper bound of what it can come to, whoever serves it."""

import asyncio
import json
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.admission import LOOK_EVERY, NEVER, Admission, admit_quietly, refusal_of, ticket_of
from gateway.attempt import Outgoing
from gateway.clock import ManualClock
from gateway.dialects import for_operation
from gateway.errors import BudgetExhausted, Overloaded, RateLimited
from gateway.facts import Caller, Exchange
from gateway.limits.learned import LearnedOutput
from gateway.limits.memory import MemoryStore
from gateway.limits.tally import Tally
from gateway.limits.waiting import WaitingRoom
from gateway.operations import accept
from gateway.quota import Bound, Calendar, Charge, Measure, Refused, Rolling, Rule, Window
from gateway.routing.table import Provider, Route, RouteTable, Target
from gateway.seams import Origin
from gateway.settings.snapshot import LimitOptions
from gateway.tasks import TaskGroup
from gateway.tickets import USUAL_OUTPUT, Tickets
from gateway.wire.head import Head
from pricing.card import RateCard
from pricing.rates import Rate, Sheet
from pricing.tokens import TokenCounter

CALLER = Caller(key_id="k", team="t")
PROVIDER = Provider(name="p", wire="openai", origin=Origin("http", "h", 1), base_path=b"")


class Priced:
    """One price for every model, dearer for one that is called so."""

    def __init__(self, model: str) -> None:
        self.factor = 7 if model == "dear" else 1

    def tiers(self) -> set[str]:
        return set()

    def dates(self) -> set[int]:
        return set()

    def times(self) -> set[int]:
        return set()

    def sheet(self, at_ns: int, tier: str | None) -> Sheet:
        micro = Fraction(self.factor, 10**6)
        return Sheet({"input": Rate(micro), "output": Rate(micro * 4), "cache_write_5m": Rate(micro * 2)}, "test")


class Prices:
    def card(self, provider: str | None, model: str) -> RateCard:
        return RateCard("p", model, Priced(model))


def bound(measure: Measure, amount: int, window: Window | None = Rolling(60), **more: Any) -> Bound:
    return Bound(Rule(id=measure, measure=measure, amount=amount, window=window, **more), measure)


def admission(
    bounds: tuple[Bound, ...] = (bound("requests", 10),),
    *,
    route: Route | None = None,
    reserve: str = "upper",
    store: MemoryStore | None = None,
    content: str = "Hello",
    operation: str = "/v1/chat/completions",
    **fields: Any,
) -> Admission:
    asked = accept("POST", operation)
    body = json.dumps(
        {"model": "m", "messages": [{"role": "user", "content": content}], "input": content, **fields},
        ensure_ascii=False,
    )
    dialect = for_operation(asked.name)
    plain = Route("m", (Target(PROVIDER, "m"),))
    dear = Route("d", (Target(PROVIDER, "dear"),))
    reading = dialect.read(asked, body.encode())
    routed = route or plain
    out = Outgoing(asked, routed, Head([]), b"", b"", b"", body.encode(), reading, dialect, 1)
    snapshot = SimpleNamespace(
        limits=SimpleNamespace(bounds=lambda *_: bounds, tags=(), by_provider=False),
        limit_options=LimitOptions(reserve=reserve),  # pyright: ignore
        prices=Prices(),
        routes=RouteTable([plain, dear], []),
    )
    clock = ManualClock()
    world = SimpleNamespace(
        limits=store or MemoryStore(clock),
        tally=Tally(),
        waiting_room=WaitingRoom(clock.monotonic),
        tickets=Tickets(),
    )
    world.learned = LearnedOutput()
    world.limit_refused = world.tally.add
    world.limit_crossed = world.tally.admitted
    x = Exchange("x", "x", 0, 0.0, operation=asked, caller=CALLER, reading=reading)
    return Admission(world, snapshot, x, CALLER, out)  # pyright: ignore


TOKENS = TokenCounter()


@settings(deadline=None)
@given(st.text(max_size=300), st.sampled_from(["gpt-4o", "gpt-4", "claude-3-5-sonnet-latest"]))
def test_no_prompt_has_more_tokens_than_are_reserved(content: str, model: str) -> None:
    """A token stands for at least one byte of the body."""
    messages = [{"role": "user", "content": content}]
    assert TOKENS.count_chat(messages, model) <= admission(content=content).charge.input_tokens


def test_output_is_the_clients_maximum_else_the_models_else_the_usual_one() -> None:
    assert admission(max_tokens=7, n=3).charge.output_tokens == 21
    known = Route("m", (Target(PROVIDER, "m"),), max_output=99)
    assert admission(route=known).charge.output_tokens == 99
    assert admission(route=known, max_tokens=7).charge.output_tokens == 7
    assert admission().charge.output_tokens == USUAL_OUTPUT


@settings(deadline=None)
@given(
    st.text(max_size=40),
    st.none() | st.integers(1, 50),
    st.none() | st.integers(1, 3),
    st.booleans(),
    st.none() | st.sampled_from(["default", "priority"]),
    st.sampled_from(["/v1/chat/completions", "/v1/embeddings", "/v1/moderations"]),
    st.sampled_from(["upper", "p95"]),
    st.booleans(),
)
def test_the_quiet_way_takes_what_the_careful_way_takes(
    content: str, most: int | None, n: int | None, stream: bool, tier: str | None, op: str, reserve: str, dear: bool
) -> None:
    """Or it takes nothing. It never takes the way of a request that its rules have to look at more closely."""
    bounds = (bound("requests", 10), bound("tokens", 10**9), bound("usd", 10**15, Calendar("day")))
    chosen = {"max_tokens": most, "n": n, "stream": stream or None, "service_tier": tier}
    fields = {name: value for name, value in chosen.items() if value is not None}
    route = Route("m", (Target(PROVIDER, "m"),), fallbacks=("d",)) if dear else None
    stores = [MemoryStore(ManualClock()) for _ in range(2)]
    quick, careful = (
        admission(bounds, store=store, content=content, operation=op, reserve=reserve, route=route, **fields)
        for store in stores
    )
    assert careful.now()
    assert quick.out is not None
    ticket = ticket_of(quick.world, quick.snapshot, quick.x, CALLER, quick.out)
    assert ticket_of(quick.world, quick.snapshot, quick.x, CALLER, quick.out) is ticket
    for store in stores:  # the first of all makes the plan
        store.admit_now("before", bounds, Charge(1, 1, 1), 60)
    told = admit_quietly(quick.world, quick.x, ticket, quick.out)
    assert told is None or (tier is None and reserve == "upper" and not dear and (most is not None or not stream))
    if told is None:
        assert quick.x.holds == ()
        assert quick.now()
    levels = [asyncio.run(store.levels(bounds)) for store in stores]
    assert levels[0] == levels[1]
    assert quick.x.holds == ("x",)
    if tier is None and reserve == "upper" and not dear and most is not None and op == "/v1/chat/completions":
        assert told is not None


def test_what_generates_nothing_reserves_no_output() -> None:
    assert admission(operation="/v1/embeddings").charge.output_tokens == 0
    assert admission(operation="/v1/moderations").charge == Charge()


def test_money_is_reserved_for_the_dearest_who_may_serve() -> None:
    plain = admission(max_tokens=10).charge
    assert plain.nanos == plain.input_tokens * 2000 + 10 * 4000
    fallback = admission(route=Route("m", (Target(PROVIDER, "m"),), fallbacks=("d",)), max_tokens=10).charge
    assert fallback.nanos == 7 * plain.nanos


@pytest.mark.parametrize(
    ("refused", "kind"),
    [
        (Refused(bound("requests", 1), 1.0, 1, 0), RateLimited),
        (Refused(bound("usd", 1, Calendar("day")), 1.0, 1, 0), BudgetExhausted),
        (Refused(bound("usd", 1, Calendar("day")), 1.0, 1, 0, store_away=True), Overloaded),
    ],
)
def test_refusals_have_the_status_of_what_refuses(refused: Refused, kind: type[Exception]) -> None:
    assert type(refusal_of(refused)) is kind


async def test_what_is_refused_holds_nothing_and_names_no_hold() -> None:
    store = MemoryStore(ManualClock())
    bounds = (bound("requests", 1), bound("tokens", 10_000))
    first, second = (admission(bounds, store=store) for _ in range(2))
    second.x.id = "y"
    assert first.now()
    assert first.x.holds == ("x",)
    assert not second.now()
    with pytest.raises(RateLimited):
        await second.ask()
    assert second.x.holds == ()
    assert store.under_way == 1


@pytest.mark.parametrize(("amount", "fits"), [(9_000, False), (30_000, True)])
async def test_a_dearer_model_that_a_guardrail_names_is_reserved_for(amount: int, fits: bool) -> None:
    """docs/limits.md: "where the other model is dearer, the difference is reserved too, or the request is refused"."""
    asked = admission((bound("usd", amount * 1000), bound("requests", 9)), max_tokens=900)
    assert asked.out is not None
    assert asked.now()
    before = asked.charge.nanos
    asked.out.route = Route("d", (Target(PROVIDER, "dear"),))
    if fits:
        await asked.rerouted(asked.out)
        assert asked.charge.nanos == before * 7
    else:
        with pytest.raises(BudgetExhausted, match=r"model 'd', which may cost .* USD more .* 'usd'"):
            await asked.rerouted(asked.out)
    [money, requests] = await asked.world.limits.levels(asked.bounds)
    assert money.reserved == asked.charge.nanos
    assert requests.reserved == 1


async def test_a_model_that_costs_no_more_needs_nothing() -> None:
    asked = admission((bound("usd", 10**9),), route=Route("d", (Target(PROVIDER, "dear"),)))
    assert asked.out is not None
    assert asked.now()
    before = asked.charge
    asked.out.route = Route("m", (Target(PROVIDER, "m"),))
    await asked.rerouted(asked.out)
    assert asked.charge is before


async def test_a_downgraded_request_is_served_by_the_cheaper_model_and_counted() -> None:
    store = MemoryStore(ManualClock())
    rule = bound("usd", 1000, Calendar("day"), when_exhausted="downgrade", downgrade_to="d")
    asked = admission((rule,), store=store, max_tokens=5)
    assert not asked.now()
    await asked.ask()
    assert asked.out is not None
    assert asked.out.route.name == "d"
    assert asked.decision is not None
    assert [each.key for each in asked.decision.over] == ["usd"]
    assert b"x-tollway-downgraded: usd\r\n" in asked.block()
    assert asked.world.tally.counts == {("usd", "downgraded"): 1, ("usd", "over"): 1}


def test_a_stream_whose_maximum_is_known_needs_no_look() -> None:
    assert admission(stream=True, max_tokens=50).first_look() == NEVER
    assert admission((), stream=True).first_look() == NEVER
    assert admission(stream=True).first_look() <= LOOK_EVERY
    assert admission(stream=True, max_tokens=50, reserve="p95").first_look() <= LOOK_EVERY


async def test_a_stream_is_cut_when_nothing_is_left_and_not_while_a_slice_is_too_large() -> None:
    """`cut`: «within 64 events after nothing is left»: what is left may be less than a reservation usually grows by."""
    limit, errors = 700, []
    route = Route("m", (Target(PROVIDER, "m"),), max_output=20)
    asked = admission((bound("output_tokens", limit, on_overrun="cut"),), route=route, stream=True)
    asked.world.tasks = TaskGroup(lambda _name, error: errors.append(error))
    assert asked.now()
    cut, events, due = [], 0, asked.first_look()
    while not cut:
        events += 1
        if events == due:
            due = asked.look(events, SimpleNamespace(size=lambda: 0), lambda: cut.append(1))  # pyright: ignore
            for _ in range(9):
                await asyncio.sleep(0)
        assert events <= limit + LOOK_EVERY
    assert events > limit - 2 * LOOK_EVERY
    assert errors == []
    await asked.world.tasks.close()


def test_without_a_rule_nothing_is_held() -> None:
    asked = admission(())
    assert asked.now()
    assert asked.x.holds == ()
    assert asked.block() == b""
