"""One suite over every limit store: what `gateway.seams.LimitStore` promises about amounts, whatever the time.

Windows are an hour or a month long here, so that time plays no part; `test_limits_time.py` is about time.
"""

import asyncio
import random

import pytest

from gateway.quota import NOTHING, Admitted, Bound, Calendar, Charge, Refused, Rolling, Smooth, Window
from tests.conformance.limits.kinds import Place

HOUR = Rolling(3600)
MONTH = Calendar("month")
ONE = Charge()

every_window = pytest.mark.parametrize("window", [HOUR, MONTH, Calendar("year", "Asia/Kathmandu")], ids=str)


def spending(nanos: int) -> Charge:
    return Charge(nanos=nanos)


@every_window
async def test_admits_up_to_the_amount_and_then_says_what_is_missing(place: Place, window: Window) -> None:
    budget = place.bound("usd", 1000, window)
    await place.admitted("a", [budget], spending(600))
    await place.admitted("b", [budget], spending(399))
    refusal = await place.refused("c", [budget], spending(2))
    assert (refusal.bound, refusal.needed, refusal.available) == (budget, 2, 1)
    assert refusal.retry_after is not None
    assert 0 < refusal.retry_after <= 366 * 86400
    assert not refusal.store_away
    await place.admitted("d", [budget], spending(1))
    await place.reaches(budget, 0, 1000)


async def test_takes_all_or_nothing(place: Place) -> None:
    wide, narrow, last = (place.bound("usd", amount, MONTH, name) for amount, name in ((90, "a"), (10, "b"), (90, "c")))
    refusal = await place.refused("a", [wide, narrow, last], spending(11))
    assert refusal.bound == narrow
    for bound in (wide, narrow, last):
        await place.reaches(bound, 0, 0)
    await place.admitted("a", [wide, narrow, last], spending(10))
    for bound in (wide, narrow, last):
        await place.reaches(bound, 0, 10)


async def test_names_the_bound_that_takes_longest(place: Place) -> None:
    short, long = place.bound("requests", 1, Rolling(600), "a"), place.bound("requests", 1, Rolling(7200), "b")
    await place.admitted("a", [short, long], ONE)
    for order in ([short, long], [long, short]):
        refusal = await place.refused("b", order, ONE)
        assert refusal.bound == long
        assert refusal.retry_after is not None
        assert 7000 < refusal.retry_after <= 7200 * 241 / 240 + 1


@pytest.mark.parametrize("window", [HOUR, MONTH, Smooth(60, 5)], ids=str)
async def test_what_is_more_than_the_whole_is_refused_for_ever(place: Place, window: Window) -> None:
    rule = place.bound("requests", 5, window)
    refusal = await place.refused("a", [rule], Charge(requests=6))
    assert (refusal.retry_after, refusal.needed, refusal.available) == (None, 6, 5)


async def test_never_is_longer_than_any_other_wait(place: Place) -> None:
    full, small = place.bound("usd", 10, Calendar("year"), "full"), place.bound("usd", 5, Rolling(60), "small")
    await place.admitted("a", [full], spending(10))
    refusal = await place.refused("b", [full, small], spending(6))
    assert (refusal.bound, refusal.retry_after) == (small, None)


async def test_nothing_asked_is_nothing_refused(place: Place) -> None:
    """An amount of 0 (no stream, no price) is never refused, however exhausted the rule is."""
    budget, streams = place.bound("usd", 10, MONTH), place.bound("streams", 1)
    await place.admitted("a", [budget, streams], Charge(nanos=10, stream=True))
    await place.admitted("b", [budget, streams], Charge())
    await place.refused("c", [budget, streams], Charge(stream=True))
    await place.refused("d", [budget, streams], spending(1))


@every_window
@pytest.mark.parametrize("actual", [0, 3, 10, 25])
async def test_settling_replaces_the_reservation_by_the_truth(place: Place, window: Window, actual: int) -> None:
    budget = place.bound("usd", 20, window)
    await place.admitted("a", [budget], spending(10))
    await place.reaches(budget, 0, 10)
    place.settle("a", spending(actual))
    await place.reaches(budget, actual)
    decision = await place.admit("b", [budget], spending(10))
    assert isinstance(decision, Admitted) == (actual <= 10)
    if isinstance(decision, Refused):
        assert decision.available == max(0, 20 - actual)


