import uuid

from hypothesis import given
from hypothesis import strategies as st

from gateway.clock import Ids, ManualClock


@given(st.lists(st.integers(0, 2**47 * 10**6), min_size=1, max_size=50))
def test_ids_are_version_7_carry_their_millisecond_and_differ(moments: list[int]) -> None:
    """RFC 9562 section 5.7: unix_ts_ms in the 48 most significant bits, version 7, variant 10."""
    ids = Ids()
    made = [ids.uuid7(now) for now in moments]
    for now, text in zip(moments, made, strict=True):
        parsed = uuid.UUID(text)
        assert str(parsed) == text
        assert (parsed.version, parsed.variant) == (7, uuid.RFC_4122)
        assert parsed.int >> 80 == now // 1_000_000
    assert len(set(made)) == len(made)


def test_a_manual_clock_turns_both_hands() -> None:
    clock = ManualClock()
    wall, steady = clock.now_ns(), clock.monotonic()
    clock.advance(1.5)
    assert clock.now_ns() - wall == 1_500_000_000
    assert clock.monotonic() - steady == 1.5
