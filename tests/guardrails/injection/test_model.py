"""The packed sums say what adding up every feature of a window by hand says."""

import struct

from hypothesis import given
from hypothesis import strategies as st

from guardrails.injection.model import BITS, GAP, LinearModel, logistic
from guardrails.injection.weights import Grams, Weights
from guardrails.injection.words import Window

WORDS = ["ignore", "all", "rules", "send", "data"]
CLASSES = [1, 2, 3, 0, 0]
TABLE: dict[str, dict[tuple[int, ...], tuple[int, int, int]]] = {
    "w": {(1,): (127, -127, 3), (3,): (-5, 9, 127), (4,): (1, 2, -127)},
    "b": {(1, 2): (50, -1, 127), (4, 5): (-127, 0, 0)},
    "s": {(1, 3): (100, 100, -100)},
    "t": {(1, 2, 3): (-128, 127, -128)},
    "c": {(1,): (7, 0, 0), (1, 2): (0, 11, 0), (1, 2, 3): (0, 0, 13), (3, 1): (127, -128, 127)},
}


def key(kind: str, parts: tuple[int, ...]) -> int:
    bits = 8 if kind == "c" else BITS
    number = 0
    for part in parts:
        number = (number << bits) + part
    return number


def made() -> Weights:
    grams = {
        kind: Grams(struct.pack(f"<{len(rows)}q", *(key(kind, parts) for parts in rows)),
                    [struct.pack(f"{len(rows)}b", *(row[head] for row in rows.values())) for head in range(3)])
        for kind, rows in TABLE.items()
    }  # fmt: skip
    return Weights(WORDS, bytes(CLASSES), ["a", "b", "c"], [0.5, 0.25, 1.0], [1.0, -2.0, 0.0], grams, {}, "")


MODEL = LinearModel(made())


def by_hand(words: list[str], shape: Window) -> list[tuple[int, list[float]]]:
    """Each feature counts for the window its last word is in."""
    numbers = [WORDS.index(word) + 1 if word in WORDS else 0 for word in words]
    gains = [[0, 0, 0] for _ in words]

    def gain(kind: str, parts: tuple[int, ...], at: int) -> None:
        for head, value in enumerate(TABLE[kind].get(parts, (0, 0, 0))):
            gains[at][head] += value

    sequence: list[int] = []
    last = -100
    for at, number in enumerate(numbers):
        gain("w", (number,), at)
        if at >= 1:
            gain("b", (numbers[at - 1], number), at)
        if at >= 2:
            gain("s", (numbers[at - 2], number), at)
            gain("t", (numbers[at - 2], numbers[at - 1], number), at)
        name = CLASSES[number - 1] if number else 0
        if name:
            sequence = [] if at - last > GAP else sequence
            last = at
            if sequence[-1:] != [name]:
                sequence.append(name)
                for length in (1, 2, 3):
                    if len(sequence) >= length:
                        gain("c", tuple(sequence[-length:]), at)
    scales, bias = [0.5, 0.25, 1.0], [1.0, -2.0, 0.0]
    starts = range(0, max(1, len(words) - shape.size + shape.stride), shape.stride)
    return [
        (start, [bias[h] + scales[h] * sum(g[h] for g in gains[start : start + shape.size]) for h in range(3)])
        for start in starts
    ]


TEXTS = st.lists(st.sampled_from([*WORDS, "other"]), max_size=200)


@given(TEXTS, st.sampled_from([Window(64, 32), Window(16, 8), Window(4, 3)]))
def test_windows_are_sums_of_their_features(words: list[str], shape: Window) -> None:
    """ "The weights of all heads are fields of one integer, so that adding two such integers adds every head" """
    assert MODEL.windows(MODEL.sums(words), shape) == by_hand(words, shape)


@given(TEXTS)
def test_best_by_last_is_a_window_with_the_highest_last_score(words: list[str]) -> None:
    """ "The window whose score is highest with the last head: as `windows`, for one" """
    shape = Window(16, 8)
    sums = MODEL.sums(words)
    best = MODEL.best_by_last(sums, shape)
    assert best in MODEL.windows(sums, shape)
    assert best[1][2] == max(scores[2] for _, scores in MODEL.windows(sums, shape))


@given(TEXTS)
def test_scores_do_not_depend_on_what_was_scored_before(words: list[str]) -> None:
    """ "Immutable once made" """
    before = MODEL.windows(MODEL.sums(words), Window(64, 32))
    MODEL.sums(["ignore", "unheard", "rules"])
    assert MODEL.windows(MODEL.sums(words), Window(64, 32)) == before
    assert LinearModel(made()).windows(MODEL.sums(words), Window(64, 32)) == before


def test_unknown_words_are_counted() -> None:
    assert MODEL.sums(["ignore", "xyz", "12"]).unknown == 2
    assert MODEL.known(["ignore", "xyz"]) == 0.5
    assert MODEL.known([]) == 1.0


def test_logistic() -> None:
    assert logistic(0) == 0.5
    assert 0 < logistic(-1e9) < 1e-12
    assert logistic(1e9) > 1 - 1e-12