async def test_settles_every_measure(place: Place) -> None:
    amounts = {"requests": 1, "input_tokens": 70, "output_tokens": 30, "tokens": 100, "usd": 9}
    bounds = {measure: place.bound(measure, 1000, HOUR) for measure in amounts}
    gauges = [place.bound("concurrent", 3), place.bound("streams", 3)]
    reserved = Charge(input_tokens=100, output_tokens=200, nanos=50, stream=True)
    await place.admitted("a", [*bounds.values(), *gauges], reserved)
    await place.reaches(bounds["tokens"], 0, 300)
    await place.reaches(bounds["output_tokens"], 0, 200)
    await place.reaches(gauges[0], 0, 1)
    await place.reaches(gauges[1], 0, 1)
    place.settle("a", Charge(input_tokens=70, output_tokens=30, nanos=9, stream=True))
    for measure, bound in bounds.items():
        await place.reaches(bound, amounts[measure])
    for gauge in gauges:
        await place.reaches(gauge, 0)


async def test_settles_once(place: Place) -> None:
    budget = place.bound("usd", 100, MONTH)
    await place.admitted("a", [budget], spending(50))
    for _ in range(3):
        place.settle("a", spending(7))
    await place.admitted("b", [budget], spending(1))
    place.settle("b", spending(1))
    await place.reaches(budget, 8)


async def test_admitting_again_says_so_again_and_takes_nothing(place: Place) -> None:
    budget, places = place.bound("usd", 100, MONTH), place.bound("concurrent", 1)
    await place.admitted("a", [budget, places], spending(50))
    await place.admitted("a", [budget, places], spending(50))
    await place.reaches(budget, 0, 50)
    await place.reaches(places, 0, 1)


async def test_what_was_settled_is_not_taken_again(place: Place) -> None:
    budget = place.bound("usd", 100, MONTH)
    await place.admitted("a", [budget], spending(50))
    place.settle("a", spending(20))
    await place.reaches(budget, 20)
    await place.admitted("a", [budget], spending(50))
    await place.reaches(budget, 20)


async def test_a_settlement_that_overtakes_its_admission_leaves_a_mark(place: Place) -> None:
    budget, places = place.bound("usd", 100, MONTH), place.bound("concurrent", 1)
    place.settle("a", NOTHING)
    await place.admitted("a", [budget, places], spending(50))
    await place.reaches(budget, 0)
    await place.reaches(places, 0)


async def test_a_refused_hold_may_ask_again(place: Place) -> None:
    """As a queue does, and a request that was downgraded."""
    places = place.bound("concurrent", 1)
    await place.admitted("a", [places], ONE)
    await place.refused("b", [places], ONE)
    place.settle("a", ONE)
    await place.reaches(places, 0)
    await place.admitted("b", [places], ONE)
    await place.reaches(places, 0, 1)


async def test_places_are_given_back_and_only_streams_take_streams(place: Place) -> None:
    places, streams = place.bound("concurrent", 2), place.bound("streams", 1)
    await place.admitted("a", [places, streams], Charge(stream=True))
    await place.admitted("b", [places, streams], Charge())
    refusal = await place.refused("c", [places, streams], Charge())
    assert refusal.bound == places
    assert refusal.retry_after is not None
    assert 0 < refusal.retry_after <= 60
    place.settle("b", NOTHING)
    await place.reaches(places, 0, 1)
    refusal = await place.refused("c", [places, streams], Charge(stream=True))
    assert refusal.bound == streams
    place.settle("a", Charge(stream=True))
    await place.reaches(streams, 0)
    await place.admitted("c", [places, streams], Charge(stream=True))


async def test_nothing_gives_everything_back_but_a_rate(place: Place) -> None:
    rate, requests = place.bound("requests", 3, Smooth(3600, 2), "rate"), place.bound("requests", 2, HOUR)
    for hold in ("a", "b"):
        await place.admitted(hold, [rate, requests], ONE)
        place.settle(hold, NOTHING)
    await place.reaches(requests, 0)
    refusal = await place.refused("c", [rate, requests], ONE)
    assert (refusal.bound, refusal.available) == (rate, 0)
    assert refusal.retry_after is not None
    assert 1100 < refusal.retry_after <= 1200


