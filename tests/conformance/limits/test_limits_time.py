"""One suite over every limit store: what `gateway.seams.LimitStore` promises about time.

The first half runs on every kind at once, with windows of a second or two, and waits for what it expects; where a
busy machine lets a window pass before it was looked at, it is tried with longer ones. The second half turns time by
hand, and says to the nanosecond when.
"""

import asyncio
import functools
import itertools
import uuid
from collections.abc import Awaitable, Callable

import pytest

from gateway.quota import BUCKETS, Admitted, Bound, Calendar, Charge, Refused, Rolling, Smooth
from tests.conformance.limits.kinds import Place

ONE = Charge()
UNITS = (1, 3, 6)
"""Seconds that the first half's windows are made of."""


class TooLate(Exception):
    """What should have been seen within a window was asked for after it."""


def spending(nanos: int) -> Charge:
    return Charge(nanos=nanos)


def on_every_kind(promise: Callable[[Place, int], Awaitable[None]]) -> Callable[[dict[str, Place]], Awaitable[None]]:
    """The test that `promise` holds for every kind; a failure says for which it does not."""

    async def in_time(place: Place) -> None:
        for unit in UNITS:
            place.own = uuid.uuid4().hex[:8]
            try:
                return await promise(place, unit)
            except TooLate:
                pass
        pytest.fail("no window was long enough to look into it")

    async def on_one(name: str, place: Place) -> None:
        try:
            await in_time(place)
        except BaseException as error:
            error.add_note(f"This was: {name}.")
            raise

    async def test(places: dict[str, Place]) -> None:
        async with asyncio.TaskGroup() as group:
            for name, place in places.items():
                group.create_task(on_one(name, place))

    functools.update_wrapper(test, promise)
    del test.__wrapped__  # pytest would ask it for its parameters
    return test


async def admitted_at(place: Place, bounds: list[Bound], charge: Charge, hold: str) -> float:
    """Wait until this is admitted; returns when that was."""

    async def there() -> bool:
        return isinstance(await place.admit(hold, bounds, charge), Admitted)

    await place.until(there)
    return place.now()


async def refused(
    place: Place, bounds: list[Bound], charge: Charge, hold: str, *, since: float, seconds: float
) -> Refused:
    """It is refused, if it is asked for less than so many `seconds` `since` then."""
    decision = await place.admit(hold, bounds, charge)
    if isinstance(decision, Admitted) and place.now() - since >= seconds:
        raise TooLate
    assert isinstance(decision, Refused), decision
    return decision


@on_every_kind
async def test_a_rolling_window_lets_through_again_when_it_said(place: Place, unit: int) -> None:
    """Never earlier than a whole window after the charge, and when `retry_after` has passed."""
    window = 2 * unit
    rule = place.bound("requests", 3, Rolling(window))
    begun = place.now()
    await place.admitted("a", [rule], Charge(requests=3))
    refusal = await refused(place, [rule], ONE, "b", since=begun, seconds=window)
    assert refusal.retry_after is not None
    assert 0 < refusal.retry_after <= window + window / BUCKETS + 1e-6
    assert await admitted_at(place, [rule], Charge(requests=3), "b") - begun >= window


@on_every_kind
async def test_a_settlement_does_not_shorten_a_window(place: Place, unit: int) -> None:
    """What was taken counts from when it was taken, not from when it was settled, and a late one changes nothing."""
    tokens = place.bound("output_tokens", 100, Rolling(unit))
    begun = place.now()
    await place.admitted("a", [tokens], Charge(output_tokens=100))
    place.settle("a", Charge(output_tokens=60))

    async def settled() -> bool:
        found = await place.level(tokens)
        if found != (60, 0) and place.now() - begun >= unit:
            raise TooLate
        return found == (60, 0)

    await place.until(settled)
    since = place.now()
    await place.admitted("b", [tokens], Charge(output_tokens=40))
    await refused(place, [tokens], Charge(output_tokens=100), "c", since=since, seconds=unit)
    await admitted_at(place, [tokens], Charge(output_tokens=100), "c")
    place.settle("b", Charge(output_tokens=1000))
    place.settle("c", Charge(output_tokens=100))
    await admitted_at(place, [tokens], Charge(output_tokens=100), "d")


