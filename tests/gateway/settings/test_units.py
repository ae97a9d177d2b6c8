"""Every unit reads back what it was written as, and refuses everything else without repeating it."""

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.settings.units import (
    parse_count,
    parse_duration,
    parse_moment,
    parse_money,
    parse_percent,
    parse_share,
    parse_size,
)

PARSERS = (parse_size, parse_count, parse_duration, parse_money, parse_percent, parse_moment)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", 0),
        ("1024", 1024),
        ("20MiB", 20 * 2**20),
        ("20 MiB", 20 * 2**20),
        ("1GB", 10**9),
        ("1.5KiB", 1536),
        ("7b", 7),
        ("2gib", 2**31),
    ],
)
def test_sizes(text: str, expected: int) -> None:
    assert parse_size(text) == expected


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("250ms", 0.25),
        ("30s", 30),
        ("10m", 600),
        ("1m30s", 90),
        ("1h 5m", 3900),
        ("90d", 7776000),
        ("2w", 1209600),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["500 USD", "USD 500", "500USD", " 500.00 USD "])
def test_money_is_in_nano_dollars(text: str) -> None:
    assert parse_money(text) == 500 * 10**9


@pytest.mark.parametrize("text", ["500 EUR", "EUR 500", "€500", "500 £", "500 usd", "12 Eur"])
def test_other_currencies_are_named_as_such(text: str) -> None:
    with pytest.raises(ValueError, match="this currency is not known"):
        parse_money(text)


@pytest.mark.parametrize("text", ["-5 USD", "USD -5", "- 5 USD"])
def test_negative_amounts_are_named_as_such(text: str) -> None:
    with pytest.raises(ValueError, match="this amount is negative"):
        parse_money(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("1", 1), ("600", 600), ("200k", 200_000), ("200 K", 200_000), ("1.5M", 1_500_000), ("0.001k", 1)],
)
def test_counts(text: str, expected: int) -> None:
    assert parse_count(text) == expected


@given(st.integers(1, 10**12))
def test_counts_are_exact(count: int) -> None:
    """`200k` is 200,000, `2M` 2,000,000."""
    assert parse_count(str(count)) == count
    assert parse_count(f"{count // 1000}.{count % 1000:03d}k") == count


@pytest.mark.parametrize(("text", "fraction"), [("80%", 0.8), ("0%", 0.0), ("100 %", 1.0), ("99.5%", 0.995)])
def test_percentages(text: str, fraction: float) -> None:
    assert parse_percent(text) == fraction


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2027-01-31", datetime(2027, 1, 31, tzinfo=UTC)),
        ("2027-01-31T12:00:00Z", datetime(2027, 1, 31, 12, tzinfo=UTC)),
        ("2027-01-31T12:00:00+02:00", datetime(2027, 1, 31, 10, tzinfo=UTC)),
    ],
)
def test_moments(text: str, moment: datetime) -> None:
    assert parse_moment(text) == int(moment.timestamp()) * 10**9


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        (parse_size, "20 apples"),
        (parse_size, "-1"),
        (parse_size, "1.5"),
        (parse_size, "1e9"),
        (parse_duration, "30"),
        (parse_duration, "-3s"),
        (parse_duration, "3 years"),
        (parse_duration, "s"),
        (parse_money, "500"),
        (parse_money, "500 EUR"),
        (parse_money, "USD"),
        (parse_money, "USD 5 USD"),
        (parse_percent, "0.5"),
        (parse_percent, "101%"),
        (parse_percent, "-1%"),
        (parse_moment, "soon"),
        (parse_moment, "2027-13-01"),
        (parse_moment, "2027-01-31T12:00:00"),
    ],
)
def test_what_is_refused_says_what_is_allowed(parse, text: str) -> None:
    with pytest.raises(ValueError, match="allowed is"):
        parse(text)


@given(st.integers(0, 10**12))
def test_a_bare_number_is_bytes(count: int) -> None:
    assert parse_size(str(count)) == parse_size(f"{count}B") == count


@given(st.integers(0, 10**6), st.sampled_from([("KiB", 1024), ("MiB", 1024**2), ("GiB", 1024**3), ("kB", 1000)]))
def test_a_size_is_its_number_times_its_unit(count: int, unit: tuple[str, int]) -> None:
    assert parse_size(f"{count}{unit[0]}") == count * unit[1]


@given(
    st.lists(st.tuples(st.integers(0, 10**6), st.sampled_from(["ms", "s", "m", "h", "d", "w"])), min_size=1, max_size=4)
)
def test_a_duration_is_the_sum_of_its_parts(parts: list[tuple[int, str]]) -> None:
    scale = {"ms": Decimal("0.001"), "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
    written = "".join(f"{count}{unit}" for count, unit in parts)
    assert parse_duration(written) == float(sum(Decimal(count) * scale[unit] for count, unit in parts))


@given(st.decimals(0, 10**9, places=9, allow_nan=False, allow_infinity=False))
def test_money_is_exact(amount: Decimal) -> None:
    """Money is integer nano-dollars, never float."""
    assert Decimal(parse_money(f"{amount:f} USD")) == amount * 10**9


@given(st.sampled_from(PARSERS), st.text())
def test_a_parser_reads_or_refuses_and_never_repeats(parse, text: str) -> None:
    """A complaint never holds the text, which may be a secret put in the wrong place."""
    canary = f"canary{text}canary"
    with pytest.raises(ValueError) as refusal:  # noqa: PT011
        parse(canary)
    assert "canary" not in str(refusal.value)
    try:
        parse(text)
        said = "allowed"
    except ValueError as error:
        said = str(error)
    assert "allowed" in said


SHARES = {"on": 1.0, "yes": 1.0, "true": 1.0, "off": 0.0, "no": 0.0, "false": 0.0}


@given(st.text(max_size=10) | st.sampled_from(["on", "OFF ", "5%", "101%", "yes", "0.5 %"]))
def test_a_share_is_a_word_or_a_percentage(text: str) -> None:
    """Allowed are "on, off and a percentage": nothing else, and never outside 0 to 1."""
    word = SHARES.get(text.strip().lower())
    try:
        expected = parse_percent(text) if word is None else word
    except ValueError:
        with pytest.raises(ValueError, match=r"^this is not a share; allowed are on, off and a percentage such as 1%$"):
            parse_share(text)
    else:
        assert parse_share(text) == expected


@pytest.mark.parametrize(
    ("parse", "text", "told"),
    [
        (parse_duration, "-7d", "this duration is negative; allowed is a number with a unit"),
        (parse_size, "-1KiB", "this size is negative; allowed is a size"),
        (parse_money, "-5", "this amount of money is negative; allowed is an amount in US dollars"),
        (parse_money, f"{10**15} USD", "this amount of money has too many digits; allowed are 15, and 9 behind"),
        (parse_money, "0.0000000001 USD", "this amount of money has too many digits"),
        (parse_duration, f"{10**15}w", "this duration has too many digits"),
        (parse_count, f"{10**15}", "this whole number has too many digits"),
    ],
)
def test_what_is_wrong_with_a_number_is_told(parse: Callable[[str], object], text: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        parse(text)
