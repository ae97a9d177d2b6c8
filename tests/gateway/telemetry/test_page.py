"""Pages as sums: adding is order-free, and survives being written down."""

import copy
import functools

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.telemetry.page import (
    CELL,
    FIRST_BYTE_BOUNDS,
    STAGE_BOUNDS,
    TOKEN_BOUNDS,
    Family,
    Histogram,
    Page,
    Pulled,
    Speed,
    Stages,
    Timings,
    Waits,
    decode,
    encode,
    new_speed,
    new_stages,
    new_timings,
)

names = st.sampled_from(["a", "b", "c"])
cells = st.lists(st.integers(0, 2**40), min_size=len(CELL), max_size=len(CELL))
COUNTER = Family("bytes", "Bytes.", "counter")
HEALTHY = Family("healthy", "All well.", "gauge", ("x",), "min")
DOWN = Family("down", "Any down.", "gauge", ("x",), "max")
FLYING = Family("flying", "Under way.", "gauge")


def timings_of(seconds: list[float]) -> Timings:
    timings = new_timings()
    for value in seconds:
        timings.request.observe((0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0), value)
    return timings


def speed_of(seconds: list[float]) -> Speed:
    speed = new_speed()
    for value in seconds:
        speed.first_byte.observe(FIRST_BYTE_BOUNDS, value)
        speed.per_token.observe(TOKEN_BOUNDS, value)
    return speed


def stages_of(seconds: list[float]) -> Stages:
    stages = new_stages()
    for value in seconds:
        stages.read.observe(STAGE_BOUNDS, value)
        stages.answer.observe(STAGE_BOUNDS, value)
    return stages


@st.composite
def pages(draw: st.DrawFn) -> Page:
    # Whole seconds: their sums are exact in any order.
    seconds = st.lists(st.integers(0, 1000).map(float), max_size=5)
    counts = st.lists(st.integers(0, 99), min_size=2, max_size=2)
    waits = st.builds(Histogram, counts, st.integers(0, 99).map(float))
    labelled = st.dictionaries(st.tuples(names), st.integers(0, 100).map(float), max_size=3)
    return Page(
        traffic=draw(st.dictionaries(st.tuples(names, names, names, names, names), cells, max_size=4)),
        attempts=draw(st.dictionaries(st.tuples(names, names), st.integers(0, 99), max_size=3)),
        timings=draw(st.dictionaries(st.tuples(names, names), seconds.map(timings_of), max_size=2)),
        speeds=draw(st.dictionaries(st.tuples(*[names] * 5), seconds.map(speed_of), max_size=2)),
        stages=draw(seconds.map(stages_of)),
        pulled={
            "bytes": Pulled(COUNTER, {(): float(draw(st.integers(0, 99)))}),
            "healthy": Pulled(HEALTHY, draw(labelled)),
            "down": Pulled(DOWN, draw(labelled)),
            "flying": Pulled(FLYING, {(): float(draw(st.integers(0, 99)))}),
        },
        waits={"waits": Waits("waits", "Waits.", "x", (1.0,), draw(st.dictionaries(names, waits, max_size=3)))},
        failures=draw(st.integers(0, 9)),
    )


def total(parts: list[Page]) -> Page:
    def added(sum_: Page, part: Page) -> Page:
        sum_.add(part)
        return sum_

    return functools.reduce(added, parts, Page())


@settings(max_examples=40)
@given(st.lists(pages(), max_size=4), st.randoms())
def test_any_order_gives_the_same_sum(parts: list[Page], chance) -> None:
    shuffled = list(parts)
    chance.shuffle(shuffled)
    assert total(parts) == total(shuffled)


@settings(max_examples=40)
@given(pages(), pages())
def test_adding_leaves_the_added_page_alone(first: Page, second: Page) -> None:
    before = copy.deepcopy(second)
    sum_ = total([first, second])
    sum_.add(second)
    for timings in sum_.timings.values():
        timings.request.observe((0.05,), 0.0)
    assert second == before


@settings(max_examples=40)
@given(pages())
def test_written_and_read_again(page: Page) -> None:
    assert decode(encode(page)) == page


@settings(max_examples=40)
@given(pages(), st.integers(0, 400))
def test_a_torn_page_is_no_page(page: Page, length: int) -> None:
    data = encode(page)
    assert decode(data[: min(length, len(data) - 1)]) is None


def test_gauges_combine_as_they_say() -> None:
    first, second = Page(), Page()
    for page, value in ((first, 1.0), (second, 0.0)):
        page.pulled = {
            "healthy": Pulled(HEALTHY, {("j",): value}),
            "down": Pulled(DOWN, {("p",): value}),
            "flying": Pulled(FLYING, {(): 2.0}),
        }
    sum_ = total([first, second])
    assert sum_.pulled["healthy"].samples == {("j",): 0.0}
    assert sum_.pulled["down"].samples == {("p",): 1.0}
    assert sum_.pulled["flying"].samples == {(): 4.0}
    assert not sum_.without_gauges().pulled


def test_another_release_wrote_it() -> None:
    assert decode(b"\x81\xa7traffic\x81\x95\xa1a\xa1a\xa1a\xa1a\xa1a\x91\x01") is None
