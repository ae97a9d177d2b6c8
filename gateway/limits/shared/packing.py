"""What is said to the script `turn.lua` and what it answers, as bytes. No I/O.

A `Batch` collects what one turn of the loop asks of the counters of one place. Bounds are packed once and kept: of a
calendar window the previous, the running and the next period are named, because the script cannot compute them and
must choose by the server's clock.
"""

from collections.abc import Sequence
from importlib import resources
from typing import Any

import msgspec

from gateway.limits.decide import Amounts
from gateway.limits.shared.lease import Report
from gateway.limits.shared.plans import MICROS, Asked
from gateway.limits.windows import Period, period
from gateway.quota import BUCKETS, MEASURES, Bound, Calendar, Level, Rolling, Rule, Smooth

ADMIT, SETTLE, EXTEND, UNDO, LEVEL, PUT, LEASE, RESTORE = 1, 2, 3, 4, 5, 6, 7, 8
MARK_SECONDS = 60
"""How long it is remembered that a hold was settled."""

_ROLLING, _CALENDAR, _SMOOTH, _GAUGE = 1, 2, 3, 4
_EXACT = 2**53
"""The script's numbers are doubles. Larger limits are rounded down to one; larger amounts count as this, which is more
than any rule has (`quota.MOST`), so that it is refused wherever something can be. What a provider or a price list that
has gone mad says of one request must not be more than a message can hold: nobody else's would go out with it."""
_MEASURE_NUMBER = {measure: number for number, measure in enumerate(MEASURES, 1)}

_SHORT = ("second", "minute", "hour")
_LONG = 3600
"""Seconds of a rolling window."""
_LISTED = frozenset(("team", "key", "model", "provider"))
"""By what counters may be apart to be known to the ledger: see `gateway.limits.program`."""

Packed = msgspec.Raw


def script(name: str) -> bytes:
    """Source of one of our Lua scripts."""
    return resources.files("gateway.limits.shared").joinpath("lua", name).read_bytes()


def counter_name(prefix: str, bound: Bound) -> str:
    """The Redis key of a bound's counter. Windows of another kind or length are other counters; of another zone or
    rate they are not."""
    match bound.rule.window:
        case Rolling(seconds=seconds):
            window = f"{seconds}s"
        case Calendar(unit=unit):
            window = unit
        case Smooth():
            window = "rate"
        case None:
            window = "now"
    return f"{prefix}:{{{bound.group}}}:{window}:{bound.rule.measure}:{bound.key}"


def _is_in_ledger(bound: Bound) -> bool:
    """Whether a counter that the server drops can be counted again, and lives long enough to be dropped for want of
    use."""
    rule, window = bound.rule, bound.rule.window
    lasting = isinstance(window, Calendar) and window.unit not in _SHORT
    lasting |= isinstance(window, Rolling) and window.seconds >= _LONG
    return lasting and _LISTED.issuperset(rule.each)


