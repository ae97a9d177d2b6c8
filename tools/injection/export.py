"""From a fitted model to the numbers of a weights file."""

import numpy as np

from guardrails.injection.model import LinearModel
from guardrails.injection.weights import Bag, Grams, Hint, Weights
from guardrails.injection.words import WIDE, starts_of

from .learn import Data, Floats, Model, scores
from .matrix import KINDS

SMALLEST = 0.008
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
        hints={name: _hint(*hint) for name, hint in model.hints.items()},
        calibration=model.calibration,
        bag=_bag(*model.bag) if model.bag else None,
        note=note,
    )


def _hint(gains: Floats, edge: float) -> Hint:
    """Rounded to a byte a word: a glance says which window is worth a look, not what it is."""
    scale = float(np.abs(gains).max() / 127) or 1.0
    return Hint(np.rint(gains / scale).astype(np.int8).tobytes(), round(edge / scale))


def _bag(rarity: Floats, gain: Floats, constant: float) -> Bag:
    """Gains are of words as much as they are rare; the length of a text is the root of the sum of squared rarities."""
    gains, parts = (rarity * gain)[1:], rarity[1:] ** 2
    up, long = 127 / max(1e-9, float(np.abs(gains).max())), 127 / max(1e-9, float(parts.max()))
    counted = np.where(parts > 0, np.maximum(1, np.rint(parts * long)), 0)
    return Bag(
        np.rint(gains * up).astype(np.int8).tobytes(),
        counted.astype(np.int8).tobytes(),
        float(np.sqrt(long) / up),
        constant,
    )


def difference(model: Model, weights: Weights, data: Data, count: int = 300) -> float:
    """The greatest difference between what was fitted and what the packed weights say, over some texts' best attack
    scores and bags: rounding and left out features, and the proof that both count the same features."""
    linear = LinearModel(weights)
    chosen = np.linspace(0, len(data.rows) - 1, count).astype(int)
    table = scores(model, data, chosen)
    fitted, packed = table[:, 0] + table[:, 4], []
    for row in chosen:
        words = [data.texts.names[number] for number in data.texts.words[row]]
        worth = linear.worth(linear.glance(words), WIDE, "attack", starts_of(len(words), WIDE))
        best = max(linear.score(words[start : start + WIDE.size], WIDE)[0] for start in worth)
        packed.append(best + linear.bag(set(words)))
    return float(np.quantile(np.abs(fitted - np.array(packed)), 0.99))
