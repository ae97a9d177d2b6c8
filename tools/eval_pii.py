"""Recall and precision of the PII detector by entity: `python tools/eval_pii.py CORPUS.jsonl [--threshold 0.3]`.

One JSON object a line: `text` and `spans` of `type`, `start`, `end`. A span counts as found when a match of its type
covers at least half of it, a match as right when at least half of it lies in spans of its type. `--half 0|1` takes the
texts whose hash is even or odd, so that what was tuned on one half can be judged on the other; `--extra no` leaves the
rules out that go beyond Presidio; `--wrong TYPE` shows the texts where that type failed.
"""

import argparse
import hashlib
import json
import sys
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import hyperscan

from guardrails.detector import Hit, Match
from guardrails.pii import PiiDetector

NAMES = {"DOMAIN_NAME": "URL"}
"""The corpus's name of an entity → ours."""


def scanner(detector: PiiDetector) -> Callable[[str], list[Match]]:
    """The detector behind a gate of its own."""
    database = hyperscan.Database()
    database.compile(
        expressions=[one.pattern.encode() for one in detector.expressions],
        ids=list(range(len(detector.expressions))),
        flags=[
            hyperscan.HS_FLAG_CASELESS * one.caseless | hyperscan.HS_FLAG_PREFILTER * one.prefilter
            for one in detector.expressions
        ],
    )
    hits: list[Hit] = []

    def on_match(number: int, _start: int, end: int, _flags: int, _context: object) -> None:
        hits.append(Hit(number, end))

    def scan(text: str) -> list[Match]:
        hits.clear()
        database.scan(text.encode("utf-8", "surrogatepass"), match_event_handler=on_match)
        return detector.confirm(text, hits)

    return scan


def covered(start: int, end: int, others: list[tuple[int, int]]) -> bool:
    """Whether half of the span lies within the others."""
    inside = sum(max(0, min(end, high) - max(start, low)) for low, high in others)
    return 2 * inside >= end - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--threshold", type=float, default=0.0)
    parser.add_argument("--half", type=int, choices=(0, 1))
    parser.add_argument("--extra", choices=("yes", "no"), default="yes")
    parser.add_argument("--wrong", default="")
    options = parser.parse_args()
    detector = PiiDetector(extra=options.extra == "yes")
    scan = scanner(detector)
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for line in options.corpus.read_text("utf-8").splitlines():
        row = json.loads(line)
        text = row["text"]
        if options.half is not None and hashlib.sha256(text.encode()).digest()[0] % 2 != options.half:
            continue
        spans: dict[str, list[tuple[int, int]]] = defaultdict(list)
        for span in row["spans"]:
            spans[NAMES.get(span["type"], span["type"])].append((span["start"], span["end"]))
        found: dict[str, list[tuple[int, int]]] = defaultdict(list)
        for match in scan(text):
            if match.score >= options.threshold:
                found[match.type].append((match.start, match.end))
        for kind in spans.keys() | found.keys():
            wanted = [covered(*span, found[kind]) for span in spans[kind]]
            right = [covered(*span, spans[kind]) for span in found[kind]]
            for at, value in enumerate((len(wanted), sum(wanted), len(right), sum(right))):
                counts[kind][at] += value
            if kind == options.wrong and not (all(wanted) and all(right)):
                missed = [text[slice(*span)] for span, hit in zip(spans[kind], wanted, strict=True) if not hit]
                false = [text[slice(*span)] for span, hit in zip(found[kind], right, strict=True) if not hit]
                print(json.dumps({"missed": missed, "false": false, "text": text[:160]}))  # noqa: T201
    print(f"{'entity':22}{'spans':>7}{'recall':>8}{'matches':>9}{'precision':>11}")  # noqa: T201
    for kind, (spans_, hit, matches, right_) in sorted(counts.items()):
        if (spans_ and matches) or kind in detector.entities:
            recall = f"{hit / spans_:.3f}" if spans_ else "-"
            precision = f"{right_ / matches:.3f}" if matches else "-"
            print(f"{kind:22}{spans_:7}{recall:>8}{matches:9}{precision:>11}")  # noqa: T201


if __name__ == "__main__":
    main()
