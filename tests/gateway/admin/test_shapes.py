"""Times as the API writes them."""

import pytest

from gateway.admin.shapes import iso, iso_or_none


@pytest.mark.parametrize(
    ("ns", "text"),
    [(0, "1970-01-01T00:00:00Z"), (1_700_000_000_999_999_999, "2023-11-14T22:13:20Z")],
)
def test_times_are_utc_to_the_second(ns: int, text: str) -> None:
    assert iso(ns) == iso_or_none(ns) == text


def test_never() -> None:
    assert iso_or_none(None) is None
