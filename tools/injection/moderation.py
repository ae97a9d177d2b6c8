"""Fit and judge the heads of unsafe content."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score

from guardrails.injection.weights import Weights

from .export import pack_model
from .gathered import scored
from .learn import PASSED, Floats, Model, hint, logistic, worthy
from .lexicon import lexicon
from .matrix import Features, Ints, Texts, choose_vocabulary, cut, keys
from .meaning import Meaning
from .teachers import beside
from .unsafe import SCORED as PROMPTS
from .unsafe import Taught, taught

CATEGORIES = {
    "sexual": "S", "hate": "H", "violence": "V", "harassment": "HR", "self-harm": "SH", "sexual/minors": "S3",
    "hate/threatening": "H2", "violence/graphic": "V2",
}  # fmt: skip
FOLDS = 5
HEADER = (
    "| category | positive | AUC | average precision | best F1 | recall at 1 % FPR | recall at 5 % FPR "
    "| of PyRIT's answers: positive | AUC | AUC, all held out | of RealToxicityPrompts: positive | AUC, all held out |"
)
STRENGTH = 0.05
ADVISED = ("hate", "harassment")
"""Categories whose heads hear what others' models think of a word; the others gain nothing by it."""
MEANT = 1.0
"""Length of the words' vectors, as in `learn`."""


SCORED = {
    "sexual": "sexual", "self_harm": "self-harm", "violence": "violence", "violence_multi_score": "violence",
    "hate_speech": "hate", "hate_speech_multi_score": "hate", "mini_hate_speech": "hate",
}  # fmt: skip
"""Sets of answers that people judged for harm, as PyRIT ships them, and the category each speaks of."""
STRONG, WEAK = 0.75, 0.0
"""Harm from which an answer is of its category, and up to which it is not; between them it is not known."""


@dataclass
class Labelled:
    texts: Texts
    labels: dict[str, Floats]
    """For each category: 1, 0 or nan for not known."""
    part: Ints
    """Into which part of the cross-validation a text falls: answers to one question into the same. -1: learnt from in
    every part, and judged only by a model that learnt from none of these."""
    weight: Floats
    """What a text counts while fitting."""
    judged: int
    """How many texts, the first ones, are of the source that all categories are judged by."""
    answers: int
    """How many texts after them are PyRIT's answers."""


def load(folder: Path, harmless: Sequence[str], more: Sequence[Taught] = ()) -> Labelled:
    """Texts of OpenAI's set, PyRIT's answers, harmless texts of other sources, which are none of any category, and
    `more` to learn from."""
    entries = [json.loads(line) for line in (folder / "moderation.jsonl").read_text("utf-8").split("\n") if line]
    answers = [(SCORED[name], *row) for name in SCORED for row in scored(name)]
    texts = [entry["text"] for entry in entries] + [answer[:4000] for _, _, answer, _ in answers] + list(harmless)
    judged = len(texts)
    texts += [row.text for row in more]
    labels = {}
    for name, short in CATEGORIES.items():
        known = [float(entry["categories"].get(short, np.nan)) for entry in entries]
        for category, _, _, harm in answers:
            known.append(float(harm >= STRONG) if category == name and (harm >= STRONG or harm <= WEAK) else np.nan)
        said = [row.labels.get(name, np.nan) for row in more]
        labels[name] = np.array(known + [0.0] * len(harmless) + said)
    rng = np.random.default_rng(0)
    asked = {question: int(rng.integers(0, FOLDS)) for question in sorted({row[1] for row in answers})}
    part = np.array([int(rng.integers(0, FOLDS)) for _ in range(judged)] + [-1] * len(more))
    part[len(entries) : len(entries) + len(answers)] = [asked[row[1]] for row in answers]
    weight = np.array([1.0] * judged + [row.weight for row in more])
    return Labelled(Texts(texts), labels, part, weight, len(entries), len(answers))


