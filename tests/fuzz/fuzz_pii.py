"""Fuzz the PII detector for a time: `python -m tests.fuzz.fuzz_pii --seconds 60 [--seed N] [--presidio]`.

Texts are grown from real and broken personal data. Each run checks the promises of `guardrails/detector.py`: stability
at random cuts, locality under another left context, and that the gate spares no match. With `--presidio` (needs
`presidio-analyzer` 2.2.366 installed; no model, no network) each text also goes through Presidio's analyzer, and what
it finds must be found: by a match that holds it, and of telephone numbers 97 % by matches that cover half.
`--write FILE` writes Presidio's answers for the frozen differential test instead. Exit 1 on the first difference.
"""

import json
import logging
import os
import random
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from guardrails.detector import Match
from guardrails.pii import DEFAULT, PiiDetector
from tests.fuzz.running import arguments, fuzz
from tests.guardrails.pii.texts import everywhere, grown, missed, scanner

PHONES = 0.03
"""Share of Presidio's telephone numbers that may be missing in such texts: junk that libphonenumber's matcher reads
into a chain because of where its scan stands."""
ZONE = re.compile(r"%[0-9A-Za-z]{33}")
"""A zone of an IP address that is longer than those that are taken: without it, ours ends before."""
Spans = list[tuple[str, int, int, float]]


def presidio() -> Callable[[str], Spans]:
    os.environ["TLDEXTRACT_PUBLIC_SUFFIX_LIST_URLS"] = ""
    logging.disable(logging.CRITICAL)
    import spacy  # pyright: ignore[reportMissingImports]
    from presidio_analyzer import AnalyzerEngine, RecognizerRegistry  # pyright: ignore[reportMissingImports]
    from presidio_analyzer.nlp_engine import SpacyNlpEngine  # pyright: ignore[reportMissingImports]

    class Blank(SpacyNlpEngine):  # pyright: ignore[reportUntypedBaseClass]
        def __init__(self) -> None:
            super().__init__(models=[{"lang_code": "en", "model_name": "blank"}])
            self.nlp = {"en": spacy.blank("en")}

        def load(self) -> None:
            """Nothing: no model is downloaded."""

    registry: Any = RecognizerRegistry(supported_languages=["en"])
    registry.load_predefined_recognizers(languages=["en"])
    registry.recognizers = [one for one in registry.recognizers if "Spacy" not in type(one).__name__]
    engine: Any = AnalyzerEngine(registry=registry, nlp_engine=Blank(), supported_languages=["en"])

    def analyze(text: str) -> Spans:
        found = engine.analyze(text, "en", entities=list(DEFAULT), score_threshold=0)
        return sorted((one.entity_type, one.start, one.end, round(one.score, 2)) for one in found)

    return analyze


def plain(chance: random.Random) -> str:
    """A text without what the detector's docstring says is different, so that spans can be compared."""
    return grown(chance, 6).translate(dict.fromkeys(map(ord, "\ud800ſ\u212a")))


def promises(detector: PiiDetector, scan: Callable[[str], list[Match]], text: str, chance: random.Random) -> str:
    """What is broken, "" for nothing."""
    whole = scan(text)
    for _ in range(6):
        cut = chance.randrange(len(text) + 1)
        place = detector.settled(text[:cut])
        if [m for m in scan(text[:cut]) if m.start < place] != [m for m in whole if m.start < place]:
            return f"not stable at {cut}"
    head, reach = grown(chance, 3), detector.reach.before
    moved = [(m.type, m.start - len(head), m.end - len(head), m.rule) for m in scan(head + text)]
    if [(m.type, m.start, m.end, m.rule) for m in whole if m.start >= reach] != [m for m in moved if m[1] >= reach]:
        return "not local"
    return "" if everywhere(detector, text) == whole else "the gate missed something"


def main() -> int:
    parser = arguments(__doc__)
    parser.add_argument("--presidio", action="store_true")
    parser.add_argument("--write", type=Path)
    options = parser.parse_args()
    if options.write:
        chance, analyze = random.Random(options.seed), presidio()
        texts = [plain(chance) for _ in range(400)]
        rows = [json.dumps({"text": text, "found": analyze(text)}) for text in texts]
        options.write.write_text("\n".join(rows) + "\n", "utf-8")
        return 0
    detectors = [(extra, PiiDetector(extra=extra)) for extra in (True, False)]
    scans = {extra: scanner(detector) for extra, detector in detectors}
    analyze = presidio() if options.presidio else None
    phones = lost_phones = 0

    def one(chance: random.Random, count: int) -> str:
        nonlocal phones, lost_phones
        text = grown(chance, 14)
        for extra, detector in detectors:
            if broken := promises(detector, scans[extra], text, chance):
                return f"{broken} (extra={extra}): {text!r}"
        if analyze is not None:
            text = plain(chance)
            theirs = analyze(text)
            lost = [one for one in missed(theirs, scans[False](text)) if not ZONE.search(text[one[1] : one[2]])]
            phones += sum(kind == "PHONE_NUMBER" for kind, *_ in theirs)
            lost_phones += sum(kind == "PHONE_NUMBER" for kind, *_ in lost)
            if any(kind != "PHONE_NUMBER" for kind, *_ in lost) or lost_phones > 10 + phones * PHONES:
                return f"Presidio finds {lost}: {text!r}"
        return ""

    return fuzz(options, one, more=lambda: f" but {lost_phones} of {phones} telephone numbers" if phones else "")


if __name__ == "__main__":
    sys.exit(main())
