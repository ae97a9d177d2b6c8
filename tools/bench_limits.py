"""What one request costs in the limit store of one worker: admit and settle, with everything the headers need.

    .venv/bin/python tools/bench_limits.py [--rounds 200000] [--repeat 7]

Four bounds: requests and tokens per rolling minute, money per calendar month, requests under way. Then what it costs to
learn from an answer, and to ask what is expected. Prints microseconds of CPU time, the best and the median.
"""

import argparse
import statistics
import time
from collections.abc import Sequence

from gateway.clock import SystemClock
from gateway.limits.learned import LearnedOutput
from gateway.limits.memory import MemoryStore
from gateway.quota import Bound, Calendar, Charge, Measure, Rolling, Rule, Window

RESERVED = Charge(input_tokens=1200, output_tokens=256, nanos=330_000)
ACTUAL = Charge(input_tokens=1100, output_tokens=96, nanos=220_000)


def bound(measure: Measure, amount: int, window: Window | None, soft: int | None = None) -> Bound:
    rule = Rule(id=f"teams.search.{measure}", measure=measure, amount=amount, window=window, soft=soft)
    return Bound(rule, rule.id, "t:search")


FOUR = (
    bound("requests", 10**9, Rolling(60)),
    bound("tokens", 10**12, Rolling(60)),
    bound("usd", 10**15, Calendar("month", "Europe/Berlin"), 8 * 10**14),
    bound("concurrent", 10_000, None),
)


def measure(bounds: tuple[Bound, ...], rounds: int, under_way: int) -> float:
    """Microseconds of one admit and one settle, with so many other holds under way."""
    store = MemoryStore(SystemClock())
    for number in range(under_way):
        store.admit_now(f"other-{number}", bounds, RESERVED, 600.0)
    names = [f"0190-{number:032}" for number in range(rounds)]
    admit, settle = store.admit_now, store.settle
    start = time.process_time_ns()
    for name in names:
        admit(name, bounds, RESERVED, 600.0)
        settle(name, ACTUAL)
    return (time.process_time_ns() - start) / rounds / 1000


def learn(rounds: int) -> tuple[float, float]:
    """Microseconds of one observation, and of one question (with an observation in between, that is taken off)."""
    learned = LearnedOutput()
    lengths = [(number * 7919) % 4000 for number in range(rounds)]
    observe, expected = learned.observe, learned.expected
    times: list[int] = []
    for asks in (False, True):
        start = time.process_time_ns()
        for length in lengths:
            observe("search", "gpt-4o-mini", length)
            if asks:
                expected("search", "gpt-4o-mini", 0.95)
        times.append(time.process_time_ns() - start)
    return times[0] / rounds / 1000, (times[1] - times[0]) / rounds / 1000


def show(name: str, found: Sequence[float]) -> None:
    print(f"{name:32} best {min(found):6.2f} µs   median {statistics.median(found):6.2f} µs")  # noqa: T201


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=200_000)
    parser.add_argument("--repeat", type=int, default=7)
    options = parser.parse_args()
    for name, bounds, under_way in (
        ("no bound", (), 0),
        ("one bound", FOUR[:1], 0),
        ("four bounds", FOUR, 0),
        ("four bounds, 1,000 under way", FOUR, 1000),
    ):
        show(name, [measure(bounds, options.rounds, under_way) for _ in range(options.repeat)])
    observed, asked = zip(*(learn(options.rounds) for _ in range(options.repeat)), strict=True)
    show("learn from an answer", observed)
    show("ask what is expected", asked)


if __name__ == "__main__":
    main()
