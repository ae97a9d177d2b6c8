"""Time of the injection and moderation classifiers: `python tools/bench_injection.py [--stages]`.

Texts of 200 characters, 2 KB and 20 KB: a paragraph over and over (`same`), pages of Python's documentation that are
never the same twice (`pages`), sentences of a grammar in ever new order (`prose`), as a user's text and as a tool's.
Medians of CPU time, so that a busy machine counts less; `wall` is the median by the clock.
"""

import argparse
import pydoc_data.topics
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tools")]

from injection.grammar import Grammar  # noqa: E402

from guardrails.injection import InjectionClassifier, SafetyClassifier  # noqa: E402
from guardrails.injection.decode import spans  # noqa: E402
from guardrails.injection.fold import fold  # noqa: E402
from guardrails.injection.words import tokens  # noqa: E402

SAME = (
    "The committee met in the old library and talked about the roof for most of the morning. Nobody had read the "
    "report, but everybody had an opinion about it, and the chair let them speak. In the end they agreed to ask two "
    "builders for an offer, to think about the garden in spring, and to meet again when the days are longer. "
)
SIZES = (200, 2_000, 20_000)


def same(size: int) -> Iterator[str]:
    text = (SAME * (size // len(SAME) + 1))[:size]
    while True:
        yield text


def pages(size: int) -> Iterator[str]:
    whole = "\n\n".join(pydoc_data.topics.topics.values())
    at = 0
    while True:
        yield (whole[at:] + whole)[:size]
        at = (at + size + 7) % (len(whole) - size)


def prose(size: int) -> Iterator[str]:
    grammar, rng = Grammar(), random.Random(1)  # noqa: S311
    while True:
        said: list[str] = []
        length = 0
        while length < size:
            said.append(grammar.make("plain", rng))
            length += len(said[-1]) + 1
        yield " ".join(said)[:size]


def measure(call: Callable[[str], object], texts: Iterator[str], count: int) -> tuple[float, float]:
    """Medians of CPU time and of time by the clock, in microseconds a call."""
    cpu: list[float] = []
    wall: list[float] = []
    for text in islice(texts, count):
        began, started = time.perf_counter(), time.thread_time()
        call(text)
        cpu.append(time.thread_time() - started)
        wall.append(time.perf_counter() - began)
    return statistics.median(cpu[count // 10 :]) * 1e6, statistics.median(wall[count // 10 :]) * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stages", action="store_true", help="also what each stage takes")
    parser.add_argument("--count", type=int, default=300, help="texts of 2 KB for each figure")
    given = parser.parse_args()
    injection, safety = InjectionClassifier(), SafetyClassifier()
    calls: dict[str, Callable[[str], object]] = {
        "injection as user": lambda text: injection.judge(text, "user"),
        "injection as tool": lambda text: injection.judge(text, "tool"),
        "moderation": lambda text: safety.judge(text, "user"),
    }
    if given.stages:
        calls |= {
            "folding": fold,
            "lower case, words": lambda text: tokens(text.lower()),
            "encoded spans": spans,
        }
    columns = [f"{kind} {size}" for kind in ("same", "pages", "prose") for size in SIZES]
    print(f"{'us a text: CPU (wall)':24}" + "".join(f"{column:>20}" for column in columns))  # noqa: T201
    for name, call in calls.items():
        cells: list[str] = []
        for source in (same, pages, prose):
            for size in SIZES:
                cpu, wall = measure(call, source(size), max(20, given.count * 2_000 // max(size, 2_000)))
                cells.append(f"{cpu:10.0f} ({wall:6.0f})")
        print(f"{name:24}" + "".join(f"{cell:>20}" for cell in cells), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