class Packer:
    """Packs bounds, and keeps them packed as long as their periods are the right ones."""

    def __init__(self, prefix: str, most: int = 20_000) -> None:
        self._prefix = prefix
        self._most = most
        self._kept: dict[Bound, tuple[Packed, int, int]] = {}
        self._periods: dict[Calendar, tuple[Period, Period, Period]] = {}

    def pack(self, bound: Bound, now_ns: int) -> Packed:
        """`now_ns` is the server's wall clock, as far as it is known."""
        kept = self._kept.get(bound)
        if kept is not None and kept[1] <= now_ns < kept[2]:
            return kept[0]
        if len(self._kept) >= self._most:
            self._kept.clear()
        kept = self._kept[bound] = self._pack(bound, now_ns)
        return kept[0]

    def _pack(self, bound: Bound, now_ns: int) -> tuple[Packed, int, int]:
        rule = bound.rule
        kind, extent, since, until = self._window(rule, now_ns)
        soft = -1 if rule.soft is None else rule.soft
        lenient = 1 if bound.lenient or rule.when_exhausted == "warn" else 0
        number = _MEASURE_NUMBER[rule.measure]
        name = counter_name(self._prefix, bound)
        amount = min(rule.amount, _EXACT)
        if kind == _SMOOTH and not amount:
            # A rate of 0 lets nothing through: no burst, and nothing to divide by 0.
            amount, extent = 1, (*extent[:1], 0, 0, 0)
        fields = (name, kind, amount, soft, lenient, *extent, number, 1 if _is_in_ledger(bound) else 0)
        return Packed(msgspec.msgpack.encode(fields)), since, until

    def _window(self, rule: Rule, now_ns: int) -> tuple[int, tuple[int, int, int, int], int, int]:
        """Kind, its four numbers, and from and until when (ns) they hold."""
        match rule.window:
            case Rolling(seconds=seconds):
                return _ROLLING, (-(-seconds * MICROS // BUCKETS), 0, 0, 0), 0, _EXACT << 10
            case Smooth(seconds=seconds, burst=burst):
                return _SMOOTH, (seconds * MICROS, burst, 0, 0), 0, _EXACT << 10
            case Calendar():
                before, running, after = self._around(rule.window, now_ns)
                starts = (before.start_ns, running.start_ns, after.start_ns, after.end_ns)
                first, second, third, fourth = (start // 1000 for start in starts)
                return _CALENDAR, (first, second, third, fourth), running.start_ns, running.end_ns
            case None:
                return _GAUGE, (0, 0, 0, 0), 0, _EXACT << 10

    def _around(self, calendar: Calendar, now_ns: int) -> tuple[Period, Period, Period]:
        known = self._periods.get(calendar)
        if known is None or not known[1].start_ns <= now_ns < known[1].end_ns:
            running = period(calendar, now_ns)
            before, after = period(calendar, running.start_ns - 1), period(calendar, running.end_ns)
            known = self._periods[calendar] = before, running, after
        return known


class Batch:
    """Operations in order, and the bounds they speak of. Positions of bounds count from 1, as Lua does."""

    __slots__ = ("_numbers", "bounds", "operations")

    def __init__(self) -> None:
        self._numbers: dict[Bound, int] = {}
        self.bounds: list[Bound] = []
        self.operations: list[Sequence[Any]] = []

    def __len__(self) -> int:
        return len(self.operations)

    def _number(self, bound: Bound) -> int:
        number = self._numbers.get(bound)
        if number is None:
            self.bounds.append(bound)
            number = self._numbers[bound] = len(self.bounds)
        return number

    def admit(self, hold: str, asked: Sequence[Asked], amounts: Amounts, seconds: float) -> None:
        self._take([ADMIT, hold, int(seconds * MICROS), 0, 0], asked, amounts)

    def force(self, hold: str, asked: Sequence[Asked], amounts: Amounts, seconds: float, age: float) -> None:
        """Take without asking: it was admitted elsewhere, `age` seconds ago."""
        self._take([ADMIT, hold, int(seconds * MICROS), 1, int(age * MICROS)], asked, amounts)

    def _take(self, operation: list[Any], asked: Sequence[Asked], amounts: Amounts) -> None:
        numbers = self._numbers
        for one in asked:
            operation.append(numbers.get(one.bound) or self._number(one.bound))
            operation.append(min(amounts[one.pick], _EXACT))
        self.operations.append(operation)

    def settle(self, hold: str, actual: Amounts, taken: bool) -> None:
        """`taken`: it was taken here before, and is not to be taken for unknown."""
        if max(actual) > _EXACT:
            actual = tuple([min(amount, _EXACT) for amount in actual])  # pyright: ignore[reportAssignmentType]
        self.operations.append((SETTLE, hold, actual, 1 if taken else 0))

    def extend(self, hold: str, asked: Sequence[Asked], more: Amounts, seconds: float) -> None:
        self._take([EXTEND, hold, int(seconds * MICROS)], asked, more)

    def undo(self, hold: str) -> None:
        self.operations.append((UNDO, hold))

    def level(self, bound: Bound) -> None:
        self.operations.append((LEVEL, self._number(bound)))

    def put(self, bound: Bound, used: int, seen: int | None = None) -> None:
        self.operations.append((PUT, self._number(bound), min(used, _EXACT), -1 if seen is None else seen))

    def restore(self, bound: Bound, place_us: int, amount: int, ledger: str) -> None:
        """By this ledger, `amount` in all was used at this place before the counter was lost; see `turn.lua`."""
        self.operations.append((RESTORE, self._number(bound), place_us, min(amount, _EXACT), ledger))

    def lease(self, name: str, bound: Bound, said: Report, life: float, part: float) -> None:
        """Say what was spent of a lease, and ask for more: at most `part` of what is left. It is over when nothing is
        said of it for `life` seconds."""
        number = self._number(bound)
        life_us = int(life * MICROS)
        entries = [min(each, _EXACT) for each in said.entries]
        want, least = min(said.want, _EXACT), min(said.least, _EXACT)
        self.operations.append((LEASE, name, life_us, number, said.number, entries, want, least, part))

    def encode(self, packer: Packer, now_ns: int) -> bytes:
        """The script's argument."""
        packed = [packer.pack(bound, now_ns) for bound in self.bounds]
        return msgspec.msgpack.encode((packed, self.operations, MARK_SECONDS * MICROS))


class Answers(msgspec.Struct, array_like=True, frozen=True):
    """The script's answer."""

    now: int
    """The server's clock, microseconds."""
    expired: int
    """Holds given back because nobody settled them."""
    resets: list[int]
    """Microseconds for each bound."""
    answers: list[Any]
    """One for each operation; see the script."""
    used: list[int]
    """What each bound's counter holds in the end."""


decode_answers = msgspec.msgpack.Decoder(Answers).decode


def level_of(answer: Sequence[int], free: int = 0) -> Level:
    """The answer to `Batch.level`; `free` of what is reserved is so for nobody yet."""
    used, reserved, ends = answer
    return Level(used, max(0, reserved - free), ends * 1000 or None)
