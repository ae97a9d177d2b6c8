"""Durations, sizes and delay distributions as people write them."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.units import Delay, Seconds, Size, units_hook


@pytest.mark.parametrize(
    ("text", "seconds"), [("20ms", 0.02), ("1.5s", 1.5), ("2m", 120), ("1h", 3600), ("7us", 7e-6), (3, 3), ("4", 4)]
)
def test_durations(text: object, seconds: float) -> None:
    assert Seconds.parse(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "soon", "-1s", -1, True, None, "1 day", float("inf"), float("nan")])
def test_what_is_no_duration(text: object) -> None:
    with pytest.raises(ValueError, match="is not a duration; write 20ms"):
        Seconds.parse(text)


@pytest.mark.parametrize(("text", "size"), [("512", 512), ("64KiB", 65536), ("1MB", 10**6), ("2 GiB", 2**31), (9, 9)])
def test_sizes(text: object, size: int) -> None:
    assert Size.parse(text) == size


@pytest.mark.parametrize("text", ["", "big", -1, True, 1.5, "1.5MB"])
def test_what_is_no_size(text: object) -> None:
    with pytest.raises(ValueError, match="is not a size; write 512"):
        Size.parse(text)


@given(st.integers(0, 1000), st.integers(0, 1000), st.integers())
def test_uniform_delays_stay_inside(low: int, more: int, seed: int) -> None:
    delay = Delay.parse({"uniform": [low, low + more]})
    assert low <= delay.sample(random.Random(seed)) <= low + more


@given(st.integers(), st.floats(0.01, 2))
def test_lognormal_delays_are_cut_off(seed: int, sigma: float) -> None:
    delay = Delay.parse({"lognormal": {"median": "100ms", "sigma": sigma, "max": "1s"}})
    assert 0 < delay.sample(random.Random(seed)) <= 1


def test_lognormal_has_its_median() -> None:
    rng, delay = random.Random(3), Delay.parse({"lognormal": {"median": "100ms", "sigma": 0.5}})
    samples = sorted(delay.sample(rng) for _ in range(4001))
    assert samples[2000] == pytest.approx(0.1, rel=0.05)
    assert Delay.parse({"lognormal": {"median": 0}}).sample(rng) == 0


def test_a_plain_duration_is_a_fixed_delay() -> None:
    assert Delay.parse("20ms").sample(random.Random()) == pytest.approx(0.02)
    with pytest.raises(TypeError):
        units_hook(dict, {})
