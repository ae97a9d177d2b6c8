"""Judge the NER detector on a labelled corpus: `python tools/eval_ner.py CORPUS [--model-alone]`.

CORPUS: JSON lines with `text` and `spans` (`type`, `start`, `end`). Needs the extra `ner`. For each entity: recall (the
share of labelled spans that a finding of the type overlaps), precision (the share of findings that overlap a labelled
span of the type), exact recall (same start and end), with Wilson's 95 % intervals; and the time a text takes.
"""

import argparse
import json
import math
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

GOLD = {"PERSON": "PERSON", "LOCATION": "LOCATION", "GPE": "LOCATION", "ORGANIZATION": "ORGANIZATION", "NRP": "NRP",
        "DATE_TIME": "DATE_TIME", "ADDRESS": "ADDRESS", "STREET_ADDRESS": "ADDRESS"}  # fmt: skip
Span = tuple[str, int, int]


def load(path: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(path).read_text("utf-8").splitlines() if line]


def figures(rows: Sequence[dict[str, Any]], found: Sequence[Sequence[Span]]) -> str:
    lines = [f"{'entity':14}{'spans':>6}  {'recall':24}{'precision':24}exact recall"]
    for kind in dict.fromkeys(GOLD.values()):
        hits = exact = right = count = said = 0
        for row, spans in zip(rows, found, strict=True):
            gold = [(s["start"], s["end"]) for s in row["spans"] if GOLD.get(s["type"]) == kind]
            mine = [(start, end) for type_, start, end in spans if type_ == kind]
            hits += sum(any(a < d and c < b for c, d in mine) for a, b in gold)
            exact += sum(span in mine for span in gold)
            right += sum(any(a < d and c < b for c, d in gold) for a, b in mine)
            count, said = count + len(gold), said + len(mine)
        lines.append(
            f"{kind:14}{count:6}  {interval(hits, count):24}{interval(right, said):24}{exact / max(count, 1):.3f}"
        )
    return "\n".join(lines)


def interval(hits: int, count: int) -> str:
    """Share with Wilson's 95 % score interval."""
    if not count:
        return "-"
    share, z = hits / count, 1.96
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count)) / (1 + z * z / count)
    return f"{share:.3f} [{middle - half:.3f}, {middle + half:.3f}]"


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("corpus")
    options.add_argument("--model-alone", action="store_true", help="spaCy's own answers, without rules")
    options.add_argument("--model", default="", help="name or path of a spaCy model")
    given = options.parse_args()
    from gateway.inspection.ner.recognizer import Recognizer
    from gateway.inspection.ner.spacy_model import SpacyModel

    model = SpacyModel(given.model)
    recognizer = Recognizer(model)
    rows = load(given.corpus)
    start = time.perf_counter()
    if given.model_alone:
        entities = [
            each for at in range(0, len(rows), 64) for each in model([row["text"] for row in rows[at : at + 64]])
        ]
        found = [[(e.label, e.start, e.end) for e in each] for each in entities]
    else:
        matches = [m for at in range(0, len(rows), 64) for m in recognizer([row["text"] for row in rows[at : at + 64]])]
        found = [[(m.type, m.start, m.end) for m in each] for each in matches]
    seconds = time.perf_counter() - start
    length = sum(len(row["text"]) for row in rows) / len(rows)
    each = f"{seconds / len(rows) * 1000:.2f} ms a text of {length:.0f} characters"
    sys.stdout.write(f"{figures(rows, found)}\n{each}\n")


if __name__ == "__main__":
    main()