async def test_a_warning_counts_on_and_lets_through(place: Place) -> None:
    budget = place.bound("usd", 100, MONTH, when_exhausted="warn")
    hard = place.bound("usd", 250, MONTH, "hard")
    assert (await place.admitted("a", [budget, hard], spending(100))).over == ()
    assert (await place.admitted("b", [budget, hard], spending(100))).over == (budget,)
    await place.reaches(budget, 0, 200)
    refusal = await place.refused("c", [budget, hard], spending(100))
    assert refusal.bound == hard
    place.settle("b", spending(120))
    await place.reaches(budget, 120, 100)


async def test_a_downgrade_refuses_until_it_is_lenient(place: Place) -> None:
    rule = {"when_exhausted": "downgrade", "downgrade_to": "small"}
    budget = place.bound("usd", 100, MONTH, **rule)
    lenient = place.bound("usd", 100, MONTH, lenient=True, **rule)
    await place.admitted("a", [budget], spending(100))
    assert (await place.refused("b", [budget], spending(10))).bound == budget
    assert (await place.admitted("b", [lenient], spending(10))).over == (lenient,)
    await place.reaches(budget, 0, 110)


@pytest.mark.parametrize("window", [HOUR, MONTH], ids=str)
async def test_the_soft_threshold_is_told_once(place: Place, window: Window) -> None:
    budget = place.bound("usd", 100, window, soft=80)
    below = await place.admitted("a", [budget], spending(79))
    assert (below.soft, below.crossed) == ((), ())
    first = await place.admitted("b", [budget], spending(1))
    assert (first.soft, first.crossed) == ((budget,), (budget,))
    later = await place.admitted("c", [budget], spending(1))
    assert (later.soft, later.crossed) == ((budget,), ())
    place.settle("a", spending(0))
    await place.reaches(budget, 0, 2)
    assert (await place.admitted("d", [budget], spending(1))).soft == ()
    again = await place.admitted("e", [budget], spending(90))
    assert (again.soft, again.crossed) == ((budget,), ())


async def test_the_headers_show_the_tightest_rule(place: Place) -> None:
    wide, narrow = place.bound("requests", 100, HOUR, "wide"), place.bound("requests", 10, HOUR, "narrow")
    read, total = place.bound("input_tokens", 1000, HOUR), place.bound("tokens", 5000, MONTH)
    decision = await place.admitted(
        "a", [wide, read, narrow, total, place.bound("usd", 9, MONTH)], Charge(input_tokens=100, output_tokens=1000)
    )
    requests, tokens = decision.requests, decision.tokens
    assert requests is not None
    assert tokens is not None
    assert (requests.bound, requests.limit, requests.remaining) == (narrow, 10, 9)
    assert 3500 < requests.reset <= 3600 * 241 / 240
    assert (tokens.bound, tokens.limit, tokens.remaining) == (total, 5000, 3900)
    decision = await place.admitted("b", [read, total], Charge(input_tokens=800))
    assert decision.requests is None
    assert decision.tokens is not None
    assert (decision.tokens.bound, decision.tokens.remaining) == (read, 100)
    refusal = await place.refused("c", [narrow, read, total], Charge(input_tokens=101))
    assert refusal.requests is not None
    assert refusal.requests.remaining == 9
    assert refusal.tokens is not None
    assert (refusal.tokens.bound, refusal.tokens.remaining) == (read, 100)


async def test_the_headers_show_what_a_rate_lets_through_at_once(place: Place) -> None:
    rate = place.bound("requests", 60, Smooth(3600, 5))
    standing = (await place.admitted("a", [rate], Charge(requests=2))).requests
    assert standing is not None
    assert (standing.limit, standing.remaining) == (5, 3)
    assert 119 < standing.reset <= 120


async def test_an_extension_takes_more_or_nothing(place: Place) -> None:
    budget, tokens = place.bound("usd", 100, MONTH), place.bound("output_tokens", 50, HOUR)
    gauges = [place.bound("concurrent", 1), place.bound("streams", 1)]
    bounds = [place.bound("requests", 1, HOUR), budget, tokens, *gauges]
    await place.admitted("a", bounds, Charge(output_tokens=10, nanos=10, stream=True))
    assert await place.extend("a", Charge(requests=0, output_tokens=20, nanos=80, stream=True))
    await place.reaches(budget, 0, 90)
    await place.reaches(gauges[0], 0, 1)
    assert not await place.extend("a", Charge(requests=0, output_tokens=1, nanos=11))
    assert not await place.extend("a", Charge(requests=0, output_tokens=21, nanos=1))
    await place.reaches(budget, 0, 90)
    await place.reaches(tokens, 0, 30)
    place.settle("a", Charge(output_tokens=25, nanos=60, stream=True))
    await place.reaches(budget, 60)
    await place.reaches(tokens, 25)
    await place.reaches(bounds[0], 1)
    for gauge in gauges:
        await place.reaches(gauge, 0)
    assert not await place.extend("a", Charge(requests=0, nanos=1))
    assert not await place.extend("unknown", Charge(requests=0, nanos=1))
    await place.reaches(budget, 60)