@on_every_kind
async def test_a_rate_admits_a_burst_and_then_evenly(place: Place, unit: int) -> None:
    rate = place.bound("requests", 20, Smooth(2 * unit, 3))
    begun = place.now()
    for hold in "abc":
        await place.admitted(hold, [rate], ONE)
    refusal = await refused(place, [rate], ONE, "d", since=begun, seconds=0.1 * unit)
    assert refusal.retry_after is not None
    assert 0 < refusal.retry_after <= 0.1 * unit
    for number in range(10):
        await admitted_at(place, [rate], ONE, str(number))
    assert place.now() - begun >= 0.99 * unit


@on_every_kind
async def test_a_calendar_window_begins_anew_and_is_not_touched_by_what_was_before(place: Place, unit: int) -> None:
    budget = place.bound("usd", 100, Calendar("second", "Asia/Kolkata"))
    await place.admitted("old", [budget], spending(100))
    await admitted_at(place, [budget], spending(100), "new")
    place.settle("old", spending(1_000_000))
    place.settle("new", spending(100))

    async def passed() -> bool:
        return await place.level(budget) == (0, 0)

    await place.until(passed)


@on_every_kind
async def test_a_hold_that_is_never_settled_is_given_back(place: Place, unit: int) -> None:
    budget, places = place.bound("usd", 100, Calendar("year")), place.bound("concurrent", 1)
    begun = place.now()
    await place.admitted("a", [budget, places], spending(100), seconds=unit)
    refusal = await refused(place, [budget, places], spending(1), "b", since=begun, seconds=unit)
    assert refusal.bound in (budget, places)
    assert await admitted_at(place, [budget, places], spending(100), "b") - begun >= 0.99 * unit
    await place.reaches(budget, 0, 100)


@on_every_kind
async def test_an_extension_lets_a_hold_live_on(place: Place, unit: int) -> None:
    """It expires `seconds` after it was last extended, and gives back all it took."""
    budget = place.bound("usd", 100, Calendar("year"))
    since = place.now()
    await place.admitted("a", [budget], spending(50), seconds=unit)
    begun = place.now()
    if not await place.extend("a", Charge(requests=0, nanos=50), seconds=2 * unit):
        assert place.now() - since >= unit
        raise TooLate
    assert await admitted_at(place, [budget], spending(100), "b") - begun >= 1.99 * unit


@on_every_kind
async def test_what_an_expired_hold_truly_took_is_counted_when_it_is_settled_after_all(place: Place, unit: int) -> None:
    budget, places = place.bound("usd", 100, Calendar("year")), place.bound("concurrent", 1)
    await place.admitted("a", [budget, places], spending(100), seconds=unit)
    await place.reaches(budget, 0, 0)
    place.settle("a", spending(30))
    await place.reaches(budget, 30)
    place.settle("a", spending(30))
    await place.admitted("b", [budget, places], spending(70))
    place.settle("b", spending(1))
    await place.reaches(budget, 31)
    await place.reaches(places, 0)


@on_every_kind
async def test_the_soft_threshold_is_told_again_in_another_window(place: Place, unit: int) -> None:
    budget = place.bound("usd", 100, Rolling(unit), soft=50)
    assert (await place.admitted("a", [budget], spending(60))).crossed == (budget,)
    assert (await place.admitted("b", [budget], spending(40))).crossed == ()
    await admitted_at(place, [budget], spending(1), "c")

    async def empty() -> bool:
        return await place.level(budget) == (0, 0)

    await place.until(empty)
    assert (await place.admitted("d", [budget], spending(60))).crossed == (budget,)


# ---- time turned by hand ----


