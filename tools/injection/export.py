"""From a fitted model to the numbers of a weights file."""

import numpy as np

from guardrails.injection.weights import Grams, Weights

from .learn import Model
from .matrix import KINDS

SMALLEST = 0.02
"""Features whose weight is smaller in every head are left out."""


def pack_model(model: Model, heads: list[str], note: str) -> Weights:
    table = np.stack([model.weights[head] for head in heads])
    scales = [float(np.abs(row).max() / 127) or 1.0 for row in table]
    small = np.stack([np.rint(row / scale) for row, scale in zip(table, scales, strict=True)]).astype(np.int8)
    kept = (np.abs(table) >= SMALLEST).any(axis=0)
    grams, start = {}, 0
    for kind, chosen in zip(KINDS, model.features.chosen, strict=True):
        stay = kept[start : start + len(chosen)]
        part = small[:, start : start + len(chosen)][:, stay]
        grams[kind] = Grams(chosen[stay].astype("<i8").tobytes(), [row.tobytes() for row in part])
        start += len(chosen)
    words = list(model.vocabulary)
    return Weights(
        words=words,
        classes=bytes(int(model.classes[number]) for number in range(1, len(words) + 1)),
        heads=heads,
        scales=scales,
        bias=[model.bias[head] for head in heads],
        grams=grams,
        calibration=model.calibration,
        note=note,
    )
