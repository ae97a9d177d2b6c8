"""Time of the PII detector and of Presidio's analyzer on the same texts: `python tools/bench_pii.py`.

For the comparison it needs `presidio-analyzer` with spaCy's blank pipeline (no model, no network). Texts of 2 KB are
made up here: ordinary prose, a mail with a find in every sentence, and hardly anything but finds. `--corpus FILE` adds
two of that file's texts one after the other (JSON lines with `text` and `spans`): all of them in turn, and only those
with some entity that both know. Both are measured in turn, with warm caches; the first decile of CPU time counts,
since neighbours on the machine cost caches.
"""

import argparse
import json
import logging
import os
import random
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from guardrails.matching.gate import open_gate
from guardrails.pii import DEFAULT, PiiDetector
from guardrails.scanner import Scanner

ROUNDS = 5
CLEAN = (
    "The committee met in the old library and talked about the roof for most of the morning. Nobody had read the "
    "report, but everybody had an opinion about it, and the chair let them speak. In the end they agreed to ask two "
    "builders for an offer, to think about the garden in spring, and to meet again when the days are longer. "
)
DENSE = (
    "Write to anna.lind{n}@example.org or call +1 (212) 555-01{n}. Her card 4111 1111 1111 1111 is billed to "
    "GB82 WEST 1234 5698 7654 32, her SSN is 536-22-81{n}, and the server 10.20.30.{n} answers at "
    "https://shop.example.com/orders/{n}?page=2. Fax 020 7946 09{n}, born 12/03/1981, passport C012345{n}. "
)


MAIL = (
    "Dear Anna, thank you for your order of last week. We have sent the parcel to the old address and ask you to call "
    "020 7946 09{n} if it does not come. The invoice goes to anna{n}@example.org, as you said when we met in the shop. "
)


def text(kind: str, size: int) -> str:
    if kind == "mail":
        return "".join(MAIL.format(n=10 + n) for n in range(80))[:size]
    pieces = [CLEAN] * (size // len(CLEAN) + 1) if kind == "clean" else [DENSE.format(n=10 + n) for n in range(80)]
    return "".join(pieces)[:size]


def corpus(path: Path, size: int) -> dict[str, str]:
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    random.Random(1).shuffle(rows)  # noqa: S311
    known = [row for row in rows if not set(DEFAULT).isdisjoint(span["type"] for span in row["spans"])]
    return {kind: "\n".join(row["text"] for row in some)[:size] for kind, some in (("corpus", rows), ("finds", known))}


def quick(calls: list[Callable[[], object]], seconds: float) -> list[float]:
    """Microseconds of CPU of each call, in rounds, each with its caches warm: the fastest tenth is slower than that."""
    times: list[list[float]] = [[] for _ in calls]
    for _ in range(ROUNDS):
        for call, own in zip(calls, times, strict=True):
            call()
            end = time.perf_counter() + seconds / ROUNDS / len(calls)
            while len(own) < 2 or time.perf_counter() < end:
                begun = time.process_time()
                call()
                own.append(time.process_time() - begun)
    return [statistics.quantiles(own, n=10)[0] * 1e6 for own in times]


def presidio() -> Callable[[str], Any]:
    os.environ["TLDEXTRACT_PUBLIC_SUFFIX_LIST_URLS"] = ""
    logging.disable(logging.CRITICAL)
    import spacy
    from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
    from presidio_analyzer.nlp_engine import SpacyNlpEngine

    class Blank(SpacyNlpEngine):
        def __init__(self) -> None:
            super().__init__(models=[{"lang_code": "en", "model_name": "blank"}])
            self.nlp = {"en": spacy.blank("en")}

        def load(self) -> None:
            """Nothing: no model is downloaded."""

    registry = RecognizerRegistry(supported_languages=["en"])
    registry.load_predefined_recognizers(languages=["en"])
    registry.recognizers = [one for one in registry.recognizers if "Spacy" not in type(one).__name__]
    engine = AnalyzerEngine(registry=registry, nlp_engine=Blank(), supported_languages=["en"])
    return lambda given: engine.analyze(given, "en", entities=list(DEFAULT), score_threshold=0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=2048, help="characters")
    parser.add_argument("--seconds", type=float, default=4.0, help="for each text")
    parser.add_argument("--corpus", type=Path, help="JSON lines")
    parser.add_argument("--alone", action="store_true", help="without Presidio")
    options = parser.parse_args()
    detector = PiiDetector()
    scanner = Scanner([detector], gate=open_gate)
    gate = scanner.gate
    assert gate is not None

    def ours(given: str) -> object:
        seen = scanner.by_detector(gate.scan(given.encode()))
        return detector.confirm(given, seen[0]) if seen else None

    theirs = None if options.alone else presidio()
    texts = {kind: text(kind, options.size) for kind in ("clean", "mail", "dense")}
    texts |= corpus(options.corpus, options.size) if options.corpus else {}
    heads = ("gate us", "both us", "settled us", "presidio us")
    print(f"{'text':8}{'hits':>6}{'found':>7}" + "".join(f"{head:>12}" for head in heads) + f"{'times':>7}")  # noqa: T201
    for kind, given in texts.items():
        seen = scanner.by_detector(gate.scan(given.encode())).get(0, [])
        calls: list[Callable[[], object]] = [
            lambda given=given: gate.scan(given.encode()),
            lambda given=given: ours(given),
            lambda given=given: detector.settled(given),
        ]
        if theirs is not None:
            calls.append(lambda given=given: theirs(given))
        gate_us, both, settled, *their = quick(calls, options.seconds)
        row = f"{kind:8}{len(seen):6}{len(detector.confirm(given, seen)):7}{gate_us:12.1f}{both:12.1f}{settled:12.2f}"
        print(row + "".join(f"{one:12.0f}{one / both:7.0f}" for one in their))  # noqa: T201


if __name__ == "__main__":
    main()
