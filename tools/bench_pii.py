"""Time of the PII detector and of Presidio's analyzer on the same texts: `python tools/bench_pii.py`.

Needs `hyperscan`, and for the comparison `presidio-analyzer` with spaCy's blank pipeline (no model, no network). Texts
of 2 KB are made up here: ordinary prose, a mail with a find in every sentence, and hardly anything but finds. Medians
of CPU time, so that a busy machine does not count.
"""

import argparse
import logging
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import hyperscan

from guardrails.detector import Hit
from guardrails.pii import DEFAULT, PiiDetector

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


def median(call: Callable[[], object], seconds: float) -> float:
    """Microseconds of CPU a call."""
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < 5 or time.perf_counter() < end:
        begun = time.process_time()
        call()
        times.append(time.process_time() - begun)
    return statistics.median(times) * 1e6


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
    parser.add_argument("--seconds", type=float, default=2.0, help="for each figure")
    parser.add_argument("--alone", action="store_true", help="without Presidio")
    options = parser.parse_args()
    detector = PiiDetector()
    database = hyperscan.Database()
    flags = [hyperscan.HS_FLAG_CASELESS * one.caseless for one in detector.expressions]
    patterns = [one.pattern.encode() for one in detector.expressions]
    database.compile(expressions=patterns, ids=list(range(len(patterns))), flags=flags)
    hits: list[Hit] = []

    def on_match(number: int, _start: int, end: int, _flags: int, _context: object) -> None:
        hits.append(Hit(number, end))

    def gate(given: str) -> None:
        hits.clear()
        database.scan(given.encode("utf-8", "surrogatepass"), match_event_handler=on_match)

    theirs = None if options.alone else presidio()
    heads = ("gate us", "confirm us", "both us", "settled us", "presidio us")
    print(f"{'text':8}{'hits':>6}{'found':>7}" + "".join(f"{head:>12}" for head in heads) + f"{'times':>7}")  # noqa: T201
    for kind in ("clean", "mail", "dense"):
        given = text(kind, options.size)
        gate_us = median(lambda given=given: gate(given), options.seconds)
        seen = list(hits)
        found = len(detector.confirm(given, seen))
        confirm_us = median(lambda given=given, seen=seen: detector.confirm(given, seen), options.seconds)
        settled_us = median(lambda given=given: detector.settled(given), options.seconds / 4)
        both = gate_us + confirm_us
        row = f"{kind:8}{len(seen):6}{found:7}{gate_us:12.1f}{confirm_us:12.1f}{both:12.1f}{settled_us:12.2f}"
        if theirs is not None:
            their_us = median(lambda given=given: theirs(given), options.seconds * 2)
            row += f"{their_us:12.0f}{their_us / both:7.0f}"
        print(row)  # noqa: T201


if __name__ == "__main__":
    main()