def turn(place: Place, seconds: float) -> None:
    assert place.turn is not None
    place.turn(seconds)
    place.turned += seconds


@pytest.mark.parametrize("offset", [0.0, 0.1, 0.2499, 0.9])
async def test_a_charge_leaves_a_rolling_window_at_most_one_part_late(by_hand: Place, offset: float) -> None:
    rule = by_hand.bound("requests", 1, Rolling(60))
    turn(by_hand, offset)
    await by_hand.admitted("a", [rule], ONE)
    refusal = await by_hand.refused("b", [rule], ONE)
    assert refusal.retry_after is not None
    assert 60 < refusal.retry_after <= 60.25
    assert refusal.requests is not None
    assert refusal.requests.reset == refusal.retry_after
    turn(by_hand, refusal.retry_after - 1e-6)
    assert 0 < ((await by_hand.refused("b", [rule], ONE)).retry_after or 0) < 2e-6
    turn(by_hand, 2e-6)
    await by_hand.admitted("b", [rule], ONE)


async def test_a_rolling_window_waits_for_as_many_as_it_needs(by_hand: Place) -> None:
    rule = by_hand.bound("tokens", 100, Rolling(60))
    for number, amount in enumerate((10, 20, 70)):
        await by_hand.admitted(str(number), [rule], Charge(input_tokens=amount))
        turn(by_hand, 10)
    waits: list[float] = []
    for amount in (10, 11, 30, 31, 100):
        waits.append((await by_hand.refused("x", [rule], Charge(input_tokens=amount))).retry_after or 0)
    assert [round(wait) for wait in waits] == [30, 40, 40, 50, 50]


async def test_a_rate_is_exact(by_hand: Place) -> None:
    """In any stretch of t seconds at most burst + amount * t / seconds: a third of a second each, to the nanosecond."""
    rate = by_hand.bound("requests", 3, Smooth(1, 2))
    await by_hand.admitted("a", [rate], Charge(requests=2))
    for number in range(50):
        refusal = await by_hand.refused(str(number), [rate], ONE)
        assert refusal.retry_after is not None
        turn(by_hand, refusal.retry_after - 2e-9)
        await by_hand.refused(str(number), [rate], ONE)
        turn(by_hand, 2e-9)
        await by_hand.admitted(str(number), [rate], ONE)


async def test_a_month_ends_at_midnight_of_its_zone(by_hand: Place) -> None:
    """The place begins on 14 November 2023, 22:13:20 UTC: 16 days and some before December in New York (UTC-5)."""
    budget = by_hand.bound("usd", 100, Calendar("month", "America/New_York"))
    await by_hand.admitted("a", [budget], spending(100), seconds=1e7)
    refusal = await by_hand.refused("b", [budget], spending(1))
    assert refusal.retry_after == 16 * 86400 + 1 * 3600 + 46 * 60 + 40 + 5 * 3600
    turn(by_hand, refusal.retry_after - 1)
    await by_hand.refused("b", [budget], spending(1))
    turn(by_hand, 1)
    await by_hand.admitted("b", [budget], spending(100))


async def test_never_more_in_any_stretch_of_a_rolling_window(by_hand: Place) -> None:
    """As much as possible at every moment, in uneven steps: no 10 seconds hold more than the amount, and it is used."""
    rule = by_hand.bound("requests", 7, Rolling(10))
    admitted: list[float] = []
    now = 0.0
    for number, step in zip(range(3000), itertools.cycle((0.013, 0.2, 0.0401, 0.003)), strict=False):
        decision = await by_hand.admit(str(number), [rule], ONE)
        if isinstance(decision, Admitted):
            admitted.append(now)
            by_hand.settle(str(number), ONE)
        else:
            assert isinstance(decision, Refused)
        turn(by_hand, step)
        now += step
    assert all(later - earlier >= 10 for earlier, later in zip(admitted, admitted[7:], strict=False))
    assert len(admitted) >= 7 * (now / 10.3 - 1)
