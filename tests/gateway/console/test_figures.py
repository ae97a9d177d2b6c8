import pytest

from gateway.console.figures import figures_of, read
from gateway.telemetry.metrics import Metrics

TEXT = """# TYPE tollway_requests counter
tollway_requests_total{team="a\\"b",outcome="ok"} 7.0
tollway_requests_total{team="c",outcome="ok"} 3.0
tollway_requests_total{team="c",outcome="blocked"} 1.0
# TYPE s histogram
s_bucket{m="x",le="0.1"} 50.0
s_bucket{m="x",le="0.5"} 90.0
s_bucket{m="x",le="+Inf"} 100.0
s_count{m="x"} 100.0
s_sum{m="x"} 12.0
# TYPE empty histogram
empty_bucket{le="1.0"} 0.0
empty_bucket{le="+Inf"} 0.0
empty_count 0.0
empty_sum 0.0
"""


def test_samples_are_found_by_name_and_labels():
    figures = read(TEXT)
    assert figures.sum("tollway_requests_total") == 11
    assert figures.sum("tollway_requests_total", team='a"b') == 7
    assert figures.by("outcome", "tollway_requests_total", team="c") == {"ok": 3, "blocked": 1}
    assert figures.sum("nothing") == 0


def test_quantiles_are_those_of_prometheus():
    """`histogram_quantile`: linear within the bucket; the last bound for what is beyond it."""
    figures = read(TEXT)
    assert figures.quantile(0.5, "s") == pytest.approx(0.1)
    assert figures.quantile(0.7, "s", m="x") == pytest.approx(0.3)
    assert figures.quantile(0.99, "s") == 0.5
    assert figures.quantile(0.5, "empty") is None
    assert figures.quantile(0.5, "nothing") is None


async def test_the_gateways_own_exposition_is_read():
    figures = await figures_of(Metrics())
    assert figures
    assert not await figures_of(None)
