"""The arithmetic of rates, by itself."""

from decimal import Decimal
from fractions import Fraction

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from pricing.card import RateCard
from pricing.parts import consistent
from pricing.rates import Meter, Rate, Sheet, compile_sheet, lines, nanos, own_parts, plain_nanos, upper_nanos
from pricing.usage import UNPRICED, Usage

_PRICES = st.decimals(0, 1000, places=9).map(lambda price: Rate(Fraction(price) / 10**6))
_SHEETS = st.dictionaries(
    st.sampled_from(
        [
            "input",
            "cache_read",
            "cache_write_5m",
            "input_audio",
            "cache_read_audio",
            "output",
            "reasoning",
            "web_search",
        ]
    ),
    _PRICES,
)
_USAGES = st.builds(
    Usage,
    input_tokens=st.integers(0, 10**6),
    output_tokens=st.integers(0, 10**6),
    cache_read_tokens=st.integers(0, 10**5),
    cache_write_5m_tokens=st.integers(0, 10**5),
    cache_write_1h_tokens=st.integers(0, 10**5),
    input_audio_tokens=st.integers(0, 10**5),
    cache_read_audio_tokens=st.integers(0, 10**5),
    reasoning_tokens=st.integers(0, 10**5),
    web_searches=st.integers(0, 10),
)


@given(_SHEETS, _USAGES)
def test_total_is_the_sum_of_own_parts_rounded_once_half_to_even(rates: dict[Meter, Rate], told: Usage) -> None:
    """Whatever is priced and whatever a provider says: no exception, nothing below zero, one rounding."""
    usage = consistent(told)
    priced = compile_sheet(Sheet(rates, "test"))
    exact = sum(
        (priced.first.leaves.get(meter, Fraction(0)) * Fraction(part) for meter, part in own_parts(usage).items()),
        Fraction(0),
    )
    assert nanos(priced, usage) == round(exact * 10**9)
    assert nanos(priced, usage) >= 0
    assert sum(line.usd for line in lines(priced, usage)) == Decimal(exact.numerator) / Decimal(exact.denominator)


def test_half_a_nano_dollar_goes_to_the_even_neighbour() -> None:
    priced = compile_sheet(Sheet({"input": Rate(Fraction(5, 10**10))}, "test"))
    assert [nanos(priced, Usage(input_tokens=count)) for count in (1, 2, 3, 5, 7)] == [0, 1, 2, 2, 4]


def test_no_rates_at_all_is_free_of_charge() -> None:
    assert nanos(compile_sheet(Sheet({}, "test")), Usage(input_tokens=5, output_tokens=5, seconds=3.0)) == 0


def test_parts_without_a_rate_cost_what_their_total_costs() -> None:
    priced = compile_sheet(Sheet({"input": Rate(Fraction(2)), "output": Rate(Fraction(3))}, "test"))
    usage = Usage(input_tokens=10, cache_read_tokens=4, input_audio_tokens=2, output_tokens=5, reasoning_tokens=5)
    assert nanos(priced, usage) == (10 * 2 + 5 * 3) * 10**9


def test_one_hour_cache_writes_fall_back_to_the_five_minute_rate() -> None:
    priced = compile_sheet(Sheet({"input": Rate(Fraction(2)), "cache_write_5m": Rate(Fraction(5))}, "test"))
    assert nanos(priced, Usage(input_tokens=10, cache_write_1h_tokens=4)) == (6 * 2 + 4 * 5) * 10**9


