import pytest

from gateway.console.heat import FAILING, HOUR_NS, SHOWN, SLOW, failures_by_hour, speeds_by_hour, tone_of
from gateway.ledger.overview import Hour, Speed


def test_a_map_has_a_field_for_every_hour():
    since_ns = 100 * HOUR_NS
    found = [Hour(100 * 3600, "a", 10, 0), Hour(123 * 3600, "a", 10, 5), Hour(99 * 3600, "b", 1, 1)]
    rows = failures_by_hour(found, since_ns)
    assert [name for name, _ in rows] == ["a"]
    fields = rows[0][1]
    assert len(fields) == SHOWN
    assert (fields[0].tone, fields[1].tone, fields[23].tone) == (0, None, 5)


def test_speeds_have_a_map_of_their_own():
    ((name, fields),) = speeds_by_hour([Speed(101 * 3600, "a", 40, 2.6)], 100 * HOUR_NS)
    assert (name, fields[0].tone, fields[1].tone, fields[1].seconds) == ("a", None, 2, 2.6)


@pytest.mark.parametrize(("value", "tone"), [(0.001, 1), (0.005, 2), (0.02, 3), (0.05, 4), (0.5, 5)])
def test_tones_of_failures(value: float, tone: int):
    assert tone_of(value, FAILING) == tone


@pytest.mark.parametrize(("value", "tone"), [(0.2, 0), (1.0, 1), (4.9, 2), (5.0, 3), (29.0, 4), (90.0, 5)])
def test_tones_of_seconds(value: float, tone: int):
    assert tone_of(value, SLOW) == tone
