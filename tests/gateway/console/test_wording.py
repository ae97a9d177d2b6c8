from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.console import wording


@given(st.integers(-(10**18), 10**18))
def test_dollars_are_exact_to_the_cent(nanos: int):
    """ "Totals on the page equal `tollway spend` to the cent": rounded half up, once."""
    text = wording.dollars(nanos)
    shown = Decimal(text.replace("−", "-").replace("$", "").replace(",", ""))
    assert abs(shown - Decimal(nanos).scaleb(-9)) <= Decimal("0.005")
    assert shown == shown.quantize(Decimal("0.01"))


@pytest.mark.parametrize(
    ("nanos", "text"),
    [(None, "–"), (0, "$0.00"), (5_000_000, "$0.01"),
     (4_999_999, "$0.00"), (1_234_565_000_000, "$1,234.57"), (-5_000_000, "−$0.01")],
)  # fmt: skip
def test_dollars(nanos: int | None, text: str):
    assert wording.dollars(nanos) == text


@pytest.mark.parametrize(
    ("nanos", "text"),
    [(None, "–"), (0, "$0.00"), (1, "$0.000000001"), (123_456, "$0.0001235"),
     (421_100_000, "$0.4211"), (10**9, "$1.00")],
)  # fmt: skip
def test_small_amounts_keep_four_digits(nanos: int | None, text: str):
    assert wording.fine_dollars(nanos) == text


def test_other_words():
    assert [wording.short(n) for n in (0, 982, 12_408, 124_000, 3_070_000, 5 * 10**12)] == [
        "0",
        "982",
        "12,408",
        "124 k",
        "3.07 M",
        "5,000 G",
    ]
    assert [wording.share(a, b) for a, b in ((0, 0), (1, 0), (1, 5000), (34, 1000), (57, 100))] == [
        "0 %", "0 %", "< 0.1 %", "3.4 %", "57 %"]  # fmt: skip
    assert [wording.axis_dollars(n * 10**9) for n in (0, 400, 12_000, 2500)] == ["$0", "$400", "$12k", "$2.5k"]
    assert (wording.axis_dollars(2_500_000_000), wording.axis_dollars(15 * 10**15)) == ("$2.5", "$15M")
    ages = (0, 45, 185, 7_800, 273_600)
    assert [wording.age(s * 10**9) for s in ages] == ["0 s", "45 s", "3 min 5 s", "2 h 10 min", "3 d 4 h"]
    assert [wording.duration(n) for n in (None, 340 * 10**6, 2_410 * 10**6, 185 * 10**9)] == [
        "–", "340 ms", "2.41 s", "3 min 5 s"]  # fmt: skip
    at = 1_700_000_000 * 10**9
    assert (wording.moment(at), wording.minute(at), wording.day(at)) == (
        "2023-11-14 22:13:20",
        "14 Nov 22:13",
        "14 Nov",
    )
    assert (wording.moment(None), wording.minute(None), wording.count(None)) == ("–", "–", "–")
    assert (wording.named(""), wording.named("a"), wording.count(1234)) == ("(none)", "a", "1,234")


@given(st.integers(0, 10**15))
def test_short_figures_never_fail_and_stay_short(number: int):
    assert len(wording.short(number)) <= 11


def test_durations_have_three_digits():
    assert [wording.duration(n) for n in (0, 412_000, 7_400_000, 25_000_000, 999_400_000, 999_600_000)] == [
        "0 ms", "0.412 ms", "7.40 ms", "25.0 ms", "999 ms", "1.00 s"]  # fmt: skip
