"""What the script is told: names of counters, periods around a moment, operations."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from gateway.limits.decide import asked
from gateway.limits.shared.packing import (
    ADMIT,
    EXTEND,
    LEVEL,
    PUT,
    SETTLE,
    UNDO,
    Batch,
    Packer,
    counter_name,
    decode_answers,
    level_of,
)
from gateway.limits.shared.plans import Plan
from gateway.quota import Bound, Calendar, Charge, Level, Measure, Rolling, Rule, Smooth, Unit, Window

NOW = 1_795_800_000_000_000_000
UNITS: tuple[Unit, ...] = ("second", "minute", "hour", "day", "week", "month", "year")


def bound(measure: Measure = "usd", window: Window | None = None, amount: int = 10, **rule: object) -> Bound:
    return Bound(Rule(id="r", measure=measure, amount=amount, window=window, **rule), "key", "t:a")


def unpacked(packed: msgspec.Raw) -> list[object]:
    return msgspec.msgpack.decode(bytes(packed))


def test_counters_stand_under_their_group_s_hash_tag_apart_by_window_and_measure() -> None:
    """Windows of another kind or length are other counters; of another zone or rate they are not."""
    names = {
        counter_name("p", bound("usd", window)): window
        for window in (Rolling(60), Rolling(61), Calendar("day"), Calendar("week"), Smooth(60, 1), None)
    }
    assert len(names) == 6
    assert all(name.startswith("p:{t:a}:") for name in names)
    assert counter_name("p", bound("usd", Calendar("day", "Asia/Tokyo"))) in names
    assert counter_name("p", bound("tokens", Calendar("day"))) not in names
    assert counter_name("p", bound("usd", Smooth(1, 9))) in names


@given(st.sampled_from(UNITS), st.sampled_from(["UTC", "Europe/Berlin", "Asia/Kathmandu"]), st.integers(0, 10**9))
def test_a_calendar_names_the_period_before_the_running_and_the_next(unit: Unit, zone: str, after: int) -> None:
    """The script cannot compute them, and must choose by the server's clock."""
    now = NOW + after * 1_000_000_000
    fields = unpacked(Packer("p").pack(bound(window=Calendar(unit, zone)), now))
    first, second, third, fourth = fields[5:9]
    assert first < second <= now // 1000 < third < fourth


def test_what_was_packed_is_used_again_until_its_period_is_over() -> None:
    packer = Packer("p")
    minute = bound(window=Calendar("minute"))
    kept = packer.pack(minute, NOW)
    assert packer.pack(minute, NOW + 1) is kept
    later = packer.pack(minute, NOW + 60_000_000_000)
    assert later is not kept
    assert unpacked(later)[5] == unpacked(kept)[6]
    assert unpacked(packer.pack(minute, NOW)) == unpacked(kept), "the clock went back"


def test_limits_beyond_what_a_double_holds_are_rounded_down() -> None:
    assert unpacked(Packer("p").pack(bound(amount=2**60), NOW))[2] == 2**53


def test_a_batch_names_each_bound_once_and_keeps_the_order() -> None:
    one, other = bound("usd"), bound("requests", Rolling(60))
    plan, batch = Plan((one, other)), Batch()
    amounts = asked(Charge(nanos=7))
    batch.admit("h", plan.asked, amounts, 1.5)
    batch.force("h", plan.asked, amounts, 1.0, 0.25)
    batch.settle("h", amounts, taken=True)
    batch.extend("h", plan.extended, amounts, 2.0)
    batch.undo("h")
    batch.level(other)
    batch.put(one, 5)
    batch.put(one, 5, 3)
    bounds, operations, mark = msgspec.msgpack.decode(batch.encode(Packer("p"), NOW))
    assert [fields[0] for fields in bounds] == [counter_name("p", one), counter_name("p", other)]
    assert operations[0] == [ADMIT, "h", 1_500_000, 0, 0, 1, 7, 2, 1]
    assert operations[1] == [ADMIT, "h", 1_000_000, 1, 250_000, 1, 7, 2, 1]
    assert operations[2] == [SETTLE, "h", list(amounts), 1]
    assert operations[3] == [EXTEND, "h", 2_000_000, 2, 1]
    assert operations[4:] == [[UNDO, "h"], [LEVEL, 2], [PUT, 1, 5, -1], [PUT, 1, 5, 3]]
    assert mark == 60_000_000
    assert len(batch) == 8


def test_answers() -> None:
    answers = decode_answers(msgspec.msgpack.encode([5, 1, [9], [[1, 0, 0, 3]], [3]]))
    assert (answers.now, answers.expired, answers.resets, answers.answers, answers.used) == (
        5,
        1,
        [9],
        [[1, 0, 0, 3]],
        [3],
    )
    assert level_of([3, 4, 0]) == Level(3, 4, None)
    assert level_of([3, 4, 9]) == Level(3, 4, 9000)