def test_long_context_holds_for_all_tokens_from_one_above_the_threshold() -> None:
    steps = ((200, Fraction(2)), (500, Fraction(3)))
    priced = compile_sheet(Sheet({"input": Rate(Fraction(1), steps), "output": Rate(Fraction(1))}, "test"))
    costs = [nanos(priced, Usage(input_tokens=size, output_tokens=7)) // 10**9 for size in (0, 200, 201, 500, 501)]
    assert costs == [7, 207, 409, 1007, 1510]


def test_seconds_are_taken_as_written_and_have_a_minimum() -> None:
    priced = compile_sheet(Sheet({"second": Rate(Fraction(Decimal("0.111")) / 3600)}, "test", minimum_seconds=10))
    assert nanos(priced, Usage(seconds=0.1)) == nanos(priced, Usage(seconds=10.0)) == 308_333
    assert nanos(priced, Usage(seconds=3600.1)) == round(Fraction("3600.1") * Fraction("0.111") / 3600 * 10**9)
    assert nanos(priced, Usage()) == 0


class _From:
    """A price that begins at an instant."""

    def tiers(self) -> set[str]:
        return {"flex"}

    def dates(self) -> set[int]:
        return {5 * 86_400 * 10**9}

    def times(self) -> set[int]:
        return set()

    def sheet(self, at_ns: int, tier: str | None) -> Sheet | None:
        if at_ns < 5 * 86_400 * 10**9:
            return None
        return Sheet({"input": Rate(Fraction(1 if tier == "flex" else 2))}, "config/1970-01-06")


def test_before_the_first_price_nothing_is_priced() -> None:
    card = RateCard("own", "model", _From())
    start = 5 * 86_400 * 10**9
    assert card.cost(Usage(input_tokens=1), at_ns=start - 1) is UNPRICED
    assert card.meters(Usage(input_tokens=1), None, start - 1) == []
    assert card.rates(None, start - 1) == []
    assert card.cost(Usage(input_tokens=1), at_ns=start).nanos == 2 * 10**9
    assert card.cost(Usage(input_tokens=1), tier="flex", at_ns=start).nanos == 10**9
    assert card.cost(Usage(input_tokens=1), tier="unheard-of", at_ns=start).nanos == 2 * 10**9
    assert card.tiers == ("flex",)


@given(_SHEETS, st.integers(0, 10**7), st.integers(0, 10**7))
def test_the_short_way_to_an_estimate_costs_what_the_long_one_does(
    rates: dict[Meter, Rate], inputs: int, outputs: int
) -> None:
    """`plain_nanos`: "What one request of so many tokens, none of them special, costs: as `nanos`, without a `Usage`."
    Long-context steps and rates per request included."""
    steps = ((1000, Fraction(3, 10**6)), (200_000, Fraction(1, 10**9)))
    stepped = {meter: Rate(rate.base, steps) if meter in ("input", "output") else rate for meter, rate in rates.items()}
    for sheet in (
        Sheet(rates, "test"),
        Sheet(stepped, "test"),
        Sheet({**rates, "request": Rate(Fraction(1, 200))}, "t"),
    ):
        priced = compile_sheet(sheet)
        assert plain_nanos(priced, inputs, outputs) == nanos(priced, Usage(input_tokens=inputs, output_tokens=outputs))


@given(_SHEETS, _USAGES, st.integers(0, 10**6), st.integers(0, 10**6))
def test_no_request_of_so_many_tokens_costs_more_than_the_upper_bound(
    rates: dict[Meter, Rate], usage: Usage, more_in: int, more_out: int
) -> None:
    """`upper_nanos`: "The most that a request of at most so many tokens can cost, whatever kind they are"."""
    counted = msgspec.structs.replace(
        consistent(usage), web_searches=0, file_searches=0, pages=0, characters=0, seconds=0.0, requests=1
    )
    steps = ((1000, Fraction(3, 10**6)), (200_000, Fraction(1, 10**9)))
    stepped = {meter: Rate(rate.base, steps) if meter in ("input", "output") else rate for meter, rate in rates.items()}
    for sheet in (Sheet(rates, "test"), Sheet(stepped, "test")):
        priced = compile_sheet(sheet)
        most = upper_nanos(priced, counted.input_tokens + more_in, counted.output_tokens + more_out)
        assert nanos(priced, counted) <= most
