"""Fit and judge the heads of unsafe content."""

# ruff: noqa: E501

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, roc_auc_score

from guardrails.injection.weights import Weights

from .export import pack_model
from .learn import PASSED, Floats, Model, hint, worthy
from .lexicon import lexicon
from .matrix import Features, Ints, Texts, choose_vocabulary, cut, keys

CATEGORIES = {
    "sexual": "S", "hate": "H", "violence": "V", "harassment": "HR", "self-harm": "SH", "sexual/minors": "S3",
    "hate/threatening": "H2", "violence/graphic": "V2",
}  # fmt: skip
FOLDS = 5


def load(folder: Path, harmless: Sequence[str]) -> tuple[Texts, dict[str, Floats]]:
    """Texts, and for each category their labels (nan: not known). Harmless texts of other sources are none of any."""
    entries = [json.loads(line) for line in (folder / "moderation.jsonl").read_text("utf-8").split("\n") if line]
    texts = Texts([entry["text"] for entry in entries] + list(harmless))
    labels = {}
    for name, short in CATEGORIES.items():
        known = [float(entry["categories"].get(short, np.nan)) for entry in entries]
        labels[name] = np.array(known + [0.0] * len(harmless))
    return texts, labels


def fit(texts: Texts, labels: dict[str, Floats], chosen: Ints, strength: float = 0.05) -> Model:
    vocabulary = choose_vocabulary(texts, list(chosen), least=2)
    words, names = lexicon(), sorted(set(lexicon().values()))
    classes = np.array([0, *(names.index(words[word]) + 1 if word in words else 0 for word in vocabulary)])
    windows = cut(texts, list(chosen), vocabulary)
    found = keys(windows, classes)
    model = Model(vocabulary, classes, Features.choose(found, windows.row, (1, 3, 10**9, 10**9, 3)))
    matrix = model.features.matrix(found, len(windows.row))
    many = np.bincount(windows.row, minlength=len(chosen))[windows.row]
    unsafe = np.nanmax(np.stack([np.zeros(len(chosen)), *(values[chosen] for values in labels.values())]), axis=0) == 1
    balance = np.where(unsafe, (~unsafe).sum() / max(1, unsafe.sum()), 1.0)[windows.row] / np.sqrt(many)
    model.hints["unsafe"] = hint(model, matrix, unsafe[windows.row], balance, windows, strength, PASSED["unsafe"])
    for name, values in labels.items():
        label = values[chosen][windows.row]
        known = ~np.isnan(label)
        positive = label[known] == 1
        balance = np.where(positive, max(1.0, 0.25 * (~positive).sum() / max(1, positive.sum())), 1.0)
        head = LogisticRegression(C=strength, solver="liblinear", max_iter=50)
        head.fit(matrix[known], positive, sample_weight=balance / np.sqrt(many[known]))
        model.weights[name], model.bias[name] = head.coef_[0], float(head.intercept_[0])
    return model


def scores(model: Model, texts: Texts, chosen: Ints) -> tuple[dict[str, Floats], Floats]:
    windows = cut(texts, list(chosen), model.vocabulary)
    matrix = model.features.matrix(keys(windows, model.classes), len(windows.row))
    best, worth = {}, worthy(windows, *model.hints["unsafe"])
    for name, weights in model.weights.items():
        best[name] = np.full(len(chosen), -np.inf)
        np.maximum.at(best[name], windows.row, np.where(worth, matrix @ weights + model.bias[name], -np.inf))
    return best, np.log2(np.bincount(windows.row, minlength=len(chosen)))


def train(folder: Path, harmless: Sequence[str], note: str) -> tuple[Weights, str]:
    """Weights, and a table of the figures by cross-validation over five parts of the only labelled source."""
    texts, labels = load(folder, harmless)
    everything = np.arange(len(texts.words))
    part = np.random.default_rng(0).integers(0, FOLDS, len(everything))
    out = {name: np.zeros(len(everything)) for name in labels}
    size = np.zeros(len(everything))
    for fold in range(FOLDS):
        model = fit(texts, labels, everything[part != fold])
        found, logs = scores(model, texts, everything[part == fold])
        size[part == fold] = logs
        for name, values in found.items():
            out[name][part == fold] = values
    model = fit(texts, labels, everything)
    table = ["| category | positive | AUC | average precision | recall at 1 % FPR |", "|---|---|---|---|---|"]
    for name, values in labels.items():
        real = ~np.isnan(values)
        labelled = real & (everything < len(everything) - len(harmless))
        line = LogisticRegression(C=1.0).fit(np.c_[out[name], size][real], values[real] == 1)
        model.calibration[name] = [
            max(0.0, float(line.coef_[0][0])),
            float(line.coef_[0][1]),
            float(line.intercept_[0]),
        ]
        label, score = values[labelled] == 1, out[name][labelled]
        edge = np.quantile(score[~label], 0.99)
        table.append(
            f"| {name} | {label.sum()} | {roc_auc_score(label, score):.3f} | {average_precision_score(label, score):.3f} | {(score[label] > edge).mean():.2f} |"
        )
    return pack_model(model, list(labels), note), "\n".join(table)
