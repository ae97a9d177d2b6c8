"""The quick way through a limit store takes what the careful way takes, and says of it what that says."""

import asyncio
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gateway.clock import ManualClock
from gateway.limits.memory import MemoryStore
from gateway.limits.words import standings
from gateway.quota import Admitted, Bound, Calendar, Charge, Measure, Rolling, Rule, Smooth, Window

WINDOWS: list[Window] = [Rolling(60), Rolling(3600), Calendar("minute"), Calendar("month"), Smooth(60, 5)]
MEASURES: list[Measure] = ["requests", "tokens", "input_tokens", "output_tokens", "usd", "concurrent", "streams"]


@st.composite
def rules(draw: st.DrawFn) -> Bound:
    measure = draw(st.sampled_from(MEASURES))
    amount = draw(st.sampled_from([0, 1, 5, 40, 1000]))
    window = None if measure in ("concurrent", "streams") else draw(st.sampled_from(WINDOWS))
    soft = draw(st.none() | st.integers(1, amount)) if amount else None
    exhausted: Any = draw(st.sampled_from(["block", "warn"]))
    name = f"{measure}-{draw(st.integers(0, 1))}"
    rule = Rule(id=name, measure=measure, amount=amount, window=window, soft=soft, when_exhausted=exhausted)
    return Bound(rule, name)


requests = st.tuples(
    st.sampled_from([0.0, 0.1, 0.3, 20.0, 61.0, 3700.0]),
    st.integers(0, 12),
    st.integers(0, 12),
    st.integers(0, 40),
    st.booleans(),
    st.none() | st.tuples(st.integers(0, 12), st.integers(0, 12), st.integers(0, 40)),
    st.sampled_from([5.0, 50.0]),
)


@given(st.lists(rules(), min_size=1, max_size=6, unique_by=lambda bound: bound.key), st.lists(requests, max_size=25))
def test_as_the_careful_way(written: list[Bound], asked: list[Any]) -> None:
    """Same decisions, same levels after each, same header fields but for less than a millisecond; and where it says
    None it has taken nothing."""
    bounds = tuple(written)
    clock = ManualClock()
    quick, careful = MemoryStore(clock), MemoryStore(clock)
    for number, (pause, read, wrote, nanos, stream, used, seconds) in enumerate(asked):
        clock.advance(pause)
        hold, charge = f"h{number}", Charge(read, wrote, nanos, 1, stream)
        decision = careful.admit_now(hold, bounds, charge, seconds)
        told = quick.admit_quietly(hold, bounds, read, wrote, nanos, stream, seconds)
        if told is None:
            assert quick.admit_now(hold, bounds, charge, seconds) == decision
        else:
            assert isinstance(decision, Admitted)
            assert (decision.soft, decision.crossed, decision.over) == ((), (), ())
            assert _rounded(told) == _rounded(standings(decision.requests, decision.tokens))
        if used is not None:
            for store in (quick, careful):
                store.settle(hold, Charge(*used))
        assert asyncio.run(quick.levels(bounds)) == asyncio.run(careful.levels(bounds))
        assert (quick.under_way, quick.expired) == (careful.under_way, careful.expired)


def _rounded(block: bytes) -> list[bytes | int]:
    """Header fields with durations in hundredths of a second: the quick way cuts at milliseconds, the other rounds."""
    told: list[bytes | int] = []
    for line in block.split(b"\r\n"):
        name, _, value = line.partition(b": ")
        told += [name, round(float(value[:-1]) * 100) if value.endswith(b"s") else value]
    return told


def test_most_requests_are_quiet() -> None:
    """The property above would hold for a quick way that always said None."""
    clock = ManualClock()
    store = MemoryStore(clock)
    bounds = tuple(
        Bound(Rule(id=measure, measure=measure, amount=10_000, window=window), measure)
        for measure, window in (("requests", Rolling(60)), ("tokens", Rolling(60)), ("usd", Calendar("month")))
    )
    told: list[bytes | None] = []
    for number in range(100):
        told.append(store.admit_quietly(str(number), bounds, 3, 4, 5, False, 60))
        if told[-1] is None:
            store.admit_now(str(number), bounds, Charge(3, 4, 5), 60)
    assert sum(each is not None for each in told) == 99
    assert told[-1] is not None
    assert told[-1].startswith(b"x-ratelimit-limit-requests: 10000\r\nx-ratelimit-remaining-requests: 9900\r\n")
