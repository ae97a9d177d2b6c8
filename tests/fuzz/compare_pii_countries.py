"""Compare every country's entity with Presidio's recognizer: `python -m tests.fuzz.compare_pii_countries --texts 500`.

Needs `presidio-analyzer` 2.2.366, without which there is nothing to compare with: that is said, and the exit code is 0.
Texts are made from each recognizer's own regexes, some of them broken. What Presidio
finds must lie within a match of ours with at least its score. `--write FILE` writes Presidio's answers for the frozen
test instead; texts of entities for which Presidio asks the clock are kept there only if it finds something. Exit 1 on
the first difference.
"""

import argparse
import inspect
import json
import logging
import random
import re._constants as op
import re._parser as parser
import sys
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from guardrails.pii import DEFAULT, PiiDetector, described
from tests.guardrails.pii.texts import scanner

BY_CLOCK = {"SG_UEN", "ZA_COMPANY_REGISTRATION", "ZA_ID_NUMBER"}
NEVER_BY_CHANCE = {"IN_GSTIN": ["27AAPFU0939F1ZV", "99AAPFU0939F1ZV", "27AA1111939F1ZV", "07AAACR5055K1Z5"]}
LEFT_OUT = ("IN_PAN", 0.01)
"""See the table in `guardrails/pii/detector.py`."""
FRAMES = ("%s", "it is %s now", "(%s)", "%s.")
FOUND, NOT_FOUND = 6, 4
"""Texts of each entity in the frozen file."""


class Maker:
    """Texts that a regex matches."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)

    def matching(self, tree: Any) -> str:
        return "".join(self.item(code, value) for code, value in tree)

    def item(self, code: Any, value: Any) -> str:
        if code is op.LITERAL:
            return chr(value)
        if code is op.IN:
            return self.chance.choice([letter for one in value for letter in self.members(*one)] or ["x"])
        if code is op.BRANCH:
            return self.matching(self.chance.choice(value[1]))
        if code is op.SUBPATTERN:
            return self.matching(value[3])
        if code in (op.MAX_REPEAT, op.MIN_REPEAT):
            low, high, inner = value
            turns = self.chance.randint(low, low + 3 if high is op.MAXREPEAT else min(high, low + 6))
            return "".join(self.matching(inner) for _ in range(turns))
        return "-" if code is op.GROUPREF else ""

    @staticmethod
    def members(code: Any, value: Any) -> str:
        if code is op.LITERAL:
            return chr(value)
        if code is op.RANGE:
            return "".join(map(chr, range(value[0], value[1] + 1)))
        kinds = {op.CATEGORY_DIGIT: "0123456789", op.CATEGORY_SPACE: " ", op.CATEGORY_WORD: "abXY09_"}
        return kinds.get(value, "") if code is op.CATEGORY else ""

    def texts(self, entity: str, recognizer: Any) -> Iterator[str]:
        trees = [parser.parse(pattern.regex.replace("(?i)", "")) for pattern in recognizer.patterns]
        yield from NEVER_BY_CHANCE.get(entity, [])
        while True:
            made = self.matching(self.chance.choice(trees))
            if self.chance.random() < 0.15:
                at = self.chance.randrange(len(made) + 1)
                made = made[:at] + self.chance.choice("0 -A9z") + made[at + self.chance.randint(0, 1) :]
            yield self.chance.choice(FRAMES) % made


def recognizers() -> dict[str, Any]:
    import presidio_analyzer.predefined_recognizers as package  # pyright: ignore[reportMissingImports]

    logging.disable(logging.CRITICAL)
    every = [kind() for _, kind in inspect.getmembers(package, inspect.isclass) if hasattr(kind, "PATTERNS")]
    by_entity = {one.supported_entities[0]: one for one in every}
    return {entity: by_entity[entity] for entity in sorted(described().keys() - set(DEFAULT))}


def theirs(recognizer: Any, entity: str, text: str) -> list[tuple[int, int, float]]:
    found = sorted((one.start, one.end, round(one.score, 2)) for one in recognizer.analyze(text, [entity]))
    return [one for one in found if (entity, one[2]) != LEFT_OUT]


def rows(maker: Maker, entity: str, recognizer: Any) -> Iterator[str]:
    """What the frozen file says of an entity."""
    counts = {True: 0, False: 0}
    for number, text in enumerate(maker.texts(entity, recognizer)):
        if number == 4_000 or (counts[True] >= FOUND and counts[False] >= NOT_FOUND):
            return
        found = theirs(recognizer, entity, text)
        if counts[bool(found)] >= (FOUND if found else NOT_FOUND) or (not found and entity in BY_CLOCK):
            counts[False] += entity in BY_CLOCK
            continue
        counts[bool(found)] += 1
        yield json.dumps({"entity": entity, "text": text, "found": found})


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--texts", type=int, default=500, help="of each entity")
    arguments.add_argument("--seconds", type=float, default=600.0, help="no more entities are begun after so long")
    arguments.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    arguments.add_argument("--write", type=Path)
    options = arguments.parse_args()
    if find_spec("presidio_analyzer") is None:
        print("presidio-analyzer is not installed: nothing compared")
        return 0
    maker = Maker(options.seed)
    if options.write:
        written = [row for entity, one in recognizers().items() for row in rows(maker, entity, one)]
        options.write.write_text("\n".join(written) + "\n", "utf-8")
        return 0
    compared = 0
    until = time.monotonic() + options.seconds
    asked = list(recognizers().items())
    maker.chance.shuffle(asked)
    for entity, recognizer in asked:
        if time.monotonic() > until:
            break
        scan = scanner(PiiDetector(frozenset({entity}), extra=False))
        for _, text in zip(range(options.texts), maker.texts(entity, recognizer), strict=False):
            ours = scan(text)
            for start, end, score in theirs(recognizer, entity, text):
                compared += 1
                if not any(m.start <= start and m.end >= end and m.score > score - 0.006 for m in ours):
                    print(f"Presidio finds {entity} {start, end, score} (seed {options.seed}): {text!r}")
                    return 1
    print(f"{compared} finds of Presidio's, all found (seed {options.seed})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
