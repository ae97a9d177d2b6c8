from email.utils import formatdate

from hypothesis import given
from hypothesis import strategies as st

from gateway.routing.retry_after import retry_after


def test_seconds_milliseconds_and_dates() -> None:
    now_ns = 1_800_000_000_000_000_000
    assert retry_after([(b"retry-after", b"7")], now_ns) == 7
    assert retry_after([(b"retry-after", b"1.5")], now_ns) == 1.5
    assert retry_after([(b"retry-after", b"9"), (b"retry-after-ms", b"250")], now_ns) == 0.25
    date = formatdate(1_800_000_030, usegmt=True).encode()
    assert retry_after([(b"retry-after", date)], now_ns) == 30
    past = formatdate(1_700_000_000, usegmt=True).encode()
    assert retry_after([(b"retry-after", past)], now_ns) == 0
    assert retry_after([(b"content-type", b"x")], now_ns) is None


@given(st.binary(max_size=40))
def test_nonsense_is_none_or_a_sane_number(value: bytes) -> None:
    found = retry_after([(b"retry-after", value)], 0)
    assert found is None or 0 <= found < 1e12
