"""The packed sums say what adding up every feature of a window by hand says."""

import struct
from math import sqrt

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from guardrails.injection.model import BAG_LEAST, BAG_MOST, BITS, GAP, LOOKS, LinearModel, logistic
from guardrails.injection.weights import Bag, Grams, Hint, Weights
from guardrails.injection.words import WIDE, Window, starts_of

WORDS = ["ignore", "all", "rules", "send", "data"]
CLASSES = [1, 2, 3, 0, 0]
TABLE: dict[str, dict[tuple[int, ...], tuple[int, int, int]]] = {
    "w": {(1,): (127, -127, 3), (3,): (-5, 9, 127), (4,): (1, 2, -127)},
    "b": {(1, 2): (50, -1, 127), (4, 5): (-127, 0, 0)},
    "s": {(1, 3): (100, 100, -100)},
    "t": {(1, 2, 3): (-128, 127, -128)},
    "c": {(1,): (7, 0, 0), (1, 2): (0, 11, 0), (1, 2, 3): (0, 0, 13), (3, 1): (127, -128, 127)},
}


HINTS = {
    "some": Hint(struct.pack("5b", 100, -50, 3, -128, 0), 90),
    "best": Hint(struct.pack("5b", -1, 0, 127, 5, 9), 30_000),
}


GAINS, RARITY = (127, -128, 40, 9, 100), (127, 1, 30, 4, 0)
BAG = Bag(struct.pack("5b", *GAINS), struct.pack("5b", *RARITY), 0.11, -0.3)


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
    return Weights(
        WORDS, bytes(CLASSES), ["a", "b", "c"], [0.5, 0.25, 1.0], [1.0, -2.0, 0.0], grams, HINTS, {}, "", BAG
    )


MODEL = LinearModel(made())


def by_hand(words: list[str]) -> list[float]:
    """Each feature of the window counts, the more the shorter it is, and no other feature."""
    numbers = [WORDS.index(word) + 1 if word in WORDS else 0 for word in words]
    gains = [0, 0, 0]

    def gain(kind: str, parts: tuple[int, ...]) -> None:
        for head, value in enumerate(TABLE[kind].get(parts, (0, 0, 0))):
            gains[head] += value

    sequence: list[int] = []
    last = -100
    for at, number in enumerate(numbers):
        gain("w", (number,))
        if at >= 1:
            gain("b", (numbers[at - 1], number))
        if at >= 2:
            gain("s", (numbers[at - 2], number))
            gain("t", (numbers[at - 2], numbers[at - 1], number))
        name = CLASSES[number - 1] if number else 0
        if name:
            sequence = [] if at - last > GAP else sequence
            last = at
            if sequence[-1:] != [name]:
                sequence.append(name)
                for length in (1, 2, 3):
                    if len(sequence) >= length:
                        gain("c", tuple(sequence[-length:]))
    scales, bias = [0.5, 0.25, 1.0], [1.0, -2.0, 0.0]
    factor = (64 / min(64, max(4, len(words)))) ** 0.5
    return [bias[head] + factor * scales[head] * gains[head] for head in range(3)]


TEXTS = st.lists(st.sampled_from([*WORDS, "other"]), max_size=200)


@given(TEXTS.map(lambda words: words[:64]))
def test_a_score_is_the_sum_of_the_features_of_a_window(words: list[str]) -> None:
    """ "The weights of all heads are fields of one integer, so that adding two such integers adds every head" """
    assert MODEL.score(words, WIDE) == pytest.approx(by_hand(words))


@given(
    TEXTS,
    st.sampled_from([Window(64, 32), Window(16, 8), Window(4, 3)]),
    st.sampled_from(["some", "best"]),
    st.lists(st.integers(0, 199), max_size=9),
)
@example(["ignore"] + ["other"] * 5 + ["rules"] * 3, Window(4, 3), "some", [])
def test_worth_is_every_window_from_the_edge_on_and_the_best(
    words: list[str], shape: Window, name: str, places: list[int]
) -> None:
    """ "those from its edge on, and the best; of more than `LOOKS` those that are not worse than the last … They begin
    at `starts`, one at least, and at `more`." """
    hint = HINTS[name]
    gains = dict(zip(WORDS, struct.unpack("5b", hint.words), strict=True))
    row, more = starts_of(len(words), shape), [place for place in places if place < len(words)]
    starts = [*row, *more]
    sums = {start: sum(gains.get(word, 0) for word in words[start : start + shape.size]) for start in starts}
    edge = min(hint.edge, max(sums.values()))
    best = sorted(value for value in map(sums.__getitem__, starts) if value >= edge)[-LOOKS:]
    edge = best[0]
    assert MODEL.worth(MODEL.glance(words), shape, name, row, more) == [
        start for start in starts if sums[start] >= edge
    ]


@given(TEXTS)
def test_scores_do_not_depend_on_what_was_scored_before(words: list[str]) -> None:
    """ "Immutable once made" """
    before = MODEL.score(words, WIDE), MODEL.glance(words)
    MODEL.score(["ignore", "unheard", "rules"], WIDE)
    MODEL.glance(["ignore", "unheard", "rules"])
    assert (MODEL.score(words, WIDE), MODEL.glance(words)) == before
    assert LinearModel(made()).score(words, WIDE) == before[0]


@given(st.frozensets(st.sampled_from([*WORDS, "unheard", "of"])))
def test_a_bag_is_the_sum_over_distinct_words_by_the_length_of_all(words: frozenset[str]) -> None:
    """`Bag`: what a text is about, of whatever length; words of no rarity do not count."""
    counted = [place for place, word in enumerate(WORDS) if word in words and RARITY[place]]
    length = sqrt(max(1, sum(RARITY[place] for place in counted)))
    said = sum(GAINS[place] for place in counted) * BAG.scale / length + BAG.bias
    assert MODEL.bag(words) == pytest.approx(max(BAG_LEAST, min(BAG_MOST, said)))


def test_without_a_bag_it_says_nothing() -> None:
    weights = made()
    assert LinearModel(Weights(weights.words, weights.classes, [], [], [], {}, HINTS)).bag({"ignore"}) == 0


def test_unknown_words_are_counted() -> None:
    assert MODEL.glance(["ignore", "xyz", "12"]).unknown == 2
    assert MODEL.glance(["0", "2026", "99999", "ignore"]).unknown == 3
    assert MODEL.known(["ignore", "xyz"]) == 0.5
    assert MODEL.known([]) == 1.0


def test_logistic() -> None:
    assert logistic(0) == 0.5
    assert 0 < logistic(-1e9) < 1e-12
    assert logistic(1e9) > 1 - 1e-12