async def test_an_extension_beyond_a_warning_counts_on(place: Place) -> None:
    budget = place.bound("usd", 10, MONTH, when_exhausted="warn")
    await place.admitted("a", [budget], spending(10))
    assert await place.extend("a", Charge(requests=0, nanos=5))
    await place.reaches(budget, 0, 15)


async def test_a_counter_can_be_rebuilt(place: Place) -> None:
    month, hour = place.bound("usd", 100, MONTH, "month"), place.bound("usd", 100, HOUR, "hour")
    await place.admitted("a", [month, hour], spending(30))
    await place.admitted("b", [month, hour], spending(10))
    place.settle("b", spending(10))
    await place.reaches(month, 10, 30)
    await place.reaches(hour, 10, 30)
    for bound in (month, hour):
        await place.store.put(bound, 65)
        await place.reaches(bound, 65, 30)
        assert (await place.refused("c", [bound], spending(6))).available == 5
    place.settle("a", spending(20))
    for bound in (month, hour):
        await place.reaches(bound, 85)
        await place.store.put(bound, 0)
        await place.reaches(bound, 0)


async def test_what_is_settled_while_a_counter_is_rebuilt_is_not_lost(place: Place) -> None:
    """`seen`: what the counter had used when the figure was right; what it has more by now is added."""
    month, hour = place.bound("usd", 100, MONTH, "month"), place.bound("usd", 100, HOUR, "hour")
    for name, spent in (("a", 30), ("b", 7)):
        await place.admitted(name, [month, hour], spending(spent))
        place.settle(name, spending(spent))
    await place.admitted("c", [month, hour], spending(3))
    for bound in (month, hour):
        await place.reaches(bound, 37, 3)
        await place.store.put(bound, 50, 30)
        await place.reaches(bound, 57, 3)
        await place.store.put(bound, 20, 60)
        await place.reaches(bound, 20, 3)


async def test_levels_come_in_order_and_tell_when_a_period_ends(place: Place) -> None:
    bounds = [place.bound("usd", 9, MONTH), place.bound("requests", 9, HOUR), place.bound("concurrent", 9)]
    await place.admitted("a", bounds, spending(5))
    month, hour, gauge = await place.store.levels(bounds)
    assert [(level.used, level.reserved) for level in (month, hour, gauge)] == [(0, 5), (0, 1), (0, 1)]
    assert month.resets_at_ns is not None
    assert month.resets_at_ns % 86_400_000_000_000 == 0
    assert (hour.resets_at_ns, gauge.resets_at_ns) == (None, None)
    assert await place.store.levels([]) == []


async def test_another_amount_counts_at_once(place: Place) -> None:
    """A reload or a temporary raise: what is used stays used, in all kinds of windows."""
    for window, name in ((MONTH, "a"), (HOUR, "b")):
        small, large = (place.bound("usd", amount, window, name) for amount in (10, 25))
        await place.admitted(f"a{name}", [small], spending(10))
        await place.refused(f"b{name}", [small], spending(1))
        await place.admitted(f"b{name}", [large], spending(15))
        assert (await place.refused(f"c{name}", [large], spending(1))).available == 0
        await place.refused(f"c{name}", [small], spending(1))
        await place.reaches(large, 0, 25)


async def test_another_zone_keeps_what_is_used_and_another_window_starts_anew(place: Place) -> None:
    before, after = (place.bound("usd", 10, Calendar("month", zone)) for zone in ("UTC", "Europe/Paris"))
    await place.admitted("a", [before], spending(10))
    place.settle("a", spending(10))
    await place.reaches(before, 10)
    await place.refused("b", [after], spending(1))
    await place.admitted("c", [place.bound("usd", 10, Calendar("year"))], spending(10))
    await place.admitted("d", [place.bound("usd", 10, HOUR)], spending(10))
    await place.admitted("e", [place.bound("usd", 10, Rolling(7200))], spending(10))


