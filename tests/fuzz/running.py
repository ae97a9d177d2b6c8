"""What all fuzzers have in common: how long they run, from which seed, and what they say."""

import argparse
import random
import time
from collections.abc import Callable

One = Callable[[random.Random, int], str]
"""Tries one input, the so-manieth; what is wrong with it, empty: nothing."""


def arguments(doc: str | None) -> argparse.ArgumentParser:
    """`--seconds` and `--seed`; a fuzzer adds its own."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    return parser


def fuzz(given: argparse.Namespace, one: One, what: str = "text", more: Callable[[], str] = str) -> int:
    """Try inputs until the time is over, at least one; the exit code: 1 with the first that is wrong. `more`: what else
    is said in the end."""
    chance = random.Random(given.seed)
    until = time.monotonic() + given.seconds
    count = 0
    while not count or time.monotonic() < until:
        wrong = one(chance, count)
        if wrong:
            print(f"seed {given.seed}, {what} {count}: {wrong}")
            return 1
        count += 1
    print(f"seed {given.seed}: {count} {what}s, no difference{more()}")
    return 0
