"""What one request costs in the limit store of one worker: admit and settle, with everything the headers need.

    .venv/bin/python tools/bench_limits.py [--rounds 200000] [--repeat 7]

Four bounds: requests and tokens per rolling minute, money per calendar month, requests under way. Prints microseconds,
the best and the median of the repeats.
"""

import argparse
import statistics
import time

from gateway.clock import SystemClock
from gateway.limits.memory import MemoryStore
from gateway.quota import Bound, Calendar, Charge, Measure, Rolling, Rule, Window

RESERVED = Charge(input_tokens=1200, output_tokens=256, nanos=330_000)
ACTUAL = Charge(input_tokens=1100, output_tokens=96, nanos=220_000)


def bound(measure: Measure, window: Window | None, soft: int | None = None) -> Bound:
    rule = Rule(id=f"teams.search.{measure}", measure=measure, amount=10**15, window=window, soft=soft)
    return Bound(rule, rule.id, "t:search")


FOUR = (
    bound("requests", Rolling(60)),
    bound("tokens", Rolling(60)),
    bound("usd", Calendar("month", "Europe/Berlin"), 8 * 10**14),
    bound("concurrent", None),
)


def measure(bounds: tuple[Bound, ...], rounds: int, under_way: int) -> float:
    """Microseconds of one admit and one settle, with so many other holds under way."""
    store = MemoryStore(SystemClock())
    for number in range(under_way):
        store.admit_now(f"other-{number}", bounds, RESERVED, 600.0)
    names = [f"0190-{number:032}" for number in range(rounds)]
    admit, settle = store.admit_now, store.settle
    start = time.perf_counter_ns()
    for name in names:
        admit(name, bounds, RESERVED, 600.0)
        settle(name, ACTUAL)
    return (time.perf_counter_ns() - start) / rounds / 1000


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
        found = [measure(bounds, options.rounds, under_way) for _ in range(options.repeat)]
        print(f"{name:32} best {min(found):6.2f} µs   median {statistics.median(found):6.2f} µs")  # noqa: T201


if __name__ == "__main__":
    main()