async def test_counters_of_other_keys_are_apart(place: Place) -> None:
    one, other = place.bound("requests", 1, HOUR, "a"), place.bound("requests", 1, HOUR, "b")
    await place.admitted("a", [one], ONE)
    await place.admitted("b", [other], ONE)
    await place.refused("c", [one], ONE)


async def test_no_bounds_admit_everything(place: Place) -> None:
    assert await place.admit("a", [], spending(5)) == Admitted()
    place.settle("a", spending(7))


async def test_a_thousand_at_once_do_not_spend_more_than_there_is(place: Place) -> None:
    """To the nano-dollar, with pauses anywhere between admission and settlement, some given back, some extended."""
    chance = random.Random(7)
    budget, places = place.bound("usd", 1_000_003, MONTH), place.bound("concurrent", 400)
    spent: list[int] = []

    async def request(number: int) -> None:
        reserved = chance.randrange(1, 5000)
        for _ in range(chance.randrange(4)):
            await asyncio.sleep(0)
        if not isinstance(await place.admit(str(number), [budget, places], spending(reserved)), Admitted):
            return
        for _ in range(chance.randrange(4)):
            await asyncio.sleep(0)
        if chance.random() < 0.3 and await place.extend(str(number), Charge(requests=0, nanos=500)):
            reserved += 500
        actual = 0 if chance.random() < 0.1 else chance.randrange(reserved + 1)
        spent.append(actual)
        place.settle(str(number), spending(actual))

    await asyncio.gather(*(request(number) for number in range(1000)))
    await place.reaches(budget, sum(spent))
    await place.reaches(places, 0)
    assert 0 < sum(spent) <= 1_000_003
    left = 1_000_003 - sum(spent)
    if left:
        await place.admitted("last", [budget], spending(left))
    assert (await place.refused("beyond", [budget], spending(1))).available == 0


class Naive:
    """An independent model without time: what every hold has, by measure, and sums."""

    def __init__(self, bounds: list[Bound]) -> None:
        self.bounds = bounds
        self.held: dict[str, Charge] = {}
        self.spent: list[Charge] = []

    def used(self, bound: Bound) -> int:
        measure = bound.rule.measure
        held = sum(charge.of(measure) for charge in self.held.values())
        return held if measure == "concurrent" else held + sum(charge.of(measure) for charge in self.spent)

    def fits(self, charge: Charge, extends: bool = False) -> bool:
        return not any(
            self.used(bound) + charge.of(bound.rule.measure) > bound.rule.amount
            for bound in self.bounds
            if charge.of(bound.rule.measure) and not (extends and bound.rule.measure == "concurrent")
        )


@pytest.mark.parametrize("seed", range(12))
async def test_agrees_with_a_naive_model(place: Place, seed: int) -> None:
    """Any order of admissions, extensions and settlements: the same decisions as a list of charges gives."""
    chance = random.Random(seed)
    bounds = [
        place.bound("requests", 25, HOUR),
        place.bound("usd", 200, MONTH),
        place.bound("tokens", 300, HOUR),
        place.bound("concurrent", 6),
    ]
    model = Naive(bounds)
    for number in range(60):
        tokens, nanos = chance.randrange(30), chance.randrange(25)
        turn = chance.random()
        hold = chance.choice(sorted(model.held)) if model.held else ""
        if turn < 0.5 or not hold:
            charge = Charge(input_tokens=tokens // 2, output_tokens=tokens - tokens // 2, nanos=nanos)
            fits = model.fits(charge)
            assert isinstance(await place.admit(str(number), bounds, charge), Admitted) == fits
            if fits:
                model.held[str(number)] = charge
        elif turn < 0.65:
            more = Charge(requests=0, output_tokens=tokens, nanos=nanos)
            fits = model.fits(more, extends=True)
            assert await place.extend(hold, more) == fits
            if fits:
                had = model.held[hold]
                model.held[hold] = Charge(
                    input_tokens=had.input_tokens, output_tokens=had.output_tokens + tokens, nanos=had.nanos + nanos
                )
        else:
            model.held.pop(hold)
            actual = Charge(output_tokens=tokens, nanos=nanos) if chance.random() < 0.9 else NOTHING
            place.settle(hold, actual)
            model.spent.append(actual)
            for bound in bounds:
                held = sum(charge.of(bound.rule.measure) for charge in model.held.values())
                await place.reaches(bound, model.used(bound) - held, held)