def fit(data: Labelled, chosen: Ints, meaning: Meaning, strength: float = STRENGTH) -> Model:
    vocabulary = choose_vocabulary(data.texts, list(chosen), least=2, meaning=meaning)
    words, names = lexicon(), sorted(set(lexicon().values()))
    classes = np.array([0, *(names.index(words[word]) + 1 if word in words else 0 for word in vocabulary)])
    windows = cut(data.texts, list(chosen), vocabulary)
    found = keys(windows, classes)
    model = Model(vocabulary, classes, Features.choose(found, windows.row, (1, 3, 10**9, 10**9, 3)))
    model.vectors = MEANT * meaning.vectors(vocabulary)
    model.features.chosen[0] = np.arange(1, len(vocabulary) + 1)
    matrix = model.features.design(found, windows, model.vectors)
    many = np.sqrt(np.bincount(windows.row, minlength=len(chosen))[windows.row])
    counts = data.weight[chosen][windows.row]
    unsafe = np.nanmax(np.stack([np.zeros(len(chosen)), *(values[chosen] for values in data.labels.values())]), axis=0)
    guilty = (unsafe == 1)[windows.row]
    weight = counts * np.where(guilty, counts[~guilty].sum() / max(1.0, counts[guilty].sum()), 1.0) / many
    model.hints["unsafe"] = hint(model, matrix, guilty, weight, windows, strength, PASSED["unsafe"])
    advised = beside(model.vectors, vocabulary)
    designs = {False: (model.vectors, matrix), True: (advised, model.features.design(found, windows, advised))}
    for name, values in data.labels.items():
        vectors, matrix = designs[name in ADVISED]
        label = values[chosen][windows.row]
        known = ~np.isnan(label)
        positive = label[known] == 1
        count = counts[known]
        balance = max(1.0, 0.25 * count[~positive].sum() / max(1.0, count[positive].sum()))
        weight = count * np.where(positive, balance, 1.0) / many[known]
        head = logistic(matrix[known], positive, weight, strength, 30)
        model.weights[name] = model.features.folded(head.coef_[0], vectors)
        model.bias[name] = float(head.intercept_[0])
    return model


def scores(model: Model, texts: Texts, chosen: Ints) -> tuple[dict[str, Floats], Floats]:
    windows = cut(texts, list(chosen), model.vocabulary)
    matrix = model.features.matrix(keys(windows, model.classes), windows)
    best, worth = {}, worthy(windows, *model.hints["unsafe"])
    for name, weights in model.weights.items():
        best[name] = np.full(len(chosen), -np.inf)
        np.maximum.at(best[name], windows.row, np.where(worth, matrix @ weights + model.bias[name], -np.inf))
    return best, np.log2(np.bincount(windows.row, minlength=len(chosen)))


def train(folder: Path, harmless: Sequence[str], meaning: Meaning, note: str) -> tuple[Weights, str]:
    """Weights, and a table of the figures by cross-validation over five parts of the source that has every category."""
    data = load(folder, harmless, taught())
    everything = np.arange(len(data.texts.words))
    own, answers = data.part >= 0, (everything >= data.judged) & (everything < data.judged + data.answers)
    out = {name: np.full(len(everything), np.nan) for name in data.labels}
    size = np.zeros(len(everything))
    for fold in range(FOLDS):
        held = everything[data.part == fold]
        found, size[held] = scores(fit(data, everything[data.part != fold], meaning), data.texts, held)
        for name, values in found.items():
            out[name][held] = values
    model = fit(data, everything, meaning)
    unseen = {name: values.copy() for name, values in out.items()}
    for group in (answers, ~own):
        found, _ = scores(fit(data, everything[~group], meaning), data.texts, everything[group])
        for name, values in found.items():
            unseen[name][group] = values
    prompts = ~own & (data.weight == PROMPTS)
    table = [HEADER, "|---" * (HEADER.count("|") - 1) + "|"]
    for name, values in data.labels.items():
        real = ~np.isnan(values) & own
        line = LogisticRegression(C=1.0).fit(np.c_[out[name], size][real], values[real] == 1)
        slope, length = (float(number) for number in line.coef_[0])
        model.calibration[name] = [max(0.0, slope), length, float(line.intercept_[0])]
        judged = real & (everything < data.judged)
        cells = _figures(values[judged] == 1, out[name][judged])
        known = ~np.isnan(values)
        cells += [str(int((values[answers] == 1).sum())), _area(values, out[name], answers & known)]
        cells += [_area(values, unseen[name], answers & known), str(int((values[prompts] == 1).sum()))]
        cells.append(_area(values, unseen[name], prompts & known))
        table.append(f"| {name} | " + " | ".join(cells) + " |")
    return pack_model(model, list(data.labels), note), "\n".join(table)


def _area(label: Floats, score: Floats, chosen: NDArray[np.bool_]) -> str:
    guilty = label[chosen] == 1
    return f"{roc_auc_score(guilty, score[chosen]):.3f}" if 0 < guilty.sum() < len(guilty) else "–"


def _figures(label: NDArray[np.bool_], score: Floats) -> list[str]:
    precision, recall, _ = precision_recall_curve(label, score)
    best = float(np.max(2 * precision * recall / np.maximum(precision + recall, 1e-9)))
    return [
        str(int(label.sum())),
        f"{roc_auc_score(label, score):.3f}",
        f"{average_precision_score(label, score):.3f}",
        f"{best:.2f}",
        *(f"{(score[label] > np.quantile(score[~label], 1 - rate)).mean():.2f}" for rate in (0.01, 0.05)),
    ]
